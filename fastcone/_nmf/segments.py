# SPDX-License-Identifier: BSD-3-Clause
"""What is done where samples are held: passes over a segment, for training from elsewhere.

A segment is a run of blocks of one group. A pass is a function of a segment's problem, of its
coefficients and of a few W-sized arrays; what it is made of are the passes of training at hand
(`GramFit.update_H`, `EntryFit.look`). It changes nothing that it is given: it returns new
coefficients, which stay, and numbers for each block and sums, which travel. What is lost is
therefore computed again, to the same bits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastcone._nmf.dense import DenseSource, GroupSums, Parts
from fastcone._nmf.divergence import EntryFit
from fastcone._nmf.frobenius import GramFit
from fastcone._nmf.init import Draw
from fastcone._nmf.losses import DataLoss, Loss
from fastcone._nmf.problem import Block, Factors, Penalty, Problem
from fastcone._runtime.deadline import Deadline


@dataclass(frozen=True)
class Segment:
    """Some samples: the first of them, their group, and their blocks, counted within."""

    first: int
    group: int
    blocks: list[Block]

    def __len__(self) -> int:
        return self.blocks[-1].rows.stop

    @property
    def rows(self) -> slice:
        """The samples it holds."""
        return slice(self.first, self.first + len(self))


def segments(groups: list[list[Block]], most: int) -> list[Segment]:
    """Cut every group into segments of at most `most` samples, or of one block."""
    found = []
    for g, blocks in enumerate(groups):
        while blocks:
            first = blocks[0].rows.start
            count = max(sum(block.rows.stop - first <= most for block in blocks), 1)
            inside = [
                Block(i, 0, b.first, slice(b.rows.start - first, b.rows.stop - first))
                for i, b in enumerate(blocks[:count])
            ]
            found.append(Segment(first, g, inside))
            blocks = blocks[count:]
    return found


@dataclass(frozen=True)
class Unit:
    """The segments of one task, by number, and the unit whose sums it continues."""

    segments: list[int]
    before: int | None


def units(cut: list[Segment], place: list[int]) -> tuple[list[Unit], list[int]]:
    """Return the units, one a place and round, and the last one of each place.

    A round has the next segment of every group: what a unit waits for has run long before, so
    that few samples need be there at a time.
    """
    found: list[Unit] = []
    last: dict[int, int] = {}
    seen = [0] * (1 + cut[-1].group)
    rounds: dict[tuple[int, int], list[int]] = {}
    for i, segment in enumerate(cut):
        rounds.setdefault((seen[segment.group], place[i]), []).append(i)
        seen[segment.group] += 1
    for _, p in sorted(rounds):
        found.append(Unit(rounds[_, p], last.get(p)))
        last[p] = len(found) - 1
    return found, list(last.values())


class Held(NamedTuple):
    """What is held for a segment: H', and where the half-step before ended (cd)."""

    Ht: np.ndarray
    before: np.ndarray | None = None


class Told(NamedTuple):
    """What a segment tells: numbers for each block, and the sums of its group so far."""

    parts: np.ndarray
    sums: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Task:
    """A pass: `work`, what it is given besides a segment, and what a segment's problem is made of.

    work(problem, held, sums, **given) -> (Held or None, Told), `sums` being those of the group's
    segments before, () for its first one.
    """

    work: Callable[..., tuple[Held | None, Told]]
    given: dict[str, Any]
    rank: int
    W: Penalty
    H: Penalty
    units: tuple[float, float]
    fixed: int
    exponent: int

    @property
    def nbytes(self) -> int:
        """Memory of the arrays it is given."""
        return sum(value.nbytes for value in self.given.values() if isinstance(value, np.ndarray))

    def __call__(
        self, segment: Segment, X: np.ndarray, held: Any, sums: tuple[np.ndarray, ...]
    ) -> tuple[Held | None, Told]:
        """Do it where the samples X (p, m) of a segment are."""
        source = SegmentSource(segment, X, self.exponent)
        problem = Problem(
            source, None, self.rank, self.W, self.H, self.units, Deadline(), 1, self.fixed
        )
        return self.work(problem, held, sums, **self.given)


class SegmentSource(DenseSource):
    """The samples of a segment."""

    def __init__(self, segment: Segment, X: np.ndarray, exponent: int = 0) -> None:
        self.blocks, self.first = segment.blocks, segment.first
        super().__init__(Parts((X.T,)), (0.0, np.inf), exponent)

    def cut(self, width: int, groups: int) -> tuple[list[list[Block]], list[list[Block]]]:
        """Return the segment's blocks, and those of the features."""
        return [self.blocks], super().cut(width, groups)[1]

    def sums(self, problem: Problem, n: int) -> GroupSums:
        """Return room for X H', n columns: for sums that go on from segment to segment."""
        return GroupSums(problem, problem.padded(n), None)


