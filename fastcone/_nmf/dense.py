# SPDX-License-Identifier: BSD-3-Clause
"""Dense data: one array or several side by side, in memory, memory-mapped or loaded on demand.

a) An array in memory is brought to one layout once: a sample contiguous, in the working precision.
   One that is memory-mapped, or one part of several, is never copied as a whole: what is not in
   that layout is converted block by block, whenever it is read.
b) The pages of a large mapped file are handed back after each block, so the process holds only the
   blocks it works on; the file stays in the system's page cache as far as there is room.
c) A block is assembled from the parts it spans: the bits do not depend on how X is parted.
"""

from __future__ import annotations

import array
import hashlib
import math
import mmap
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastcone._nmf import kernels
from fastcone._nmf.problem import (
    EVEN,
    FEATURE_ROWS,
    Block,
    Problem,
    add_groups,
    cut,
    dot,
    of_group,
)  # fmt: skip
from fastcone._nmf.products import outer, pack, product
from fastcone._runtime.deadline import Deadline, Expired
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import check_finite, check_nonnegative, real_array

CHECK_BYTES = 1 << 21  # of the samples checked at a time
FEW = 1024  # samples, at most, whose sums are formed in a second look at them
TOUCHES = 8  # of a group's sums per iteration: zeros, reading and writing, adding
RELEASE_BYTES = 1 << 28  # of a mapped file from which on its pages are handed back


def is_parts(X: Any) -> bool:
    """Return whether X is a sequence of 2-D arrays, not an array itself."""
    if isinstance(X, list | tuple):
        return bool(X) and all(isinstance(part, np.ndarray) and part.ndim == 2 for part in X)
    numbers = str | bytes | bytearray | memoryview | array.array
    return isinstance(X, Sequence) and not isinstance(X, numbers) and not hasattr(X, "dtype")


class Mapping:
    """The file mapping that a part's samples lie in."""

    def __init__(self, file: mmap.mmap, part: np.ndarray) -> None:
        self.file, self.width = file, part.strides[0]
        self.offset = part.ctypes.data - np.frombuffer(file, np.uint8, 1).ctypes.data

    @classmethod
    def of(cls, part: np.ndarray) -> Mapping | None:
        """Return the mapping of a part; None if its pages are not the file's, or are few."""
        base: Any = part
        mode = None
        while isinstance(base, np.ndarray):
            mode = getattr(base, "mode", mode)
            base = base.base
        if not isinstance(base, mmap.mmap) or mode in (None, "c"):
            return None
        large = part.flags.c_contiguous and part.nbytes >= RELEASE_BYTES
        return cls(base, part) if large and hasattr(mmap, "MADV_DONTNEED") else None

    def release(self, rows: slice) -> None:
        """Hand back the pages of some samples."""
        start = self.offset + rows.start * self.width
        stop = self.offset + rows.stop * self.width
        start -= start % mmap.PAGESIZE
        self.file.madvise(mmap.MADV_DONTNEED, start, min(stop, len(self.file)) - start)


