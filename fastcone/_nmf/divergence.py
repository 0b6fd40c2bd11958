# SPDX-License-Identifier: BSD-3-Clause
"""Multiplicative iterations that look at every entry of WH: any beta-divergence, masks, weights.

With Y = WH, P = w x y^(beta-2) and Q = w y^(beta-1), the steps are functions of two sums over the
data (`losses.Step`),

    h <- step(h, W'P, W'Q)         and likewise for W with H.

One pass over the samples serves one iteration, in one compiled call per block (`passes.look`):

    Y = W H_b: the loss of the factors at hand; the sums over features; H_b <- step
    Y = W H_b: the sums over samples that the step on W will need

so the objective of an iteration comes out of the pass that already prepares the next one.
Kullback-Leibler on full data (`KLFit`) does the same in a kernel of its own, whose denominators
are column sums, and which leaves out the zeros of X.
"""

from __future__ import annotations

import functools

import numpy as np

from fastcone._nmf import kernels, passes
from fastcone._nmf.losses import DataLoss, Loss, Step
from fastcone._nmf.problem import Block, Factors, Problem, add_groups, of_group
from fastcone._nmf.products import pack
from fastcone._nmf.small import Turns
from fastcone._nmf.update import Update
from fastcone._runtime.threads import Scratch

NEIGHBOURS = 16  # samples that tell whether features are zero side by side
FULL = 0.6  # of the features: above, leaving out the others gains nothing


