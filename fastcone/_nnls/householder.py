# SPDX-License-Identifier: BSD-3-Clause
"""The exact solver for rows of unlike size: a triangle once, then problem by problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.active_set import CALL_WORK, DEPENDENCE_TOL, run_in_pieces
from fastcone._runtime.scaling import F64
from fastcone._runtime.threads import aligned


def padded_rows(rows: np.ndarray, length: int) -> np.ndarray:
    """Return rows in float64, aligned and padded with zeros to whole vectors."""
    out = aligned((len(rows), (length + 7) // 8 * 8), F64)
    out[:, rows.shape[1] :] = 0
    out[:, : rows.shape[1]] = rows
    return out


class RowStable:
    """Solves min 1/2 ||A x - b||^2 + l1'x over x >= 0, whatever the sizes of the rows of A."""

    def __init__(self, A: np.ndarray) -> None:
        m, self.n = A.shape
        self.rows = m
        self.columns = padded_rows(A.T, m)
        norms = np.sqrt(np.einsum("ij,ij->j", A, A))
        self.entry_weight = np.divide(1, norms, out=np.zeros(self.n), where=norms > 0)
        self.reflections: tuple[Any, ...] | None = None
        self.m = m
        if m > self.n:
            self._reduce()

    def _reduce(self) -> None:
        """Bring A to a triangle with pivoting; keep the reflections for the targets."""
        T, n = self.columns, self.n
        head, scale = np.zeros(n), np.zeros(n)
        swap, order = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
        sizes = aligned((T.shape[1],), F64)
        step = max(1, int(CALL_WORK / (8 * T.size + 1)))
        rank = last = 0
        while last < n and rank == last:
            last = min(last + step, n)
            rank = kernels.triangle_reduce(
                T, self.rows, DEPENDENCE_TOL, head, scale, swap, order, rank, last, sizes
            )
        R = np.zeros((n, rank))
        for q, j in enumerate(order):
            R[j, : min(q + 1, rank)] = T[j, : min(q + 1, rank)]
        self.reflections = rank, T, head, scale, swap, order
        self.columns, self.m = padded_rows(R, rank), rank

    def solve(
        self,
        B: np.ndarray,
        l1: np.ndarray,
        max_steps: int | np.ndarray,
        start: np.ndarray | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x (p, n) and the steps used (p,), as `active_set.Exact.solve`."""
        B = padded_rows(B, self.rows)
        if self.reflections is not None:
            rank, T, head, scale, swap, order = self.reflections
            kernels.triangle_apply(rank, T, head, scale, swap, order, B)
            B = padded_rows(B[:, : self.m], self.m)
        work = np.empty(kernels.householder_work(self.m, self.n))
        index = np.empty(3 * self.n, dtype=np.intp)
        call = (self.m, self.columns, B, self.entry_weight, np.ascontiguousarray(l1))
        X = np.zeros((len(B), self.n)) if start is None else start
        steps = run_in_pieces(
            lambda most, steps, done, budget: kernels.householder_solve(
                *call, DEPENDENCE_TOL, X, most, steps, done, budget, work, index
            ),
            len(B), max_steps, 10 * self.m * self.n, late,
        )  # fmt: skip
        return X, steps
