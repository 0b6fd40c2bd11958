# SPDX-License-Identifier: BSD-3-Clause
"""Iterations that see the data only through W'X and XH': squared error, every entry known.

One iteration is one pass over the samples and a short one over the rows of W:

    per block of samples   C = W'X_b,  H_b <- step(W'W, C, H_b),  XH' += X_b H_b',  HH' += H_b H_b'
    per block of rows      W_r <- step(HH', XH'_r, W_r),  W'W += W_r'W_r

and the objective of the new factors follows from the same sums,

    1/2 ||X - WH||^2 = 1/2 ||X||^2 - <W, XH'> + 1/2 <W'W, HH'>,

until the fit is so good, or progress so slow, that the rounding errors of this difference could
hide an increase: from then on the residual is formed entry by entry.

Coordinate descent extrapolates both factors between the half-steps (`momentum`): W before H is
updated, H before its sums are formed. What it proposes is the new W and the extrapolated H, whose
objective the sums give.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastcone._nmf import kernels
from fastcone._nmf.cycles import inner
from fastcone._nmf.dense import GroupSums
from fastcone._nmf.extrapolation import Momentum
from fastcone._nmf.losses import LOSSES, DataLoss
from fastcone._nmf.problem import (
    Block,
    Factors,
    Penalty,
    Problem,
    dot,
    of_group,
)
from fastcone._nmf.products import outer, pack
from fastcone._nmf.small import Rounds
from fastcone._nmf.sparse import SparseLoss
from fastcone._nmf.update import Extrapolated
from fastcone._nnls import kernels as nnls_kernels
from fastcone._runtime.layout import blocks, pack_symmetric
from fastcone._runtime.threads import Scratch

NOISE = 64 * float(np.finfo(np.float64).eps)  # of an objective, relative to what it is a sum of
NEAR = 1e-3  # of 1/2 ||X||^2: objectives below are formed entry by entry
EPOCHS_H, EPOCHS_W = 5, 5  # of coordinate descent per iteration: cheap beside the products
LITTLE = 4e7  # flops of a multiplicative iteration below which another thread does not pay
FIXED_EPOCHS = 8  # over H while W is kept


def whole(sums: np.ndarray) -> np.ndarray:
    """Return the sum of the groups' sums, a new array."""
    return sums[0].copy() if len(sums) == 1 else sums.sum(axis=0)


class Descent:
    """Epochs of coordinate descent on  1/2 x'(G + l2)x - (c - l1)'x,  a row each of C and X.

    The `fixed` leading coordinates stay as they are.
    """

    def __init__(
        self, G: np.ndarray, penalty: Penalty, rank: int, epochs: int, fixed: int = 0
    ) -> None:
        n = blocks(rank)
        G = G[:n, :n].copy()
        G[np.arange(rank), np.arange(rank)] += G.dtype.type(penalty.l2)
        self.weight = G.diagonal().copy()
        used = self.weight > np.finfo(G.dtype).tiny / np.finfo(G.dtype).eps
        used[:fixed] = False
        self.inv = np.divide(1, self.weight, out=np.zeros_like(self.weight), where=used)
        self.G = pack_symmetric(G)
        self.l1, self.epochs = penalty.l1, epochs

    def half(
        self,
        C: np.ndarray,
        old: np.ndarray,
        new: np.ndarray,
        gram: np.ndarray,
        scratch: Scratch,
        then: Callable[[np.ndarray], None] | None = None,
    ) -> float:
        """Write the step on the rows `old`, add their Gram matrix, return <C, new>.

        `then` changes the rows in between.
        """
        (p, k), ld = old.shape, C.shape[1]
        F = scratch.take("rows", (p, ld), C.dtype)
        F[:, :k] = old
        F[:, k:] = 0
        self(C, F, scratch)
        if then is not None:
            then(F[:, :k])
        new[...] = F[:, :k]
        outer(new, new, gram, scratch)
        return dot(C[:, :k], new)

    def __call__(self, C: np.ndarray, X: np.ndarray, scratch: Scratch) -> None:
        """Improve the rows of X, padded as those of C."""
        p, dtype = len(X), X.dtype
        if self.l1:
            C = np.subtract(C, self.l1, out=scratch.take("C - l1", C.shape, dtype))
        stop = scratch.take("stop", (p,), dtype)
        stop[...] = 0
        last = scratch.take("last", (p,), dtype)
        used = scratch.take("epochs", (p,), np.intc)
        schedule = scratch.take("schedule", (p, 2), np.float64)
        schedule[...] = 1  # without a limit there is no extrapolation
        most = scratch.take("most", (p,), np.intc)
        most[...] = self.epochs
        work = scratch.take("work", (nnls_kernels.nnls_work(len(self.inv), dtype),), dtype)
        nnls_kernels.nnls_cd(
            self.G, self.inv, self.weight, C, X, stop, schedule, last, most, used, work
        )


