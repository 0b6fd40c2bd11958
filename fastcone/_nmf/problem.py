# SPDX-License-Identifier: BSD-3-Clause
"""The data of a factorisation in scaled units, and passes over its blocks.

a) Samples are cut into blocks, blocks into at most GROUPS groups. A group is worked through in
   order by one thread and holds its own sums; the groups' sums are added in order. Blocks and
   groups depend on the sizes alone, so every bit is the same for any number of threads.
b) W is held as rows of `kp` numbers, its rows and columns padded with zeros to whole panels of
   the products; the coefficients are held as H' (N, k), one sample a row, and padded per
   block.
c) The factors are scaled by powers of two, which changes no bit of their digits: so is X,
   but only where its largest entry is far from 1 (2^-COMFORT .. 2^COMFORT).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fastcone._nmf import products
from fastcone._runtime import threads
from fastcone._runtime.deadline import Deadline, Expired
from fastcone._runtime.threads import Scratch, aligned

GROUPS = 16  # partial sums of a pass, at most
GROUP_BYTES = 1 << 26  # their memory, beyond the first few
GROUP_ROWS = 128  # samples that are worth sums of their own
BLOCK_BYTES = 1 << 21  # data of a block: it stays in cache from the first product to the last
BLOCK_ROWS = 2048  # samples of a block, at most
FEATURE_ROWS = 480  # rows of W of a block, at most
BLOCK_WORK = 2e8  # flops of a kernel call, at most: a few milliseconds
ENTRY = 16  # of the rank: what an entry costs beside its part in products, about
LITTLE = 4e6  # flops of an iteration, below which no other thread is woken
EVEN = 4  # blocks come in multiples of this, so that few threads share them evenly
DRAWN = 1 << 14  # samples drawn between two looks at the time
ROWS = 8  # a block is a multiple of this: whole register blocks of the products
COMFORT = 16  # no scaling of X while its largest entry is within 2^-COMFORT .. 2^COMFORT


@dataclass(frozen=True)
class Block:
    """Some samples, or some rows of W: a unit of work."""

    index: int
    group: int
    first: bool  # of its group
    rows: slice

    def __len__(self) -> int:
        return self.rows.stop - self.rows.start


def cut(
    count: int, width: int, rank: int, itemsize: int, groups: int, most: int = BLOCK_ROWS
) -> list[list[Block]]:
    """Cut `count` rows of `width` numbers into blocks, and these into at most `groups` groups."""
    cached = max(BLOCK_BYTES // (itemsize * width), ROWS)
    size = int(max(min(cached, most, BLOCK_WORK / (2 * rank * width)), 1))
    units = -(-count // ROWS)
    few = size >= count and 4 * count * width * (rank + ENTRY) < LITTLE
    blocks = 1 if few else min(-(-count // (size * EVEN)) * EVEN, units)
    edges = [min(b * units // blocks * ROWS, count) for b in range(blocks + 1)]
    return grouped([slice(a, b) for a, b in itertools.pairwise(edges)], groups)


def grouped(blocks: list[slice], groups: int) -> list[list[Block]]:
    """Spread blocks of rows evenly, in order, over at most `groups` groups."""
    groups = min(groups, len(blocks))
    edges = [g * len(blocks) // groups for g in range(groups + 1)]
    return [
        [Block(b, g, b == lo, blocks[b]) for b in range(lo, hi)]
        for g, (lo, hi) in enumerate(itertools.pairwise(edges))
    ]


def blocks_of(X: Source, rank: int) -> tuple[list[list[Block]], list[list[Block]]]:
    """Return the blocks of samples and of features, in groups: the sizes alone decide."""
    kp, mp = products.padded(rank, X.dtype), products.padded(X.m, X.dtype)
    room = GROUP_BYTES / (mp * kp * X.dtype.itemsize)
    groups = int(np.clip(min(room, X.N / GROUP_ROWS), EVEN, GROUPS))
    return X.cut(kp, groups)


@dataclass(frozen=True)
class Penalty:
    """l1 |F|_1 + l2/2 |F|_F^2 of a factor F, and the least value its entries are given by `mu`."""

    l1: float
    l2: float
    floor: float

    def __call__(self, values: np.ndarray) -> float:
        """Return the penalty of these entries, in float64."""
        total = self.l1 * float(values.sum(dtype=np.float64)) if self.l1 else 0.0
        return total + (self.l2 / 2 * dot(values, values) if self.l2 else 0.0)


@dataclass
class Factors:
    """W (mp, kp), padded, and H' (N, k), or what stands for it (`remote.Coefficients`)."""

    W: np.ndarray
    Ht: Any


