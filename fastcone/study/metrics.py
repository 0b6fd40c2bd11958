# SPDX-License-Identifier: BSD-3-Clause
"""Qualities and their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, rankdata

Array = npt.NDArray[Any]
Quality = tuple[float, tuple[float, float]]

LEVELS = (0.025, 0.975)
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


def auroc(scores: Array, anomalous: Array) -> float:
    """Return the area under the ROC curve: the chance that an anomaly scores higher, ties half.

    As scikit-learn's ``roc_auc_score``, but ten times as fast: the bootstrap calls it often.

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
    """Return the mean of a quality per item, and the percentiles of its bootstrap.

    Examples
    --------
    >>> mean_quality(np.full(10, 20.0))
    (20.0, (20.0, 20.0))
    """
    rng, count = np.random.default_rng(0), len(values)
    means = [values[rng.integers(count, size=count)].mean() for _ in range(RESAMPLES)]
    lo, hi = np.quantile(means, LEVELS)
    return float(values.mean()), (float(lo), float(hi))


def accuracy_quality(found: Array, truth: Array) -> Quality:
    """Return the share of right labels and its Wilson interval."""
    right = int(np.sum(found == truth))
    lo, hi = binomtest(right, len(truth)).proportion_ci(method="wilson")
    return right / len(truth), (float(lo), float(hi))


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
    lo, hi = np.quantile(draws, LEVELS)
    return mean_area(np.arange(len(y))), (float(lo), float(hi))
