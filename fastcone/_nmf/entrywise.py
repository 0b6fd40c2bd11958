# SPDX-License-Identifier: BSD-3-Clause
"""Multiplicative iterations that look at every entry of WH: Kullback-Leibler, and masks.

With Y = WH and w = 1 where known, the steps are ratios of two sums over the data,

    kl       h <- z,  (W'w) z + l1 z + l2 z^2 = h W'(w x / y)
    square   h <- h W'(w x) / (W'(w y) + l1 + l2 h)

and likewise for W with H. One pass over the samples serves one iteration:

    per block   Y = W H_b: the loss of the factors at hand; the sums over features; H_b <- step
                Y = W H_b: the sums over samples that the step on W will need

so the objective of an iteration comes out of the pass that already prepares the next one.
"""

from __future__ import annotations

import numpy as np

from fastcone import _dispatch
from fastcone._nmf.entries import Loss
from fastcone._nmf.problem import Block, Factors, Problem, add_groups, outer
from fastcone._panels import pack, product
from fastcone._threads import Scratch


class EntryFit:
    """`factors`, accepted; `candidate`, their successor; `ahead`, the H that follows it."""

    def __init__(self, problem: Problem, start: Factors, kind: str, update_W: bool) -> None:
        self.problem, self.factors, self.update_W = problem, start, update_W
        self.kind, self.loss = kind, Loss(problem, kind)
        self.candidate, self.ahead = problem.factors(), problem.factors()
        if not update_W:
            self.candidate.W = self.ahead.W = start.W
        rows = problem.mp if update_W else 0
        # kl on full data: W's denominators are the row sums of H, the same for every feature
        whole = kind == "kl" and problem.known is None
        self.num = problem.sums(problem.samples, rows, problem.kp)
        self.den = problem.sums(problem.samples, 1 if whole else rows, problem.kp)
        self.whole = whole

    def first(self) -> float:
        """Return the objective at the start."""
        return self._look(self.factors, self.candidate.Ht)

    def advance(self) -> None:
        """Make the candidate's W; its H is there already."""
        if self.update_W:
            self._update_W()

    def objective(self, before: float, last: bool) -> float:
        """Return the objective of the candidate, preparing the next one unless it is the last."""
        return self.loss(self.candidate) if last else self._look(self.candidate, self.ahead.Ht)

    def memory(self) -> dict[str, np.ndarray]:
        """Return what a resumed run must know besides the factors: nothing."""
        return {}

    def recall(self, memory: dict[str, np.ndarray]) -> None:
        """Continue as the run whose memory this is."""

    def accept(self) -> None:
        """Take the candidate; its predecessor's arrays serve the H after the next."""
        old = self.factors
        self.factors, self.candidate, self.ahead = self.candidate, self.ahead, old

    def _look(self, at: Factors, next_Ht: np.ndarray) -> float:
        """Return the objective `at` the factors; write the next H' and the sums for W."""
        problem, p = self.problem, self.problem.H
        columns, by_row = pack(at.W), pack(np.ascontiguousarray(at.W.T))
        unpadded = pack(at.W[: problem.m])
        column_sums = at.W.sum(axis=0, keepdims=True)
        parts = np.zeros(sum(map(len, problem.samples)))

        def work(block: Block, scratch: Scratch) -> None:
            X, rows = problem.X.block(block.rows, scratch), block.rows
            H = problem.coefficients(at.Ht, rows, scratch)
            Y, weights, loss = self.loss.of_block(rows, by_row, H, scratch)
            parts[block.index] = loss + p(H)
            if self.kind == "kl":
                num = product(columns, Y, scratch, "num")
                den = column_sums if self.whole else product(columns, weights, scratch, "den")
            else:
                num = product(unpadded, X, scratch, "num")
                den = product(columns, Y, scratch, "den")
            _dispatch.nmf_mu(self.kind, problem.k, H, num, den, p.l1, p.l2, p.floor)
            next_Ht[rows] = H[:, : problem.k]
            if self.update_W:
                self._add(block, X, by_row, H, scratch)

        problem.sweep(problem.samples, work)
        return float(parts.sum()) + problem.W(at.W)

    def _add(
        self, block: Block, X: np.ndarray, by_row: np.ndarray, H: np.ndarray, scratch: Scratch
    ) -> None:
        """Add a block to the numerators and denominators of the step on W."""
        num, den = self.num[block.group], self.den[block.group]
        if block.first:
            num[...] = 0
            den[...] = 0
        Y, weights, _ = self.loss.of_block(block.rows, by_row, H, scratch)
        outer(Y if self.kind == "kl" else X, H, num, scratch)
        if self.whole:
            den += H.sum(axis=0)
        else:
            outer(weights if self.kind == "kl" else Y, H, den, scratch)

    def _update_W(self) -> None:
        problem, p, new = self.problem, self.problem.W, self.candidate.W

        def work(block: Block, scratch: Scratch) -> None:
            num = add_groups(self.num, block.rows, scratch, "num")
            shared = slice(0, 1) if self.whole else block.rows
            den = add_groups(self.den, shared, scratch, "den")
            W = new[block.rows]
            W[...] = self.factors.W[block.rows]
            _dispatch.nmf_mu(self.kind, problem.k, W, num, den, p.l1, p.l2, p.floor)

        problem.sweep(problem.features, work)
