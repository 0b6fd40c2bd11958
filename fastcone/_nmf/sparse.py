# SPDX-License-Identifier: BSD-3-Clause
"""Sparse data, by samples and by features, never made dense.

An iteration reads the entries twice, by samples for the step on H and by features for the step on
W. Each time a row of the data gathers rows of the other factor, so that no two threads ever add to
the same sum; the factor is held in padded rows of its own (`Gathered`) meanwhile.

    squared error        C = W'X_b          H_b <- step(W'W, C, H_b)
                         C = X_r H'         W_r <- step(HH', C, W_r)
    Kullback-Leibler     C = W'(X_b / Y)    H_b <- step(C, W'1, H_b)       Y = WH at the entries
                         C = (X_r / Y) H'   W_r <- step(C, H1, W_r)

The sum of all y in the divergence is (1'W)(H1): only entries that are not zero are looked at. Where
the entries that are not stored are unknown, not zero, `stored.py` serves every loss.
"""

from __future__ import annotations

import hashlib
import itertools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self, cast

import numpy as np
import scipy.sparse as sp

from fastcone._nmf import kernels
from fastcone._nmf.losses import LOSSES, DataLoss, Step
from fastcone._nmf.problem import EVEN, Block, Factors, Problem, dot, grouped
from fastcone._nmf.products import outer, pack
from fastcone._nmf.update import Update
from fastcone._runtime.structure import check_structure
from fastcone._runtime.threads import ALIGNMENT, Scratch, aligned
from fastcone._runtime.validation import REALS, sparse_array

BLOCK_BYTES = 1 << 20  # of the sums of a block
BLOCK_WORK = 2e7  # multiply-adds of a block: a few milliseconds
OPENED_BYTES = 1 << 21  # of samples made dense at a time
FILLED = 32  # entries for each that is stored, at most, for a residual to be formed of all of them
BLOCK_WORTH = 1e6  # of a block, at least: below, the calls around the kernels are what takes time
LEAST_BLOCKS = 16  # where there is work for them


