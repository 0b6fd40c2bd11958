# SPDX-License-Identifier: BSD-3-Clause
"""The targets of a batch in scaled units, block by block, and the last resorts for a hard one.

Sources with one face: `DataTargets` holds A and B, `GramTargets` only G and C = A'B, and
`SparseTargets` (sparse.py) A and B of which one at least is sparse.
A problem's numbers are scaled by 2^-e, e its own; see `_gram` for the scaling of the generators.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.active_set import Exact
from fastcone._nnls.certificate import DataProof, Proof, dense_maps
from fastcone._nnls.prepare import Generators, Gram, Packed, ridge
from fastcone._runtime.scaling import F64, exponent, largest_penalty, rescale, safe_range
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import check_finite


@dataclass
class Products:
    """What a block of targets gives, whatever the penalty.

    C: (p, ld) A'b.  norm: (p,) ||b||.  e: (p,) 2^-e is taken out of both.  k: (p,) 2^-k is still
    to be taken out.
    """

    C: np.ndarray
    norm: np.ndarray
    k: np.ndarray
    e: np.ndarray


@dataclass
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


class Targets:
    """What all sources share: the penalty in scaled units.

    known: whether ||b|| is.  data: whether A and b are at hand, not their products alone.
    """

    known, data = True, True
    gram: Gram
    products: Callable[[slice, np.dtype, Scratch], Products]
    held: dict[tuple[int, np.dtype], Products] | None = None  # products kept for other penalties

    def __init__(self, l1: np.ndarray, exponent: np.ndarray) -> None:
        self.l1 = l1
        self.penalised = bool(l1.any())
        self.exponent = exponent

    def with_penalty(self, l1: np.ndarray) -> Self:
        """Return the same targets with other penalties; all that is prepared is shared."""
        if self.held is None:
            self.held = {}
        other = copy.copy(self)
        other.l1, other.penalised = l1, bool(l1.any())
        return other

    def penalty(self, which: Any, e: np.ndarray) -> np.ndarray:
        """Return l1 in scaled units, (p, n), for the problems in `which`, of exponents e."""
        if not self.penalised:
            return np.zeros((len(e), len(self.exponent)))
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(self.l1[which][:, None], self.exponent - e[:, None])
        return np.minimum(scaled, largest_penalty(F64))

    def linear(self, which: slice, dtype: np.dtype, scratch: Scratch) -> LinearTerms:
        """Return the scaled linear terms of the problems in `which`."""
        key = which.start, dtype
        if self.held is None or key not in self.held:
            made = self.products(which, dtype, scratch)
            if self.held is not None:
                self.held[key] = replace(made, C=made.C.copy())
        else:
            made = self.held[key]
            C = scratch.take(f"C{dtype.itemsize}", made.C.shape, dtype)
            C[...] = made.C
            made = replace(made, C=C)
        return self._finish(which, made)

    def _finish(self, which: slice, made: Products) -> LinearTerms:
        """Bring products to the scaled units and subtract the penalty, in place."""
        size = np.ldexp(made.norm, -made.k).astype(made.C.dtype, copy=False)
        delta_scale, e = size.copy(), made.e + made.k
        l1 = self.l1[which] if self.penalised else None
        largest = largest_penalty(made.C.dtype)
        scale = np.empty(len(self.exponent))
        kernels.units_in(
            made.C, made.k, e, l1, self.exponent, self.gram.rootinv, delta_scale, largest, scale
        )
        return LinearTerms(made.C, size, delta_scale, e)


class DataTargets(Targets):
    """Targets given as the columns of B, for generators A."""

    def __init__(
        self, generators: Generators, B: np.ndarray, l1: np.ndarray, l2: float, gram: Gram
    ) -> None:
        super().__init__(l1, generators.exponent)
        self.generators, self.l2, self.gram = generators, l2, gram
        self.Bt = B.T
        self.p, self.terms = self.Bt.shape

    def _rows(self, which: Any, dtype: np.dtype, scratch: Scratch) -> np.ndarray:
        """Return targets as contiguous rows in this dtype; a view where they are that already."""
        rows = self.Bt[which]
        if rows.dtype == dtype and rows.flags.c_contiguous and rows.flags.aligned:
            return rows
        copy = scratch.take("rows", rows.shape, dtype)
        copy[...] = rows
        return copy

    def products(self, which: slice, dtype: np.dtype, scratch: Scratch) -> Products:
        """Return A'b and ||b|| of the problems in `which`."""
        rows = self._rows(which, dtype, scratch)
        packed = self.generators.packed(dtype)
        C, norm2 = packed.product(rows, scratch, f"C{dtype.itemsize}")
        low, high = safe_range(dtype)
        e = np.zeros(len(rows), dtype=np.intc)
        bad = np.flatnonzero(~((norm2 > low) & (norm2 < high)))
        if bad.size and (hard := bad[np.any(rows[bad], axis=1)]).size:
            check_finite("B", rows.T, origin=(0, which.start))
            e[hard] = exponent(np.abs(rows[hard]).max(axis=1))
            again = np.ldexp(rows[hard], -e[hard, None])
            C[hard], norm2[hard] = packed.product(again, Scratch(), "C")
        norm = np.sqrt(norm2)
        return Products(C, norm, exponent(norm), e)

    def scaled_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return the targets in float64 and scaled units."""
        rows = np.ascontiguousarray(self.Bt[which], dtype=F64)
        return rescale(rows, np.zeros(1, dtype=np.intc), -e)

    @functools.cached_property
    def exact_forms(self) -> tuple[Exact, ...]:
        """The exact solver on A reduced to its rank, where that is less, and on A as it is."""
        forms = [
            Exact.of_generators(
                self.generators, self.l2, reduced=reduced, independent=self.gram.lam > 0
            )
            for reduced in (True, False)
        ]
        return tuple(forms[forms[0].m == forms[1].m :])

    def exact_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return what the exact solver takes for targets."""
        return self.scaled_rows(which, e)

    @functools.cached_property
    def _data_proof(self) -> DataProof:
        A = self.generators.scaled.astype(F64, copy=False)
        weight = ridge(self.l2, self.exponent, F64)
        m, n = A.shape
        return DataProof(dense_maps(A), m, n, self.gram, weight)

    def prove(self, which: np.ndarray, e: np.ndarray, X: np.ndarray) -> Proof:
        """Return the certificate of scaled coefficients from the original A and B."""
        return self._data_proof(X, self.scaled_rows(which, e), self.penalty(which, e))


