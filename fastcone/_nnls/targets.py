# SPDX-License-Identifier: BSD-3-Clause
"""The targets of a batch in scaled units, block by block, and the last resorts for a hard one.

Sources with one face: dense.py holds A and B, sparse.py A and B of which one at least is sparse,
`GramTargets` here only G and C = A'B. A problem's numbers are scaled by 2^-e, e its own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.active_set import Exact
from fastcone._nnls.certificate import Proof
from fastcone._nnls.prepare import Gram, Packed
from fastcone._nnls.rung import Rung
from fastcone._runtime.scaling import F64, exponent, largest_penalty, rescale
from fastcone._runtime.threads import Scratch

NO_ORDER = -(2**20)  # of magnitude: that of zero


@dataclass(frozen=True)
class Products:
    """What a block of targets gives, whatever the penalty.

    C: (p, ld) A'b.  norm: (p,) ||b||.  e: (p,) 2^-e is taken out of both.  k: (p,) 2^-k is still
    to be taken out.
    """

    C: np.ndarray
    norm: np.ndarray
    k: np.ndarray
    e: np.ndarray


@dataclass(frozen=True)
class LinearTerms:
    """The linear terms of a block of problems, scaled.

    C: (p, ld) c = A'b - l1.  b_norm: (p,) ||b||.  delta_scale: (p,) that plus the share of l1,
    the unit of the rounding allowance delta.  exponent: (p,) the caller's units are 2^exponent
    times these.
    """

    C: np.ndarray
    b_norm: np.ndarray
    delta_scale: np.ndarray
    exponent: np.ndarray


class Solver(Protocol):
    """An exact solver for one form of the generators."""

    m: int

    def solve(
        self, B: np.ndarray, l1: np.ndarray, max_steps: Any, start: Any, late: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x (p, n) and the steps used."""


class Targets(Protocol):
    """The face of a source.

    known: whether ||b|| is.  data: whether A and b are at hand, not their products alone.
    """

    known: bool
    data: bool
    gram: Gram
    p: int

    @property
    def exact_forms(self) -> Sequence[Solver]:
        """Return the exact solvers for these generators, the fastest first."""

    @property
    def stable_form(self) -> Solver | None:
        """Return the exact solver for what rounding leaves open, None without a compiled rung."""

    def products(self, which: np.ndarray, dtype: np.dtype, scratch: Scratch) -> Products:
        """Return A'b and ||b|| of the problems in `which`."""

    def exact_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return what the exact solvers take for targets, in scaled units."""

    def rung(self, dtype: np.dtype, way: str, epochs: int, narrow: bool) -> Rung | None:
        """Return the compiled first rung, or None where the targets are not dense."""


class DataTargets(Targets, Protocol):
    """Targets whose A and b are at hand: `data` is true."""

    def prove(self, which: np.ndarray, e: np.ndarray, X: np.ndarray, l1: np.ndarray) -> Proof:
        """Return the certificate of scaled coefficients from the original A and B."""


class Penalty:
    """l1 of each problem, or None, in the caller's units and in the scaled ones."""

    def __init__(self, l1: np.ndarray | None, gram: Gram) -> None:
        self.l1, self.gram = l1, gram

    def of(self, which: Any) -> np.ndarray | None:
        """Return l1 of some problems in the caller's units; None where all are 0."""
        return None if self.l1 is None else self.l1[which]

    def scaled(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return l1 in scaled units, (p, n), for the problems in `which`, of exponents e."""
        if self.l1 is None:
            return np.zeros((len(e), self.gram.n))
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(self.l1[which][:, None], self.gram.exponent - e[:, None])
        return np.minimum(scaled, largest_penalty(F64))

    def subtract(self, which: np.ndarray, made: Products) -> LinearTerms:
        """Bring products to the scaled units and subtract the penalty, in place."""
        size = np.ldexp(made.norm, -made.k).astype(made.C.dtype, copy=False)
        delta_scale, e = size.copy(), made.e + made.k
        l1 = self.of(which)
        kernels.units_in(
            made.C, made.k, e, l1, self.gram.exponent, self.gram.rootinv, delta_scale,
            largest_penalty(made.C.dtype), np.empty(self.gram.n),
        )  # fmt: skip
        return LinearTerms(made.C, size, delta_scale, e)


class GramTargets:
    """Targets given as the columns of C = A'B, with ||b||^2 if the caller knows it."""

    data, stable_form = False, None

    def __init__(self, C: np.ndarray, b_norm2: np.ndarray | None, gram: Gram) -> None:
        self.gram, self.Ct, self.norm2 = gram, C.T, b_norm2
        self.known = b_norm2 is not None
        self.p = C.shape[1]
        self.ld = Packed(np.zeros((0, gram.n))).ld

    def products(self, which: np.ndarray, dtype: np.dtype, scratch: Scratch) -> Products:
        """Return A'b and ||b|| of the problems in `which`."""
        given = self.Ct[which].astype(F64)
        known = np.zeros(len(given)) if self.norm2 is None else np.sqrt(self.norm2[which])
        order = np.where(given != 0, exponent(given) + self.gram.exponent, NO_ORDER)
        first = np.maximum(
            order.max(axis=1, initial=NO_ORDER), np.where(known > 0, exponent(known), NO_ORDER)
        )
        first[first == NO_ORDER] = 0
        rows = np.ldexp(given, self.gram.exponent - first[:, None])  # before, some might underflow
        largest = np.abs(rows * self.gram.rootinv).max(axis=1, initial=0)
        size = largest if self.norm2 is None else np.ldexp(known, -first)
        e = exponent(np.maximum(size, largest))
        C = scratch.take(f"C{dtype.itemsize}", (len(rows), self.ld), dtype)
        C[:, self.gram.n :] = 0
        C[:, : self.gram.n] = np.ldexp(rows, -e[:, None])
        return Products(C, np.ldexp(size, -e), np.zeros_like(e), first + e)

    @functools.cached_property
    def exact_forms(self) -> Sequence[Exact]:
        """The exact solver, of which G gives one form."""
        return (Exact.of_gram(self.gram.matrix),)

    def exact_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return what the exact solver takes for targets."""
        return rescale(self.Ct[which].astype(F64), self.gram.exponent, -e)

    def rung(self, dtype: np.dtype, way: str, epochs: int, narrow: bool) -> None:
        """Return None: the targets are products already."""
