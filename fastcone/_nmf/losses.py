# SPDX-License-Identifier: BSD-3-Clause
"""The losses that are formed entry by entry, one block of WH at a time.

square   w (x - y)^2 / 2                         y = (WH)_ij, w the weight, 0 where not known
kl       w (x log(x / y) - x + y)                y at least `least`, so that no ratio overflows
is       w (x / y - log(x / y) - 1)              likewise
beta     w (x^b + (b - 1) y^b - b x y^(b - 1)) / (b (b - 1))         b neither 0, 1 nor 2
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastcone._nmf import kernels
from fastcone._nmf.problem import Block, Factors, Penalty, Problem
from fastcone._runtime.layout import pack, product
from fastcone._runtime.threads import Scratch

KINDS = {2.0: "square", 1.0: "kl", 0.0: "is"}


class Entries(NamedTuple):
    """The numerators and denominators of a step, before the sums, and the loss of a block."""

    num: np.ndarray
    den: np.ndarray
    loss: float


class Loss:
    """The beta-divergence on the data of a problem."""

    def __init__(self, problem: Problem, beta: float) -> None:
        self.problem, self.beta, self.kind = problem, beta, KINDS.get(beta, "beta")
        self.ones = np.ones((1, problem.m), dtype=problem.dtype)
        self.least = problem.W.floor * problem.H.floor

    def of_block(self, rows: slice, panels: np.ndarray, H: np.ndarray, scratch: Scratch) -> Entries:
        """Return w x y^(beta-2), w y^(beta-1), and the loss of a block."""
        problem = self.problem
        X = problem.X.block(rows, scratch)
        Y = product(panels, H, scratch, "Y")
        P = scratch.take("P", Y.shape, problem.dtype)
        P[:, problem.m :] = 0
        weights = self.ones if problem.known is None else problem.weights(rows, scratch)
        value = scratch.take("value", (len(Y),), problem.dtype)
        kernels.entries(self.kind, X, Y, weights, self.least, self.beta, P, Y, value)
        return Entries(P, Y, float(value.sum(dtype=np.float64)))

    def __call__(self, factors: Factors) -> float:
        """Return the objective, penalties included."""
        problem = self.problem
        panels = pack(np.ascontiguousarray(factors.W.T))
        parts = problem.per_block(problem.samples)

        def work(block: Block, scratch: Scratch) -> None:
            H = problem.coefficients(factors.Ht, block.rows, scratch)
            loss = self.of_block(block.rows, panels, H, scratch).loss
            parts[block.index] = loss + problem.H(H)

        problem.sweep(problem.samples, work)
        return float(parts.sum()) + problem.W(factors.W)


class Step:
    """The minimiser of the separable bound of the objective (docs/nmf.md), a power of a ratio."""

    def __init__(self, beta: float, penalty: Penalty, rank: int) -> None:
        self.penalty, self.rank = penalty, rank
        if beta > 2:
            self.exponent = 1 / (beta - 1)
        elif penalty.l2:
            self.exponent = 1 / (3 - beta)
        else:
            self.exponent = 1 / (2 - beta) if beta < 1 else 1.0
        self.kind = "ratio" if self.exponent == 1 else "power"
        if beta == 1:
            self.kind = "root"

    def __call__(self, H: np.ndarray, num: np.ndarray, den: np.ndarray) -> None:
        """Improve the rows of H."""
        p = self.penalty
        kernels.mu(self.kind, self.rank, H, num, den, p.l1, p.l2, p.floor, self.exponent)
