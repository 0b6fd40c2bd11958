# SPDX-License-Identifier: BSD-3-Clause
"""What depends on the generators alone: scaled by powers of two, packed, their Gram matrix.

a) Column j of A is multiplied by 2^e_j, so that its largest entry lies in [1/2, 1), and a
   target b by a power of two, so that ||b|| lies in [1/2, 1): exact operations, hence the same
   bits whatever powers of two the caller's units hold, and no Gram matrix that overflows.
b) `Packed` is a matrix in the panel layout of the product kernel (`_runtime/layout.py`).
c) `Gram` is G = A'A + l2 with all that a certificate needs (docs/nnls.md, "Certificate"): a lower
   bound `lam` of the least eigenvalue of G with unit diagonal, and a shift y0 = A z, A'y0 > 0,
   where one is found. Nothing here changes once it is made; what is expensive is made on first
   need.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from fastcone._nnls import constants
from fastcone._runtime import kernels as runtime_kernels
from fastcone._runtime.layout import blocks, pack, pack_symmetric, product_and_norms
from fastcone._runtime.scaling import F64, exponent, rescale, roundoff
from fastcone._runtime.threads import Scratch, aligned, one_blas_thread

SMALL_RANK = 40  # generators up to which eigenvalues are estimated without calls of LAPACK
POINTED = 1e-8  # the least a_j / ||a_j|| of a shift that is used: its bound grows as 1 / a_j
LINE = 8  # numbers of float64 to a cache line
PIECE = 2e8  # flops of a piece of A'A: some milliseconds between two looks at signals


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
    """The generators A (m, n) scaled by powers of two, and their products.

    padded: (n, m and zeros up to whole lines), a generator in a row.  scaled: (m, n), its view.
    """

    def __init__(self, A: np.ndarray) -> None:
        self.m, self.n = A.shape
        self.dtype = A.dtype
        self.padded = aligned((self.n, -(-self.m // LINE) * LINE), A.dtype)
        self.exponent = constants.scaled_generators(A, self.padded)
        self.scaled = self.padded[:, : self.m].T
        self._packed: dict[np.dtype, Packed] = {}

    def packed(self, dtype: np.dtype) -> Packed:
        """Return the scaled generators packed, in this dtype."""
        if dtype not in self._packed:
            self._packed[dtype] = Packed(self.scaled.astype(dtype, copy=False))
        return self._packed[dtype]

    @functools.cached_property
    def wide(self) -> np.ndarray:
        """`padded` in float64."""
        if self.dtype == F64:
            return self.padded
        wide = aligned(self.padded.shape, F64)
        wide[...] = self.padded
        return wide

    @property
    def rows(self) -> np.ndarray:
        """The scaled generators in float64, one generator a row (n, m)."""
        return self.wide[:, : self.m]

    def unlike(self, given: bool) -> float:
        """Return the largest row's size over the smallest's, scaled, or in the caller's units."""
        with np.errstate(over="ignore", under="ignore"):
            A = np.ldexp(self.scaled, -self.exponent) if given else self.scaled
            size = np.abs(A).max(axis=1, initial=0)
            size = size[size > 0]
            return float(size.max() / size.min()) if size.size else 1.0

    def gram(self) -> np.ndarray:
        """Return A'A in the scaled coordinates, float64."""
        packed, rows = self.packed(F64), self.rows
        G, norm2 = aligned((self.n, packed.ld), F64), np.empty(self.n)
        step = max(1, int(PIECE / (2 * self.m * self.n + 1)))
        for i in range(0, self.n, step):
            part = slice(i, i + step)
            runtime_kernels.product(packed.panels, rows[part], G[part], norm2[part])
        return G[:, : self.n]


@dataclass(frozen=True)
class Shift:
    """Bounds `low` <= a = A'y0 <= `high` and ||y0||^2; `pointed`: whether a > 0."""

    low: np.ndarray
    high: np.ndarray
    norm2: float
    pointed: bool


@dataclass(frozen=True)
class PackedGram:
    """G and its constants as fastcone/_kernels/nnls/descent.pyx wants them."""

    G: np.ndarray
    inverse: np.ndarray
    weight: np.ndarray


