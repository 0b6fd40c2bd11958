# SPDX-License-Identifier: BSD-3-Clause
"""Shared generators, scaled by powers of two and laid out for the kernel.

a) Column j of A, its rows weighted, is multiplied by 2^-e_j so that ||a_j||_1 lies in [1/2, 1); a
   target likewise. These are exact operations: the same bits whatever powers of two the caller's
   units and weights hold.
b) Rows of A that are zero, or of weight 0, add a constant to the objective and are left out.
c) Set-up is cut into parts; `look` is called between them, and what it raises ends the set-up.
"""

from __future__ import annotations

import numpy as np

from fastcone._nnlad.dual_bound import COPY_FLOPS, UNIT, Given, Look, parts, weights
from fastcone._runtime.layout import pack, product
from fastcone._runtime.scaling import rescale
from fastcone._runtime.threads import Scratch, aligned

AS_THEY_ARE = np.zeros(1, dtype=np.intc)  # columns, where rows alone are scaled


def norm1_exponent(rows: np.ndarray) -> np.ndarray:
    """Return the integers e with ||row||_1 in [2^(e-1), 2^e); 0 for rows of zeros."""
    size = np.abs(rows)
    first = np.frexp(size.max(axis=1, initial=0))[1]
    return first + np.frexp(rescale(size, AS_THEY_ARE, -first).sum(axis=1))[1]


def scaled(rows: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return e and the weighted rows times 2^-e, so that their 1-norms lie in [1/2, 1).

    No product leaves the range on the way, and each is rounded once.
    """
    first = np.zeros(len(rows), dtype=np.intc)
    if weight is not None:
        (rows, power), (factor, more) = np.frexp(rows), np.frexp(weight)
        rows, power = rows * factor, power + more
        lowest = np.iinfo(np.intc).min
        first = power.max(axis=1, initial=lowest, where=rows != 0)
        first[first == lowest] = 0
        with np.errstate(under="ignore"):
            rows = np.ldexp(rows, power - first[:, None])
    e = norm1_exponent(rows)
    return first + e, rescale(rows, AS_THEY_ARE, -e)


class Generators:
    """The generators A (m, n), float64, for one pattern of row weights.

    Attributes
    ----------
    rows, others : ndarray of int
        The rows of A that count, in the order of the kernel, and those of zeros or of weight 0;
        `m` counts the first.
    source, weight : ndarray, (m of A, n); ndarray, (m of A,), or None
        A and its row weights as they were given.
    exponent : ndarray of int, (n,)
        e_j above.
    norm : ndarray, (n,)
        Upper bounds of the scaled ||a_j||_1: no generator with l1_j >= norm_j is in a solution.
    """

    def __init__(self, A: np.ndarray, weight: np.ndarray | None, look: Look) -> None:
        counts = A.any(axis=1) if weight is None else A.any(axis=1) & (weight > 0)
        self.rows, self.others = np.flatnonzero(counts), np.flatnonzero(~counts)
        self.source, self.weight, self.look = A, weight, look
        self.m, self.n = len(self.rows), A.shape[1]
        self.ld, self.ldn = -(-self.m // 64) * 64, -(-self.n // 8) * 8
        self.exponent, self.norm = np.zeros(self.n, dtype=np.intc), np.zeros(self.n)
        self._masses: dict[bytes, np.ndarray] = {}
        self._tilts: dict[float, np.ndarray] = {}
        self.A, self.R, self.G, self.size = (
            aligned(shape, np.float64)
            for shape in ((self.n, self.ld), (self.m, self.ldn), (self.n, self.ldn), (self.ld,))
        )
        self.size[...] = 0
        for part in parts(self.n, COPY_FLOPS * self.m, look):
            self._take(part, A[:, part])
        for some in parts(self.m, COPY_FLOPS * self.n, look):
            self.R[some, : self.n], self.R[some, self.n :] = self.A[:, some].T, 0
        scratch = Scratch()
        for part in parts(self.n, 2 * self.m * self.n, look):
            products = product(pack(self.A[part].T), self.A, scratch, "G")
            self.G[part, : self.n] = products[:, : part.stop - part.start].T
            self.G[part, self.n :] = 0

    def _take(self, part: slice, columns: np.ndarray) -> None:
        """Scale some columns of A and lay them out by column."""
        rows = np.ascontiguousarray(columns[self.rows].T, dtype=np.float64)
        weight = None if self.weight is None else self.weight[self.rows]
        self.exponent[part], rows = scaled(rows, weight)
        self.A[part, : self.m], self.A[part, self.m :] = rows, 0
        rows = np.abs(rows)
        self.norm[part] = rows.sum(axis=1) * (1 + (self.m + 8) * UNIT)
        np.maximum(self.size[: self.m], rows.max(axis=0), out=self.size[: self.m])

    def tilt(self, total: float) -> np.ndarray:
        """Return what is taken off a target of norm 1 to make its vertices simple, (ld,).

        Each row's share is in proportion to its largest entry, at random, their sum below `total`.
        """
        if total not in self._tilts:
            share = np.random.default_rng(0).uniform(0.5, 1, self.ld) * self.size
            tilt = aligned((self.ld,), np.float64)
            tilt[...] = share * (total / max(self.size.sum(), 1e-300))
            self._tilts[total] = tilt
        return self._tilts[total]

    def penalties(self, l1: np.ndarray) -> np.ndarray:
        """Return l1 (p,) in scaled units, (p, ldn)."""
        scaled = np.zeros((len(l1), self.ldn))
        with np.errstate(over="ignore", under="ignore"):
            scaled[:, : self.n] = np.minimum(np.ldexp(l1[:, None], -self.exponent), 1e300)
        return scaled

    def masses(self, used: np.ndarray) -> np.ndarray:
        """Return the weights of `mass` for problems with these generators, both (p, n).

        A problem's weights depend on the generators that it uses alone, not on its neighbours.
        """
        found = np.empty(used.shape)
        alike = (used == used[:1]).all()
        for r in range(1 if alike else len(used)):
            found[slice(None) if alike else r] = self._mass(used[r])
        return found

    def given(self, used: np.ndarray) -> Given:
        """Return some generators as the caller gave them."""
        columns = np.flatnonzero(used)
        return Given(self.source, self.rows, columns, self.weight, self.exponent[columns])

    def _mass(self, used: np.ndarray) -> np.ndarray:
        key = used.tobytes()
        if key not in self._masses:
            found = np.full(self.n, np.inf)
            if used.any():
                columns = self.A[slice(None) if used.all() else used, : self.m].T
                found[used] = weights(columns, self.norm[used], self.given(used), self.look)
            self._masses[key] = found
        return self._masses[key]
