# SPDX-License-Identifier: BSD-3-Clause
"""Sparse generators and sparse targets, never made dense as a whole.

Dense are G (n, n), the products of a block of targets (p, n) and, for the few problems whose
certificate needs them, residuals (p, m), some megabytes at a time.

    a) A sparse product adds the terms of an entry in the order of the stored indices, which are
       sorted first: the same bits for any batch.
    b) The exact solver works from G, as A itself would have to be dense for it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastcone._nnls.active_set import Exact
from fastcone._nnls.certificate import DataProof, Maps, Proof
from fastcone._nnls.plan import Plan
from fastcone._nnls.prepare import PIECE, Gram, Packed, ridge
from fastcone._nnls.targets import Products, Solver
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import F64, exponent, safe_range
from fastcone._runtime.threads import Scratch

FULL = 0.2  # of the entries: from there products with A are faster dense
PROOF_BYTES = 1 << 23  # of a matrix of residuals


def dense(matrix: Any) -> np.ndarray:
    """Return a product as an array, whatever its factors were."""
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def scaled_columns(A: Any) -> tuple[sp.csc_array, np.ndarray]:
    """Return A in CSC form with its columns scaled by powers of two, and the exponents."""
    A = sp.csc_array(A, copy=True)
    if 0 in A.shape:
        return A, np.zeros(A.shape[1], dtype=np.intc)
    e = -exponent(dense(abs(A).max(axis=0)).ravel())
    A.data = np.ldexp(A.data, np.repeat(e, np.diff(A.indptr)))
    return A, e


def square_sums(rows: Any) -> np.ndarray:
    """Return the squared norms of the rows."""
    with np.errstate(over="ignore"):
        return np.asarray((rows * rows).sum(axis=1)).ravel()


def scaled_rows(rows: Any, e: np.ndarray) -> Any:
    """Return rows times 2^e, in two steps: 2^e may be beyond float64."""
    half = e // 2
    return sp.diags_array(np.ldexp(1.0, e - half)) @ (sp.diags_array(np.ldexp(1.0, half)) @ rows)


class SparseGenerators:
    """The generators A (m, n), sparse or dense, for targets of which either may be sparse."""

    unlike = False

    def __init__(self, A: Any, l2: float, deadline: Deadline) -> None:
        self.plans: dict[Any, Plan] = {}
        scaled, self.exponent = scaled_columns(A)
        deadline.check()
        self.scaled = {dtype: scaled.astype(dtype) for dtype in {F64, scaled.dtype}}
        self.m, self.n = scaled.shape
        full = scaled.nnz > FULL * scaled.shape[0] * scaled.shape[1]
        self.whole = {d: A.toarray() for d, A in self.scaled.items()} if full else {}
        self.dtype = scaled.dtype
        self.terms = int(np.diff(scaled.indptr).max(initial=0))
        added = ridge(l2, self.exponent, scaled.dtype)
        G = self._products(deadline)
        G[np.diag_indices(self.n)] += added
        self.gram = Gram(G, self.exponent, self.terms, ridge=added)

    def _products(self, deadline: Deadline) -> np.ndarray:
        """Return A'A, by the dense kernel where A is nearly full: its sums are a column's own."""
        A, G = self.scaled[F64], np.empty((self.n, self.n))
        packed = Packed(self.whole[F64]) if self.whole else None
        work = 2 * self.n * (self.m if packed else max(A.nnz / max(self.m, 1), 1) * self.terms)
        for part in deadline.slices(self.n, max(1, int(PIECE / (work + 1)))):
            if packed is None:
                G[part] = dense(A[:, part].T @ A)
            else:
                rows = np.ascontiguousarray(self.whole[F64][:, part].T)
                G[part] = packed.product(rows, Scratch(), "G")[0][:, : self.n]
        return G

    def product(self, rows: Any, dtype: np.dtype) -> np.ndarray:
        """Return rows @ A, a row's bits not those of its neighbours: no product of two arrays."""
        whole = self.whole.get(dtype) if sp.issparse(rows) else None
        return dense(rows @ (self.scaled[dtype] if whole is None else whole))

    @functools.cached_property
    def exact_forms(self) -> Sequence[Solver]:
        """The exact solver, of which G gives one form."""
        return (Exact.of_gram(self.gram.matrix),)

    @functools.cached_property
    def proof(self) -> DataProof:
        """Certificates from A and b."""
        A, size = self.scaled[F64], abs(self.scaled[F64])
        maps = Maps(*(lambda rows, M=M: rows @ M for M in (A.T, A, size.T, size)))
        return DataProof(maps, self.terms, self.n, self.gram)


class SparseTargets:
    """Targets given as the columns of B, where A or B is sparse, or both."""

    known, data, stable_form = True, True, None

    def __init__(self, generators: SparseGenerators, B: Any) -> None:
        self.generators, self.gram = generators, generators.gram
        self.Bt = sp.csr_array(B.T) if sp.issparse(B) else B.T
        self.p = self.Bt.shape[0]

    @property
    def exact_forms(self) -> Sequence[Solver]:
        """The exact solvers for these generators."""
        return self.generators.exact_forms

    def _rows(self, which: Any) -> Any:
        """Return targets as rows in float64, sparse if B is."""
        return self.Bt[which].astype(F64)

    def products(self, which: np.ndarray, dtype: np.dtype, scratch: Scratch) -> Products:
        """Return A'b and ||b|| of the problems in `which`."""
        rows, n = self._rows(which), self.generators.n
        largest = dense(abs(rows).max(axis=1)).ravel() if rows.shape[1] else np.zeros(rows.shape[0])
        norm2 = square_sums(rows)
        low, high = safe_range(dtype)
        e = np.where((norm2 > low) & (norm2 < high), 0, exponent(largest))
        if e.any():
            rows = scaled_rows(rows, -e)
            norm2 = square_sums(rows)
        norm = np.sqrt(norm2)
        ld = Packed(np.zeros((0, n), dtype)).ld
        C = scratch.take(f"C{dtype.itemsize}", (len(norm), ld), dtype)
        C[:, n:] = 0
        C[:, :n] = self.generators.product(rows.astype(dtype), dtype)
        return Products(C, norm, exponent(norm), e)

    def exact_rows(self, which: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Return what the exact solver takes for targets."""
        return self.generators.product(scaled_rows(self._rows(which), -e), F64)

    def prove(self, which: np.ndarray, e: np.ndarray, X: np.ndarray, l1: np.ndarray) -> Proof:
        """Return the certificate of scaled coefficients from the original A and B."""
        step = max(1, PROOF_BYTES // (8 * self.generators.m + 1))
        parts = []
        for i in range(0, len(which), step):
            some = slice(i, i + step)
            B = dense(scaled_rows(self._rows(which[some]), -e[some]))
            parts.append(self.generators.proof(X[some], B, l1[some]))
        return Proof(
            *(np.concatenate([getattr(part, name) for part in parts])
              for name in ("objective", "gap", "violation"))
        )  # fmt: skip

    def rung(self, dtype: np.dtype, way: str, epochs: int, narrow: bool) -> None:
        """Return None: sparse products are not the rung's."""