def dot(A: np.ndarray, B: np.ndarray) -> float:
    """Return sum_ij A_ij B_ij in float64, in an order that no library's threads change."""
    return float(np.einsum("ij,ij->", A, B, dtype=np.float64))


class Sums(Protocol):
    """X H', formed while the blocks of H come in, read by features when all are there."""

    def add(self, block: Block, X: Any, H: np.ndarray, scratch: Scratch) -> None:
        """Take a block of samples and its coefficients H', (p, n) or wider."""

    def rows(self, rows: slice, Ht: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return X H' of some features, in `scratch`; H' (N, n or wider) holds all that came in."""


class Source(Protocol):
    """Where samples come from: `DenseSource` or `SparseSource`; 0 where not known."""

    sparse: bool
    stored: bool  # whether only what a sparse X stores is known
    N: int
    m: int
    dtype: np.dtype
    largest: float  # entry, in absolute value

    def scaled(self, e: int) -> Source:
        """Return 2^e X."""

    def digest(self) -> str:
        """Return a fingerprint of the data."""

    def cut(self, width: int, groups: int) -> tuple[list[list[Block]], list[list[Block]]]:
        """Return the blocks of samples and of features, in groups, for factors `width` wide."""

    def block(self, rows: slice, scratch: Scratch) -> Any:
        """Return some samples; what they are is known to the methods below alone."""

    def opened(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return some samples as a dense array (p, m)."""

    def some(self, chosen: np.ndarray) -> Any:
        """Return these samples in float64, a matrix of the source's kind with one a row."""

    def operand(self, A: np.ndarray, n: int) -> Any:
        """Return A (m, n), its columns padded with zeros to whole panels, as `product` wants it."""

    def product(self, X: Any, A: Any, scratch: Scratch, name: str) -> np.ndarray:
        """Return X'A for a block of samples, in `scratch`."""

    def square(self, X: Any) -> float:
        """Return the sum of the squared entries of a block."""

    def total(self, X: Any) -> float:
        """Return the sum of the entries of a block."""

    def known(self, X: Any) -> int:
        """Return how many entries of a block are known, as far as the source knows."""

    def sums(self, problem: Problem, n: int) -> Sums:
        """Return what forms X H' (m, n)."""


class Problem:
    """The scaled data and everything that does not change from one iteration to the next.

    Parameters
    ----------
    X : Source
        The samples; 0 where not known.
    known : ndarray, (N, m), or None
        The mask, or the weights of the entries.
    rank : int
    W, H : Penalty
    units : (float, float)
        Powers of two, the order of magnitude of W and of H.
    deadline : Deadline
    n_threads : int
    fixed : int
        Leading columns of W that are kept.
    """

    def __init__(
        self,
        X: Source,
        known: np.ndarray | None,
        rank: int,
        W: Penalty,
        H: Penalty,
        units: tuple[float, float],
        deadline: Deadline,
        n_threads: int,
        fixed: int = 0,
    ) -> None:
        self.X, self.known, self.k, self.W, self.H = X, known, rank, W, H
        self.units, self.deadline, self.n_threads, self.fixed = units, deadline, n_threads, fixed
        self.N, self.m, self.dtype = X.N, X.m, X.dtype
        self.kp, self.mp = self.padded(rank), self.padded(self.m)
        self.samples, self.features = blocks_of(X, rank)
        self.flops = 4 * self.N * self.mp * (self.kp + ENTRY)  # of an iteration, about
        self.little = self.flops < LITTLE
        self.scratches: list[Scratch] = []

    @property
    def partial(self) -> bool:
        """Whether some entries are unknown or weighted."""
        return self.known is not None or self.X.stored

    def padded(self, count: int) -> int:
        """Return `count` rounded up to whole panels."""
        return products.padded(count, self.dtype)

    def per_block(self, groups: list[list[Block]], *shape: int) -> np.ndarray:
        """Return zeros, one float64 number or array for each block."""
        return np.zeros((sum(map(len, groups)), *shape))

    def sums(self, groups: list[list[Block]], rows: int, columns: int) -> np.ndarray:
        """Return room for one (rows, columns) sum per group."""
        return aligned((len(groups), rows, columns), self.dtype)

    def room_for_W(self) -> np.ndarray:
        """Return zeros (mp, kp)."""
        W = aligned((self.mp, self.kp), self.dtype)
        W[...] = 0
        return W

    def factors(self) -> Factors:
        """Return room for a pair of factors, the padding of W zero."""
        return Factors(self.room_for_W(), np.zeros((self.N, self.k), dtype=self.dtype))

    def set_H(self, at: Factors, value: Any) -> None:
        """Let H' be these coefficients (N, k), or a number."""
        at.Ht[...] = value

    def draw_H(self, at: Factors, draw: Callable[[np.ndarray], None]) -> None:
        """Let `draw` fill H', one sample after the other."""
        for rows in self.deadline.slices(self.N, DRAWN):
            draw(at.Ht[rows])

    def fill_H(
        self, at: Factors, work: Callable[[Problem, np.ndarray], np.ndarray]
    ) -> np.ndarray:  # fmt: skip
        """Let a pass over the samples fill H'; return what it tells of each block."""
        return work(self, at.Ht)

    def add_up(self, work: Callable[[Problem, Sums], np.ndarray], sums: Sums) -> np.ndarray:
        """Let a pass over the samples add to sums; return what `sums.rows` needs of it."""
        return work(self, sums)

    def change_H(self, at: Factors, change: Callable[[np.ndarray], None]) -> None:
        """Let `change` work on H', each entry for itself."""
        change(at.Ht)

    def public_H(self, at: Factors, e: int) -> Any:
        """Return 2^e H (k, N), as the caller gets it."""
        return (np.ldexp(at.Ht, e) if e else at.Ht).T

    def over(self, work: Callable[[Problem], np.ndarray]) -> np.ndarray:
        """Return what a pass over the samples tells of each block."""
        return work(self)

    def for_each_block(
        self, groups: list[list[Block]], work: Callable[[Block, Scratch], None]
    ) -> None:
        """Call work(block, scratch) for every block, the blocks of a group in order."""

        def group(index: int, scratch: Scratch) -> None:
            try:
                for block in groups[index]:
                    self.deadline.check()
                    work(block, scratch)
            except Expired:
                raise
            except BaseException:
                self.deadline.cancel()
                raise

        threads.run(len(groups), group, 1 if self.little else self.n_threads, self.scratches)

    def coefficients(self, Ht: np.ndarray, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return a block of H', padded, in `scratch`."""
        part = Ht[rows]
        H = scratch.take("H", (len(part), self.kp), self.dtype)
        H[:, : self.k] = part
        H[:, self.k :] = 0
        return H

    def weights(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return the weights of a block, padded with zeros to `mp`."""
        known = self.known[rows]  # type: ignore[index]
        weights = scratch.take("weights", (len(known), self.mp), self.dtype)
        weights[:, : self.m] = known
        weights[:, self.m :] = 0
        return weights


def of_group(sums: np.ndarray, block: Block) -> np.ndarray:
    """Return the sums a block is added to, made zeros for the first one of its group."""
    if block.first:
        sums[block.group] = 0
    return sums[block.group]


def add_groups(sums: np.ndarray, rows: slice, scratch: Scratch, name: str) -> np.ndarray:
    """Return the groups' sums of some rows added in order, in `scratch` or where they are."""
    if len(sums) == 1:
        return sums[0, rows]
    total = scratch.take(name, (rows.stop - rows.start, sums.shape[2]), sums.dtype)
    total[...] = sums[0, rows]
    for part in sums[1:, rows]:
        total += part
    return total