class Multiplication:
    """One multiplicative step on the same problem."""

    def __init__(
        self, G: np.ndarray, penalty: Penalty, rank: int, epochs: int, fixed: int = 0
    ) -> None:
        self.panels, self.penalty, self.fixed = pack(G[:rank]), penalty, fixed

    def samples(
        self,
        X: np.ndarray,
        A: np.ndarray,
        old: np.ndarray,
        new: np.ndarray,
        gram: np.ndarray,
        sums: np.ndarray | None,
        scratch: Scratch,
    ) -> float:
        """Do for a block of dense samples all that `half` does, C = X A and sums += X'new."""
        p, n, dtype = self.penalty, gram.shape[1], X.dtype
        work = scratch.take("multiply", (kernels.multiply_work(n, dtype.itemsize),), dtype)
        C = scratch.take("C", (len(X), n), dtype)
        return kernels.mu_samples(
            X, A, self.panels, old, new, p.l1, p.l2, p.floor, gram, sums, C, work
        )

    def half(
        self,
        C: np.ndarray,
        old: np.ndarray,
        new: np.ndarray,
        gram: np.ndarray,
        scratch: Scratch,
        then: Callable[[np.ndarray], None] | None = None,
    ) -> float:
        """Write the step on the rows `old`, add their Gram matrix, return <C, new>."""
        p = self.penalty
        size = kernels.multiply_work(C.shape[1], C.dtype.itemsize)
        work = scratch.take("multiply", (size,), C.dtype)
        return kernels.multiply(
            C, self.panels, old, new, self.fixed, p.l1, p.l2, p.floor, gram, work
        )


def half_norms(problem: Problem) -> np.ndarray:
    """Return 1/2 ||X_b||^2 of every block of samples."""
    parts = problem.per_block(problem.samples)

    def work(block: Block, scratch: Scratch) -> None:
        X = problem.X
        parts[block.index] = X.square(X.block(block.rows, scratch)) / 2

    problem.for_each_block(problem.samples, work)
    return parts


STEPS: dict[str, type[Descent | Multiplication]] = {"cd": Descent, "mu": Multiplication}


