# SPDX-License-Identifier: BSD-3-Clause
"""The losses, one record each, and their sums over the entries of a block of WH.

square   w (x - y)^2 / 2                         y = (WH)_ij, w the weight, 0 where not known
kl       w (x log(x / y) - x + y)                y at least `least`, so that no ratio overflows
is       w (x / y - log(x / y) - 1)              likewise
beta     w (x^b + (b - 1) y^b - b x y^(b - 1)) / (b (b - 1))         b neither 0, 1 nor 2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastcone._nmf import kernels
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


class Entries(NamedTuple):
    """The numerators and denominators of a step, before the sums, and the loss of a block."""

    num: np.ndarray
    den: np.ndarray
    loss: float


class DataLoss:
    """A loss on the data of a problem."""

    by_entry = True

    def __init__(self, problem: Problem, loss: Loss) -> None:
        self.problem, self.loss = problem, loss
        self.ones = np.ones((1, problem.m), dtype=problem.dtype)
        self.least = problem.W.floor * problem.H.floor

    def of_block(
        self, rows: slice, panels: np.ndarray, H: np.ndarray, scratch: Scratch, told: bool = True
    ) -> Entries:
        """Return w x y^(beta-2), w y^(beta-1), and, if `told`, the loss of a block."""
        problem = self.problem
        X = problem.X.opened(rows, scratch)
        Y = product(panels, H, scratch, "Y")
        P = scratch.take("P", Y.shape, problem.dtype)
        P[:, problem.m :] = 0
        weights = self.ones if problem.known is None else problem.weights(rows, scratch)
        value = scratch.take("value", (len(Y),), problem.dtype) if told else None
        kernels.entries(self.loss.entry, X, Y, weights, self.least, self.loss.beta, P, Y, value)
        return Entries(P, Y, 0.0 if value is None else float(value.sum(dtype=np.float64)))

    def __call__(self, factors: Factors) -> float:
        """Return the objective, penalties included."""
        return float(self.parts(factors).sum()) + self.problem.W(factors.W)

    def parts(self, factors: Factors) -> np.ndarray:
        """Return the objective but for the penalty of W, block by block."""
        problem = self.problem
        panels = pack(factors.W.T[: problem.k])
        parts = problem.per_block(problem.samples)

        def work(block: Block, scratch: Scratch) -> None:
            H = factors.Ht[block.rows]
            loss = self.of_block(block.rows, panels, H, scratch).loss
            parts[block.index] = loss + problem.H(H)

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
