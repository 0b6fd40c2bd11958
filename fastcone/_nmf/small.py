# SPDX-License-Identifier: BSD-3-Clause
"""Small tables: many multiplicative iterations in one compiled call (`cycles.pyx`).

An iteration of a 30 x 10 table takes a few microseconds, and Python between iterations ten times
as long. The results, bit by bit, are those of iterations made one by one.
"""

from __future__ import annotations

import numpy as np

from fastcone._nmf import cycles
from fastcone._nmf.problem import Block, Factors, Problem
from fastcone._runtime.threads import aligned

WORK = 1e8  # flops of a call, at most: some milliseconds between looks at the clock and for Ctrl-C


def _cut(groups: list[list[Block]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of all blocks, and the group of each."""
    blocks = [block for group in groups for block in group]
    edges = [0, *(block.rows.stop for block in blocks)]
    return np.array(edges, dtype=np.intp), np.array([b.group for b in blocks], dtype=np.intp)


class Rounds:
    """The call, and the room for it."""

    @classmethod
    def of(cls, problem: Problem, start: Factors, update_W: bool) -> Rounds | None:
        """Return the call where the samples lie as it wants them and sums tell the objective."""
        X = getattr(problem.X, "whole", None)
        penalties = problem.W.l1, problem.W.l2, problem.H.l1, problem.H.l2
        if X is None or not problem.little or problem.known is not None or any(penalties):
            return None
        return cls(problem, X, start, update_W) if type(problem) is Problem else None

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