class GramTargets(Targets):
    """Targets given as the columns of C = A'B, with ||b||^2 if the caller knows it."""

    data = False

    def __init__(
        self, C: np.ndarray, b_norm2: np.ndarray | None, l1: np.ndarray, gram: Gram
    ) -> None:
        super().__init__(l1, gram.exponent)
        self.gram = gram
        self.Ct = C.T
        self.norm2 = b_norm2
        self.known = b_norm2 is not None
        self.p, self.terms = C.shape[1], 0
        self.ld = Packed(np.zeros((0, gram.n), dtype=gram.dtype)).ld

    def products(self, which: slice, dtype: np.dtype, scratch: Scratch) -> Products:
        """Return A'b and ||b|| of the problems in `which`."""
        rows = np.ldexp(self.Ct[which].astype(F64), self.exponent)
        largest = np.abs(rows * self.gram.rootinv).max(axis=1, initial=0)
        size = np.sqrt(self.norm2[which]) if self.norm2 is not None else largest
        e = exponent(np.maximum(size, largest))
        C = scratch.take(f"C{dtype.itemsize}", (len(rows), self.ld), dtype)
        C[:, self.gram.n :] = 0
        C[:, : self.gram.n] = np.ldexp(rows, -e[:, None])
        return Products(C, np.ldexp(size, -e), np.zeros_like(e), e)

    @functools.cached_property
    def exact_forms(self) -> tuple[Exact, ...]:
        """The exact solver, of which G gives one form."""
        return (Exact.of_gram(self.gram.matrix),)

    def exact_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return what the exact solver takes for targets."""
        return rescale(self.Ct[which].astype(F64), self.exponent, -e)