class Entries:
    """The entries of some rows: row r holds start_r .. start_{r+1} - 1 of `index` and `x`."""

    def __init__(self, start: np.ndarray, index: np.ndarray, x: np.ndarray) -> None:
        self.start, self.index, self.x = start, index, x

    @classmethod
    def of(cls, matrix: Any) -> Entries:
        """Return the entries of a canonical CSR or CSC matrix in the kernels' integers."""
        start = np.ascontiguousarray(matrix.indptr, dtype=np.intp)
        index = np.ascontiguousarray(matrix.indices, dtype=np.int32)
        return cls(start, index, np.ascontiguousarray(matrix.data))

    def __len__(self) -> int:
        return len(self.start) - 1

    def rows(self, rows: slice) -> Entries:
        """Return some of the rows."""
        return Entries(self.start[rows.start : rows.stop + 1], self.index, self.x)

    @property
    def own(self) -> np.ndarray:
        """The values of these rows alone."""
        return self.x[self.start[0] : self.start[-1]]

    def cut(self, width: int, groups: int, passes: int = 1) -> list[list[Block]]:
        """Cut the rows into blocks of about equal work, and these into groups."""
        count, work = len(self), self.start + 2 * width * np.arange(len(self) + 1)
        most = max(BLOCK_BYTES // (self.x.itemsize * width), 1)
        total = work[-1] * width
        worth = min(LEAST_BLOCKS, max(int(total / BLOCK_WORTH), 1))
        worth -= worth % EVEN if worth > EVEN else 0
        blocks = max(worth, -(-count // most), int(total * passes / BLOCK_WORK))
        goals = np.linspace(0, work[-1], min(blocks, count) + 1)
        edges = np.unique(np.searchsorted(work, goals))
        return grouped([slice(int(a), int(b)) for a, b in itertools.pairwise(edges)], groups)


def _canonical(X: Any, zeros: bool) -> sp.csc_array:
    """Return X in CSC form, sorted, no duplicates, nor `zeros`; copied only where it must be."""
    if X.format == "csc" and X.dtype in REALS:
        try:
            check_structure(X)
            view = sp.csc_array((X.data, X.indices, X.indptr), shape=X.shape)
        except (ValueError, TypeError) as error:
            raise ValueError(f"X is not a well-formed sparse matrix: {error}") from None
        low, high = view.data.min(initial=1), view.data.max(initial=1)
        if view.has_canonical_format and (low >= 0 if zeros else low > 0) and high < np.inf:
            return view
    X = sparse_array("X", X)
    if X.nnz and not X.data.min() >= 0:
        raise ValueError(f"X holds {X.data.min()}, want no negative entries")
    if not zeros:
        X.eliminate_zeros()
    return X


class SparseSource:
    """Sparse X (m, N): the entries `by_sample` (N rows) and `by_feature` (m rows).

    `stored` tells that only these entries are known; the others are zeros if not.
    """

    sparse: bool = True
    stored: bool = False
    passes = 1  # over the entries of a block, in products of one factor

    def __init__(self, by_sample: Entries, by_feature: Entries) -> None:
        self.by_sample, self.by_feature = by_sample, by_feature
        self.N, self.m, self.dtype = len(by_sample), len(by_feature), by_sample.x.dtype
        self.largest = float(by_sample.x.max(initial=0))

    @classmethod
    def of(cls, X: Any) -> Self:
        """Return the entries of a checked matrix."""
        X = _canonical(X, cls.stored)
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}, want at least 1 entries")
        if max(X.shape) > np.iinfo(np.int32).max:
            raise ValueError(f"X has shape {X.shape}, want sizes below 2^31")
        return cls(Entries.of(X), Entries.of(X.tocsr()))

    def scaled(self, e: int) -> Self:
        """Return 2^e X."""
        parts = (self.by_sample, self.by_feature)
        return type(self)(*(Entries(p.start, p.index, np.ldexp(p.x, e)) for p in parts))

    def cut(self, width: int, groups: int) -> tuple[list[list[Block]], list[list[Block]]]:
        """Return the blocks of samples and of features for factors `width` wide."""
        sides = (self.by_sample, self.by_feature)
        samples, features = (side.cut(width, groups, self.passes) for side in sides)
        return samples, features

    def block(self, rows: slice, scratch: Scratch) -> Entries:
        """Return some samples."""
        return self.by_sample.rows(rows)

    def opened(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return some samples as a dense array, in `scratch`."""
        X = self.by_sample.rows(rows)
        dense = scratch.take("opened", (len(X), self.m), self.dtype)
        dense[...] = 0
        which = np.repeat(np.arange(len(X)), np.diff(X.start))
        dense[which, X.index[X.start[0] : X.start[-1]]] = X.own
        return dense

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

    def known(self, X: Entries) -> int:
        """Return how many entries of a block are known."""
        return X.own.size if self.stored else len(X) * self.m

    def digest(self) -> str:
        """Return a fingerprint of the entries."""
        X = self.by_sample
        found = hashlib.sha256(b"stored" if self.stored else b"")
        for part in (X.start, X.index, X.x):
            found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()

    def sums(self, problem: Problem, n: int) -> Gathered:
        """Return what forms X H', n columns, by features once all blocks of H are in."""
        H = aligned((self.N, problem.padded(n)), self.dtype)
        H[...] = 0
        return Gathered(self, H, n)


def opened_rows(m: int, dtype: np.dtype) -> int:
    """Return how many samples are made dense at a time."""
    return max(OPENED_BYTES // max(m * dtype.itemsize, 1), 1)


class Opened(Sequence[np.ndarray]):
    """Sparse X as dense parts, made when asked for: what looks at zeros too reads these."""

    def __init__(self, X: Any) -> None:
        self.X = _canonical(X, False)
        self.size = opened_rows(self.X.shape[0], self.X.dtype)

    def __len__(self) -> int:
        return -(-self.X.shape[1] // self.size)

    def __getitem__(self, i: Any) -> Any:
        return self.X[:, i * self.size : (i + 1) * self.size].toarray(order="F")


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
        self.H.rows[block.rows, : self.H.n] = H[:, : self.H.n]

    def rows(self, rows: slice, Ht: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return X H' of some features, in `scratch`."""
        return self.source.product(self.source.by_feature.rows(rows), self.H, scratch, "XH")


def _add_gram(rows: np.ndarray, total: np.ndarray, scratch: Scratch) -> None:
    """Add rows'rows to a float64 total."""
    wide = scratch.take("wide", rows.shape, np.float64)
    wide[...] = rows
    outer(wide, wide, total, scratch)


class SparseLoss:
    """The squared error: 1/2 ||X||^2 - <X, WH> + 1/2 <W'W, HH'>, the Gram matrices in float64.

    Where this difference is so small that rounding makes it negative, it is told as 0. Data of
    which a good part is stored are looked at entry by entry instead, as dense ones are.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.entrywise = problem, DataLoss(problem, LOSSES["frobenius"])
        X = cast(SparseSource, problem.X)
        self.by_entry = problem.m * problem.N <= FILLED * X.by_sample.x.size
        self.size = opened_rows(problem.m, problem.dtype)

    def __call__(self, factors: Factors) -> float:
        """Return the objective, penalties included."""
        return self._of_entries(factors) if self.by_entry else self._of_sums(factors)

    def _of_entries(self, factors: Factors) -> float:
        problem = self.problem
        panels = pack(factors.W.T[: problem.k])
        parts = problem.per_block(problem.samples)

        def work(block: Block, scratch: Scratch) -> None:
            for start in range(block.rows.start, block.rows.stop, self.size):
                rows = slice(start, min(start + self.size, block.rows.stop))
                H = factors.Ht[rows]
                loss = self.entrywise.of_block(rows, panels, H, scratch)
                parts[block.index] += loss + problem.H(H)

        problem.for_each_block(problem.samples, work)
        return float(parts.sum()) + problem.W(factors.W)

    def _of_sums(self, factors: Factors) -> float:
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


class Factor(NamedTuple):
    """A padded factor and the sums of its columns in float64."""

    rows: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, A: np.ndarray) -> Factor:
        """Return A with its sums."""
        return cls(A, A.sum(axis=0, dtype=np.float64))


class SparseMU(Update):
    """`factors`, accepted; `candidate`, their successor; `ahead`, the H' after it, padded."""

    def __init__(self, problem: Problem, start: Factors, beta: float, update_W: bool) -> None:
        self.problem, self.factors, self.update_W = problem, start, update_W
        self.by_feature = cast(SparseSource, problem.X).by_feature
        self.least = problem.W.floor * problem.H.floor
        self.step_H = Step(beta, problem.H, problem.k)
        self.step_W = Step(beta, problem.W, problem.k)
        self.candidate = problem.factors()
        if not update_W:
            self.candidate.W = start.W
        self.ahead = aligned((problem.N, problem.kp), problem.dtype)

    @abstractmethod
    def sides(
        self, X: Entries, A: Factor, H: np.ndarray, scratch: Scratch, wanted: bool
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the two sums of a step on rows H of X ~ H A', and their loss if wanted."""

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

    def _look(self, at: Factors) -> float:
        """Return the objective `at` the factors; write the H that follows them."""
        problem, A = self.problem, Factor.of(at.W)
        parts = problem.per_block(problem.samples, 2)  # of the divergence, of the penalty

        def work(block: Block, scratch: Scratch) -> None:
            X = problem.X.block(block.rows, scratch)
            H = problem.coefficients(at.Ht, block.rows, scratch)
            num, den, loss = self.sides(X, A, H, scratch, True)
            parts[block.index] = loss, problem.H(H)
            self.step_H(H, num, den)
            self.ahead[block.rows] = H

        problem.for_each_block(problem.samples, work)
        divergence, penalty = parts.sum(axis=0)
        return float(max(divergence, 0.0) + penalty) + problem.W(at.W)

    def _update_W(self) -> None:
        problem, new, old = self.problem, self.candidate.W, self.factors.W
        A = Factor.of(self.ahead)

        def work(block: Block, scratch: Scratch) -> None:
            W = new[block.rows]
            W[...] = old[block.rows]
            X = self.by_feature.rows(block.rows)
            num, den, _ = self.sides(X, A, W, scratch, False)
            self.step_W(W, num, den)
            W[:, : problem.fixed] = old[block.rows, : problem.fixed]

        problem.for_each_block(problem.features, work)


class SparseKL(SparseMU):
    """Kullback-Leibler where what is not stored is zero."""

    def sides(
        self, X: Entries, A: Factor, H: np.ndarray, scratch: Scratch, wanted: bool
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the two sums of a step on rows H of X ~ H A', and their loss if wanted."""
        num = scratch.take("num", H.shape, H.dtype)
        loss = scratch.take("loss", (len(X),), np.float64) if wanted else None
        at = X.start, X.index, X.x, self.problem.k, A.rows, H, self.least
        kernels.sparse_kl(*at, num, loss)
        den = A.total.astype(H.dtype)[None]
        if loss is None:
            return num, den, 0.0
        models = A.total @ H.sum(axis=0, dtype=np.float64)
        return num, den, float(loss.sum() + models)
