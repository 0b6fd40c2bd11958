# SPDX-License-Identifier: BSD-3-Clause
"""All problems of a call, cut into blocks that share generators and row weights.

a) A block is a matter of one thread: targets scaled, vertices walked, answers proved.
b) Generators are prepared by the first block that needs them and dropped after the last one:
   with row weights of their own for many targets only a few are alive at a time.
c) `Deadline` is looked at between the parts of a set-up and between kernel calls.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcone._nnlad import kernels
from fastcone._nnlad.prepare import Generators, scaled
from fastcone._nnls.result import Solution
from fastcone._runtime import threads
from fastcone._runtime.deadline import Deadline, Expired
from fastcone._runtime.scaling import F64
from fastcone._runtime.threads import Scratch

CALL_SECONDS = 0.005  # of one kernel call, roughly
BLOCK_NUMBERS = 2**14  # entries of B in a block
BLOCK_PROBLEMS = 32
TILT = (1e-14, 1e-10)  # bounds of what is taken off b, relative; tol / 16 between them


@dataclass(frozen=True)
class Problems:
    """What the caller asked for, checked.

    A (m, n), targets as the columns of B (m, p), dense or sparse, penalties l1 (p,), row weights
    (m,) or (m, p) or none, starts x0 (n, p) or none.
    """

    A: np.ndarray
    B: Any
    l1: np.ndarray
    weights: np.ndarray | None
    x0: np.ndarray | None
    dtype: np.dtype

    def targets(self, which: np.ndarray) -> np.ndarray:
        """Return some targets as rows in float64."""
        B = self.B[:, which]
        return np.ascontiguousarray((B if isinstance(B, np.ndarray) else B.toarray()).T, dtype=F64)


class Family:
    """The targets `members` that share generators and row weights."""

    def __init__(self, problems: Problems, members: np.ndarray, weight: np.ndarray | None) -> None:
        self.A, self.weight, self.members = problems.A, weight, members
        size = int(np.clip(BLOCK_NUMBERS // max(len(self.A), 1), 1, BLOCK_PROBLEMS))
        self.blocks = [members[i : i + size] for i in range(0, len(members), size)]
        self._left, self._lock = len(self.blocks), threading.Lock()
        self._generators: Generators | None = None

    def generators(self, deadline: Deadline) -> Generators:
        """Return the generators, prepared by whoever comes first."""
        while not self._lock.acquire(timeout=0.02):
            deadline.check()
        try:
            if self._generators is None:
                self._generators = Generators(self.A, self.weight, deadline.check)
            return self._generators
        finally:
            self._lock.release()

    def done(self) -> None:
        """Drop the generators after the last block."""
        with self._lock:
            self._left -= 1
            if not self._left:
                self._generators = None


def families(problems: Problems) -> Iterator[Family]:
    """Yield the targets by row weights, those of equal weights together."""
    every, weights = np.arange(problems.B.shape[1]), problems.weights
    if weights is None or weights.ndim == 1:
        yield Family(problems, every, weights)
        return
    members: dict[bytes, list[int]] = {}
    for c in every:
        members.setdefault(weights[:, c].tobytes(), []).append(int(c))
    for some in members.values():
        yield Family(problems, np.array(some), np.ascontiguousarray(weights[:, some[0]], dtype=F64))


class Batch:
    """All p problems and their answers."""

    def __init__(self, problems: Problems, tol: float, max_steps: int, deadline: Deadline) -> None:
        self.problems, self.tol, self.max_steps, self.deadline = problems, tol, max_steps, deadline
        n, p = problems.A.shape[1], problems.B.shape[1]
        self.x = np.zeros((p, n), dtype=problems.dtype)
        if problems.x0 is not None:
            self.x[...] = problems.x0.T
        self.facts = np.full((p, 3), np.inf)
        self.steps = np.zeros(p, dtype=np.intp)

    def solve(self, n_threads: int) -> Solution:
        """Work through the blocks and gather the answers."""
        blocks = [(f, which) for f in families(self.problems) for which in f.blocks]

        def block(k: int, scratch: Scratch) -> None:
            family, which = blocks[k]
            try:
                self.deadline.check()
                Block(self, family.generators(self.deadline), which, scratch).solve()
            except Expired:
                return
            except BaseException:
                self.deadline.cancel()
                raise
            family.done()

        try:
            threads.run(len(blocks), block, n_threads)
        finally:
            self.deadline.cancel()
        objective, gap, violation = self.facts.T.copy()
        steps = np.where(self.steps < 0, -1 - self.steps, self.steps)
        found = Solution(self.x.T, objective, gap, violation, steps, gap <= self.tol, norm=1)
        return found.with_penalty(self.problems.l1, 0.0)


class Block:
    """Some problems on the same generators, scaled: coefficients by 2^(e - exponent)."""

    def __init__(
        self, batch: Batch, generators: Generators, which: np.ndarray, scratch: Scratch
    ) -> None:
        self.batch, self.g, self.which, self.scratch = batch, generators, which, scratch
        g, p = generators, len(which)
        targets = batch.problems.targets(which)
        weight = g.weight
        (self.e, kept), (self.rest_e, rest) = (
            scaled(targets.take(rows, axis=1), None if weight is None else weight[rows])
            for rows in (g.rows, g.others)
        )
        self.rest = np.abs(rest).sum(axis=1)  # times 2^rest_e
        self.B, self.Y = (scratch.take(name, (p, g.ld), F64) for name in "BY")
        self.B[:, g.m :] = 0
        self.B[:, : g.m] = kept
        self.l1 = g.penalties(batch.problems.l1[which])
        self.used = self.l1[:, : g.n] < g.norm
        self.X = scratch.take("X", (p, g.n), F64)
        doubles, integers = kernels.nnlad_room(g.m, g.n)
        self.work = scratch.take("work", (doubles,), F64)
        self.index = scratch.take("index", (integers,), np.dtype(np.intp))

    def solve(self) -> None:
        """Solve the problems, prove the answers and hand them over."""
        batch, which, facts = self.batch, self.which, np.zeros((len(self.which), 3))
        if self.g.m == 0 or self.g.n == 0:
            batch.x[which] = 0
        else:
            x = batch.x[which]
            self.X[...] = self._scaled(x)
            self.X[~self.used] = 0
            reached = self._descend()
            if reached == 0:
                return
            self._keep(reached)
            which, x, facts = self.which, x[: len(self.which)], facts[: len(self.which)]
            with np.errstate(over="ignore", under="ignore"):
                answer = np.ldexp(self.X, self.e[:, None] - self.g.exponent)
                x[...] = np.minimum(answer, np.finfo(x.dtype).max)
            self._prove(x, facts)
            batch.x[which] = x
        with np.errstate(over="ignore", under="ignore"):
            facts[:, 0] = np.ldexp(facts[:, 0], self.e) + np.ldexp(self.rest, self.rest_e)
        batch.facts[which] = facts

    def _keep(self, count: int) -> None:
        """Leave all but the first problems as if they had not been reached."""
        for name in ("which", "e", "rest", "rest_e", "B", "Y", "l1", "used", "X"):
            setattr(self, name, getattr(self, name)[:count])

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        """Return coefficients of the caller in scaled units."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(x.astype(F64), self.g.exponent - self.e[:, None])

    def _descend(self) -> int:
        """Run the kernel; return how many problems it came to before the time was up.

        The last of them then ends where it stands.
        """
        g, batch, deadline, done = self.g, self.batch, self.batch.deadline, 0
        budget = max(1, int(CALL_SECONDS / (2e-6 + 1e-9 * g.n * (g.ld + g.n))))
        tilt = g.tilt(min(max(batch.tol / 16, TILT[0]), TILT[1]))
        most, end = batch.max_steps, len(self.which)
        steps = np.zeros(end, dtype=np.intp)
        self.index[:3] = 0, 0, -1
        while done < end:
            if deadline.cancelled:
                raise Expired
            if most and deadline.passed():
                most, end = 0, int(self.index[0] + (self.index[2] >= 0))
            if done < end:
                done = kernels.nnlad(
                    g.A, g.R, g.G, g.size, g.norm, tilt, self.B[:end], self.l1[:end],
                    self.X[:end], self.Y[:end], steps[:end], most, budget, self.work, self.index,
                )  # fmt: skip
        batch.steps[self.which[:end]] = steps[:end]
        return end

    def _prove(self, x: np.ndarray, facts: np.ndarray) -> None:
        """Form the certificates of x, the answers as the caller gets them, in scaled units."""
        g = self.g
        with np.errstate(over="ignore", under="ignore"):
            rest = np.minimum(np.ldexp(self.rest, self.rest_e - self.e), 1e300)
        masses = self._masses()
        for _ in range(2):
            self.X[...] = self._scaled(x)
            kernels.nnlad_proof(
                g.A, g.norm, masses, self.l1, self.B, rest, self.X, self.Y, facts, self.work,
                self.index,
            )  # fmt: skip
            worse = facts[:, 0] > np.abs(self.B).sum(axis=1) * (1 + 1e-13)
            if not worse.any():
                break
            x[worse] = 0  # rounded to float32 they are worse than nothing

    def _masses(self) -> np.ndarray:
        """Return how large an optimum can be, as far as the time allows."""
        try:
            return self.g.masses(self.used)
        except Expired:
            if self.batch.deadline.cancelled:
                raise
            return np.where(self.used, 0.0, np.inf)
