# SPDX-License-Identifier: BSD-3-Clause
"""Upper bounds of objective - optimum for given non-negative least squares coefficients.

With f(x) = 1/2 ||Ax - b||^2 + l1'x + l2/2 ||x||^2, g its gradient and x* an optimum,

    f(x) - f(x*) = g'd - 1/2 d'Gd,   d = x - x* <= x,   G = A'A + l2.

Four bounds follow, "scaled" from A and b alone; each is rigorous, the least is the gap.

    convex   G >= lam D (D its diagonal, lam > 0):    sum_j max_{d <= x_j} (g_j d - lam D_j d^2 / 2)
    shift    y0 with a = A'y0 > 0; the dual point r - s y0 is feasible for s = max_j (-g_j)+ / a_j:
                                                      x'(g + s a) + s^2 ||y0||^2 / 2
    scaled   l1 > 0; the dual point s r is feasible for s A'r <= l1:
                                       (1 - s)^2 ||r||^2 / 2 + sum_j x_j (l1_j - s (A'r)_j)
    value    f(x*) >= 0:                              f(x)

A computed g_j lies within delta_j of the true one; each bound takes the worst case. Derivation and
the size of delta_j: docs/nnls.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fastcone._nnls.kernels import REPORT
from fastcone._nnls.prepare import Gram, Packed, Shift
from fastcone._runtime.scaling import F64, roundoff
from fastcone._runtime.threads import Scratch


@dataclass
class Proof:
    """Objective, gap and violation of p problems; the caller's but for the target's 2^e."""

    objective: np.ndarray
    gap: np.ndarray
    violation: np.ndarray

    def part(self, which: np.ndarray) -> Proof:
        """Return a copy of some problems' proofs."""
        return Proof(self.objective[which], self.gap[which], self.violation[which])

    def put(self, which: np.ndarray, other: Proof) -> None:
        """Take over the proofs of some problems."""
        self.objective[which] = other.objective
        self.gap[which] = other.gap
        self.violation[which] = other.violation


