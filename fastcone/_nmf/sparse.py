# SPDX-License-Identifier: BSD-3-Clause
"""Sparse data, by samples and by features, never made dense.

An iteration reads the entries twice, by samples for the step on H and by features for the step on
W. Each time a row of the data gathers rows of the other factor, so that no two threads ever add to
the same sum; the factor is held in padded rows of its own (`Gathered`) meanwhile.

    squared error        C = W'X_b          H_b <- step(W'W, C, H_b)
                         C = X_r H'         W_r <- step(HH', C, W_r)
    Kullback-Leibler     C = W'(X_b / Y)    H_b <- step(C, W'1, H_b)       Y = WH at the entries
                         C = (X_r / Y) H'   W_r <- step(C, H1, W_r)

The sum of all y in the divergence is (1'W)(H1): only entries that are not zero are looked at.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any, cast

import numpy as np
import scipy.sparse as sp

from fastcone._nmf import kernels
from fastcone._nmf.losses import Step
from fastcone._nmf.problem import Block, Factors, Problem, dot, grouped, outer
from fastcone._nmf.update import Update
from fastcone._runtime.threads import ALIGNMENT, Scratch, aligned
from fastcone._runtime.validation import REALS, sparse_array

BLOCK_BYTES = 1 << 20  # of the sums of a block
BLOCK_WORK = 2e7  # multiply-adds of a block: a few milliseconds
LEAST_WORK = (
    1e6  # of a block where there are fewer than MANY: its calls from Python are small beside
)
MANY, EVEN = 16, 4  # blocks come in multiples of EVEN, so that few threads share them evenly


class Entries:
    """The entries of some rows: row r holds start_r .. start_{r+1} - 1 of `index` and `x`."""

    def __init__(self, start: np.ndarray, index: np.ndarray, x: np.ndarray) -> None:
        self.start, self.index, self.x = start, index, x

    @classmethod
    def of(cls, matrix: Any) -> Entries:
        """Return the entries of a canonical CSR or CSC matrix in the kernels' integers."""
        start = matrix.indptr.astype(np.intp, copy=False)
        index = matrix.indices.astype(np.int32, copy=False)
        return cls(start, index, matrix.data)

    def __len__(self) -> int:
        return len(self.start) - 1

    def rows(self, rows: slice) -> Entries:
        """Return some of the rows."""
        return Entries(self.start[rows.start : rows.stop + 1], self.index, self.x)

    @property
    def own(self) -> np.ndarray:
        """The values of these rows alone."""
        return self.x[self.start[0] : self.start[-1]]

    def cut(self, width: int, groups: int) -> list[list[Block]]:
        """Cut the rows into blocks of about equal work, and these into groups."""
        count, work = len(self), self.start + 2 * width * np.arange(len(self) + 1)
        most = max(BLOCK_BYTES // (self.x.itemsize * width), 1)
        total = work[-1] * width
        few = min(max(int(total / LEAST_WORK), 1), MANY)
        few -= few % EVEN if few > EVEN else 0
        blocks = max(few, -(-count // most), int(total / BLOCK_WORK))
        goals = np.linspace(0, work[-1], min(blocks, count) + 1)
        edges = np.unique(np.searchsorted(work, goals))
        return grouped([slice(int(a), int(b)) for a, b in itertools.pairwise(edges)], groups)


def _canonical(X: Any) -> sp.csc_array:
    """Return X in CSC form, sorted, no duplicates or zeros; copied only where it must be."""
    if X.format == "csc" and X.dtype in REALS:
        try:
            view = sp.csc_array((X.data, X.indices, X.indptr), shape=X.shape)
            view.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(f"X is not a well-formed sparse matrix: {error}") from None
        low, high = view.data.min(initial=1), view.data.max(initial=1)
        if view.has_canonical_format and low > 0 and high < np.inf:
            return view
    X = sparse_array("X", X)
    if X.nnz and not X.data.min() >= 0:
        raise ValueError(f"X holds {X.data.min()}, want no negative entries")
    X.eliminate_zeros()
    return X


class SparseSource:
    """Sparse X (m, N): the entries `by_sample` (N rows) and `by_feature` (m rows)."""

    sparse: bool = True

    def __init__(self, by_sample: Entries, by_feature: Entries) -> None:
        self.by_sample, self.by_feature = by_sample, by_feature
        self.N, self.m, self.dtype = len(by_sample), len(by_feature), by_sample.x.dtype
        self.largest = float(by_sample.x.max(initial=0))

    @classmethod
    def of(cls, X: Any) -> SparseSource:
        """Return the entries of a checked matrix."""
        X = _canonical(X)
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}, want at least 1 entries")
        if max(X.shape) > np.iinfo(np.int32).max:
            raise ValueError(f"X has shape {X.shape}, want sizes below 2^31")
        return cls(Entries.of(X), Entries.of(X.tocsr()))

    def scaled(self, e: int) -> SparseSource:
        """Return 2^e X."""
        parts = (self.by_sample, self.by_feature)
        return SparseSource(*(Entries(p.start, p.index, np.ldexp(p.x, e)) for p in parts))

    def cut(self, width: int, groups: int) -> tuple[list[list[Block]], list[list[Block]]]:
        """Return the blocks of samples and of features for factors `width` wide."""
        return self.by_sample.cut(width, groups), self.by_feature.cut(width, groups)

    def block(self, rows: slice, scratch: Scratch) -> Entries:
        """Return some samples."""
        return self.by_sample.rows(rows)

    def some(self, chosen: np.ndarray) -> sp.csr_array:
        """Return these samples in float64, one a row."""
        X = self.by_sample
        whole = sp.csr_array((X.x, X.index, X.start), shape=(self.N, self.m))
        return whole[chosen].astype(np.float64)

    def operand(self, A: np.ndarray, n: int) -> Rows:
        """Return A (m, n), its columns padded, as `product` wants it."""
        return Rows(A, n)

    def product(self, X: Entries, A: Rows, scratch: Scratch, name: str) -> np.ndarray:
        """Return X' A for some rows of entries, in `scratch`."""
        C = scratch.take(name, (len(X), A.rows.shape[1]), self.dtype)
        kernels.sparse_product(X.start, X.index, X.x, A.n, A.rows, C)
        return C

    def square(self, X: Entries) -> float:
        """Return the sum of the squared entries of a block."""
        return dot(X.own[None], X.own[None])

    def total(self, X: Entries) -> float:
        """Return the sum of the entries of a block."""
        return float(X.own.sum(dtype=np.float64))

    def digest(self) -> str:
        """Return a fingerprint of the entries."""
        X = self.by_sample
        found = hashlib.sha256()
        for part in (X.start, X.index, X.x):
            found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()

    def sums(self, problem: Problem, n: int) -> Gathered:
        """Return what forms X H', n columns, by features once all blocks of H are in."""
        return Gathered(self, aligned((self.N, problem.padded(n)), self.dtype), n)


class Rows:
    """The rows of a factor on lane boundaries, n of their columns in use, the others zero."""

    def __init__(self, A: np.ndarray, n: int) -> None:
        self.rows, self.n = A, n
        if A.ctypes.data % ALIGNMENT or not A.flags.c_contiguous:
            self.rows = aligned(A.shape, A.dtype)
            self.rows[...] = A


class Gathered:
    """H' (N, n), filled block by block, and the products X H' of some features."""

    def __init__(self, source: SparseSource, H: np.ndarray, n: int) -> None:
        self.source, self.H = source, Rows(H, n)

    def add(self, block: Block, X: Entries, H: np.ndarray, scratch: Scratch) -> None:
        """Take a block of H'."""
        self.H.rows[block.rows] = H

    def rows(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return X H' of some features, in `scratch`."""
        return self.source.product(self.source.by_feature.rows(rows), self.H, scratch, "XH")


def _add_gram(rows: np.ndarray, total: np.ndarray, scratch: Scratch) -> None:
    """Add rows'rows to a float64 total."""
    wide = scratch.take("wide", rows.shape, np.float64)
    wide[...] = rows
    outer(wide, wide, total, scratch)


class SparseLoss:
    """The squared error: 1/2 ||X||^2 - <X, WH> + 1/2 <W'W, HH'>, the Gram matrices in float64.

    Where this difference is so small that rounding makes it negative, it is told as 0.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def __call__(self, factors: Factors) -> float:
        """Return the objective, penalties included."""
        problem, X, W, kp = self.problem, self.problem.X, factors.W, self.problem.kp
        parts = problem.per_block(problem.samples, 2)  # of the fit, of the penalty
        A = X.operand(W, problem.k)
        sides = (problem.samples, problem.features)
        HH, WW = (aligned((len(groups), kp, kp), np.float64) for groups in sides)
        HH[...], WW[...] = 0, 0

        def samples(block: Block, scratch: Scratch) -> None:
            H = problem.coefficients(factors.Ht, block.rows, scratch)
            entries = X.block(block.rows, scratch)
            _add_gram(H, HH[block.group], scratch)
            C = X.product(entries, A, scratch, "C")
            parts[block.index] = X.square(entries) / 2 - dot(C, H), problem.H(H)

        def features(block: Block, scratch: Scratch) -> None:
            _add_gram(W[block.rows], WW[block.group], scratch)

        problem.for_each_block(problem.samples, samples)
        problem.for_each_block(problem.features, features)
        fit, penalty = parts.sum(axis=0)
        fit += dot(WW.sum(axis=0), HH.sum(axis=0)) / 2
        return float(max(fit, 0.0) + penalty) + problem.W(W)


class SparseKL(Update):
    """`factors`, accepted; `candidate`, their successor; `ahead`, the H' after it, padded."""

    def __init__(self, problem: Problem, start: Factors, update_W: bool) -> None:
        self.problem, self.factors, self.update_W = problem, start, update_W
        self.by_feature = cast(SparseSource, problem.X).by_feature
        self.least = problem.W.floor * problem.H.floor
        self.step_H = Step(1.0, problem.H, problem.k)
        self.step_W = Step(1.0, problem.W, problem.k)
        self.candidate = problem.factors()
        if not update_W:
            self.candidate.W = start.W
        self.ahead = aligned((problem.N, problem.kp), problem.dtype)

    def first(self) -> float:
        """Return the objective at the start."""
        return self._look(self.factors)

    def advance(self) -> None:
        """Make the candidate; its H is there already."""
        self.candidate.Ht[...] = self.ahead[:, : self.problem.k]
        if self.update_W:
            self._update_W()

    def objective(self, previous: float, last: bool) -> tuple[float, float]:
        """Return the objective of the candidate, preparing the next one."""
        return self._look(self.candidate), 0.0

    def accept(self) -> None:
        """Take the candidate; its predecessor's arrays serve the next one."""
        self.factors, self.candidate = self.candidate, self.factors

    def _ratios(
        self, X: Entries, A: np.ndarray, H: np.ndarray, loss: np.ndarray | None, scratch: Scratch
    ) -> np.ndarray:
        """Return the sums of x / y A_i over the entries of every row, in `scratch`."""
        C = scratch.take("C", H.shape, H.dtype)
        kernels.sparse_kl(X.start, X.index, X.x, self.problem.k, A, H, self.least, C, loss)
        return C

    def _look(self, at: Factors) -> float:
        """Return the objective `at` the factors; write the H that follows them."""
        problem = self.problem
        column_sums = at.W.sum(axis=0, dtype=np.float64)
        den = column_sums.astype(problem.dtype)[None]
        parts = problem.per_block(problem.samples, 2)  # of the divergence, of the penalty

        def work(block: Block, scratch: Scratch) -> None:
            X = problem.X.block(block.rows, scratch)
            H = problem.coefficients(at.Ht, block.rows, scratch)
            loss = scratch.take("loss", (len(X),), np.float64)
            num = self._ratios(X, at.W, H, loss, scratch)
            models = column_sums @ H.sum(axis=0, dtype=np.float64)
            parts[block.index] = loss.sum() + models, problem.H(H)
            self.step_H(H, num, den)
            self.ahead[block.rows] = H

        problem.for_each_block(problem.samples, work)
        divergence, penalty = parts.sum(axis=0)
        return float(max(divergence, 0.0) + penalty) + problem.W(at.W)

    def _update_W(self) -> None:
        problem, new, old = self.problem, self.candidate.W, self.factors.W
        row_sums = self.ahead.sum(axis=0, dtype=np.float64)
        den = row_sums.astype(problem.dtype)[None]

        def work(block: Block, scratch: Scratch) -> None:
            W = new[block.rows]
            W[...] = old[block.rows]
            X = self.by_feature.rows(block.rows)
            self.step_W(W, self._ratios(X, self.ahead, W, None, scratch), den)
            W[:, : problem.fixed] = old[block.rows, : problem.fixed]

        problem.for_each_block(problem.features, work)
