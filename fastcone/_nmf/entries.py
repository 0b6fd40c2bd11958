# SPDX-License-Identifier: BSD-3-Clause
"""The losses that are formed entry by entry, one block of WH at a time.

square   sum w (x - y)^2 / 2             y = (WH)_ij, w = 1 where known, 0 elsewhere
kl       sum w (x log(x / y) - x + y)    y at least `least`, so that no ratio overflows
"""

from __future__ import annotations

import numpy as np

from fastcone import _dispatch
from fastcone._nmf.problem import Block, Factors, Problem
from fastcone._panels import pack, product
from fastcone._threads import Scratch


class Loss:
    """One of the losses on the data of a problem."""

    def __init__(self, problem: Problem, kind: str) -> None:
        self.problem, self.kind = problem, kind
        self.ones = np.ones((1, problem.m), dtype=problem.dtype)
        self.least = problem.W.floor * problem.H.floor

    def of_block(
        self, rows: slice, panels: np.ndarray, H: np.ndarray, scratch: Scratch
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return w x / y (kl) or w y (square), the weights, and the loss of a block."""
        problem = self.problem
        Y = product(panels, H, scratch, "Y")
        weights = self.ones if problem.known is None else problem.weights(rows, scratch)
        value = scratch.take("value", (len(Y),), problem.dtype)
        _dispatch.nmf_entries(
            self.kind, problem.X.block(rows, scratch), Y, weights, self.least, Y, value
        )
        return Y, weights, float(value.sum(dtype=np.float64))

    def __call__(self, factors: Factors) -> float:
        """Return the objective, penalties included."""
        problem = self.problem
        panels = pack(np.ascontiguousarray(factors.W.T))
        parts = np.zeros(sum(map(len, problem.samples)))

        def work(block: Block, scratch: Scratch) -> None:
            H = problem.coefficients(factors.Ht, block.rows, scratch)
            loss = self.of_block(block.rows, panels, H, scratch)[2]
            parts[block.index] = loss + problem.H(H)

        problem.sweep(problem.samples, work)
        return float(parts.sum()) + problem.W(factors.W)
