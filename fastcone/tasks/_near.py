# SPDX-License-Identifier: BSD-3-Clause
"""Which rows are near to which: plain distances, some rows at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastcone._runtime import threads
from fastcone.tasks._restore import Array

ROWS = 256  # compared with all others at a time


def squares_of(A: Array, B: Array) -> Array:
    """Return the squared distances of rows, in the product's rounding >= 0."""
    sizes = np.einsum("ij,ij->i", A, A)[:, None] + np.einsum("ij,ij->i", B, B)
    with threads.one_blas_thread():
        return np.maximum(sizes - 2 * (A @ B.T), 0)


def nearest_rows(A: Array, B: Array, k: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Return the k rows of B nearest to each row of A, nearest first, and how far they are."""
    index, far = np.empty((len(A), k), np.intp), np.empty((len(A), k))
    for first in range(0, len(A), ROWS):
        part = slice(first, first + ROWS)
        squares = squares_of(A[part], B)
        near = np.argpartition(squares, k - 1, axis=1)[:, :k]
        exact = np.linalg.norm(A[part, None] - B[near], axis=2)  # a copy is at 0
        order = np.lexsort((near, exact), axis=1)
        index[part] = np.take_along_axis(near, order, axis=1)
        far[part] = np.take_along_axis(exact, order, axis=1)
    return index, far


def own_kind(A: Array, B: Array) -> float:
    """Return the share of rows whose nearest other row is of their own kind; a tie counts half."""
    hits = 0.0
    for these, those in ((A, B), (B, A)):
        for first in range(0, len(these), ROWS):
            part = these[first : first + ROWS]
            same = squares_of(part, these)
            same[np.arange(len(part)), np.arange(first, first + len(part))] = np.inf
            own, other = same.min(axis=1), squares_of(part, those).min(axis=1)
            hits += np.sum(own < other) + 0.5 * np.sum(own == other)
    return float(hits / (2 * len(A)))


def pairs_within(A: Array, threshold: float) -> int:
    """Return the number of pairs of rows nearer to each other than `threshold`."""
    pairs = 0
    for first in range(0, len(A), ROWS):
        squares = squares_of(A[first : first + ROWS], A[first:])
        pairs += int(np.triu(squares <= threshold**2 + 1e-14, k=1).sum())
    return pairs
