# SPDX-License-Identifier: BSD-3-Clause
"""Sparse data whose stored entries are the known ones: ratings, counts with gaps.

Every sum over the data runs over these entries alone, with y = (WH)_ij there (`losses.py`):

    mu    H_b <- step(H_b, W'P, W'Q)         P = x y^(beta-2),  Q = y^(beta-1)   at the entries
          W_r <- step(W_r, PH', QH')
    cd    h <- argmin along each coordinate  of  1/2 sum_t (x_t - w_t'h)^2 + penalties
          the same for the rows of W with H

so an iteration costs O(entries k), and no array is larger than the entries or the factors. cd
keeps the residuals of a sample up to date instead of a Gram matrix per sample, and extrapolates as
`frobenius.GramFit` does.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from fastcone._nmf import kernels
from fastcone._nmf.extrapolation import Momentum
from fastcone._nmf.losses import LOSSES, Loss
from fastcone._nmf.problem import Block, Factors, Penalty, Problem
from fastcone._nmf.sparse import Entries, Factor, Rows, SparseMU, SparseSource
from fastcone._nmf.update import Extrapolated
from fastcone._runtime.threads import Scratch, aligned

CHUNK = 256  # entries whose losses are added in the working precision
EPOCHS = 3  # over the rows of a factor per iteration
FIXED_EPOCHS = 8  # over H while W is kept


class StoredSource(SparseSource):
    """Sparse X (m, N), known where it is stored; stored zeros are entries like others."""

    stored = True
    passes = 2 * FIXED_EPOCHS

    @property
    def smallest(self) -> float:
        """The least known entry."""
        return float(self.by_sample.x.min(initial=np.inf))


class EntryLoss:
    """A loss at the entries of some rows, X ~ H A'."""

    def __init__(self, problem: Problem, loss: Loss) -> None:
        self.problem, self.loss = problem, loss
        self.least = problem.W.floor * problem.H.floor
        self.ones = np.ones((1, CHUNK), dtype=problem.dtype)

    def __call__(
        self, X: Entries, A: np.ndarray, H: np.ndarray, scratch: Scratch
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return P, Q and the loss; where the last chunk has no entries x = y = 1, of loss 0."""
        count, dtype = X.own.size, H.dtype
        shape = -(-count // CHUNK), CHUNK
        x, y, P = (scratch.take(name, shape, dtype) for name in ("x", "y", "P"))
        value = scratch.take("value", shape[:1], dtype)
        kernels.sparse_models(X.start, X.index, self.problem.k, A, H, y.ravel())
        x.ravel()[:count] = X.own
        x.ravel()[count:] = y.ravel()[count:] = 1
        beta = self.loss.beta
        kernels.entries(self.loss.entry, x, y, self.ones, self.least, beta, P, y, value)
        return P.ravel()[:count], y.ravel()[:count], float(value.sum(dtype=np.float64))


class StoredMU(SparseMU):
    """Multiplicative updates of any loss on the stored entries."""

    def __init__(self, problem: Problem, start: Factors, loss: Loss, update_W: bool) -> None:
        super().__init__(problem, start, loss.beta, update_W)
        self.loss = EntryLoss(problem, loss)

    def sides(
        self, X: Entries, A: Factor, H: np.ndarray, scratch: Scratch, wanted: bool
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the two sums of a step on rows H of X ~ H A', and their loss."""
        *both, loss = self.loss(X, A.rows, H, scratch)
        first, last = X.start[0], X.start[-1]
        num, den = (scratch.take(name, H.shape, H.dtype) for name in ("num", "den"))
        for of_entries, sums in zip(both, (num, den), strict=True):
            at = X.start - first, X.index[first:last], of_entries
            kernels.sparse_product(*at, self.problem.k, A.rows, sums)
        return num, den, loss


class StoredCD(Extrapolated):
    """Coordinate descent on the stored entries, squared error; see `frobenius.GramFit`."""

    def __init__(self, problem: Problem, start: Factors, update_W: bool, kept: bool) -> None:
        self.problem, self.factors, self.update_W = problem, start, update_W
        self.by_feature = cast(SparseSource, problem.X).by_feature
        self.loss = EntryLoss(problem, LOSSES["frobenius"])
        self.candidate = problem.factors()
        if not update_W:
            self.candidate.W = start.W
        self.epochs = EPOCHS if update_W else FIXED_EPOCHS
        self.momentum = Momentum(problem, start, kept) if update_W else None
        self.H = aligned((problem.N, problem.kp), problem.dtype)  # of the candidate, padded

    def first(self) -> float:
        """Return the objective at the start."""
        return self._objective(self.factors)

    def advance(self) -> None:
        """Make the candidate: one step on H, one on W."""
        W = self.factors.W
        if self.momentum is not None and self.momentum.weight_now:
            W = self.momentum.ahead(W)
        self._update_H(Rows(W, self.problem.k).rows)
        if self.update_W:
            self._update_W(W)

    def _descend(
        self, X: Entries, A: np.ndarray, H: np.ndarray, fixed: int, of: Penalty, scratch: Scratch
    ) -> None:
        """Improve rows H of X ~ H A'."""
        k = self.problem.k
        size = kernels.sparse_cd_work(X.start, k, H.shape[1], H.itemsize)
        work = scratch.take("work", (size,), H.dtype)
        args = X.start, X.index, X.x, k, A, H, fixed, self.epochs, of.l1, of.l2, work
        if fixed < k:
            kernels.sparse_cd(*args)

    def _update_H(self, W: np.ndarray) -> None:
        problem, new, momentum = self.problem, self.candidate.Ht, self.momentum

        def work(block: Block, scratch: Scratch) -> None:
            H = problem.coefficients(self.factors.Ht, block.rows, scratch)
            self._descend(problem.X.block(block.rows, scratch), W, H, 0, problem.H, scratch)
            if momentum is not None:
                momentum.extrapolate_H(H[:, : problem.k], block.rows, scratch)
            new[block.rows] = H[:, : problem.k]
            self.H[block.rows] = H

        problem.for_each_block(problem.samples, work)

    def _update_W(self, start: np.ndarray) -> None:
        problem, new = self.problem, self.candidate.W

        def work(block: Block, scratch: Scratch) -> None:
            W = new[block.rows]
            W[...] = start[block.rows]
            X = self.by_feature.rows(block.rows)
            self._descend(X, self.H, W, problem.fixed, problem.W, scratch)

        problem.for_each_block(problem.features, work)

    def objective(self, previous: float, last: bool) -> tuple[float, float]:
        """Return the objective of the candidate."""
        return self._objective(self.candidate), 0.0

    def _objective(self, at: Factors) -> float:
        problem = self.problem
        parts = problem.per_block(problem.samples)

        def work(block: Block, scratch: Scratch) -> None:
            H = problem.coefficients(at.Ht, block.rows, scratch)
            X = problem.X.block(block.rows, scratch)
            parts[block.index] = self.loss(X, at.W, H, scratch)[2] + problem.H(H)

        problem.for_each_block(problem.samples, work)
        return float(parts.sum()) + problem.W(at.W)
