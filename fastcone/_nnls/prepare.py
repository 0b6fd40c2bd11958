# SPDX-License-Identifier: BSD-3-Clause
"""Shared generators, scaled by powers of two and packed for the kernels.

a) Column j of A is multiplied by 2^e_j, so that its largest entry lies in [1/2, 1), and a
   target b by a power of two, so that ||b|| lies in [1, 2): exact operations, hence the same
   bits whatever powers of two the caller's units hold, and no Gram matrix that overflows.
b) `Packed` is a matrix in the panel layout of the product kernel (`_runtime/layout.py`).
c) `Gram` is G = A'A + l2 in the layout of the descent kernel, with all that a certificate
   needs (docs/nnls.md, "Certificate"): a lower bound `lam` of the least eigenvalue of G with
   unit diagonal, and a shift y0 = A z, A'y0 > 0, where one is found.
"""

from __future__ import annotations

import copy
import functools

import numpy as np

from fastcone._nnls.kernels import COORDINATE, COORDINATE_WIDTH
from fastcone._runtime.layout import blocks, pack, pack_symmetric, product_and_norms
from fastcone._runtime.scaling import F64, exponent, rescale, roundoff
from fastcone._runtime.threads import Scratch


def ridge(l2: float, exponent: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return l2 in the scaled coordinates; it may outweigh the generators, but not out of range."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(l2, 2 * exponent)
    limit = np.finfo(dtype).max ** 0.5
    if scaled.max(initial=0) > limit:
        raise ValueError(
            f"l2 must be at most {limit:.1g} times the square of every generator's largest entry, "
            f"found {scaled.max():.3g} times one of them"
        )
    return scaled


class Packed:
    """A matrix (m, n) in panels; `ld` is n rounded up to whole panels."""

    def __init__(self, A: np.ndarray) -> None:
        self.n = A.shape[1]
        self.panels = pack(A)
        self.ld = self.panels.shape[0] * self.panels.shape[2]

    def product(
        self, rows: np.ndarray, scratch: Scratch, name: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows @ A, (p, ld), and the squared norms of the rows, both in `scratch`."""
        return product_and_norms(self.panels, rows, scratch, name)


class Generators:
    """The generators A (m, n) scaled by powers of two, and their products."""

    def __init__(self, A: np.ndarray) -> None:
        self.m, self.n = A.shape
        self.dtype = A.dtype
        largest = np.maximum(A.max(axis=0, initial=0), -A.min(axis=0, initial=0))
        self.exponent = -exponent(largest)
        self.scaled = rescale(A, self.exponent, np.zeros(1, dtype=np.intc))
        self._packed: dict[np.dtype, Packed] = {}

    def packed(self, dtype: np.dtype) -> Packed:
        """Return the scaled generators packed, in this dtype."""
        if dtype not in self._packed:
            self._packed[dtype] = Packed(self.scaled.astype(dtype, copy=False))
        return self._packed[dtype]

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """The scaled generators in float64, one generator a row (n, m)."""
        return np.ascontiguousarray(self.scaled.T, dtype=np.float64)

    @functools.cached_property
    def norms(self) -> np.ndarray:
        """Euclidean norms of the scaled generators, float64."""
        return np.sqrt(np.einsum("ij,ij->i", self.rows, self.rows))

    def gram(self, l2: float) -> np.ndarray:
        """Return G = A'A + l2 in the scaled coordinates, float64."""
        A = np.ascontiguousarray(self.scaled, dtype=np.float64)
        G = A.T @ A  # once per A, by one thread of BLAS: no batch can change its bits
        if l2:
            G[np.diag_indices(self.n)] += ridge(l2, self.exponent, self.dtype)
        return G


class Gram:
    """The quadratic 1/2 x'Gx - c'x in one dtype, packed, with the constants of its certificate.

    Parameters
    ----------
    G : ndarray, (n, n), float64
        Symmetric, of scaled generators.
    exponent : ndarray of int, (n,)
        x = 2^exponent * (scaled x).
    terms : int
        Products summed into an entry of G or c: the rounding errors to allow for.
    """

    def __init__(self, G: np.ndarray, exponent: np.ndarray, dtype: np.dtype, terms: int) -> None:
        self.dtype, self.matrix, self.exponent = dtype, G, exponent
        self.n, self.terms = len(G), terms
        self.rows = blocks(self.n)
        self.rounding = 1.01 * (terms + self.n + 8) * roundoff(F64)
        self.diagonal = G.diagonal()
        self.used = self.diagonal > 0
        root = np.sqrt(self.diagonal)
        self.rootinv = np.divide(1, root, out=np.zeros(self.n), where=self.used)
        self._bound_spectrum()
        self.find_shift(self.rootinv)
        self.pack()

    @classmethod
    def of_matrix(cls, G: np.ndarray, l2: float) -> Gram:
        """Return G + l2, scaled by powers of two to a diagonal within [1/4, 1)."""
        e = -(exponent(G.diagonal()) // 2)
        scaled = rescale(G, e, e)
        scaled[np.diag_indices(len(G))] += ridge(l2, e, F64)
        return cls(scaled, e, F64, 0)

    def narrow(self, dtype: np.dtype) -> Gram:
        """Return the same quadratic rounded to another dtype."""
        other = copy.copy(self)
        other.dtype = dtype
        other.pack()
        return other

    def _bound_spectrum(self) -> None:
        """Set lam <= the least eigenvalue of D^-1/2 G D^-1/2, and `top` ~ the largest."""
        M = self.matrix * self.rootinv * self.rootinv[:, None]
        values = np.linalg.eigvalsh(M[np.ix_(self.used, self.used)]) if self.used.any() else [1.0]
        self.top = float(values[-1])
        slack = (4 * self.n * self.top + self.n * (self.terms + 8)) * roundoff(F64)
        self.least = float(values[0])
        self.lam = max(self.least - slack, 0.0)

    def find_shift(self, z: np.ndarray) -> None:
        """Set `low` <= a = A'y0 <= `high` and ||y0||^2 for y0 = A z."""
        slack = self.rounding
        Gz = self.matrix @ z
        size = slack * np.sqrt(self.diagonal) * (np.sqrt(self.diagonal) @ z)
        self.low, self.high = Gz - size, Gz + size
        self.shift2 = float(z @ Gz + size @ z)
        self.pointed = bool(np.all(self.low[self.used] > 1e-8 * np.sqrt(self.diagonal[self.used])))

    def pack(self) -> None:
        """Lay G and the constants out as fastcone/_kernels/nnls/descent.pyx wants them."""
        n, rows = self.n, self.rows
        wide = np.zeros((rows, rows))
        wide[:n, :n] = self.matrix
        self.G = pack_symmetric(wide.astype(self.dtype, copy=False))
        self.inv = np.zeros(rows, dtype=self.dtype)
        self.inv[:n] = self.rootinv**2
        self.weight = np.zeros(rows, dtype=self.dtype)
        self.weight[:n] = self.diagonal
        coord = np.zeros((rows, COORDINATE_WIDTH))
        column = {name: coord[:n, k] for name, k in COORDINATE.items()}
        column["root"][:] = np.sqrt(self.diagonal)
        if self.lam > 0:
            column["inverse_curvature"][:] = self.rootinv**2 / self.lam
            column["half_curvature"][:] = self.lam * self.diagonal / 2
        if self.pointed:
            np.divide(1, self.low, out=column["inverse_shift"], where=self.used)
            column["shift_entry"][:] = self.high
        with np.errstate(over="ignore", under="ignore"):
            column["scale"][:] = np.ldexp(1.0, self.exponent)
            column["inverse_scale"][:] = np.ldexp(1.0, -self.exponent)
            self.coord = coord.astype(self.dtype)
