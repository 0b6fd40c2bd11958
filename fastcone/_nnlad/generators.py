# SPDX-License-Identifier: BSD-3-Clause
"""Shared generators, scaled by powers of two and laid out for the kernel.

Column j of A is multiplied by 2^-e_j so that ||a_j||_1 lies in [1/2, 1); a target likewise. These
are exact operations: the same bits whatever powers of two the caller's units hold. Rows of A that
are zero add a constant to the objective and are left out.
"""

from __future__ import annotations

import numpy as np

from fastcone._nnlad.mass import UNIT, weights
from fastcone._nnls.gram import Packed
from fastcone._threads import Scratch, aligned


def exponent(rows: np.ndarray) -> np.ndarray:
    """Return the integers e with ||row||_1 in [2^(e-1), 2^e); 0 for rows of zeros."""
    size = np.abs(rows)
    first = np.frexp(size.max(axis=1, initial=0))[1]
    return first + np.frexp(np.ldexp(size, -first[:, None]).sum(axis=1))[1]


class Generators:
    """The generators A (m, n), float64, with the penalty l1 of each.

    Attributes
    ----------
    rows : ndarray of bool, (m,)
        The rows of A that are not zero; `m` counts them.
    exponent : ndarray of int, (n,)
        e_j above.
    used : ndarray of bool, (n,)
        Generators that can be in a solution: l1_j < ||a_j||_1.
    """

    def __init__(self, A: np.ndarray, l1: float) -> None:
        self.rows = A.any(axis=1)
        columns = np.ascontiguousarray(A[self.rows].T, dtype=np.float64)
        self.n, self.m = columns.shape
        self.exponent = exponent(columns)
        columns = np.ldexp(columns, -self.exponent[:, None])
        self.ld, self.ldn = -(-self.m // 64) * 64, -(-self.n // 8) * 8
        self.norm = np.abs(columns).sum(axis=1) * (1 + (self.m + 8) * UNIT)
        self.l1 = aligned((self.ldn,), np.float64)
        self.l1[...] = 0
        with np.errstate(over="ignore", under="ignore"):
            self.l1[: self.n] = np.minimum(np.ldexp(l1, -self.exponent), 1e300)
        self.used = self.l1[: self.n] < self.norm
        self._pack(columns)
        self.enters = self.used.astype(np.float64)
        self.weight = np.full(self.n, np.inf)
        if self.used.any():
            self.weight[self.used] = weights(columns[self.used].T, self.norm[self.used])

    def _pack(self, columns: np.ndarray) -> None:
        """Lay the generators out by column and by row, padded with zeros."""
        self.A = aligned((self.n, self.ld), np.float64)
        self.A[...] = 0
        self.A[:, : self.m] = columns
        self.R = aligned((self.m, self.ldn), np.float64)
        self.R[...] = 0
        self.R[:, : self.n] = columns.T
        self.G = aligned((self.n, self.ldn), np.float64)
        self.G[...] = 0
        if self.m and self.n:
            products, _ = Packed(columns.T).product(columns, Scratch(), "G")
            self.G[:, : self.n] = products[:, : self.n]
        self.size = aligned((self.ld,), np.float64)
        self.size[...] = 0
        self.size[: self.m] = np.abs(columns).max(axis=0, initial=0)

    def tilt(self, total: float) -> np.ndarray:
        """Return what is taken off a target of norm 1 to make its vertices simple, (ld,).

        Each row's share is in proportion to its largest entry, at random, their sum below `total`.
        """
        share = np.random.default_rng(0).uniform(0.5, 1, self.ld) * self.size
        tilt = aligned((self.ld,), np.float64)
        tilt[...] = share * (total / max(self.size.sum(), 1e-300))
        return tilt
