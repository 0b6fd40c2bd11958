# SPDX-License-Identifier: BSD-3-Clause
"""Training where the samples are elsewhere, in segments, on whatever holds them (`Holders`).

a) The blocks and groups are those of samples at hand (`problem.blocks_of`); `segments.py` is what
   is done where they are. Whoever holds the samples of a segment holds its coefficients too.
b) The sums of a group go from one of its segments to the next, the groups' sums are added here in
   order: the order of every sum, and so every bit, is that of samples at hand.
c) What decides (objective, extrapolation, stopping, checkpoints) is the code of samples at hand.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastcone._nmf.arguments import Options, Scaled
from fastcone._nmf.checkpoint import Keeper, Saved
from fastcone._nmf.dense import GroupSums
from fastcone._nmf.divergence import EntryFit, KLFit
from fastcone._nmf.frobenius import GramFit
from fastcone._nmf.init import Draw
from fastcone._nmf.losses import DataLoss, Loss
from fastcone._nmf.problem import FEATURE_ROWS, Block, Factors, Problem, cut
from fastcone._nmf.segments import (
    Segment,
    Task,
    added_up,
    changed,
    drawn,
    entry_step,
    filled,
    gram_step,
    losses,
    told,
    worked_out,
)
from fastcone._nmf.train import Place
from fastcone._nmf.update import Update
from fastcone._runtime.deadline import Deadline


class Swept(NamedTuple):
    """The outcome of a pass: what is held, the blocks' numbers, and the sums of each group."""

    held: Any
    parts: np.ndarray
    sums: list[tuple[np.ndarray, ...]]


class Holders(Protocol):
    """What holds the segments and runs passes over them."""

    segments: list[Segment]

    def sweep(self, task: Task, held: Any, deadline: Deadline) -> Swept:
        """Run a pass; `held` is what a pass before left, what `spread` returned, or None."""

    def spread(self, values: list[Any]) -> Any:
        """Return one value a segment as what a pass may be given."""

    def examine(self) -> Iterator[tuple[float, float, bytes]]:
        """Yield what `examine` tells of every segment, in order."""

    def collect(self, held: Any) -> Iterator[tuple[Segment, Any]]:
        """Yield what is held of each segment."""

    def public(self, problem: Problem, held: Any, e: int) -> Any:
        """Return 2^e H (k, N), as the caller gets it; H = 0 where nothing is held."""

    def keep(self, held: Any) -> None:
        """Be told what an accepted iteration left; a copy of it elsewhere saves time later."""


class RemoteSource:
    """Samples held by others: their sizes, and who holds them."""

    sparse: bool = False
    stored: bool = False

    def __init__(self, shape: tuple[int, int], dtype: np.dtype, groups: int | None) -> None:
        (self.m, self.N), self.dtype, self.groups, self.exponent = shape, dtype, groups, 0
        self.holders: Holders

    def held_by(self, holders: Holders) -> None:
        """Note who holds the samples, and look at all of them once."""
        self.holders = holders
        low, high, digests = zip(*holders.examine(), strict=True)
        self.smallest, self.largest = min(low), max(high)
        self._digest = hashlib.sha256(b"".join(digests)).hexdigest()

    def scaled(self, e: int) -> RemoteSource:
        """Return 2^e X."""
        found = copy.copy(self)
        found.exponent += e
        found.smallest, found.largest = (
            math.ldexp(value, e) for value in (self.smallest, self.largest)
        )
        return found

    def cut(self, width: int, groups: int) -> tuple[list[list[Block]], list[list[Block]]]:
        """Return the blocks of samples and of features for factors `width` wide."""
        itemsize = self.dtype.itemsize
        return (
            cut(self.N, self.m, width, itemsize, self.groups or groups),
            cut(self.m, width, width, itemsize, groups, FEATURE_ROWS),
        )

    def digest(self) -> str:
        """Return a fingerprint of the samples."""
        return self._digest

    def sums(self, problem: Problem, n: int) -> GroupSums:
        """Return room for X H', n columns."""
        return GroupSums(problem, problem.padded(n), None)


