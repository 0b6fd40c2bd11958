# SPDX-License-Identifier: BSD-3-Clause
"""Bounds and sums by the support solver on G: what it cannot settle is left to heavy rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.block import Job
from fastcone._nnls.plan import CALL_WORK
from fastcone._nnls.prepare import Gram
from fastcone._nnls.targets import LinearTerms, Penalty
from fastcone._runtime.scaling import F64, roundoff
from fastcone._runtime.threads import Scratch, aligned

RANGE = 1e60  # of a sum in the units of its problem, either way
SMALL = 1e-6  # a refinement that moves x by more than this share says that G was not enough
DIGITS = 1e-9  # of the largest coefficient: what the default is right to


class Found:
    """Coefficients (p, n) in scaled units, the steps used, and which of them are settled."""

    def __init__(self, p: int, n: int) -> None:
        self.X, self.steps = np.zeros((p, n)), np.zeros(p, dtype=np.intp)
        self.settled = np.zeros(p, dtype=bool)


def linear_terms(job: Job, which: np.ndarray, summed: bool, scratch: Scratch) -> LinearTerms:
    """Return the linear terms of some problems; l1 times a known sum is a constant."""
    penalty = Penalty(None, job.targets.gram) if summed else job.penalty
    return penalty.subtract(which, job.targets.products(which, F64, scratch))


def solve(
    job: Job, which: np.ndarray, linear: LinearTerms, rows: np.ndarray, upper: np.ndarray,
    total: np.ndarray | None, weight: np.ndarray, scratch: Scratch,
) -> Found:  # fmt: skip
    """Solve some problems, targets in `rows` (p, m), within `upper` (p, n), all in scaled units."""
    generators: Any = job.targets.generators  # type: ignore[attr-defined]
    gram, (p, m), n = generators.gram, rows.shape, generators.n
    found, ld = Found(p, n), gram.padded.shape[1]
    C, X, g = (aligned((p, ld), F64) for _ in range(3))
    C[:, n:], C[:, :n] = 0, linear.C[:, :n]
    slack = gram.rounding * linear.delta_scale
    if total is not None:
        slack += gram.rounding * total * float((gram.norm / weight).max())
    bounds = None if np.isinf(upper).all() else np.ascontiguousarray(upper)
    penalty = None
    if total is None and job.penalty.l1 is not None:
        penalty = -job.penalty.scaled(which, linear.exponent)
    change, residual = np.full(p, -1.0), np.zeros(p)
    work, index = np.empty(kernels.support_work(n)), np.empty(n, dtype=np.intp)
    found.steps[:] = -1
    step = max(1, int(CALL_WORK / (10 * n**3 + 4 * m * n)))
    for first in range(0, p, step):
        part = slice(first, first + step)
        if job.late(scratch):
            break
        kernels.support_bounded(
            gram.padded, C[part], gram.rootinv, gram.norm,
            None if bounds is None else bounds[part], None if total is None else weight,
            None if total is None else total[part], None if penalty is None else penalty[part],
            slack[part], X[part], g[part], job.options.max_epochs or 30 * n, found.steps[part],
            generators.plain.wide, rows[part], gram.ridge, residual[part], change[part], work,
            index,
        )  # fmt: skip
    good = (found.steps >= 0) & (change >= 0) & (change < SMALL)
    if total is not None:
        good &= (total > 1 / RANGE) & (total < RANGE)
    found.X[good] = X[good, :n]
    good[good] = ~_open(gram, found.X[good], g[good, :n], upper[good], linear.delta_scale[good],
                        residual[good], m)  # fmt: skip
    found.settled = good
    return found


def _open(
    gram: Gram, X: np.ndarray, g: np.ndarray, upper: np.ndarray, size: np.ndarray,
    residual: np.ndarray, m: int,
) -> np.ndarray:  # fmt: skip
    """Return where rounding hides on which side of a bound a generator belongs.

    As `undecided` in rung_support.pxd: a gradient below its rounding, and behind it a coefficient
    that may be larger than DIGITS of the largest.
    """
    root = gram.root
    size = size + np.einsum("ij,j->i", X, gram.norm)
    rounding = 4 * roundoff(F64) * (((X > 0).sum(axis=1) + 10) * size + (m + 8) * residual)
    doubtful = rounding > DIGITS * gram.lam * (X * root).max(axis=1, initial=0)
    margin = np.where(upper <= X, -g, g) * gram.rootinv
    at_bound = (upper > 0) & ((X <= 0) | (upper <= X))
    return doubtful & (at_bound & (margin < rounding[:, None])).any(axis=1)