class Gram:
    """The quadratic 1/2 x'Gx - c'x of scaled generators, with the constants of its certificate.

    Parameters
    ----------
    G : ndarray, (n, n), float64
        Symmetric.
    exponent : ndarray of int, (n,)
        x = 2^exponent * (scaled x).
    terms : int
        Products summed into an entry of G or c: the rounding errors to allow for.
    hull : callable, optional
        Returns the point z of least norm ||A z|| in the hull of the unit generators: its shift is
        positive if any is. Asked where neither curvature nor the plain sum gives a bound.
    ridge : ndarray, (n,), optional
        What l2 has added to the diagonal.
    """

    def __init__(
        self,
        G: np.ndarray,
        exponent: np.ndarray,
        terms: int,
        hull: Callable[[Gram], np.ndarray] | None = None,
        ridge: np.ndarray | None = None,
    ) -> None:
        self.matrix, self.exponent, self.terms = G, exponent.astype(np.intc, copy=False), terms
        self.n, self.n_padded = len(G), blocks(len(G))
        self.rounding = 1.01 * (terms + self.n + 8) * roundoff(F64)  # rho of docs/nnls.md
        self.diagonal = G.diagonal()
        self.used = self.diagonal > 0
        self.ridge = np.zeros(self.n) if ridge is None else ridge
        # ||a_j||, sqrt(G_jj), its inverse, the ratio of the ||a_j|| in the caller's units, max |e|
        self.norm, self.root, self.rootinv, self.apart, self.far = constants.gram_constants(
            G, self.ridge, self.exponent
        )
        self._hull = hull
        self._packed: dict[np.dtype, PackedGram] = {}
        self._coord: dict[np.dtype, np.ndarray] = {}

    @classmethod
    def of_matrix(cls, G: np.ndarray, l2: float) -> Gram:
        """Return the symmetric part of G + l2, scaled by powers of two: diagonal in [1/4, 1)."""
        e = -(exponent(G.diagonal()) // 2)
        scaled, added = rescale(G, e, e), ridge(l2, e, F64)
        scaled = (scaled + scaled.T) / 2  # scaled: no half of a subnormal number loses its bit
        scaled[np.diag_indices(len(G))] += added
        return cls(scaled, e, 0, ridge=added)

    @functools.cached_property
    def padded(self) -> np.ndarray:
        """G, its rows padded with zeros to whole lines."""
        padded = aligned((self.n, -(-self.n // LINE) * LINE), F64)
        padded[:, self.n :], padded[:, : self.n] = 0, self.matrix
        return padded

    @functools.cached_property
    def unit(self) -> np.ndarray:
        """G with unit diagonal, D^-1/2 G D^-1/2, without the generators that are zero."""
        M = self.matrix * self.rootinv * self.rootinv[:, None]
        return M if self.used.all() else M[np.ix_(self.used, self.used)]

    @functools.cached_property
    def _spectrum(self) -> tuple[float, float, float]:
        """A bound of the least eigenvalue before its allowance, about the largest, ||.||_1."""
        if self.n <= SMALL_RANK:
            singular = self._singular(int(np.count_nonzero(self.used)))
            return constants.small_spectrum(self.matrix, self.rootinv, singular)
        n, widest = len(self.unit), float(np.abs(self.unit).sum(axis=0).max(initial=0))
        v = 1.5 + np.cos(np.arange(n))
        for _ in range(constants.POWER_STEPS):
            v = self.unit @ (v / float(np.linalg.norm(v)))
        return self._least(n), max(1.0, float(np.linalg.norm(v))), widest

    def _singular(self, n: int) -> bool:
        """Return whether n generators of fewer rows, without a ridge, are sure to be dependent."""
        return 0 < self.terms < n and not self.ridge.any()

    def _least(self, n: int) -> float:
        """Return a share of what inverse iteration finds, such that a Cholesky factor proves it."""
        if self._singular(n):
            return 0.0
        with one_blas_thread():
            factor, failed = dpotrf(self.unit, lower=1)
            if failed:
                return 0.0
            v = np.cos(np.arange(n))
            for _ in range(constants.POWER_STEPS):
                v = dpotrs(factor, v / np.linalg.norm(v), lower=1)[0]
            estimate = 1 / float(np.linalg.norm(v))
            for share in constants.SHARES:
                lessened = self.unit.copy()
                lessened[np.diag_indices(n)] -= share * estimate
                if not dpotrf(lessened, lower=1, overwrite_a=1)[1]:
                    return share * estimate
        return 0.0

    @property
    def inverse(self) -> np.ndarray:
        """The inverse of a G with lam > 0; a generator that is zero counts as orthogonal."""
        with one_blas_thread():
            factor = dpotrf(self.matrix + np.diag(~self.used), lower=1)[0]
            lower = np.tril(dpotri(factor, lower=1)[0])
        return lower + np.tril(lower, -1).T

    @property
    def top(self) -> float:
        """About the largest eigenvalue of G with unit diagonal."""
        return self._spectrum[1]

    @functools.cached_property
    def lam(self) -> float:
        """A lower bound of the least eigenvalue of G with unit diagonal; 0 if none is found."""
        least, _, largest = self._spectrum
        slack = (4 * self.n * largest + self.n * (self.terms + 8)) * roundoff(F64)
        return max(least - slack, 0.0)

    @functools.cached_property
    def shift(self) -> Shift:
        """The best shift that is known."""
        shift = self._shift(self.rootinv)
        if not shift.pointed and self._hull is not None and self.lam <= 1e-6:
            return self._shift(self._hull(self))
        return shift

    def _shift(self, z: np.ndarray) -> Shift:
        """Return the shift y0 = A z."""
        found = constants.shift_bounds(self.matrix, z, self.root, self.rounding, POINTED)
        return Shift(*found)

    def packed(self, dtype: np.dtype) -> PackedGram:
        """Return G and its constants in this dtype."""
        if dtype not in self._packed:
            n, padded = self.n, self.n_padded
            G = np.zeros((padded, padded))
            G[:n, :n] = self.matrix
            both = np.zeros((2, padded))
            both[0, :n], both[1, :n] = self.rootinv**2, self.diagonal
            with np.errstate(over="ignore", under="ignore"):
                inverse, weight = both.astype(dtype)
                packed = pack_symmetric(G.astype(dtype, copy=False))
            self._packed[dtype] = PackedGram(packed, inverse, weight)
        return self._packed[dtype]

    def coord(self, dtype: np.dtype) -> np.ndarray:
        """Return the columns of a report's coordinates, (n padded, COORDINATE_COLUMNS)."""
        if dtype not in self._coord:
            shift = self.shift
            coord = constants.coordinates(
                self.n_padded, self.root, self.rootinv, self.exponent, self.lam, shift.low,
                shift.high, shift.pointed,
            )  # fmt: skip
            if dtype != F64:
                with np.errstate(over="ignore", under="ignore"):
                    coord = coord.astype(dtype)
            self._coord[dtype] = coord
        return self._coord[dtype]