class Coefficients:
    """H' (N, k): what its holders know it by; None for room that nothing is in."""

    def __init__(self, problem: Problem, held: Any) -> None:
        self.held, self.shape, self.dtype = held, (problem.N, problem.k), problem.dtype


class RemoteProblem(Problem):
    """A problem whose samples and coefficients are held elsewhere."""

    X: RemoteSource  # type: ignore[assignment]

    def factors(self) -> Factors:
        """Return room for a pair of factors."""
        return Factors(self.room_for_W(), Coefficients(self, None))

    def sweep(self, work: Any, held: Any = None, /, **given: Any) -> Swept:
        """Run a pass over all segments."""
        task = Task(
            work, given, self.k, self.W, self.H, self.units, self.fixed, self.X.exponent
        )  # fmt: skip
        return self.X.holders.sweep(task, held, self.deadline)

    def set_H(self, at: Factors, value: Any) -> None:
        """Let H' be these coefficients (N, k), or a number."""
        rows = [value if np.ndim(value) == 0 else value[s.rows] for s in self.X.holders.segments]
        at.Ht = Coefficients(self, self.sweep(filled, self.X.holders.spread(rows)).held)

    def draw_H(self, at: Factors, draw: Draw) -> None:  # type: ignore[override]
        """Let `draw` fill H': here, so as to know how it stands before each segment, and there."""
        ready = []
        for segment in self.X.holders.segments:
            ready.append(copy.deepcopy(draw))
            draw(np.empty((len(segment), self.k), self.dtype))
        at.Ht = Coefficients(self, self.sweep(drawn, self.X.holders.spread(ready)).held)

    def fill_H(self, at: Factors, work: Any) -> np.ndarray:
        """Let a pass over the samples fill H'; return what it tells of each block."""
        swept = self.sweep(worked_out, work=work)
        at.Ht = Coefficients(self, swept.held)
        return swept.parts

    def add_up(self, work: Any, sums: Any) -> np.ndarray:
        """Let a pass over the samples add to sums, which then need nothing else of it."""
        columns = sums.groups.shape[2]
        for g, (total,) in enumerate(self.sweep(added_up, work=work, columns=columns).sums):
            sums.groups[g] = total
        return np.empty((0, columns), self.dtype)

    def change_H(self, at: Factors, change: Any) -> None:
        """Let `change` work on H', each entry for itself."""
        held = at.Ht.held
        if held is None:
            return
        at.Ht = Coefficients(self, self.sweep(changed, held, change=change).held)

    def public_H(self, at: Factors, e: int) -> Any:
        """Return 2^e H (k, N), as those who hold it give it to the caller."""
        return self.X.holders.public(self, at.Ht.held, e)

    def over(self, work: Any) -> np.ndarray:
        """Return what a pass over the samples tells of each block."""
        return self.sweep(told, work=work).parts


class RemoteLoss(DataLoss):
    """A loss on data held elsewhere."""

    problem: RemoteProblem

    def parts(self, factors: Factors) -> np.ndarray:
        """Return the objective but for the penalty of W, block by block."""
        held = factors.Ht.held
        return self.problem.sweep(losses, held, W=factors.W, loss=self.loss).parts


class RemoteGram(GramFit):
    """GramFit on samples held elsewhere."""

    problem: RemoteProblem

    def __init__(
        self, problem: RemoteProblem, start: Factors, solver: str, update_W: bool, loss: Loss
    ) -> None:
        nothing = Factors(start.W, np.empty((0, problem.k), problem.dtype))
        super().__init__(problem, nothing, solver, update_W, True)
        self.solver, self.factors, self.loss = solver, start, RemoteLoss(problem, loss)

    def update_H(self, W: np.ndarray, G: np.ndarray) -> np.ndarray:
        """Make the candidate's H; see GramFit."""
        weight = self.momentum.weight_now if self.momentum is not None else 0.0
        swept = self.problem.sweep(
            gram_step, self.factors.Ht.held, W=W, G=G, weight=weight,
            solver=self.solver, update_W=self.update_W,
        )  # fmt: skip
        for g, sums in enumerate(swept.sums):
            self.HH[g] = sums[0]
            if self.update_W:
                self.XH.groups[g] = sums[1]  # type: ignore[attr-defined]
        self.candidate.Ht = Coefficients(self.problem, swept.held)
        return swept.parts

    def accept(self) -> None:
        """Take the candidate."""
        super().accept()
        self.problem.X.holders.keep(self.factors.Ht.held)

    def memory(self) -> dict[str, Any]:
        """Return what a resumed run must know; the part held elsewhere as Coefficients."""
        known: dict[str, Any] = super().memory()
        if self.momentum is not None:
            known["momentum Ht"] = self.factors.Ht
        return known

    def recall(self, memory: dict[str, np.ndarray]) -> None:
        """Continue as the run whose memory this is; what is held elsewhere is there already."""
        if self.momentum is not None:
            memory = memory | {"momentum Ht": self.momentum.Ht}
        super().recall(memory)


