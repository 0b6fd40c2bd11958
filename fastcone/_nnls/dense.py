# SPDX-License-Identifier: BSD-3-Clause
"""Dense generators, with all that is ever formed of them, and dense targets."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastcone._nnls.active_set import Exact, hull_point
from fastcone._nnls.certificate import DataProof, Proof, dense_maps
from fastcone._nnls.embedded import Handle
from fastcone._nnls.householder import RowStable
from fastcone._nnls.plan import APART, SUPPORT_RANK, UNLIKE, UNLIKE_LAM, Plan, of_products
from fastcone._nnls.prepare import Generators, Gram, Packed, ridge
from fastcone._nnls.rung import Rung
from fastcone._nnls.targets import Products, Solver
from fastcone._runtime.scaling import F64, exponent, rescale, safe_range
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import check_finite


class DenseGenerators:
    """The generators A (m, n) with a ridge l2: their Gram matrix, exact solvers and proofs."""

    def __init__(self, A: np.ndarray, l2: float) -> None:
        self.plain, self.l2, self.dtype = Generators(A), l2, A.dtype
        self.m, self.n = A.shape
        self.terms = self.m
        self.plans: dict[Any, Plan] = {}
        self.bounded: dict[tuple[bytes, bool], tuple[RowStable, float]] = {}
        self._rungs: dict[tuple[np.dtype, str, int, bool], Rung] = {}
        hull = functools.partial(hull_point, self.plain)
        G, added = self.plain.gram(), None
        if l2:
            added = ridge(l2, self.plain.exponent, A.dtype)
            G[np.diag_indices(self.n)] += added
        self.gram = Gram(G, self.plain.exponent, self.m, hull, added)

    def given(self) -> np.ndarray:
        """Return A in the caller's units."""
        return np.ldexp(self.plain.scaled, -self.plain.exponent)

    @functools.cached_property
    def unlike(self) -> bool:
        """Whether rows differ so much in size that what the small ones say is lost.

        It is lost in squares where generators are nearly dependent, and behind a gap relative to
        ||b|| where some generators live in small rows alone: those are small in the caller's units.
        """
        apart = self.gram.apart > APART
        if self.gram.lam >= UNLIKE_LAM and not apart:
            return False
        return self.plain.unlike(False) > UNLIKE or (apart and self.plain.unlike(True) > UNLIKE)

    @functools.cached_property
    def bounds_on_gram(self) -> bool:
        """Whether G tells enough of these generators to solve with bounds and sums on it."""
        gram, far = self.gram, 100  # powers of two between generators: weights of a sum
        small = 0 < gram.n <= SUPPORT_RANK and np.ptp(gram.exponent) < far
        return bool(small and gram.used.all() and gram.lam > 0 and not self.unlike)

    @functools.cached_property
    def embedded(self) -> Handle:
        """What compiled modules of others hold of these generators."""
        return Handle(self)

    @functools.cached_property
    def with_ridge(self) -> np.ndarray:
        """A in scaled units and float64, with sqrt(l2) on n more rows."""
        A = self.plain.rows.T
        if not self.l2:
            return A
        return np.vstack([A, np.diag(np.ldexp(np.sqrt(self.l2), self.plain.exponent))])

    @functools.cached_property
    def exact_forms(self) -> Sequence[Solver]:
        """The exact solver on A reduced to its rank, where that is less, and on A as it is."""
        if self.unlike:
            return (RowStable(self.with_ridge),)
        forms = [
            Exact.of_generators(
                self.with_ridge, self.m, reduced=reduced, independent=self.gram.lam > 0
            )
            for reduced in (True, False)
        ]
        return tuple(forms[forms[0].m == forms[1].m :])

    @functools.cached_property
    def stable_form(self) -> Solver:
        """The Householder kernel on A, for problems whose support rounding leaves open."""
        return RowStable(self.with_ridge)

    @functools.cached_property
    def proof(self) -> DataProof:
        """Certificates from A and b."""
        A = self.plain.scaled.astype(F64, copy=False)
        return DataProof(dense_maps(A), self.m, self.n, self.gram)

    def rung(self, dtype: np.dtype, way: str, epochs: int, narrow: bool) -> Rung:
        """Return the compiled first rung in one dtype; `narrow`: in float32, proved in float64."""
        key = dtype, way, epochs, narrow
        if key not in self._rungs:
            support = way == "support"
            self._rungs[key] = Rung(
                self.gram,
                self.plain.packed(dtype).panels,
                dtype,
                dtype == F64 and not support,  # plan.py: descent only where G fits float32
                epochs,
                of_products(self.terms) if narrow else 0.0,
                self.plain.wide if support else None,
            )
        return self._rungs[key]


class DenseTargets:
    """Targets given as the columns of B, for dense generators."""

    known, data = True, True

    def __init__(self, generators: DenseGenerators, B: np.ndarray) -> None:
        self.generators, self.gram, self.B = generators, generators.gram, B
        self.p = B.shape[1]
        self.rung = generators.rung

    @property
    def exact_forms(self) -> Sequence[Solver]:
        """The exact solvers for these generators, the fastest first."""
        return self.generators.exact_forms

    @property
    def stable_form(self) -> Solver:
        """The exact solver for problems whose support rounding leaves open."""
        return self.generators.stable_form

    def products(self, which: np.ndarray, dtype: np.dtype, scratch: Scratch) -> Products:
        """Return A'b and ||b|| of the problems in `which`."""
        rows = np.ascontiguousarray(self.B.T[which], dtype=dtype)
        packed: Packed = self.generators.plain.packed(dtype)
        C, norm2 = packed.product(rows, scratch, f"C{dtype.itemsize}")
        low, high = safe_range(dtype)
        e = np.zeros(len(rows), dtype=np.intc)
        bad = np.flatnonzero(~((norm2 > low) & (norm2 < high)))
        if bad.size and (hard := bad[np.any(rows[bad], axis=1)]).size:
            if not np.isfinite(rows[hard]).all():
                check_finite("B", self.B)
            e[hard] = exponent(np.abs(rows[hard]).max(axis=1))
            again = np.ldexp(rows[hard], -e[hard, None])
            C[hard], norm2[hard] = packed.product(again, Scratch(), "C")
        norm = np.sqrt(norm2)
        return Products(C, norm, exponent(norm), e)

    def exact_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return the targets in float64 and scaled units."""
        rows = np.ascontiguousarray(self.B.T[which], dtype=F64)
        return rescale(rows, np.zeros(1, dtype=np.intc), -e)

    def prove(self, which: np.ndarray, e: np.ndarray, X: np.ndarray, l1: np.ndarray) -> Proof:
        """Return the certificate of scaled coefficients from the original A and B."""
        return self.generators.proof(X, self.exact_rows(which, e), l1)
