# SPDX-License-Identifier: BSD-3-Clause
"""Local cones: accuracy, detection of a new class, milliseconds, bytes, and few labels."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from fastcone.operators import Warp
from fastcone.tasks import LocalCones, augment, classify, shifts


def copies(shape):
    """Shifts by a pixel, turns by 8 degrees, sizes 10 % up and down: chosen on training images."""
    a = np.deg2rad(8)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    matrices = (turn, turn.T, 1.1 * np.eye(2), 0.9 * np.eye(2))
    return shifts(shape) + [Warp(shape, M).forward for M in matrices]


def run(images):
    """Print the figures."""
    X, y, V, t = images.X, images.y, images.V, images.t
    began = time.perf_counter()
    model = LocalCones(X, y, neighbours=20, copies=copies(images.shape))
    built = time.perf_counter()
    found = classify(V, model, relative=True)
    each = (time.perf_counter() - built) / len(V)
    print(model, f"built in {built - began:.1f} s, {1e3 * each:.2f} ms an image")
    print(f"accuracy {np.mean(found.labels == t):.4f}")
    pair = t < 2
    wrong = np.sum(found.distances[pair, :2].argmin(1) != t[pair])
    print(f"0 or 1: {wrong} errors of {pair.sum()}")
    others = [np.delete(found.distances, k, axis=1).min(1) for k in range(10)]
    scores = [roc_auc_score(t == k, score) for k, score in enumerate(others)]
    print(f"a digit left out: AUROC {np.mean(scores):.3f}, least {min(scores):.3f}")
    few_labels(images)


def few_labels(images, draws=5):
    """Print the accuracy with 10 and 20 labels a class; rivals learn from the same copies."""
    for count in (10, 20):
        rows = []
        for seed in range(draws):
            known, _ = images.labelled(count, seed)
            X, y, made = images.X[known], images.y[known], copies(images.shape)
            many, labels = augment(X, made), np.tile(y, 1 + len(made))
            model = LocalCones(X, y, neighbours=20, copies=made)
            rivals = LogisticRegression(max_iter=300), KNeighborsClassifier(1), SVC(C=10)
            rows.append(
                [np.mean(classify(images.V, model).labels == images.t)]
                + [rival.fit(many, labels).score(images.V, images.t) for rival in rivals]
            )
        names = ["local cones", "logistic regression", "nearest neighbour", "SVM"]
        means, sds = np.mean(rows, axis=0), np.std(rows, axis=0)
        line = ", ".join(f"{n} {m:.3f}+-{s:.3f}" for n, m, s in zip(names, means, sds, strict=True))
        print(f"{count} labels a class, {draws} draws: {line}")
