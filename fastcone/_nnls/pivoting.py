# SPDX-License-Identifier: BSD-3-Clause
"""Block principal pivoting on one block of problems, where coordinate descent is slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.plan import CALL_WORK, MAX_PIVOTS, PIVOT_ALL, PIVOT_SHARE
from fastcone._nnls.prepare import Gram
from fastcone._nnls.targets import LinearTerms
from fastcone._runtime.scaling import F64
from fastcone._runtime.threads import Scratch

SLACK = 1e-11  # of ||a_j|| ||b||: a gradient entry that may be rounding


class Solved(Protocol):
    """What pivoting sees of a block: its linear terms, its coefficients, the epochs used."""

    linear: LinearTerms
    X: np.ndarray
    epochs: np.ndarray


def pivot(
    block: Solved,
    gram: Gram,
    which: np.ndarray,
    max_epochs: int,
    late: Callable[[], bool],
    scratch: Scratch,
) -> None:
    """Solve some problems on their support, in float64, and exchange what is wrong with it.

    Not those of a large G and a small support: a factor costs n^3 / 3, whatever the support,
    and the exact solver goes on from there for less.
    """
    if gram.n > PIVOT_ALL:
        support = np.count_nonzero(block.X[which] > 0, axis=1)
        which = which[support >= PIVOT_SHARE * gram.n]
    work = scratch.take("pivot", (kernels.pivot_work(gram.rows),), F64)
    slack = np.full(gram.rows, np.inf)
    slack[: gram.n][gram.used] = SLACK * np.sqrt(gram.diagonal[gram.used])
    most = np.minimum(MAX_PIVOTS, max_epochs - block.epochs[which]).astype(np.intc)
    which, most = which[most > 0], most[most > 0]
    size = 8 * int(max(1, CALL_WORK / (48 * gram.rows**3)))  # whole vectors of lanes
    for start in range(0, len(which), size):
        if late():
            return
        part = which[start : start + size]
        C, X = (rows[part].astype(F64, copy=False) for rows in (block.linear.C, block.X))
        used = np.empty(len(part), dtype=np.intc)
        kernels.pivot(gram.G, slack, C, X, most[start : start + size], used, work)
        block.X[part] = X
        block.epochs[part] += np.abs(used)