def relative(bound: np.ndarray, at_zero: np.ndarray) -> np.ndarray:
    """Return bound / at_zero, inf where that is not a number; 0 / 0 is 0: nothing is lost."""
    bound = np.maximum(bound, 0.0) * (1 + 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(bound == 0, 0.0, bound / at_zero)
    return np.where(np.isnan(gap), np.inf, gap)


def from_report(
    report: np.ndarray, gram: Gram, size: np.ndarray, *, known: bool, data: bool
) -> Proof:
    """Turn the report kernel's numbers, one row a problem, into a proof.

    `size` is ||b|| of each problem. Where it is not `known` it is max_j |c_j| / ||a_j|| <= ||b||,
    the objective is told without its constant, and the gap is relative to what is known of the
    objective at x = 0: at least size^2 / 2, and at least the decrease. Without `data`, A and b
    themselves, the objective may be negative by their rounding: there is no bound by value.
    """
    columns = report.T.astype(np.float64, copy=False)
    column = {name: columns[k] for name, k in REPORT.items()}
    xg, s = column["xg"], column["shift"]
    value = (xg - column["cx"] + (size**2 if known else 0)) / 2
    at_zero = size**2 / 2 if known else np.maximum(size**2 / 2, -value)
    bounds = []
    if gram.lam > 0:
        bounds.append(column["convex"])
    if gram.shift.pointed:
        gain = np.maximum(xg, 0) + column["xdelta"]
        bounds.append(gain + s * column["ax"] + s**2 * gram.shift.norm2 / 2)
    if data:
        slack = gram.rounding * (column["norm1"] + size) ** 2
        bounds.append(np.maximum(value, 0) + slack)
    bound = np.min(bounds, axis=0) if bounds else np.full(len(report), np.inf)
    objective = np.maximum(value, 0.0) if data else value
    return Proof(objective, relative(bound, at_zero), column["violation"].copy())


Times = Callable[[np.ndarray], np.ndarray]  # rows (p, .) times a fixed matrix


@dataclass
class Maps:
    """Rows times A', A, |A|' and |A|: all that a certificate asks of the generators."""

    to_targets: Times
    to_coefficients: Times
    size_of_targets: Times
    size_of_coefficients: Times


def dense_maps(A: np.ndarray) -> Maps:
    """Return the maps of a dense A through the product kernel."""

    def through(matrix: np.ndarray) -> Times:
        packed = Packed(matrix)

        def times(rows: np.ndarray) -> np.ndarray:
            product, _ = packed.product(np.ascontiguousarray(rows), Scratch(), "product")
            return product[:, : packed.n]

        return times

    size = np.abs(A)
    return Maps(through(A.T), through(A), through(size.T), through(size))


class Bounds(Protocol):
    """What a certificate needs of the generators beside products with them; see `Gram`."""

    exponent: np.ndarray
    diagonal: np.ndarray
    used: np.ndarray
    ridge: np.ndarray

    @property
    def lam(self) -> float:
        """A lower bound of the least eigenvalue of G with unit diagonal."""

    @property
    def shift(self) -> Shift:
        """The best shift that is known."""


class DataProof:
    """Certificates formed from the generators and targets themselves, in float64.

    Parameters
    ----------
    maps : Maps
        Of the scaled generators.
    m, n : int
        The most products summed into an entry of A'r, and of A x.
    gram : Bounds
        Of the scaled generators.
    """

    def __init__(self, maps: Maps, m: int, n: int, gram: Bounds) -> None:
        self.maps, self.m, self.n, self.gram, self.ridge = maps, m, n, gram, gram.ridge

    def gradient(
        self, X: np.ndarray, B: np.ndarray, l1: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return residuals, gradients, and what their entries can be wrong by; rows = problems."""
        u = roundoff(F64)
        R = B - self.maps.to_targets(X)
        in_R = 1.01 * (self.n + 3) * u * (np.abs(B) + self.maps.size_of_targets(X))
        g = l1 + self.ridge * X - self.maps.to_coefficients(R)
        in_g = self.maps.size_of_coefficients(in_R + 1.01 * (self.m + 3) * u * np.abs(R))
        in_g += 4 * u * (l1 + self.ridge * X)
        return R, g, in_R, in_g

    def _scaled(
        self, X: np.ndarray, R: np.ndarray, g: np.ndarray, in_R: np.ndarray, in_g: np.ndarray,
        l1: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Return the bound of the dual point s r, s A'r <= l1; the ridge is rows of A."""
        slope = l1 - g + in_g  # at least A'r
        with np.errstate(divide="ignore", invalid="ignore"):
            s = np.where(slope > l1, l1 / slope, 1).min(axis=1, initial=1)[:, None]
        square = ((np.abs(R) + in_R) ** 2).sum(axis=1) + (self.ridge * X**2).sum(axis=1)
        rest = X * (l1 - s * (l1 - g) + s * in_g)
        return np.asarray((1 - s[:, 0]) ** 2 * square / 2 + np.maximum(rest.sum(axis=1), 0))

    def __call__(self, X: np.ndarray, B: np.ndarray, l1: np.ndarray) -> Proof:
        """Return the proof for coefficients X (p, n), targets B (p, m), penalties l1 (p, n)."""
        gram = self.gram
        R, g, in_R, in_g = self.gradient(X, B, l1)
        hi, lo = np.maximum(g + in_g, 0), np.minimum(g - in_g, 0)
        penalty = np.einsum("ij,ij->i", l1 + self.ridge * X / 2, X)
        value = np.einsum("ij,ij->i", R, R) / 2 + penalty
        bounds = [value + np.einsum("ij,ij->i", np.abs(R) + in_R, in_R) + 1e-14 * value]
        if gram.lam > 0:
            curve = gram.lam * gram.diagonal
            inverse = np.divide(1, curve, out=np.zeros(len(curve)), where=curve > 0)
            d = np.minimum(hi * inverse, X)
            bounds.append((d * (hi - curve * d / 2) + lo**2 * inverse / 2).sum(axis=1))
        if gram.shift.pointed:
            low = np.where(gram.used, gram.shift.low, 1.0)
            s = np.where(gram.used, -lo / low, 0).max(axis=1, initial=0)
            gain = np.einsum("ij,ij->i", X, g + in_g)
            mass = np.einsum(
                "ij,j->i", X, gram.shift.high
            )  # not BLAS: its bits depend on the batch
            bounds.append(np.maximum(gain, 0) + s * mass + s**2 * gram.shift.norm2 / 2)
        if l1.any():
            bounds.append(self._scaled(X, R, g, in_R, in_g, l1))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            scale = np.ldexp(1.0, gram.exponent)
            worst = np.maximum(np.minimum(X * scale, g / scale), -g / scale)
        at_zero = np.einsum("ij,ij->i", B, B) / 2
        return Proof(value, relative(np.min(bounds, axis=0), at_zero), worst.max(axis=1, initial=0))