class EntryFit(Update):
    """`factors`, accepted; `candidate`, their successor; `ahead`, the H that follows it."""

    den_rows: int | None = None  # rows of W's denominators, if not one for each feature

    def __init__(self, problem: Problem, start: Factors, loss: Loss, update_W: bool) -> None:
        self.problem, self.factors, self.update_W = problem, start, update_W
        self.loss = DataLoss(problem, loss)
        self.step_H = Step(loss.beta, problem.H, problem.k)
        self.step_W = Step(loss.beta, problem.W, problem.k)
        self.candidate, self.ahead = problem.factors(), problem.factors()
        if not update_W:
            self.candidate.W = self.ahead.W = start.W
        rows = problem.mp if update_W else 0
        self.num = problem.sums(problem.samples, rows, problem.kp)
        self.den = problem.sums(problem.samples, self.den_rows or rows, problem.kp)

    def alike(self) -> bool:
        """Whether all blocks go through the kernel that takes samples as they lie."""
        return True

    def first(self) -> float:
        """Return the objective at the start."""
        return self._look(self.factors, self.candidate.Ht)

    def advance(self) -> None:
        """Make the candidate's W; its H is there already."""
        if self.update_W:
            self._update_W()

    @functools.cached_property
    def turns(self) -> Turns | None:
        """Many iterations in one call, where that serves: made once the clock may stop the run."""
        return Turns.of(self) if self.update_W else None

    def several(self, first: float, previous: float, most: int, tol: float) -> list[float]:
        """Make the candidate of several iterations while each plainly gains; see `Update`."""
        if self.turns is None:
            return []
        values, whole = self.turns(first, previous, most, tol)
        if not whole:  # the sums for W are those of an iteration that was not taken
            at, then = (self.candidate, self.ahead) if values else (self.factors, self.candidate)
            self._look(at, then.Ht)
        return values

    def objective(self, previous: float, last: bool) -> tuple[float, float]:
        """Return the objective of the candidate, preparing the next one unless it is the last."""
        return self._look(self.candidate, None if last else self.ahead.Ht), 0.0

    def accept(self) -> None:
        """Take the candidate; its predecessor's arrays serve the H after the next."""
        old = self.factors
        self.factors, self.candidate, self.ahead = self.candidate, self.ahead, old

    def _look(self, at: Factors, next_Ht: np.ndarray | None) -> float:
        """Return the objective `at` the factors; write the next H' and the sums for W."""
        return float(self.look(at, next_Ht).sum()) + self.problem.W(at.W)

    def look(self, at: Factors, next_Ht: np.ndarray | None) -> np.ndarray:
        """The same; return the objective but for the penalty of W, block by block.

        It reads W and the coefficients alone: where the samples are elsewhere, so is this pass
        (`remote.py`).
        """
        if next_Ht is None:
            return self.loss.parts(at)
        return self.loss.look(at, next_Ht, self.step_H, self._sums if self.update_W else None)

    def _sums(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of the block's group, zero for its first block."""
        return of_group(self.num, block), of_group(self.den, block)

    def _update_W(self) -> None:
        problem, new, old, fixed = (
            self.problem,
            self.candidate.W,
            self.factors.W,
            self.problem.fixed,
        )

        def work(block: Block, scratch: Scratch) -> None:
            num = add_groups(self.num, block.rows, scratch, "num")
            shared = block.rows if self.den_rows is None else slice(0, self.den_rows)
            W = new[block.rows]
            W[...] = old[block.rows]
            self.step_W(W, num, add_groups(self.den, shared, scratch, "den"))
            W[:, :fixed] = old[block.rows, :fixed]

        problem.for_each_block(problem.features, work)


class KLFit(EntryFit):
    """Kullback-Leibler, every entry known: the denominators are the same for every feature.

    Blocks of samples many of whose features are zero side by side go through the kernel that
    leaves these out (`kl`), all others through the one that takes samples as they lie (`kl_rows`).
    """

    den_rows = 1

    def alike(self) -> bool:
        """Whether all blocks go through the kernel that takes samples as they lie."""
        return bool(self.full.all())

    @functools.cached_property
    def full(self) -> np.ndarray:
        """Whether most features are seen, block by block; a look at a few samples of each."""
        problem = self.problem
        found = problem.per_block(problem.samples).astype(bool)

        def work(block: Block, scratch: Scratch) -> None:
            first = slice(block.rows.start, min(block.rows.start + NEIGHBOURS, block.rows.stop))
            seen = problem.X.block(first, scratch).max(axis=0)
            found[block.index] = np.count_nonzero(seen) > FULL * len(seen)

        problem.for_each_block(problem.samples, work)
        return found

    def look(self, at: Factors, next_Ht: np.ndarray | None) -> np.ndarray:
        """Make the next H' and the sums for W; see EntryFit."""
        problem, W, k = self.problem, at.W, self.problem.k
        stages = 0 if next_Ht is None else 2 if self.update_W else 1
        packed = (pack(W.T[:k]), pack(W[: problem.m, :k])) if self.full.any() else (W, W)
        column_sums = W.sum(axis=0)
        parts = problem.per_block(problem.samples)

        def work(block: Block, scratch: Scratch) -> None:
            X, H = problem.X.block(block.rows, scratch), at.Ht[block.rows]
            Z = H if next_Ht is None else next_Ht[block.rows]
            sums, den = self._sums(block) if stages == 2 else (W, W)
            loss = scratch.take("loss", (len(H),), problem.dtype)
            limits = problem.H.l1, problem.H.l2, problem.H.floor, self.loss.least
            if self.full[block.index]:
                size = kernels.kl_rows_work(problem.kp, problem.dtype.itemsize)
                room = scratch.take("work", (size,), problem.dtype)
                kernels.kl_rows(X, *packed, column_sums, H, Z, sums, stages, *limits, loss, room)
            else:
                size = kernels.kl_work(problem.m, problem.kp, problem.dtype.itemsize)
                room = scratch.take("work", (size,), problem.dtype)
                index = scratch.take("index", (problem.m + problem.kp,), np.intp)
                wide = problem.coefficients(at.Ht, block.rows, scratch)
                kernels.kl(k, X, W, column_sums, wide, sums, stages, *limits, loss, room, index)
                if stages:
                    Z[...] = wide[:, :k]
            parts[block.index] = passes.total(loss) + problem.H(H)
            if stages == 2:
                passes.add_rows(Z, den[0])

        problem.for_each_block(problem.samples, work)
        return parts
