# SPDX-License-Identifier: BSD-3-Clause
"""Audit of generated samples: whether they are copied, how many they are, how like real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc
from scipy.stats import ks_2samp

from fastcone._runtime import threads
from fastcone._runtime.rows import row_norms
from fastcone._runtime.validation import integer, number, real_array
from fastcone.tasks._restore import Array

ROWS = 256  # samples compared with all others at a time


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
    nearest, distances = _nearest(made, known, 3)
    usual = _nearest(seen, known, 1)[1][:, 0]
    threshold = float(np.quantile(usual, level))
    n = min(len(made), len(seen))
    own = _own_kind(made[:n], seen[:n])
    hits = round(own * 2 * n)
    twins, twins_real = _twins(made[:n], threshold), _twins(seen[:n], threshold)
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


def _squares(A: Array, B: Array) -> Array:
    """Return the squared distances of rows, in the product's rounding >= 0."""
    sizes = np.einsum("ij,ij->i", A, A)[:, None] + np.einsum("ij,ij->i", B, B)
    return np.maximum(sizes - 2 * (A @ B.T), 0)


def _nearest(A: Array, B: Array, k: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Return the k rows of B nearest to each row of A, nearest first, and how far they are."""
    index, far = np.empty((len(A), k), np.intp), np.empty((len(A), k))
    for first in range(0, len(A), ROWS):
        part = slice(first, first + ROWS)
        with threads.one_blas_thread():
            squares = _squares(A[part], B)
        near = np.argpartition(squares, k - 1, axis=1)[:, :k]
        exact = np.linalg.norm(A[part, None] - B[near], axis=2)  # a copy is at 0
        order = np.lexsort((near, exact), axis=1)
        index[part] = np.take_along_axis(near, order, axis=1)
        far[part] = np.take_along_axis(exact, order, axis=1)
    return index, far


def _own_kind(A: Array, B: Array) -> float:
    """Return the share of rows whose nearest other row is of their own kind; a tie counts half."""
    hits = 0.0
    for these, those in ((A, B), (B, A)):
        for first in range(0, len(these), ROWS):
            part = these[first : first + ROWS]
            same = _squares(part, these)
            same[np.arange(len(part)), np.arange(first, first + len(part))] = np.inf
            own, other = same.min(axis=1), _squares(part, those).min(axis=1)
            hits += np.sum(own < other) + 0.5 * np.sum(own == other)
    return float(hits / (2 * len(A)))


def _twins(A: Array, threshold: float) -> int:
    """Return the number of pairs of rows nearer to each other than `threshold`."""
    pairs = 0
    for first in range(0, len(A), ROWS):
        squares = _squares(A[first : first + ROWS], A[first:])
        pairs += int(np.triu(squares <= threshold**2 + 1e-14, k=1).sum())
    return pairs
