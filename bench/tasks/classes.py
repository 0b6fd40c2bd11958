# SPDX-License-Identifier: BSD-3-Clause
"""Class cones trained on shifted copies: accuracy by distance, and with a head on features."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from fastcone.tasks import class_cones, classify, features, shifts

# Chosen on 4,000 training images, the cones trained on the other 6,000.
TRAINING = {"l1_H": 0.06, "init": "exemplars", "max_iter": 10, "tol": 0, "random_state": 0}
PRICE = 0.13


def unit(X):
    """Rows at unit length."""
    return (X / np.linalg.norm(X, axis=1)[:, None]).astype(np.float32)


def run(images):
    """Print the figures."""
    rank = 256 if images.X.shape[1] > 100 else 64
    X, V = unit(images.X), unit(images.V)
    began = time.perf_counter()
    cones = class_cones(X, images.y, rank, copies=shifts(images.shape), **TRAINING)
    trained = time.perf_counter()
    found = classify(V, cones, l1=PRICE)
    each = (time.perf_counter() - trained) / len(V)
    size = sum(cone.W.nbytes for cone in cones.values()) / 1e6
    print(f"rank {rank}: {trained - began:.1f} s, {size:.1f} MB, {1e3 * each:.2f} ms an image")
    print(f"accuracy {np.mean(found.labels == images.t):.4f}")
    pair = images.t < 2
    print(f"0 or 1: {np.sum(found.distances[pair, :2].argmin(1) != images.t[pair])} errors")
    order = np.random.default_rng(0).permutation(len(X))
    some, rest = np.split(order, [int(0.7 * len(X))])
    cones = class_cones(X[some], images.y[some], rank, copies=shifts(images.shape), **TRAINING)
    for kinds in (["distance"], ["distance", "coef"]):
        head = LogisticRegression(C=100, max_iter=500)
        head.fit(features(X[rest], cones, kinds, l1=PRICE), images.y[rest])
        score = head.score(features(V, cones, kinds, l1=PRICE), images.t)
        print(f"cones of 70 %, logistic head on {' and '.join(kinds)} of 30 %: {score:.4f}")
