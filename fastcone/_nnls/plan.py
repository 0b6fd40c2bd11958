# SPDX-License-Identifier: BSD-3-Clause
"""Which stages a batch goes through: everything that chooses one, in one place.

The stages, fastest first: coordinate descent in float32, coordinate descent in the working dtype,
block principal pivoting on G, the exact solver on A reduced to its rank, the exact solver on A.
Each works on what the ones before have not proved. What chooses depends on A and on the options
alone, never on a neighbour, on the batch or on the threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastcone._nnls.prepare import Gram
from fastcone._runtime import kernels as runtime_kernels
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import F32, F64, largest_penalty, roundoff

# Epochs of coordinate descent before "auto" calls the exact solver: about as many as one solve of
# that costs, within these bounds.
FEWEST_EPOCHS, EPOCHS_PER_RANK, MOST_EPOCHS = 48, 4, 400
SINGULAR = 1e-9  # least eigenvalue below which descent is slow, whatever the target
FIRST_LOOK = 12  # epochs before a lane's rate of progress is looked at
MAX_FLOAT32_EPOCHS = 400  # whatever the limit of all
PIVOT_EPOCHS = 48  # epochs for which pivoting is worth it, and 2 more per generator
MAX_PIVOTS = 30  # steps of pivoting
PIVOT_RANK = 256  # generators beyond which a factor of G leaves the cache
PIVOT_ALL = 160  # generators up to which pivoting pays whatever the support
PIVOT_SHARE = 0.2  # of the generators: the least support for which it pays beyond
CALL_WORK = 8e8  # flops of one kernel call: at most some 20 ms at v4 between looks at the clock
BLOCK_WORK = 2.4e8  # flops of a block: a few milliseconds
FULL_TILES = 8  # tiles of a block at least: the last lanes to finish leave the others idle


@dataclass(frozen=True)
class Options:
    """What the caller asked for, checked."""

    tol: float
    max_epochs: int | None
    method: str
    certify: bool
    deadline: Deadline

    def epochs(self, rank: int) -> int:
        """Return the epochs of coordinate descent to spend on a problem."""
        if self.max_epochs or self.method == "cd":
            return self.max_epochs or 100_000
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, EPOCHS_PER_RANK * rank))


@dataclass(frozen=True)
class Plan:
    """The stages of a batch, and how it is cut.

    exact_first: skip descent.  epochs: of descent for a problem, at most.  float32_first: the
    first of them run in float32.  pivots: pivoting follows where descent is slow.  exact: the
    exact solver follows where a proof is missing.
    """

    exact_first: bool
    epochs: int
    float32_first: bool
    pivots: bool
    exact: bool
    block_size: int

    @classmethod
    def of(cls, gram: Gram, terms: int, options: Options, working: np.dtype, started: bool) -> Plan:
        """Decide for generators of `terms` rows; `started`: the caller gave coefficients."""
        auto, rank = options.method == "auto", min(terms or gram.n, gram.n)
        return cls(
            exact_first=options.method == "active_set"
            or (auto and not started and _descent_is_slow(gram, rank)),
            epochs=options.epochs(rank),
            float32_first=working == F64 and _fits_float32(gram),
            pivots=auto and gram.lam > SINGULAR and gram.n <= PIVOT_RANK,
            exact=options.method != "cd",
            block_size=_block_size(gram.n, terms),
        )


def _fits_float32(gram: Gram) -> bool:
    """Return whether G is in float32's range and regular there."""
    fits = gram.lam > gram.n * roundoff(F32)
    return bool(fits and gram.diagonal.max(initial=0) < largest_penalty(F32))


def _descent_is_slow(gram: Gram, rank: int) -> bool:
    """Return whether the exact solver's steps cost less than the epochs that they replace.

    Of a singular G, descent needs some hundred epochs of 2 n^2 flops, at ten times the exact
    solver's rate; that one some min(m, n) / 3 steps.
    """
    n, m = gram.n, rank
    return gram.lam < SINGULAR and m / 3 * (2 * m * n + m**2) < 20 * 2 * n**2


def _block_size(n: int, terms: int) -> int:
    """Return how many problems make a block: some milliseconds, and enough to fill the lanes.

    It depends on A alone, as do the cuts of the kernel calls that follow from it.
    """
    work = 2 * n * (terms + 16 * n) + 1
    full = min(FULL_TILES * runtime_kernels.tile(F32), CALL_WORK / (2 * FIRST_LOOK * n**2 + 1))
    return int(np.clip(max(BLOCK_WORK / work, full), 1, 4096))