class GramFit(Extrapolated):
    """The state between iterations: `factors`, accepted, and `candidate`, their successor."""

    def __init__(
        self, problem: Problem, start: Factors, solver: str, update_W: bool, kept: bool = False
    ) -> None:
        self.problem, self.factors, self.update_W = problem, start, update_W
        self.loss: DataLoss | SparseLoss
        self.loss = (
            SparseLoss(problem) if problem.X.sparse else DataLoss(problem, LOSSES["frobenius"])
        )
        problem.little |= solver == "mu" and problem.flops < LITTLE
        self.step, self.epochs_H = STEPS[solver], EPOCHS_H if update_W else FIXED_EPOCHS
        self.of_H, self.of_W = problem.H, problem.W  # the penalties beside squares of weight 1
        self.candidate = problem.factors()
        if not update_W:
            self.candidate.W = start.W
        extrapolates = update_W and solver == "cd"
        self.momentum = Momentum(problem, start, kept) if extrapolates else None
        self.entrywise = False  # whether entries are looked at, at present
        self.accepted_entrywise = False  # and when an iteration was last accepted
        kp = problem.kp
        self.HH = problem.sums(problem.samples, kp, kp)
        self.WW = problem.sums(problem.features, kp, kp)
        self.XH = problem.X.sums(problem, problem.k)
        plain = type(self) is GramFit and solver == "mu"
        self.rounds = Rounds.of(problem, start, update_W) if plain else None

    def first(self) -> float:
        """Return the objective at the start."""
        self.half_norm = self._half_norm()
        self.G = self.next_G = self._gram(self.factors.W)
        return self.loss(self.factors)

    def _half_norm(self) -> float:
        """Return 1/2 ||X||^2."""
        return float(self.problem.over(half_norms).sum())

    def _gram(self, W: np.ndarray) -> np.ndarray:
        """Return W'W."""

        def work(block: Block, scratch: Scratch) -> None:
            rows = W[block.rows, : self.problem.k]
            outer(rows, rows, of_group(self.WW, block), scratch)

        self.problem.for_each_block(self.problem.features, work)
        return whole(self.WW)

    def advance(self) -> None:
        """Make the candidate: one step on H, one on W."""
        W, G = self.ahead()
        self.took_H(self.update_H(W, G))
        if self.update_W:
            self._update_W(W)
        else:
            self.finish(np.array([0.0, self.problem.W(self.factors.W)]))

    def ahead(self) -> tuple[np.ndarray, np.ndarray]:
        """Return W, extrapolated if it is, and W'W, which the step on H sees."""
        if self.momentum is None or not self.momentum.weight_now:
            return self.factors.W, self.G
        W = self.momentum.ahead(self.factors.W)
        return W, self._gram(W)

    def _samples(self, block: Block, H: np.ndarray, scratch: Scratch) -> Any:
        """Return the samples of a block that the step on their coefficients H' sees."""
        return self.problem.X.block(block.rows, scratch)

    def _refreshed(self, block: Block, X: Any, H: np.ndarray, scratch: Scratch) -> Any:
        """Return the same samples as the step on W sees them, after H has changed."""
        return X

    def update_H(self, W: np.ndarray, G: np.ndarray) -> np.ndarray:
        """Make the candidate's H and the sums of it; return its parts of `value`, block by block.

        It reads W, G and the coefficients alone: where the samples are elsewhere, so is this pass
        (`remote.py`).
        """
        problem, old, new = self.problem, self.factors.Ht, self.candidate.Ht
        A = problem.X.operand(W[: problem.m], problem.k)
        step = self.step_H(G)
        parts = problem.per_block(problem.samples, 2)

        def work(block: Block, scratch: Scratch) -> None:
            rows = block.rows
            X = self._samples(block, old[rows], scratch)
            if isinstance(step, Multiplication) and isinstance(self.XH, GroupSums):
                sums = self.XH.of_group(block) if self.update_W else None
                gram = of_group(self.HH, block)
                found = step.samples(X, A, old[rows], new[rows], gram, sums, scratch)
                parts[block.index] = self._parts_of_H(found, rows)
                return
            C = problem.X.product(X, A, scratch, "C")
            parts[block.index] = self.block_of_H(block, step, C, scratch)
            if self.update_W:
                X = self._refreshed(block, X, new[rows], scratch)
                self.XH.add(block, X, new[rows], scratch)

        problem.for_each_block(problem.samples, work)
        return parts

    def step_H(self, G: np.ndarray) -> Descent | Multiplication:
        """Return the step on H for this W'W."""
        return self.step(G, self.of_H, self.problem.k, self.epochs_H)

    def block_of_H(
        self, block: Block, step: Descent | Multiplication, C: np.ndarray, scratch: Scratch
    ) -> tuple[float, float]:
        """Improve a block of H', add it to HH'; return its parts of `value`."""
        rows, then = block.rows, None
        if self.momentum is not None:
            then = functools.partial(self.momentum.extrapolate_H, rows=rows, scratch=scratch)
        old, new = self.factors.Ht[rows], self.candidate.Ht[rows]
        found = step.half(C, old, new, of_group(self.HH, block), scratch, then)
        return self._parts_of_H(found, rows)

    def _parts_of_H(self, found: float, rows: slice) -> tuple[float, float]:
        """Return the parts of `value` of some rows of H', <C, H> found."""
        return 0.0 if self.update_W else -found, self.problem.H(self.candidate.Ht[rows])

    def took_H(self, parts: np.ndarray) -> None:
        """Begin `value`, -<C, H> or -<XH', W> and the penalties, with the parts that H told."""
        self.value, self.all_HH = parts.sum(axis=0), whole(self.HH)

    def _update_W(self, start: np.ndarray) -> None:
        problem, step = self.problem, self.step_W()
        parts = problem.per_block(problem.features, 2)

        def work(block: Block, scratch: Scratch) -> None:
            C = self.XH.rows(block.rows, self.candidate.Ht, scratch)
            parts[block.index] = self.block_of_W(block, step, C, start, scratch)

        problem.for_each_block(problem.features, work)
        self.next_G = whole(self.WW)
        self.finish(parts.sum(axis=0))

    def step_W(self) -> Descent | Multiplication:
        """Return the step on W for the HH' at hand."""
        problem = self.problem
        return self.step(self.all_HH, self.of_W, problem.k, EPOCHS_W, problem.fixed)

    def block_of_W(
        self,
        block: Block,
        step: Descent | Multiplication,
        C: np.ndarray,
        start: np.ndarray,
        scratch: Scratch,
    ) -> tuple[float, float]:
        """Improve a block of W, add it to W'W; return its parts of `value`."""
        rows, k, new = block.rows, self.problem.k, self.candidate.W
        gram = of_group(self.WW, block)
        found = step.half(C, start[rows, :k], new[rows, :k], gram, scratch)
        return -found, self.problem.W(new[rows])

    def finish(self, parts: np.ndarray) -> None:
        """Complete `value`, given its parts that the step on W told."""
        self.value += parts
        self.value[0] += inner(self.next_G, self.all_HH) / 2

    def several(self, first: float, previous: float, most: int, tol: float) -> list[float]:
        """Make the candidate of several iterations while each plainly gains; see `Update`."""
        if self.rounds is None or self.entrywise:
            return []
        limits = self.half_norm, NEAR * self.half_norm, NOISE * self.half_norm
        G = self.G.copy()
        at, to = self.factors, self.candidate
        values = self.rounds(at, G, to, limits, first, previous, most, tol)
        if values:
            self.next_G = G
        return values

    def objective(self, previous: float, last: bool) -> tuple[float, float]:
        """Return the objective of the candidate, and what those before were at least.

        Earlier objectives, computed from sums, may be too low by rounding. Where that shows, the
        entries are looked at from now on, and the exact value of `factors` tells by how much.
        """
        fit = self.half_norm + self.value[0]
        total, least = fit + self.value[1], 0.0
        extrapolated = self.momentum is not None and self.momentum.weight_now > 0
        doubtful = fit < NEAR * self.half_norm or (total > previous and not extrapolated)
        if doubtful and not self.entrywise:
            self.entrywise, least = True, self.loss(self.factors)
        return (self.loss(self.candidate) if self.entrywise else float(total)), least

    def noise(self, value: float) -> float:
        """Return the rounding of the objective: of a sum of its size, or of that of ||X||^2 / 2."""
        size = value if self.entrywise and self.loss.by_entry else self.half_norm
        return NOISE * size

    def memory(self) -> dict[str, np.ndarray]:
        """Return what a resumed run must know besides the factors."""
        known = {"entrywise": np.array([float(self.accepted_entrywise)])}
        return known | super().memory()

    def recall(self, memory: dict[str, np.ndarray]) -> None:
        """Continue as the run whose memory this is."""
        self.entrywise = self.accepted_entrywise = bool(memory["entrywise"][0])
        super().recall(memory)

    def accept(self) -> None:
        """Take the candidate; its predecessor's arrays serve the next one."""
        super().accept()
        self.G, self.accepted_entrywise = self.next_G, self.entrywise