def is_mapped(array: Any) -> bool:
    """Return whether an array is a view of a memory-mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def _plain(name: str, X: Any) -> np.ndarray:
    """Return X as a 2-D array of real numbers of any dtype, neither copied nor looked at."""
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        return real_array(name, X, ndim=(2,), finite=False)
    real_array(name, X[:0], ndim=(2,), finite=False)
    return np.asarray(X)


class Parts:
    """The parts of X as samples: part i, (N_i, m), begins at row edges[i]."""

    def __init__(self, parts: Sequence[Any]) -> None:
        if not len(parts):
            raise ValueError("X has no parts, want at least one")
        self.given, self.lock, self.kept = parts, threading.Lock(), threading.local()
        self.edges, self.m, narrow = [0], -1, True
        for i in range(len(parts)):
            part, _ = self.load(i)
            if self.m not in (-1, part.shape[1]):
                raise ValueError(f"X[{i}] has {part.shape[1]} rows, want {self.m} as X[0]")
            self.m = part.shape[1]
            self.edges.append(self.edges[-1] + len(part))
            narrow &= part.dtype.newbyteorder("=") == np.float32
        self.dtype = np.dtype(np.float32 if narrow else np.float64)
        if not (self.edges[-1] and self.m):
            raise ValueError(f"X has shape {(self.m, self.edges[-1])}, want at least 1 entries")

    def load(self, i: int) -> tuple[np.ndarray, Mapping | None]:
        """Return a part, one sample a row; each thread keeps the last one it asked for."""
        if getattr(self.kept, "index", None) != i:
            self.kept.part = None
            with self.lock:
                part = self.given[i]
            name = f"X[{i}]" if len(self.given) > 1 else "X"
            samples = _plain(name, part).T
            self.kept.part, self.kept.index = (samples, Mapping.of(samples)), i
        return self.kept.part

    def over(self, rows: slice) -> list[tuple[int, slice, slice]]:
        """Return part, rows of the part, rows of the block for all parts a block spans."""
        found, edges = [], self.edges
        for i in range(int(np.searchsorted(edges, rows.start, side="right")) - 1, len(self.given)):
            lo, hi = max(rows.start, edges[i]), min(rows.stop, edges[i + 1])
            if lo < hi:
                within = slice(lo - edges[i], hi - edges[i])
                found.append((i, within, slice(lo - rows.start, hi - rows.start)))
            if edges[i + 1] >= rows.stop:
                break
        return found


class DenseSource:
    """Dense X (m, N) as samples (N, m); `block` gives some of them, C order, working precision."""

    sparse: bool = False
    stored: bool = False
    first = 0  # sample of the caller's X that sample 0 is

    def __init__(
        self,
        parts: Parts,
        extremes: tuple[float, float] | None = None,
        exponent: int = 0,
        deadline: Deadline | None = None,
    ) -> None:
        self.deadline = deadline or Deadline()
        self.parts, self.exponent, self.dtype = parts, exponent, parts.dtype
        self.N, self.m = parts.edges[-1], parts.m
        self.last = threading.local()
        X, _ = parts.load(0)
        alone = len(parts.given) == 1 and not exponent and not is_mapped(X)
        plain = X.dtype == self.dtype and X.flags.c_contiguous and X.flags.aligned
        self.whole = X if alone and plain else None  # all samples, where nothing is to be done
        self.smallest, self.largest = self._checked() if extremes is None else extremes

    @classmethod
    def of(cls, X: Any, deadline: Deadline) -> DenseSource:
        """Return X, checked; in memory its layout is changed where it must be.

        Where the time is up before that is done, X stays as it is, and unchecked: no pass over it
        begins any more.
        """
        if not is_parts(X):
            if not is_mapped(X):
                options: dict[str, Any] = {"ndim": (2,), "finite": False, "min_size": 1}
                try:
                    X = real_array("X", X, order="F", between=deadline.check, **options)
                except Expired:
                    X = real_array("X", X, **options)
            X = (X,)
        return cls(Parts(X), deadline=deadline)

    def _checked(self) -> tuple[float, float]:
        """Return the extreme entries, or raise for one that is negative or not finite.

        Those that have been seen, 1 if none or only zeros, where the time was up before.
        """
        smallest, largest, scratch = np.inf, 0.0, Scratch()
        step = max(CHECK_BYTES // (self.dtype.itemsize * self.m), 1)
        try:
            for rows in self.deadline.slices(self.N, step):
                with np.errstate(over="ignore", invalid="ignore"):
                    X = self.block(rows, scratch)
                    low, high = float(X.min()), float(X.max())
                if not (low >= 0 and high < np.inf):
                    origin = 0, self.first + rows.start
                    check_finite("X", X.T, origin=origin)
                    check_nonnegative("X", X.T, origin=origin)
                smallest, largest = min(smallest, low), max(largest, high)
        except Expired:
            largest = largest or 1.0
        return smallest, largest

    def scaled(self, e: int) -> DenseSource:
        """Return 2^e X."""
        extremes = math.ldexp(self.smallest, e), math.ldexp(self.largest, e)
        X, _ = self.parts.load(0)
        if len(self.parts.given) == 1 and not is_mapped(X):
            found, step = np.empty_like(X), max(CHECK_BYTES // (X.itemsize * self.m), 1)
            try:
                for rows in self.deadline.slices(self.N, step):
                    np.ldexp(X[rows], e, out=found[rows])
                return DenseSource(Parts((found.T,)), extremes, deadline=self.deadline)
            except Expired:
                pass  # as a mapped file: no pass over it begins any more
        return DenseSource(self.parts, extremes, self.exponent + e, self.deadline)

    def cut(self, width: int, groups: int) -> tuple[list[list[Block]], list[list[Block]]]:
        """Return the blocks of samples and of features for factors `width` wide."""
        itemsize = self.dtype.itemsize
        return (
            cut(self.N, self.m, width, itemsize, groups),
            cut(self.m, width, width, itemsize, groups, FEATURE_ROWS),
        )

    def block(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return some samples, in place where they are in the right layout."""
        if self.whole is not None:
            return self.whole[rows]
        if getattr(self.last, "pages", None):
            mapping, last = self.last.pages
            mapping.release(last)
            self.last.pages = None
        pieces = self.parts.over(rows)
        if len(pieces) == 1 and not self.exponent:
            i, within, _ = pieces[0]
            part, mapping = self.parts.load(i)
            X = part[within]
            if X.dtype == self.dtype and X.flags.c_contiguous and X.flags.aligned:
                if mapping is not None:
                    self.last.pages = mapping, within
                return X
        X = scratch.take("X", (rows.stop - rows.start, self.m), self.dtype)
        for i, within, to in pieces:
            part, mapping = self.parts.load(i)
            X[to] = part[within]
            if mapping is not None:
                mapping.release(within)
        return np.ldexp(X, self.exponent, out=X) if self.exponent else X

    def opened(self, rows: slice, scratch: Scratch) -> np.ndarray:
        """Return some samples."""
        return self.block(rows, scratch)

    def some(self, chosen: np.ndarray) -> np.ndarray:
        """Return these samples in float64, one a row."""
        found, scratch = np.empty((len(chosen), self.m)), Scratch()
        for row, i in zip(found, chosen, strict=True):
            row[...] = self.block(slice(i, i + 1), scratch)[0]
        return found

    def operand(self, A: np.ndarray, n: int) -> np.ndarray:
        """Return A (m, n), its columns padded, as `product` wants it."""
        return pack(A)

    def product(self, X: np.ndarray, A: np.ndarray, scratch: Scratch, name: str) -> np.ndarray:
        """Return X' A for a block of samples, in `scratch`."""
        return product(A, X, scratch, name)

    def square(self, X: np.ndarray) -> float:
        """Return the sum of the squared entries of a block."""
        return dot(X, X)

    def total(self, X: np.ndarray) -> float:
        """Return the sum of the entries of a block."""
        return float(X.sum(dtype=np.float64))

    def known(self, X: np.ndarray) -> int:
        """Return how many entries a block has."""
        return X.size

    def sums(self, problem: Problem, n: int) -> GroupSums:
        """Return room for X H', n columns."""
        return GroupSums(problem, problem.padded(n), self.whole)

    def digest(self) -> str:
        """Return a fingerprint of the samples in the working precision."""
        found, scratch = hashlib.sha256(), Scratch()
        step = max(CHECK_BYTES // (self.dtype.itemsize * self.m), 1)
        for start in range(0, self.N, step):
            found.update(self.block(slice(start, min(start + step, self.N)), scratch).data)
        return found.hexdigest()


class GroupSums:
    """X H' (m, columns), one sum per group of blocks of samples.

    Where these sums would take more than another look at the samples costs, and the samples are
    in memory, they are formed feature by feature once all of H is there: in the same order.
    """

    def __init__(self, problem: Problem, columns: int, whole: np.ndarray | None) -> None:
        self.problem, self.columns, self.whole = problem, columns, whole
        few = min(FEW, TOUCHES * len(problem.samples) * columns) > problem.N
        parts = sum(map(len, problem.features))
        at_once = self.whole is not None and parts >= EVEN and few
        self.groups = None if at_once else problem.sums(problem.samples, problem.m, columns)
        starts = [group[0].rows.start for group in problem.samples]
        self.edges = np.array([*starts, problem.N], dtype=np.intp)
        self.size = kernels.outer_work(columns, problem.dtype.itemsize)

    def add(self, block: Block, X: np.ndarray, H: np.ndarray, scratch: Scratch) -> None:
        """Add a block of samples."""
        sums = self.of_group(block)
        if sums is not None:
            outer(X, H, sums, scratch)

    def of_group(self, block: Block) -> np.ndarray | None:
        """Return the sums a block is added to, zeros for the first one; None if not yet."""
        return None if self.groups is None else of_group(self.groups, block)

    def rows(self, rows: slice, Ht: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return X H' of some features, in `scratch`."""
        if self.groups is not None:
            return add_groups(self.groups, rows, scratch, "XH")
        assert self.whole is not None
        shape = rows.stop - rows.start, self.columns
        total = scratch.take("XH", shape, self.problem.dtype)
        part = scratch.take("XH of a group", shape, self.problem.dtype)
        work = scratch.take("outer", (self.size,), self.problem.dtype)
        kernels.outer_groups(self.whole[:, rows], Ht, self.edges, total, part, work)
        return total
