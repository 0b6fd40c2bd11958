# SPDX-License-Identifier: BSD-3-Clause
"""Qualities and their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[Any]
Quality = tuple[float, tuple[float, float]]

Z95 = 1.959963984540054
RESAMPLES = 2000
DETECT_RESAMPLES = 200
BEST_DB = 120.0


def psnr(estimate: Array, truth: Array, parts: int = 1) -> Array:
    """Return the peak signal-to-noise ratio of each row, peak 1, in dB.

        PSNR = -10 log10 mean((clip(estimate, 0, 1) - truth)^2),    at most 120 dB

    Parameters
    ----------
    estimate, truth : ndarray, shape (N, parts * m)
        Images as rows; the estimates are clipped to the known range [0, 1].
    parts : int
        Images per row (the sources of a mixture); their PSNRs are averaged.

    Examples
    --------
    >>> psnr(np.array([[0.1, 0.1], [0.0, 2.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])).round(6)
    array([ 20., 120.])
    """
    error = (np.clip(estimate, 0, 1) - truth) ** 2
    mean = error.reshape(len(error), parts, -1).mean(axis=2)
    return np.asarray(-10 * np.log10(np.maximum(mean, 10 ** (-BEST_DB / 10))).mean(axis=1))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

        (p + z^2/2n -+ z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n)

    Parameters
    ----------
    successes, trials : int
        ``0 <= successes <= trials``, ``trials >= 1``.

    References
    ----------
    E. B. Wilson, J. Amer. Statist. Assoc. 22 (1927).

    Examples
    --------
    1996 right of 2000:

    >>> [round(100 * end, 2) for end in wilson(1996, 2000)]
    [99.49, 99.92]
    """
    p, z2n = successes / trials, Z95**2 / trials
    centre = p + z2n / 2
    half = Z95 * math.sqrt(p * (1 - p) / trials + z2n / (4 * trials))
    lo, hi = (centre - half) / (1 + z2n), (centre + half) / (1 + z2n)
    return (max(0.0, lo) if successes else 0.0, min(1.0, hi) if successes < trials else 1.0)


def bootstrap(
    count: int, statistic: Callable[[Array], Array], *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile interval of a statistic over resampled items.

    Parameters
    ----------
    count : int
        Number of items.
    statistic : callable
        Takes item numbers, shape (r, count), drawn with replacement, and returns r values.
    seed, resamples : int
        Of the draws.

    Examples
    --------
    >>> x = np.arange(100.0)
    >>> lo, hi = bootstrap(100, lambda index: x[index].mean(axis=1))
    >>> 40 < lo < x.mean() < hi < 60
    True
    """
    rng = np.random.default_rng(seed)
    values = []
    for start in range(0, resamples, 100):
        rows = min(100, resamples - start)
        values.append(statistic(rng.integers(count, size=(rows, count))))
    lo, hi = np.quantile(np.concatenate(values), [0.025, 0.975])
    return float(lo), float(hi)


def auroc(scores: Array, anomalous: Array) -> float:
    """Return the area under the ROC curve: the chance that an anomaly scores higher, ties half.

    Parameters
    ----------
    scores : ndarray, shape (N,)
        Large for anomalies.
    anomalous : ndarray of bool, shape (N,)
        Both kinds must occur.

    Examples
    --------
    >>> auroc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    0.875
    """
    hits = int(anomalous.sum())
    misses = len(anomalous) - hits
    excess = rankdata(scores)[anomalous].sum() - hits * (hits + 1) / 2
    return float(excess / (hits * misses))


def mean_auroc(scores: Array, y: Array, labels: Sequence[int]) -> float:
    """Return the mean AUROC over the classes left out in turn.

    Parameters
    ----------
    scores : ndarray, shape (C, N)
        Row c scores all images by a model that has not seen class ``labels[c]``.
    y : ndarray, shape (N,)
        Labels of the images.
    labels : sequence
        The C classes.
    """
    pairs = zip(scores, labels, strict=True)
    return float(np.mean([auroc(row, y == label) for row, label in pairs]))


def mean_quality(values: Array) -> Quality:
    """Return the mean of a quality per item and its bootstrap interval.

    Examples
    --------
    >>> mean_quality(np.full(10, 20.0))
    (20.0, (20.0, 20.0))
    """
    interval = bootstrap(len(values), lambda index: values[index].mean(axis=1))
    return float(values.mean()), interval


def accuracy_quality(found: Array, truth: Array) -> Quality:
    """Return the share of right labels and its Wilson interval."""
    right = int(np.sum(found == truth))
    return right / len(truth), wilson(right, len(truth))


def auroc_quality(scores: Array, y: Array, labels: Sequence[int]) -> Quality:
    """Return `mean_auroc` and its bootstrap interval, images resampled within their class."""
    members = [np.flatnonzero(y == label) for label in labels]

    def mean_area(index: Array) -> float:
        return mean_auroc(scores[:, index], y[index], labels)

    rng = np.random.default_rng(0)
    draws = [
        mean_area(np.concatenate([rng.choice(index, len(index)) for index in members]))
        for _ in range(DETECT_RESAMPLES)
    ]
    lo, hi = np.quantile(draws, [0.025, 0.975])
    return mean_area(np.arange(len(y))), (float(lo), float(hi))
