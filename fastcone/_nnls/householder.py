# SPDX-License-Identifier: BSD-3-Clause
"""The exact solver for rows of unlike size: triangles once, then problem by problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcone._nnls import constants, kernels
from fastcone._nnls.active_set import CALL_WORK, DEPENDENCE_TOL, run_in_pieces
from fastcone._runtime.scaling import F64
from fastcone._runtime.threads import aligned

SAMPLE = 256  # rows, at least, that tell the units of generators
SWEEPS = 3  # over rows and generators; few tables change in the third
FAINT = 2.0**-64  # of a generator's length: less than any weight of meaning leaves
HEAVY = 1e6  # of row sizes: beyond, a triangle of all rows costs light ones more than seven digits


def padded_rows(rows: np.ndarray, length: int) -> np.ndarray:
    """Return rows in float64, aligned and padded with zeros to whole vectors."""
    out = aligned((len(rows), (length + 7) // 8 * 8), F64)
    out[:, rows.shape[1] :] = 0
    out[:, : rows.shape[1]] = rows
    return out


def common_units(A: np.ndarray) -> np.ndarray:
    """Return powers of two e for which |A_ij| is about 2^(e_j + r_i) for some r, by medians.

    Of a generator of length 1 nobody knows whether it is large or misses a heavy row; of most
    entries of a table both show. Entries that are nothing beside their generator tell nothing.
    """
    L = np.frexp(A[:: max(1, len(A) // SAMPLE)])[1].astype(F64)
    L[np.abs(A[:: max(1, len(A) // SAMPLE)]) < FAINT] = np.nan
    L = L[~np.isnan(L).all(axis=1)]
    e = np.zeros(A.shape[1])
    told = ~np.isnan(L).all(axis=0)
    for _ in range(SWEEPS if told.any() else 0):
        r = np.nanmedian(L[:, told] - e[told], axis=1)
        e[told] = np.nanmedian(L[:, told] - r[:, None], axis=0)
    return np.floor(e).astype(np.intc)


class Evened:
    """Generators A 2^-e, A of lengths near 1, as the Householder kernel wants them."""

    def __init__(self, A: np.ndarray) -> None:
        self.columns = padded_rows(A.T, len(A))
        self.exponent = constants.evened(self.columns, len(A), common_units(A))
        self.columns *= np.ldexp(1.0, -self.exponent)[:, None]
        norms = np.sqrt(np.einsum("ij,ij->i", self.columns, self.columns))
        self.entry_weight = np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0)


def alike(sizes: np.ndarray) -> list[np.ndarray]:
    """Return the rows of a size in groups within HEAVY, the heaviest first; zeros in the last."""
    order = np.argsort(-sizes, kind="stable")
    groups, first = [], 0
    for last in range(1, len(order) + 1):
        if last == len(order) or sizes[order[first]] > HEAVY * sizes[order[last]]:
            groups.append(np.sort(order[first:last]))
            first = last
    return groups


class Part:
    """Rows of alike size, reduced to a triangle R (n, rank) with pivoting if they are many."""

    def __init__(self, columns: np.ndarray, rows: np.ndarray) -> None:
        n = len(columns)
        self.rows = rows
        self.R = columns[:, rows]
        self.reflections: tuple[Any, ...] | None = None
        if len(rows) <= n:
            return
        T = padded_rows(self.R, len(rows))
        head, scale = np.zeros(n), np.zeros(n)
        swap, order = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
        sizes = aligned((T.shape[1],), F64)
        step = max(1, int(CALL_WORK / (8 * T.size + 1)))
        rank = last = 0
        while last < n and rank == last:
            last = min(last + step, n)
            rank = kernels.triangle_reduce(
                T, len(rows), DEPENDENCE_TOL, head, scale, swap, order, rank, last, sizes
            )
        self.R = np.zeros((n, rank))
        for q, j in enumerate(order):
            self.R[j, : min(q + 1, rank)] = T[j, : min(q + 1, rank)]
        self.reflections = rank, T, head, scale, swap, order

    def of(self, B: np.ndarray) -> np.ndarray:
        """Return what goes with R of targets (p, m)."""
        if self.reflections is None:
            return B[:, self.rows]
        D = padded_rows(B[:, self.rows], len(self.rows))
        rank, T, head, scale, swap, order = self.reflections
        kernels.triangle_apply(rank, T, head, scale, swap, order, D)
        return D[:, : self.R.shape[1]]


class RowStable:
    """Solves min 1/2 ||A x - b||^2 + l1'x over x >= 0, whatever the sizes of the rows of A.

    A triangle of all rows mixes the light ones with what its columns, which a support may do
    without, leave of the heavy ones; so those of unlike size are reduced apart.
    """

    def __init__(self, A: np.ndarray) -> None:
        m, self.n = A.shape
        self.rows = m
        even = Evened(A)
        self.exponent, self.entry_weight = even.exponent, even.entry_weight
        columns = even.columns[:, :m]
        self.parts = [Part(columns, rows) for rows in alike(np.abs(columns).max(axis=0, initial=0))]
        R = np.hstack([part.R for part in self.parts])
        self.m = R.shape[1]
        self.columns = padded_rows(R, self.m)

    def solve(
        self,
        B: np.ndarray,
        l1: np.ndarray,
        max_steps: int | np.ndarray,
        start: np.ndarray | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x (p, n) and the steps used (p,), as `active_set.Exact.solve`."""
        B = padded_rows(np.hstack([part.of(B) for part in self.parts]), self.m)
        work = np.empty(kernels.householder_work(self.m, self.n))
        index = np.empty(3 * self.n, dtype=np.intp)
        penalty = np.ascontiguousarray(np.ldexp(l1, -self.exponent))
        call = (self.m, self.columns, B, self.entry_weight, penalty)
        X = np.zeros((len(B), self.n)) if start is None else np.ldexp(start, self.exponent)
        steps = run_in_pieces(
            lambda most, steps, done, budget: kernels.householder_solve(
                *call, DEPENDENCE_TOL, X, most, steps, done, budget, work, index
            ),
            len(B), max_steps, 10 * self.m * self.n, late,
        )  # fmt: skip
        return np.ldexp(X, -self.exponent), steps
