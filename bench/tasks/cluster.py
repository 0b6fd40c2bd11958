# SPDX-License-Identifier: BSD-3-Clause
"""Clusters by cones against k-means on the same directions and on pixels, ten seeds."""

import time

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from fastcone.tasks import cluster

RANK = 3  # chosen on training images
SEEDS = 10


def accuracy(found, labels):
    """Share of samples under the best assignment of clusters to labels, one to one."""
    table = np.zeros((found.max() + 1, labels.max() + 1))
    np.add.at(table, (found, labels), 1)
    return table[linear_sum_assignment(-table)].sum() / len(labels)


def figures(name, label, X, y, seeds=SEEDS):
    """Print means and standard deviations of accuracy and mutual information."""
    began = time.perf_counter()
    found = [label(X, seed) for seed in range(seeds)]
    seconds = (time.perf_counter() - began) / seeds
    both = [(accuracy(f, y), normalized_mutual_info_score(y, f)) for f in found]
    (acc, nmi), (acc_sd, nmi_sd) = np.mean(both, axis=0), np.std(both, axis=0)
    first = f"{name}: ACC {acc:.3f}+-{acc_sd:.3f}, NMI {nmi:.3f}+-{nmi_sd:.3f}"
    print(f"{first}, {seconds:.1f} s a run", flush=True)


def run(images, n_init=1):
    """Print the figures."""
    X, y = images.V.astype(np.float32), images.t
    unit = X / np.linalg.norm(X, axis=1)[:, None]

    def cones(X, seed):
        return cluster(X, 10, rank=RANK, n_init=n_init, random_state=seed).labels

    def centres(X, seed):
        return KMeans(10, n_init=n_init, random_state=seed).fit(X).labels_

    figures("k-means on pixels", centres, X, y)
    figures("k-means on directions", centres, unit, y)
    figures(f"k-cones of rank {RANK}", cones, X, y)