def examine(segment: Segment, X: np.ndarray) -> tuple[float, float, bytes]:
    """Return the extreme entries of a segment, and a fingerprint; raise for entries not allowed."""
    source = SegmentSource(segment, X)
    source.smallest, source.largest = source._checked()
    return source.smallest, source.largest, bytes.fromhex(source.digest())


def told(problem: Problem, held: Any, sums: Any, work: Any) -> tuple[None, Told]:
    """What `work` tells of each block."""
    return None, Told(work(problem))


def losses(
    problem: Problem, held: Held, sums: Any, W: np.ndarray, loss: Loss
) -> tuple[None, Told]:  # fmt: skip
    """The loss of each block."""
    return None, Told(DataLoss(problem, loss).parts(Factors(_own(problem, W), held.Ht)))


def filled(problem: Problem, held: Any, sums: Any) -> tuple[Held, Told]:
    """H' as given, with what the half-step before left if that is given too."""
    given, before = held if isinstance(held, tuple) else (held, None)
    at = problem.factors()
    at.Ht[...] = given
    return Held(at.Ht, before), Told(np.empty(0))


def drawn(problem: Problem, held: Draw, sums: Any) -> tuple[Held, Told]:
    """H' drawn at random."""
    at = problem.factors()
    copy.deepcopy(held)(at.Ht)
    return Held(at.Ht), Told(np.empty(0))


def worked_out(problem: Problem, held: Any, sums: Any, work: Any) -> tuple[Held, Told]:
    """H' filled by `work`."""
    at = problem.factors()
    return Held(at.Ht), Told(work(problem, at.Ht))


def added_up(
    problem: Problem, held: Any, sums: tuple[np.ndarray, ...], work: Any, columns: int
) -> tuple[None, Told]:
    """Sums that `work` adds to."""
    mine = GroupSums(problem, columns, None)
    assert mine.groups is not None
    for so_far in sums:
        mine.groups[0] = so_far
    work(problem, mine)
    return None, Told(np.empty(0), (mine.groups[0],))


def changed(problem: Problem, held: Held, sums: Any, change: Any) -> tuple[Held, Told]:
    """H' with its entries changed."""
    Ht = held.Ht.copy()
    change(Ht)
    return Held(Ht, held.before), Told(np.empty(0))


def gram_step(
    problem: Problem,
    held: Held,
    sums: tuple[np.ndarray, ...],
    W: np.ndarray,
    G: np.ndarray,
    weight: float,
    solver: str,
    update_W: bool,
) -> tuple[Held, Told]:
    """The pass of GramFit."""
    fit = GramFit(problem, Factors(_own(problem, W), held.Ht), solver, update_W, True)
    if fit.momentum is not None and weight:
        assert held.before is not None
        fit.momentum.weight_now, fit.momentum.Ht = weight, held.before
    mine = (fit.HH[0], fit.XH.groups[0]) if update_W else (fit.HH[0],)  # type: ignore[attr-defined]
    for own, so_far in zip(mine, sums, strict=False):
        own[...] = so_far
    parts = fit.update_H(fit.factors.W, G)
    before = fit.momentum.next_Ht if fit.momentum is not None else None
    return Held(fit.candidate.Ht, before), Told(parts, mine)


def entry_step(
    problem: Problem,
    held: Held,
    sums: tuple[np.ndarray, ...],
    W: np.ndarray,
    kind: type[EntryFit],
    loss: Loss,
    update_W: bool,
    ahead: bool,
) -> tuple[Held | None, Told]:
    """The pass of EntryFit or KLFit."""
    fit = kind(problem, Factors(_own(problem, W), held.Ht), loss, update_W)
    if not ahead:
        return None, Told(fit.look(fit.factors, None))
    mine = (fit.num[0], fit.den[0])
    for own, so_far in zip(mine, sums, strict=False):
        own[...] = so_far
    parts = fit.look(fit.factors, fit.candidate.Ht)
    return Held(fit.candidate.Ht), Told(parts, mine if update_W else ())


def _own(problem: Problem, W: np.ndarray) -> np.ndarray:
    """Return W as the kernels want it: what has travelled lies anywhere and is read-only."""
    own = problem.room_for_W()
    own[...] = W
    return own
