# SPDX-License-Identifier: BSD-3-Clause
"""How large an optimal x can be.

A dual point y misses A'y <= l1 by rounding. For every x >= 0, with v = (A'y - l1)^+ and |y| <= 1,

    ||Ax - b||_1 + l1'x  >=  y'(b - Ax) + l1'x  >=  b'y - v'x,

so b'y - v'x* bounds the optimum from below for any optimal x*. This module finds weights w > 0 with

    sum_j w_j x*_j <= ||b||_1 + f        for some optimal x*, f any objective that is attained,

and then v'x* <= max_j (v_j / w_j) (||b||_1 + f). Three sources, the largest least weight wins:

    shift     |y0| <= 1 and a = A'y0 > 0:   a'x* = y0'Ax* <= ||Ax*||_1 <= ||b||_1 + ||Ax* - b||_1.
              y0: the signs of the row sums (A'1 for A >= 0); the point of the generators' convex
              hull nearest to 0, which separates them from 0 whenever anything does.
    inverse   Generators on one line through 0 count as one, z its signed coefficient: no optimum
              needs both signs. If Y'A = 1 + E with small E,
              ||z||_1 <= sum_k ||Y_k||_oo ||Ax*||_1 / (1 - ||E||_1).
    lattice   Every entry of a_j is a whole multiple of 2^e_j, so a non-zero determinant of k
              generators is at least the product of their 2^e_j; Cramer's rule and Hadamard's
              bound then limit the coefficients of every vertex. For matrices of small integers.

Which generators lie on one line and what their entries are multiples of cannot be told from the
scaled ones: a product with a row weight is rounded, and what is tiny beside the largest entry
underflows. Both are read off the mantissas and exponents of the caller's numbers, see `Given`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from fastcone._nnls.single import nnls_arrays
from fastcone._runtime.scaling import F64, roundoff

Look = Callable[[], float]

UNIT = roundoff(F64)
ENOUGH = 1e-4  # least weight with which rounding costs less than 1e-9
PART_FLOPS = 5e8  # between two looks
COPY_FLOPS = 1000  # flops that take as long as copying one entry and reading its exponent
STEP_FLOPS = 1e9  # a second, of the search for the hull's nearest point


@dataclass(frozen=True)
class Given:
    """The generators as the caller gave them: what scaling and row weights may have rounded.

    Rows `rows` and columns `columns` of A, weight (m of A,) or none; column j was scaled by
    2^-exponent_j.
    """

    A: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    weight: np.ndarray | None
    exponent: np.ndarray

    def fractions(self, look: Look) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield the columns by parts, their mantissas and their exponents."""
        for part in parts(len(self.columns), COPY_FLOPS * len(self.rows), look):
            columns = self.A[np.ix_(self.rows, self.columns[part])]
            yield part, *np.frexp(columns.astype(np.float64, copy=False))

    def lines(self, look: Look) -> np.ndarray:
        """Return the first generator of every line through 0."""
        found: dict[bytes, int] = {}
        for part, fraction, exponent in self.fractions(look):
            for j, (column, power) in enumerate(zip(fraction.T, exponent.T, strict=True)):
                first = (column != 0).argmax()
                upright = column * np.sign(column[first]) + 0.0  # no -0.0
                power = np.where(column == 0, 0, power - power[first])
                found.setdefault(upright.tobytes() + power.tobytes(), part.start + j)
        return np.array(list(found.values()))

    def units(self, look: Look) -> np.ndarray:
        """Return e: every entry of the scaled a_j is a whole multiple of 2^e_j."""
        found = np.empty(len(self.columns), dtype=np.intp)
        weight = np.zeros((1, 1), dtype=np.intp)
        if self.weight is not None:
            weight = last_bits(*np.frexp(self.weight[self.rows]))[:, None]
        for part, fraction, exponent in self.fractions(look):
            found[part] = (last_bits(fraction, exponent) + weight).min(axis=0)
        return found - self.exponent


