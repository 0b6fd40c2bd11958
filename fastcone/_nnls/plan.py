# SPDX-License-Identifier: BSD-3-Clause
"""Which stages a batch goes through: everything that chooses one, in one place.

The stages, fastest first: the compiled first rung (descent, one problem a lane, or the support
solver, one after the other), coordinate descent in pieces, the support solver on G, the exact
solver on A reduced to its rank, the exact solver on A. Each works on what the ones before have not
proved. What chooses depends on A and on the options alone, never on a neighbour, on the batch or on
the threads.

Figures behind the constants: docs/nnls.md, "Stages".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastcone._nnls.prepare import Gram
from fastcone._runtime import kernels as runtime_kernels
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import F32, F64, largest_penalty, roundoff

# The gap that the default asks descent for, and the one that must be proved of what it gives.
AIM = {F64: 1e-21, F32: 1e-12}
ENOUGH = {F64: 1e-18, F32: 1e-12}  # where the roundings of many generators allow no less
PROVED = {F64: 1e-10, F32: 1e-6}
ESTIMATE = 1e-9  # what float32 alone can tell
AIM_NARROW = 1e-10  # of a descent in float32 that is proved in float64
RUNG_RANK = 512  # generators up to which a block's epochs are one call of some 20 ms
RUNG_EPOCHS = 150  # of one descent: 20 at condition 8, 60 at 31, 140 at 47
RUNG_WORK = 1.6e9  # flops of a block's descent, of which there may be two in a call
# Condition of G with unit diagonal up to which descent is faster than the support solver, by n.
DESCENT_CONDITION = ((40, 30.0), (160, 100.0), (RUNG_RANK, 50.0))
SUPPORT_RANK = 1500  # generators up to which its steps on one problem take milliseconds
GRAM_RANK = 1500  # sparse generators beyond which no product of two of them is formed
ROOM_FOR_ROUNDING = 0.2  # share of a wanted gap that roundings of float32 may take
FEW_COLUMNS = 256  # sparse generators up to which their products cost nothing
COLUMN_EPOCHS = 50_000  # of a dozen targets or so, as their time compares with n^3 flops
SINGULAR = 1e-9  # least eigenvalue below which descent is slow, whatever the target
UNLIKE = 2e4  # ratio of row sizes at which a triangle by columns loses small rows' ninth digit
APART = 1e6  # ratio of norms at which generators may live in rows that a gap does not see
UNLIKE_LAM = 1e-6  # least eigenvalue above which unlike rows do no harm
PERSIST = 100_000  # epochs of method="cd"
CALL_WORK = 8e8  # flops of one kernel call: at most some 20 ms at v4 between looks at the clock
BLOCK_WORK = 1.2e8  # flops of a block: a few milliseconds
FULL_TILES = 4  # tiles of a block at least: the last lanes to finish leave the others idle


@dataclass(frozen=True)
class Options:
    """What the caller asked for, checked."""

    tol: float | None
    max_epochs: int | None
    method: str
    certify: bool
    deadline: Deadline

    def proved(self, dtype: np.dtype) -> float:
        """Return the gap with which a problem counts as converged."""
        return self.tol or (PROVED[dtype] if self.certify or dtype == F64 else ESTIMATE)

    def aim(self, dtype: np.dtype) -> float:
        """Return the gap that descent goes for."""
        return self.tol or (AIM[dtype] if self.certify or dtype == F64 else ESTIMATE)

    def enough(self, dtype: np.dtype) -> float:
        """Return the gap with which descent may end short of its aim."""
        return self.tol or (ENOUGH[dtype] if self.certify or dtype == F64 else ESTIMATE)


@dataclass(frozen=True)
class Plan:
    """The stages of a batch, and how it is cut.

    rung: the way of the compiled first rung, "descent", "support" or "".  rung_epochs: of a descent
    there.  epochs: of descent in pieces, 0 for none.  support, exact: whether these follow where a
    proof is missing.
    """

    rung: str
    rung_epochs: int
    epochs: int
    support: bool
    exact: bool
    block_size: int

    @classmethod
    def of(
        cls, gram: Gram, terms: int, unlike: bool, options: Options, started: bool, aim: float
    ) -> Plan:  # fmt: skip
        """Decide for generators of `terms` rows, `unlike` as dense.py says.

        started: whether the caller gave coefficients.  aim: the gap that descent goes for.
        """
        auto, cd = options.method == "auto", options.method == "cd"
        exact_first = unlike or options.method == "active_set" or (
            auto and not started and _descent_is_slow(gram, min(terms or gram.n, gram.n))
        )  # fmt: skip
        limit = next((most for n, most in DESCENT_CONDITION if gram.n <= n), 50.0)
        # a gap that asks for fewer epochs, and float32, move the limit
        limit *= math.log(AIM[F64]) / math.log(min(aim, 0.1))
        well = gram.top <= limit * gram.lam
        descent = cd or (auto and not exact_first and well)
        support = auto and not exact_first
        rung = ""
        if descent and fits_float32(gram) and gram.n <= RUNG_RANK:
            rung = "descent"
        elif support and gram.n <= SUPPORT_RANK:
            rung = "support"
        size = _block_size(gram.n, terms)
        return cls(
            rung=rung,
            rung_epochs=int(min(RUNG_EPOCHS, max(8, RUNG_WORK / (2 * gram.n**2 * size + 1)))),
            epochs=(options.max_epochs or PERSIST if cd else RUNG_EPOCHS) * descent,
            support=support,
            exact=not cd,
            block_size=size,
        )


def column_by_column(n: int, entries: int) -> bool:
    """Return whether sparse generators are better not multiplied with each other.

    Descent over their entries takes some hundred epochs a target, at a tenth of the rate of the
    n^3 flops that G takes to be prepared. How many targets there are must not change a bit.
    """
    return n > GRAM_RANK or (n > FEW_COLUMNS and COLUMN_EPOCHS * entries < n**3)


def fits_float32(gram: Gram) -> bool:
    """Return whether G is in float32's range and regular there."""
    fits = gram.lam > gram.n * roundoff(F32)
    return bool(fits and gram.diagonal.max(initial=0) < largest_penalty(F32))


def of_products(terms: int) -> float:
    """Return what bounds the roundings of A'b in float32, relative to ||a_j|| ||b||.

    The product kernel adds up sums of PRODUCT_CHUNK terms; ||b|| is a sum of 16 parts, a penalty
    is rounded and subtracted, and the powers of two are exact.
    """
    chunk = runtime_kernels.PRODUCT_CHUNK
    roundings = min(terms, chunk) + terms / chunk + terms / 16 + 12
    return 1.01 * roundings * roundoff(F32)


def provable_in_float32(gram: Gram, terms: int, wanted: float) -> bool:
    """Return whether a gap can be proved of A'b in float32: the worst roundings leave room.

    They change the bound of strong convexity by sum_j (of_products ||a_j|| ||b||)^2 / (2 lam G_jj).
    """
    worst = gram.n * of_products(terms) ** 2 / max(gram.lam, 1e-300)
    return bool(worst < ROOM_FOR_ROUNDING * wanted)


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
    full = min(FULL_TILES * runtime_kernels.tile(F32), CALL_WORK / (24 * n**2 + 1))
    return int(min(max(BLOCK_WORK / work, full, 1), 4096))
