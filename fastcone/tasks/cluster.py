# SPDX-License-Identifier: BSD-3-Clause
"""Clustering by cones: every sample in the cone nearest to it, every cone of its samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastcone._nmf.api import nmf
from fastcone._runtime import threads
from fastcone._runtime.rows import row_norms
from fastcone._runtime.validation import integer, real_array
from fastcone.cone.model import Cone
from fastcone.tasks._restore import Array

DIRECTIONS = 10  # rounds with one direction per cluster, from which the cones start
STEPS = 5  # of training a cone between two assignments


@dataclass(frozen=True, eq=False)
class Clustering:
    """What `cluster` returns.

    Attributes
    ----------
    labels : ndarray of int, shape (N,)
        The cluster of each sample, in 0..n_clusters-1.
    cones : dict of int: Cone
        One per cluster: `fastcone.tasks.classify` finds the cluster of new samples with them.
    objective : float
        ``1/2 sum_i D(x_i)^2 / ||x_i||^2``, D the distance to the cone of the sample's cluster.
    n_iter : int
        Rounds of the best start.
    """

    labels: npt.NDArray[np.intp]
    cones: dict[int, Cone]
    objective: float
    n_iter: int


def cluster(
    X: npt.ArrayLike,
    n_clusters: int,
    *,
    rank: int = 3,
    n_init: int = 4,
    max_iter: int = 30,
    random_state: int | np.random.Generator | None = None,
) -> Clustering:
    """Divide samples among cones, k-means with cones in the place of the centres (k-cones).

        min  1/2 sum_i min_k D_k(x_i)^2,     D_k(x) = min_{h >= 0} ||W_k h - x||_2,     ||x_i|| = 1

    In turn, each sample goes to the nearest cone and each cone is trained further on its samples.
    With rank 1 the clusters are directions (spherical k-means). Brightness plays no part.

    Parameters
    ----------
    X : array_like, shape (N, m)
        Non-negative samples as rows; rows of zeros go to cluster 0.
    n_clusters : int
        Clusters, at most N.
    rank : int
        Generators per cluster. The more, the more one cone holds: with too many, two clusters of
        the data share a cone and another is cut at random.
    n_init : int
        Starts, drawn far apart as in k-means++; that of the least objective is returned.
    max_iter : int
        Rounds at most; a start ends before where no sample changes its cone.
    random_state : int, Generator or None
        Seed or generator, as for ``numpy.random.default_rng``.

    Returns
    -------
    Clustering

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> from fastcone.tasks import cluster
    >>> X = [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 1.0], [4.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 5.0]]
    >>> labels = cluster(X, 2, rank=2, random_state=0).labels
    >>> bool(labels[0] == labels[2] != labels[1] == labels[3])
    True
    """
    samples = real_array("X", X, ndim=(2,), nonnegative=True, min_size=1)
    n_clusters = integer("n_clusters", n_clusters, minimum=1)
    rank, n_init = integer("rank", rank, minimum=1), integer("n_init", n_init, minimum=1)
    max_iter = integer("max_iter", max_iter, minimum=1)
    norm = row_norms(samples, "l2")
    rows = samples[norm > 0] / norm[norm > 0][:, None]
    if n_clusters > len(rows):
        raise ValueError(f"n_clusters must be at most {len(rows)}, found {n_clusters}")
    rng = np.random.default_rng(random_state)
    with threads.one_blas_thread():
        starts = [_one_start(rows, n_clusters, rank, max_iter, rng) for _ in range(n_init)]
    best = min(starts, key=lambda start: start.objective)
    labels = np.zeros(len(samples), np.intp)
    labels[norm > 0] = best.labels
    return Clustering(labels, best.cones, best.objective, best.n_iter)


def _one_start(
    rows: Array, count: int, rank: int, max_iter: int, rng: np.random.Generator
) -> Clustering:
    labels = _by_direction(rows, count, rng)
    cones: dict[int, Cone] = {}
    seed = int(rng.integers(2**31))
    n_iter = 0
    for _ in range(max_iter):
        n_iter += 1
        for k in range(count):
            W = cones[k].W if k in cones else None
            fit = nmf(rows[labels == k].T, rank, W=W, max_iter=STEPS, tol=0, random_state=seed)
            cones[k] = Cone(fit.W)
        distances = np.stack([cone.distance(rows) for cone in cones.values()], axis=1)
        before, labels = labels, distances.argmin(axis=1)
        _fill_empty(labels, distances.min(axis=1), count)
        if np.array_equal(before, labels):
            break
    objective = 0.5 * float(np.sum(distances[np.arange(len(rows)), labels] ** 2))
    return Clustering(labels, cones, objective, n_iter)


def _by_direction(rows: Array, count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return clusters of rank 1: directions drawn far apart, then means and assignments in turn."""
    centres = rows[[rng.integers(len(rows))]]
    while len(centres) < count:
        far = np.maximum(1 - (rows @ centres.T).max(axis=1) ** 2, 0)
        far = far / far.sum() if far.sum() > 0 else np.full(len(rows), 1 / len(rows))
        centres = np.vstack([centres, rows[[rng.choice(len(rows), p=far)]]])
    for _ in range(DIRECTIONS):
        cosines = rows @ centres.T
        labels = cosines.argmax(axis=1)
        _fill_empty(labels, 1 - cosines.max(axis=1), count)
        centres = np.stack([rows[labels == k].mean(axis=0) for k in range(count)])
        centres /= row_norms(centres, "l2")[:, None]
    return labels


def _fill_empty(labels: npt.NDArray[np.intp], far: Array, count: int) -> None:
    """Give each empty cluster the sample farthest from its own, of a cluster that has others."""
    order = iter(np.argsort(-far))
    for k in np.flatnonzero(np.bincount(labels, minlength=count) == 0):
        labels[next(i for i in order if np.sum(labels == labels[i]) > 1)] = k