def last_bits(fraction: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Return the exponents of the last bits of fraction 2^exponent; large for zeros."""
    whole = (fraction * 2.0**53).astype(np.int64)
    last = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    return np.where(whole == 0, 2**20, exponent - 53 + last)


def weights(A: np.ndarray, norm: np.ndarray, given: Given, look: Look) -> np.ndarray:
    """Return w, (n,), for generators A (m, n), ||a_j||_1 = norm_j in [1/2, 1); 0: none known.

    `look` tells the seconds left, or raises; it is called every few milliseconds.
    """
    found = _shift(A, norm, np.where(A.sum(axis=1) < 0, -1.0, 1.0))
    if A.min() < 0:
        for source in (_inverse, _hull, _lattice):
            if found.min() < ENOUGH:
                found = max(found, source(A, norm, given, look), key=lambda w: w.min())
    return found


def _shift(A: np.ndarray, norm: np.ndarray, y0: np.ndarray) -> np.ndarray:
    """Return a lower bound of A'y0 for y0 scaled into the box, or zeros."""
    largest = np.abs(y0).max()
    if not largest > 0:
        return np.zeros(len(norm))
    w = np.einsum("ij,i->j", A, y0 / largest) - (len(A) + 8) * UNIT * norm
    return w if w.min() > 0 else np.zeros(len(norm))


def _hull(A: np.ndarray, norm: np.ndarray, given: Given, look: Look) -> np.ndarray:
    """Return the weights from the point of the generators' hull nearest to 0.

    It is a multiple of A w for  min ||A w||^2 + (1'w - 1)^2  over w >= 0, generators of norm 1.
    """
    m, n = A.shape
    unit = A / np.sqrt(np.einsum("ij,ij->j", A, A))
    target = np.zeros(m + 1)
    target[m] = 1
    steps = min(30 * n, int(min(look(), 1e6) * STEP_FLOPS / (4 * m * n)))
    if steps < n // 8:  # the time will be up first
        return np.zeros(n)
    w, _, solved = nnls_arrays(np.vstack([unit, np.ones(n)]), target, steps)
    return _shift(A, norm, np.einsum("ij,j->i", unit, w)) if solved else np.zeros(n)


def parts(count: int, flops: float, look: Look) -> Iterator[slice]:
    """Yield 0..count in parts that take a few milliseconds, `flops` each item; look before each."""
    step = max(1, int(PART_FLOPS / max(flops, 1)))
    for i in range(0, count, step):
        look()
        yield slice(i, min(i + step, count))


def _triangular(A: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Return A = Q R by blocks of columns, each cleared twice of those before it."""
    m, k = A.shape
    Q, R = np.array(A), np.zeros((k, k), order="F")
    for part in parts(k, 8 * m * k, look):
        before, block = Q[:, : part.start], Q[:, part]
        for _ in range(2):
            shares = before.T @ block
            block -= before @ shares
            R[: part.start, part] += shares
        Q[:, part], R[part, part] = np.linalg.qr(block)
    return Q, R


def _inverse(A: np.ndarray, norm: np.ndarray, given: Given, look: Look) -> np.ndarray:
    """Return the weights from a left inverse of the generators with distinct lines."""
    m, n = A.shape
    lines = A
    if len(np.unique(norm)) < n:  # generators on one line have equal norms
        lines = A[:, given.lines(look)]
    k = lines.shape[1]
    if k > m:
        return np.zeros(n)
    Q, R = _triangular(lines, look)
    if np.abs(R.diagonal()).min() < k * UNIT:
        return np.zeros(n)
    inverse = np.empty((k, m))
    for part in parts(m, k * k, look):
        inverse[:, part] = solve_triangular(R, Q[part].T, check_finite=False)
    size = np.abs(inverse).max(axis=1)
    error = np.empty(k)
    for part in parts(k, 2 * m * k, look):
        error[part] = np.abs(inverse @ lines[:, part] - np.eye(k)[:, part]).sum(axis=0)
    bound = error.max() + (m + 8) * UNIT * (size.sum() + k)
    return np.full(n, (1 - bound) / (size.sum() * (1 + 1e-12)) if bound < 0.5 else 0.0)


def _lattice(A: np.ndarray, norm: np.ndarray, given: Given, look: Look) -> np.ndarray:
    """Return the weights from the size of the determinants, 0 where it overflows."""
    unit, k = given.units(look), min(A.shape)
    size = np.log2(np.sqrt(np.einsum("ij,ij->j", A, A))) + 1e-9
    others = np.sort(size - unit)[::-1][: k - 1].sum()
    with np.errstate(under="ignore"):
        return np.exp2(unit - others - np.log2(k) - 1e-6)
