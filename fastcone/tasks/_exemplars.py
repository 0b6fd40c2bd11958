# SPDX-License-Identifier: BSD-3-Clause
"""The exemplars nearest to a sample, and its distance to their cone.

Per block of samples and class: cosines with all exemplars in the 96 directions in which these
differ most (one product); of the 2 k largest, the k with the largest full cosines; their Gram
matrix, its Cholesky factor, a stack of k x k problems, and the residual from the exemplars.
"""

from __future__ import annotations

import numpy as np

from fastcone._nnls.api import solve_nnls
from fastcone._runtime import threads
from fastcone._runtime.rows import row_norms
from fastcone.tasks._restore import Array

SKETCH = 96  # directions in which the nearest are looked for
REFINED = 2  # times the neighbours wanted: found there, then compared in full
DRAWN = 800  # exemplars that the directions are made of, at most about twice as many
GROUP = 8  # cosines of which the largest is looked at first


def unit_rows(rows: Array) -> Array:
    """Return rows at unit length in float32, zeros where they are zero."""
    norm = row_norms(rows, "l2")
    return (rows / np.where(norm > 0, norm, 1)[:, None]).astype(np.float32, copy=False)


def directions(exemplars: list[Array]) -> Array:
    """Return the directions, (m, SKETCH) at most, in which exemplars differ most, orthonormal."""
    m, n = exemplars[0].shape[1], sum(map(len, exemplars))
    if m <= SKETCH:
        return np.eye(m, dtype=np.float32)
    some = np.vstack([kept[:: max(1, n // DRAWN)] for kept in exemplars])
    some = some[:: max(1, len(some) // DRAWN)].astype(np.float64)
    with threads.one_blas_thread():
        values, vectors = np.linalg.eigh(some @ some.T)
        vectors = vectors[:, values > 1e-10 * values[-1]][:, -SKETCH:]
        return np.linalg.qr(some.T @ vectors)[0].astype(np.float32)


def nearest(unit: Array, sketch: Array, exemplars: Array, sketches: Array, k: int) -> Array:
    """Return the exemplars (p, k, m) nearest to unit samples, among those nearest in the sketch."""
    some = exemplars[largest(sketch @ sketches.T, min(REFINED * k, len(exemplars)))]
    near = largest((some @ unit[:, :, None])[..., 0], min(k, len(exemplars)))
    return np.take_along_axis(some, near[..., None], axis=1)


def cone_distances(queries: Array, near: Array) -> Array:
    """Return the distances of unit samples (p, m) to the cones of their exemplars (p, k, m)."""
    A, b, k = near.astype(np.float64), queries.astype(np.float64), near.shape[1]
    gram = A @ A.transpose(0, 2, 1)
    gram[:, range(k), range(k)] += 1e-13 * k  # equal exemplars are no reason to fail
    factor = np.linalg.cholesky(gram)
    target = np.linalg.solve(factor, A @ b[:, :, None])[..., 0]
    coef = solve_nnls(factor.transpose(0, 2, 1), target, n_threads=1, certify=False).x
    return row_norms(b - (coef.T[:, None, :] @ A)[:, 0], "l2")


def largest(rows: Array, k: int) -> Array:
    """Return where the k largest entries of each row stand, in any order, shape (p, k).

    The k largest entries lie in the k groups with the largest maxima: most are never sorted.
    """
    n = rows.shape[1]
    groups = n // GROUP
    if groups > 2 * k:
        grouped = rows[:, : groups * GROUP].reshape(-1, GROUP, groups)
        best = np.argpartition(grouped.max(axis=1), -k, axis=1)[:, -k:]
        members = best[:, None, :] + groups * np.arange(GROUP)[:, None]
        rest = np.broadcast_to(np.arange(groups * GROUP, n), (len(rows), n - groups * GROUP))
        members = np.hstack([members.reshape(len(rows), -1), rest])
        few = np.take_along_axis(rows, members, axis=1)
        return np.take_along_axis(members, largest(few, k), axis=1)
    return np.argpartition(rows, n - k, axis=1)[:, n - k :]
