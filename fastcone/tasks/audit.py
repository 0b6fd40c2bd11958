# SPDX-License-Identifier: BSD-3-Clause
"""Audit of generated samples: whether they are copied, how many they are, how like real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc
from scipy.stats import ks_2samp

from fastcone._runtime.rows import row_norms
from fastcone._runtime.validation import integer, number, real_array
from fastcone.tasks._near import nearest_rows, own_kind, pairs_within
from fastcone.tasks._restore import Array


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` finds; distances are between directions, ``||a/||a|| - b/||b|| ||``.

    Attributes
    ----------
    nearest : ndarray of int, shape (n, 3)
        The three training samples nearest to each generated one, nearest first: look at them.
    distances : ndarray, shape (n, 3)
        How far they are.
    threshold : float
        Nearer than this to a training sample are only `level` of the real samples.
    memorised : float
        Share of generated samples nearer than that to a training sample; about `level` if they
        are new, 1 if they are copies.
    p_distance : float
        Of the two-sample test (Kolmogorov and Smirnov) whether generated samples are as far from
        the training samples as real ones are.
    told_apart : float
        Share of samples, generated and real in equal numbers, whose nearest neighbour among the
        others is of their own kind: 1/2 if nothing tells them apart, 1 if everything does.
    p_told_apart : float
        Probability of so high a share by chance (binomial, one-sided).
    twins, twins_real : int
        Pairs of generated samples nearer to each other than `threshold`; as many real samples have
        `twins_real`.
    support : float
        Number of samples that the generator can make, ``n (n - 1) / (2 twins)`` (birthday paradox);
        infinite without twins: n is then too small to see the end.
    support_real : float
        The same of the real samples, which look alike too: the scale to read `support` on.
    """

    nearest: npt.NDArray[np.intp]
    distances: Array
    threshold: float
    memorised: float
    p_distance: float
    told_apart: float
    p_told_apart: float
    twins: int
    twins_real: int
    support: float
    support_real: float


def audit(
    samples: npt.ArrayLike, train: npt.ArrayLike, real: npt.ArrayLike, *, level: float = 0.01
) -> Audit:
    """Compare generated samples with those trained on and with real ones never seen.

    A generator may copy its training samples, make few different ones (collapse), or make what
    no real sample is like; each has its figures. Brightness plays no part. Compare like with like:
    what a cone makes is free of noise and so nearer to everything; give the projections
    ``cone.project(X).signal`` for `train` and `real` then.

    Parameters
    ----------
    samples : array_like, shape (n, m)
        Generated, at least 2.
    train : array_like, shape (N, m)
        What the generator was trained on, at least 3.
    real : array_like, shape (k, m)
        Of the same origin as `train` and not in it, at least 2. Without such samples nothing can be
        said: how near is too near, real samples alone can tell. As many of them as of `samples`
        are compared, or the other way round.
    level : float
        Share of the real samples below `threshold`, in (0, 1/2].

    Returns
    -------
    Audit

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    References
    ----------
    S. Arora, A. Risteski, Y. Zhang, "Do GANs learn the distribution? Some theory and empirics",
    ICLR 2018 (birthday paradox). D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample
    tests", ICLR 2017 (nearest neighbours).

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.tasks import audit
    >>> rng = np.random.default_rng(0)
    >>> train, real, new = rng.random((3, 300, 10))
    >>> audit(train[:200], train, real).memorised, audit(new, train, real).memorised < 0.05
    (1.0, True)
    >>> audit(new[rng.integers(0, 20, 200)], train, real).support.__round__() <= 30
    True
    """
    made, known, seen = (
        _directions(name, rows, least)
        for name, rows, least in (("samples", samples, 2), ("train", train, 3), ("real", real, 2))
    )
    for name, rows in (("train", known), ("real", seen)):
        if rows.shape[1] != made.shape[1]:
            raise ValueError(
                f"{name} must have {made.shape[1]} entries per row, found {rows.shape[1]}"
            )
    level = number("level", level, positive=True)
    if level > 0.5:
        raise ValueError(f"level must be at most 0.5, found {level:g}")
    nearest, distances = nearest_rows(made, known, 3)
    usual = nearest_rows(seen, known, 1)[1][:, 0]
    threshold = float(np.quantile(usual, level))
    n = min(len(made), len(seen))
    own = own_kind(made[:n], seen[:n])
    hits = round(own * 2 * n)
    twins, twins_real = pairs_within(made[:n], threshold), pairs_within(seen[:n], threshold)
    return Audit(
        nearest=nearest,
        distances=distances,
        threshold=threshold,
        memorised=float(np.mean(distances[:, 0] <= threshold)),
        p_distance=float(ks_2samp(distances[:, 0], usual).pvalue),
        told_apart=own,
        p_told_apart=float(betainc(hits, 2 * n - hits + 1, 0.5)) if hits else 1.0,
        twins=twins,
        twins_real=twins_real,
        support=birthday(n, twins),
        support_real=birthday(n, twins_real),
    )


def birthday(n: int, pairs: int) -> float:
    """Return how many equally likely kinds there are, if `pairs` of n draws were of the same kind.

        E pairs = n (n - 1) / (2 kinds)

    Parameters
    ----------
    n : int
        Draws, at least 2.
    pairs : int
        Pairs found.

    Returns
    -------
    float
        Infinite for no pair.

    Examples
    --------
    >>> from fastcone.tasks.audit import birthday
    >>> birthday(28, 1)  # among 28 people one pair shares a birthday, on average
    378.0
    """
    n, pairs = integer("n", n, minimum=2), integer("pairs", pairs, minimum=0)
    return n * (n - 1) / (2 * pairs) if pairs else math.inf


def _directions(name: str, rows: npt.ArrayLike, least: int) -> Array:
    array = real_array(name, rows, ndim=(2,)).astype(np.float64, copy=False)
    if len(array) < least:
        raise ValueError(f"{name} must have at least {least} rows, found {len(array)}")
    norm = row_norms(array, "l2")
    return array / np.where(norm > 0, norm, 1)[:, None]
