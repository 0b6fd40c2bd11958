# SPDX-License-Identifier: BSD-3-Clause
"""The losses, one record each, and their sums over the entries of a block of WH.

square   w (x - y)^2 / 2                         y = (WH)_ij, w the weight, 0 where not known
kl       w (x log(x / y) - x + y)                y at least `least`, so that no ratio overflows
is       w (x / y - log(x / y) - 1)              likewise
beta     w (x^b + (b - 1) y^b - b x y^(b - 1)) / (b (b - 1))         b neither 0, 1 nor 2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcone._nmf import kernels, passes
from fastcone._nmf.problem import Block, Factors, Penalty, Problem
from fastcone._nmf.products import pack, product
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import choice, number

BETAS = -4.0, 6.0  # beyond these the powers of float32 data leave its range


@dataclass(frozen=True)
class Loss:
    """A divergence: its name, its exponent, and the kernel's entry that knows it."""

    name: str
    beta: float
    entry: str

    @property
    def zeros_allowed(self) -> bool:
        """Whether X may hold zeros."""
        return self.beta > 0

    @property
    def sparse(self) -> bool:
        """Whether an iteration of its own serves sparse data without ever making them dense."""
        return self.entry in ("square", "kl")


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("frobenius", 2.0, "square"),
        Loss("kullback-leibler", 1.0, "kl"),
        Loss("itakura-saito", 0.0, "is"),
    )
}


SHORT = {"kl": "kullback-leibler", "is": "itakura-saito"}


def loss_of(given: Any) -> Loss:
    """Return the record of a loss told by its name or, any beta-divergence, by its exponent."""
    if isinstance(given, str):
        return LOSSES[choice("loss", SHORT.get(given, given), tuple(LOSSES))]
    beta = number("loss", given)
    if not BETAS[0] <= beta <= BETAS[1]:
        raise ValueError(f"loss must be within {BETAS[0]:g} and {BETAS[1]:g}, found {beta:g}")
    named = {loss.beta: loss for loss in reversed(LOSSES.values())}
    return named.get(beta, Loss(f"the beta-divergence of {beta:g}", beta, "beta"))


class DataLoss:
    """A loss on the data of a problem."""

    by_entry = True

    def __init__(self, problem: Problem, loss: Loss) -> None:
        self.problem, self.loss = problem, loss
        self.ones = np.ones((1, problem.m), dtype=problem.dtype)
        self.least = problem.W.floor * problem.H.floor

    def of_block(
        self, rows: slice, panels: np.ndarray, H: np.ndarray, scratch: Scratch
    ) -> float:  # fmt: skip
        """Return the loss of some samples."""
        X = self.problem.X.opened(rows, scratch)
        Y = product(panels, H, scratch, "Y")
        P = scratch.take("P", Y.shape, X.dtype)
        value = scratch.take("value", (len(Y),), X.dtype)
        weights = self.weights(rows, scratch)
        kernels.entries(self.loss.entry, X, Y, weights, self.least, self.loss.beta, P, Y, value)
        return float(value.sum(dtype=np.float64))

    def weights(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return the weights of a block, or one row of ones for all of it."""
        return self.ones if self.problem.known is None else self.problem.weights(rows, scratch)

    def __call__(self, factors: Factors) -> float:
        """Return the objective, penalties included."""
        return float(self.parts(factors).sum()) + self.problem.W(factors.W)

    def parts(self, factors: Factors) -> np.ndarray:
        """Return the objective but for the penalty of W, block by block."""
        return self.look(factors, None)

    def look(
        self,
        at: Factors,
        next_Ht: np.ndarray | None,
        step: Step | None = None,
        sums: Callable[[Block], tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> np.ndarray:
        """The same; with a `step` write the next H', add what it gives to the `sums` of a block."""
        problem, W, k = self.problem, at.W, self.problem.k
        stages = 0 if step is None else 1 if sums is None else 2
        packed = pack(W.T[:k]), pack(W[: problem.m, :k])
        size = passes.look_work(problem.kp, problem.dtype.itemsize)
        kind = ("ratio", 1.0) if step is None else (step.kind, step.exponent)
        limits = problem.H.l1, problem.H.l2, problem.H.floor, self.least
        parts = problem.per_block(problem.samples)

        def work(block: Block, scratch: Scratch) -> None:
            H = at.Ht[block.rows]
            Z = H if next_Ht is None else next_Ht[block.rows]
            X, weights = problem.X.opened(block.rows, scratch), self.weights(block.rows, scratch)
            num, den = (None, None) if sums is None else sums(block)
            value = scratch.take("loss", (len(H),), problem.dtype)
            room = scratch.take("work", (size,), problem.dtype)
            passes.look(
                self.loss.entry, self.loss.beta, *kind, X, weights, *packed, H, Z, num, den, stages,
                *limits, value, room,
            )  # fmt: skip
            parts[block.index] = passes.total(value) + problem.H(H)

        problem.for_each_block(problem.samples, work)
        return parts


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