class RemoteEntry(EntryFit):
    """EntryFit on samples held elsewhere."""

    problem: RemoteProblem
    kind: type[EntryFit] = EntryFit

    def __init__(self, problem: RemoteProblem, start: Factors, loss: Loss, update_W: bool) -> None:
        super().__init__(problem, start, loss, update_W)
        self.loss = RemoteLoss(problem, loss)

    def look(self, at: Factors, next_Ht: Any) -> np.ndarray:
        """Make the next H' and the sums for W; see EntryFit."""
        swept = self.problem.sweep(
            entry_step, at.Ht.held, W=at.W, kind=self.kind, loss=self.loss.loss,
            update_W=self.update_W, ahead=next_Ht is not None,
        )  # fmt: skip
        if next_Ht is not None:
            next_Ht.held = swept.held
            if self.update_W:
                for g, (num, den) in enumerate(swept.sums):
                    self.num[g], self.den[g] = num, den
        return swept.parts

    def accept(self) -> None:
        """Take the candidate."""
        super().accept()
        self.problem.X.holders.keep(self.factors.Ht.held)


class RemoteKL(RemoteEntry):
    """KLFit on samples held elsewhere."""

    kind, den_rows = KLFit, 1


class RemoteSaved(Saved):
    """A checkpoint whose coefficients go back to where the samples are."""

    def factors(self, problem: Problem) -> Factors:
        """Return the factors, and what the half-step before left with them."""
        assert isinstance(problem, RemoteProblem)
        at, before = super().factors(problem), self.memory.get("momentum Ht")
        rows = [
            (at.Ht[s.rows], None if before is None else before[s.rows])
            for s in problem.X.holders.segments
        ]
        return Factors(
            at.W, Coefficients(problem, problem.sweep(filled, problem.X.holders.spread(rows)).held)
        )


class RemoteKeeper(Keeper):
    """Writes a checkpoint here, for which the coefficients have to come."""

    def load(self) -> Saved | None:
        """Return what an earlier run left."""
        saved = super().load()
        return saved and RemoteSaved(saved.W, saved.Ht, saved.history, saved.memory)

    def save(
        self,
        problem: Problem,
        at: Factors,
        history: list[float],
        memory: dict[str, Any],
        patience: float,
    ) -> None:
        """Write an iterate."""
        assert isinstance(problem, RemoteProblem) and isinstance(at.Ht, Coefficients)
        Ht = np.empty(at.Ht.shape, problem.dtype)
        before = np.zeros_like(Ht) if "momentum Ht" in memory else None
        for segment, (rows, rows_before) in problem.X.holders.collect(at.Ht.held):
            Ht[segment.rows] = rows
            if before is not None and rows_before is not None:
                before[segment.rows] = rows_before
        if before is not None:
            memory = memory | {"momentum Ht": before}
        super().save(problem, Factors(at.W, Ht), history, memory, patience)


def remote_fit(scaled: Scaled, options: Options, kept: bool) -> Update:
    """Return the iteration that serves the loss."""
    problem, loss, update_W = scaled.problem, options.loss, options.update_W
    assert isinstance(problem, RemoteProblem)
    if loss.entry == "square":
        return RemoteGram(problem, scaled.start, options.solver, update_W, loss)
    kind = RemoteKL if loss.entry == "kl" else RemoteEntry
    return kind(problem, scaled.start, loss, update_W)


REMOTE = Place(RemoteProblem, remote_fit, RemoteKeeper)
