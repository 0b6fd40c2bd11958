# SPDX-License-Identifier: BSD-3-Clause
"""Small tables: many multiplicative iterations in one compiled call (`cycles.pyx`, `turns.pyx`).

An iteration of a 30 x 10 table takes a few microseconds, and Python between iterations ten times
as long. The results, bit by bit, are those of iterations made one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._nmf import cycles, turns
from fastcone._nmf.problem import Block, Factors, Problem
from fastcone._runtime.threads import aligned

WORK = 1e8  # flops of a call, at most: some milliseconds between looks at the clock and for Ctrl-C


PAIRWISE = 8  # numbers that NumPy adds up one after the other, fewer than


def _samples(problem: Problem) -> np.ndarray | None:
    """Return the samples where they lie as the calls want them and sums tell the objective."""
    X = getattr(problem.X, "whole", None)
    penalties = problem.W.l1, problem.W.l2, problem.H.l1, problem.H.l2
    plain = type(problem) is Problem and problem.known is None and not any(penalties)
    return X if plain and problem.little else None


def _cut(groups: list[list[Block]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of all blocks, and the group of each."""
    blocks = [block for group in groups for block in group]
    edges = [0, *(block.rows.stop for block in blocks)]
    return np.array(edges, dtype=np.intp), np.array([b.group for b in blocks], dtype=np.intp)


class Rounds:
    """The call, and the room for it."""

    @classmethod
    def of(cls, problem: Problem, start: Factors, update_W: bool) -> Rounds | None:
        """Return the call, where it serves."""
        X = _samples(problem)
        return None if X is None else cls(problem, X, start, update_W)

    def __init__(self, problem: Problem, X: np.ndarray, start: Factors, update_W: bool) -> None:
        self.problem, self.X, self.update_W = problem, X, update_W
        self.samples, self.features = _cut(problem.samples), _cut(problem.features)
        self.spare = Factors(
            problem.room_for_W() if update_W else start.W, np.empty_like(start.Ht)
        )  # fmt: skip
        size = cycles.room(problem.m, problem.kp, self.samples[0], problem.dtype.itemsize)
        self.work = aligned((size,), problem.dtype)

    def __call__(
        self,
        at: Factors,
        G: np.ndarray,
        to: Factors,
        limits: tuple[float, float, float],
        first: float,
        previous: float,
        most: int,
        tol: float,
    ) -> list[float]:
        """Iterate; write the last factors and their W'W; return the objective of each iteration.

        limits: half the square of X, the least objective the sums tell, the noise of one.
        """
        problem = self.problem
        values = np.empty(max(min(most, int(WORK / problem.flops)), 1))
        of_H, of_W = ((p.l1, p.l2, p.floor) for p in (problem.H, problem.W))
        count = cycles.rounds(
            self.X, *self.samples, of_H, *self.features, of_W, problem.fixed,
            self.update_W, at.W, at.Ht, G, to.W, to.Ht, self.spare.W, self.spare.Ht, *limits,
            first, previous, tol, values, self.work,
        )  # fmt: skip
        return values[:count].tolist()


class Turns:
    """The call for a `divergence.EntryFit`, and the room for it."""

    @classmethod
    def of(cls, fit: Any) -> Turns | None:
        """Return the call, where it serves."""
        X = _samples(fit.problem)
        few = sum(map(len, fit.problem.samples)) < PAIRWISE
        return cls(fit, X) if X is not None and few and fit.alike() else None

    def __init__(self, fit: Any, X: np.ndarray) -> None:
        self.fit, self.X, self.kl = fit, X, fit.den_rows == 1
        problem = fit.problem
        self.edges, self.group = _cut(problem.samples)
        mp, k, n = problem.mp, problem.k, problem.kp
        self.W = aligned((2, mp, n), problem.dtype)
        self.H = np.empty((3, problem.N, k), problem.dtype)
        longest = int(np.diff(self.edges).max())
        size = turns.room(problem.m, mp, k, n, longest, problem.dtype.itemsize)
        self.work = aligned((size,), problem.dtype)
        self.num, self.den = (aligned(sums[0].shape, sums.dtype) for sums in (fit.num, fit.den))

    def __call__(
        self, first: float, previous: float, most: int, tol: float
    ) -> tuple[list[float], bool]:
        """Iterate; return the objective of each iteration, and whether all that were made gained.

        Writes the fit's candidate, what follows it, and the sums for the next W.
        """
        fit, problem, loss = self.fit, self.fit.problem, self.fit.loss
        values = np.empty(max(min(most, int(WORK / problem.flops)), 1))
        self.W[0], self.H[0] = fit.factors.W, fit.candidate.Ht
        np.add.reduce(fit.num, axis=0, out=self.num)
        np.add.reduce(fit.den, axis=0, out=self.den)
        of_H, of_W = ((p.l1, p.l2, p.floor) for p in (problem.H, problem.W))
        H, W = fit.step_H, fit.step_W
        count, at_W, at_H, then = turns.turns(
            self.kl, loss.loss.entry, loss.loss.beta, H.kind, H.exponent, W.kind, W.exponent,
            self.X, loss.ones, self.edges, self.group, of_H, of_W, loss.least, problem.fixed,
            self.W, self.H, self.num, self.den, first, previous, tol, values, self.work,
        )  # fmt: skip
        if count:
            fit.candidate.W[...], fit.candidate.Ht[...] = self.W[at_W], self.H[at_H]
            fit.ahead.Ht[...] = self.H[then]
        fit.num[1:], fit.den[1:] = 0, 0
        fit.num[0], fit.den[0] = self.num, self.den
        return values[:count].tolist(), count == len(values)
