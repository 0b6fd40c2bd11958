# SPDX-License-Identifier: BSD-3-Clause
"""Upper bounds and sums: the support solver on G, and heavy rows for what that leaves.

Heavy rows, for the solver whose digits no row costs:

    x_j + y_j = u_j,  y_j >= 0        a row of weight w for every bounded generator
    sum_j x_j = s                     a row of weight w

With w = 2^30 times the largest generator such a row is off by about w^-2, less than its rounding.

Certificate. For feasible x and y, d = x - y has d_j in [x_j - u_j, x_j] (u_j <= s where the sum is
known) and, with a sum, adds up to 0. So for any nu (0 without a sum), lam as in certificate.py,

    f(x) - f* <= sum_j max_d ( (g_j - nu) d - lam G_jj d^2 / 2 )
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcone._nnls import bounded_support
from fastcone._nnls.block import Answers, Job
from fastcone._nnls.certificate import relative
from fastcone._nnls.dense import DenseGenerators
from fastcone._nnls.householder import RowStable
from fastcone._nnls.result import Solution
from fastcone._nnls.solve import answers_of
from fastcone._runtime import threads
from fastcone._runtime.scaling import F32, F64, exponent
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import axes, check_finite, check_shape, nonnegative, real_array

WEIGHT = 2.0**30  # of a row, times the largest generator
BLOCK = 512  # problems of a block
SNAP = 1e-14  # of a bound and of the largest coefficient: one as near is meant to be there
MISSED = {F64: 1e-12, F32: 2e-7}  # share of a sum that the roundings of x may miss
TINY = 1e-290  # of a scaled sum, where digits are lost
HUGE = 1e30  # times ||b|| / ||a_j||: no coefficient of meaning is as large
FAR = 1e6  # times ||b|| / ||a_j||: a bound that few optima reach
LEAST = 5e-324  # above 0: what is less is no bound of what was rounded to 0
KEPT = 32  # patterns of bounds whose triangles are kept


@dataclass(frozen=True)
class Constraints:
    """Bounds u (n, p), inf where there is none, and sums (p,), or None."""

    upper: np.ndarray
    total: np.ndarray | None

    @classmethod
    def checked(cls, upper: Any, sum_to: Any, n: int, p: int) -> Constraints:
        """Return what a caller asked for, or raise for what cannot be met."""
        bounds = np.full((n, p), np.inf)
        if upper is not None:
            given = real_array(
                "upper", upper, ndim=(0, 1, 2), dtype=F64, finite=False, nonnegative=True
            )
            if np.isnan(given).any():
                raise ValueError("upper holds NaN, want numbers >= 0 or infinity")
            if given.ndim == 2:
                check_shape("upper", given, (n, p))
            elif given.ndim == 1:
                check_shape("upper", given, (n,))
                given = given[:, None]
            bounds[...] = given
        if sum_to is None:
            return cls(bounds, None)
        if axes("sum_to", sum_to) == 0:
            total = np.full(p, nonnegative("sum_to", sum_to))
        else:
            total = real_array("sum_to", sum_to, ndim=(1,), dtype=F64, nonnegative=True)
            check_shape("sum_to", total, (p,))
        most = bounds.sum(axis=0)
        if np.any(total > most * (1 + 1e-12)):
            r = int(np.argmax(total > most * (1 + 1e-12)))
            raise ValueError(
                f"sum_to is {total[r]:g} for problem {r}, want at most {most[r]:g}, the sum of its "
                "upper bounds"
            )
        return cls(bounds, np.minimum(total, most))

    def start(self) -> np.ndarray:
        """Return coefficients (n, p) within the bounds that have their sums."""
        zeros = np.zeros_like(self.upper)
        return zeros if self.total is None else vertex(zeros, self.upper, self.total)


def vertex(g: np.ndarray, upper: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return argmin g'x of each column, over 0 <= x <= upper that adds up to `total`."""
    order, X = np.argsort(g, axis=0, kind="stable"), np.zeros_like(upper)
    most = np.take_along_axis(upper, order, axis=0)
    before = np.cumsum(most, axis=0)[:-1]
    left = total - np.vstack([np.zeros((min(len(X), 1), len(total))), before])
    np.put_along_axis(X, order, np.clip(left, 0, most), axis=0)
    return X


def with_heavy_rows(
    generators: DenseGenerators, bounded: np.ndarray, summed: bool
) -> tuple[RowStable, float]:
    """Return the solver on A with the heavy rows below, for a pattern of bounded generators."""
    key = bounded.tobytes(), summed
    if key not in generators.bounded:
        if len(generators.bounded) >= KEPT:
            generators.bounded.pop(next(iter(generators.bounded)))
        A, n, e = generators.with_ridge, generators.n, generators.plain.exponent
        k, m = np.count_nonzero(bounded), len(A)
        root, row = generators.gram.root, np.ldexp(1.0, e - e.max(initial=0))
        weight = WEIGHT * max(1.0, float((root / row if summed else root).max(initial=0)))
        whole = np.zeros((m + k + summed, n + k))
        whole[:m, :n] = A
        whole[m + np.arange(k), np.flatnonzero(bounded)] = weight
        whole[m + np.arange(k), n + np.arange(k)] = weight
        if summed:
            whole[-1, :n] = weight * row
        generators.bounded[key] = RowStable(whole), weight
    return generators.bounded[key]


def feasible(
    Z: np.ndarray, upper: np.ndarray, total: np.ndarray | None, scale: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Return rows of Z at their bounds and sums, from which heavy rows leave them by rounding."""
    near = SNAP * Z.max(axis=1, initial=0)[:, None]
    X = np.where(Z + near >= (1 - SNAP) * upper, upper, Z)
    if total is None:
        return X
    free = (X > 0) & (upper > X)
    mass = np.where(free, X * scale, 0).sum(axis=1)
    missing = total - (X * scale).sum(axis=1)
    factor = 1 + np.divide(missing, mass, out=np.zeros_like(mass), where=mass > 0)
    X = np.where(free, np.minimum(X * np.maximum(factor, 0)[:, None], upper), X)
    return np.where(total[:, None] > 0, X, 0)


def multiplier(X: np.ndarray, g: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the multiplier of each sum: the gradient of what is free, or between the bounds'."""
    mass = np.where((X > 0) & (upper > X), X, 0).sum(axis=1)
    mean = np.where((X > 0) & (upper > X), X * g, 0).sum(axis=1)
    may = upper > 0  # what is switched off says nothing
    at_upper = np.where(may & (upper <= X), g, -np.inf).max(axis=1, initial=-np.inf)
    at_zero = np.where(may & (X <= 0), g, np.inf).min(axis=1, initial=np.inf)
    at_upper = np.where(np.isinf(at_upper), at_zero, at_upper)
    at_zero = np.where(np.isinf(at_zero), at_upper, at_zero)
    between = np.nan_to_num((at_upper + at_zero) / 2)
    return np.divide(mean, mass, out=between, where=mass > 0)


def gap_of(
    generators: DenseGenerators, X: np.ndarray, B: np.ndarray, l1: np.ndarray,
    upper: np.ndarray, total: np.ndarray | None, scale: np.ndarray, missed: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return objective, gap and violation of rows X, in scaled units; `scale`: 2^e of the sum.

    A sum may be missed by the share `missed`, the roundings of X: g'(y - x) of a feasible y holds
    nu times that, too.
    """
    gram = generators.gram
    R, g, in_R, in_g = generators.proof.gradient(X, B, l1)
    penalty = np.einsum("ij,ij->i", l1 + gram.ridge * X / 2, X)
    objective = np.einsum("ij,ij->i", R, R) / 2 + penalty
    nu = np.zeros(len(X))
    if total is not None:
        nu = multiplier(X, g / scale, upper)
        with np.errstate(divide="ignore", over="ignore"):
            upper = np.minimum(upper, total[:, None] / scale)
    shifted = g - nu[:, None] * scale
    hi, lo = np.maximum(shifted + in_g, 0), np.minimum(shifted - in_g, 0)
    room = np.maximum(upper - X, 0)
    curve = gram.lam * gram.diagonal
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        down = np.minimum(np.where(curve > 0, hi / curve, np.inf), X)
        up = np.minimum(np.where(curve > 0, -lo / curve, np.inf), room)
        bound = down * (hi - curve * down / 2)
        bound += np.where(lo < 0, up * (-lo - curve * np.where(np.isinf(up), 0, up) / 2), 0)
    at_zero, miss = np.einsum("ij,ij->i", B, B) / 2, np.zeros(len(X))
    if total is not None:  # x = 0 may be far from feasible, and better
        at_zero = np.maximum(at_zero, objective)
        off = np.abs((X * scale).sum(axis=1) - total) + 1e-15 * total
        miss = np.where(off > missed * total, np.inf, np.abs(nu) * off)
    value = objective + np.einsum("ij,ij->i", np.abs(R) + in_R, in_R) + 1e-14 * objective
    bound = bound.sum(axis=1) + miss
    gap = relative(np.minimum(bound, value) if total is None else bound, at_zero)
    unit = np.ldexp(1.0, generators.plain.exponent)
    down, up = np.minimum(X * unit, shifted / unit), np.minimum(room * unit, -shifted / unit)
    worst = np.maximum(down, up)
    return objective, gap, np.abs(worst).max(axis=1, initial=0)


def solve(job: Job, constraints: Constraints, n_threads: int | None) -> Solution:
    """Solve the problems of a dense batch with their bounds and sums."""
    p, total = job.targets.p, constraints.total
    if total is not None and (total > np.finfo(job.dtype).max).any():
        raise ValueError(f"sum_to is {total.max():g}, beyond the range of {job.dtype}")
    answers, left = Answers.of(p, job.targets.gram.n, job.dtype), np.arange(p)
    if constraints.total is None:  # an optimum without bounds that keeps them is one with them
        answers = answers_of(job, None, n_threads)
        proved = answers.known[1] <= job.options.proved(job.dtype)
        left = np.flatnonzero(~(proved & (constraints.upper >= answers.X.T).all(axis=0)))
        answers.X[left], answers.known[:, left] = 0, np.inf

    def block(k: int, scratch: Scratch) -> None:
        which = left[k * BLOCK : (k + 1) * BLOCK]
        if job.targets.generators.bounds_on_gram:  # type: ignore[attr-defined]
            with np.errstate(over="ignore", under="ignore"):
                which = solve_by_support(job, constraints, which, answers, scratch)
        if not which.size:
            return
        patterns, far = bounds_that_matter(job, constraints, which)
        solve_by_patterns(job, constraints, which, patterns & ~far, answers, scratch)
        some = far.any(axis=0) & ~(answers.known[1, which] <= job.options.proved(job.dtype))
        again, old = which[some], answers.part(which[some])  # rows of far bounds lose digits
        solve_by_patterns(job, constraints, again, patterns[:, some], answers, scratch)
        better = np.isfinite(old.known[1]) & (old.known[0] < answers.known[0, again])
        answers.X[again[better]] = old.X[better]
        answers.known[:, again[better]] = old.known[:, better]

    threads.run(-(-len(left) // BLOCK), block, n_threads)
    lost = np.flatnonzero(np.isinf(answers.known[0])) if total is not None else left[:0]
    if lost.size:  # not reached: what has its sum is more use than 0
        some = Constraints(constraints.upper[:, lost], total[lost])  # type: ignore[index]
        answers.X[lost] = some.start().T
    return answers.solution(job.options)


def bounds_that_matter(
    job: Job, constraints: Constraints, which: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return (n, p) which bounds an optimum may reach, and which are so far that it hardly does.

    The latter are left out at first: as rows they would bring all others to nothing.
    """
    targets: Any = job.targets
    upper, gram = constraints.upper[:, which], targets.gram
    patterns = np.isfinite(upper) & (upper <= 2 * reach(job, constraints, which))
    with np.errstate(all="ignore"):
        largest = np.abs(targets.B[:, which].astype(F64)).max(axis=0, initial=0)
        norm = np.ldexp(gram.norm, -gram.exponent)
        scale = largest / norm[:, None]
        if constraints.total is not None:  # no bound above it matters
            scale = np.maximum(scale, constraints.total[which])
        patterns &= ~(upper > HUGE * scale)
        return patterns, patterns & (upper > FAR * scale)


def solve_by_patterns(
    job: Job, constraints: Constraints, which: np.ndarray, patterns: np.ndarray, answers: Answers,
    scratch: Scratch,
) -> None:  # fmt: skip
    """Solve some problems with heavy rows, those of one pattern of bounds together."""
    for pattern in np.unique(patterns, axis=1).T if which.size else ():
        if not job.late(scratch):
            alike = (patterns == pattern[:, None]).all(axis=0)
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                solve_alike(job, constraints, which[alike], pattern, answers, scratch)


def solve_alike(
    job: Job, constraints: Constraints, which: np.ndarray, pattern: np.ndarray, answers: Answers,
    scratch: Scratch,
) -> None:  # fmt: skip
    """Solve the problems of which the same generators, `pattern`, have a bound that may matter."""
    targets: Any = job.targets
    generators, n = targets.generators, targets.gram.n
    e, top = generators.plain.exponent, _top(job)
    rows = np.ascontiguousarray(targets.B.T[which], dtype=F64)
    if not np.isfinite(rows).all():
        check_finite("B", targets.B)
    largest = np.abs(rows).max(axis=1, initial=0)
    E = exponent(np.maximum(largest, _size(job, constraints, which, pattern)))
    B, l1 = targets.exact_rows(which, E), job.penalty.scaled(which, E)
    given = constraints.upper[:, which]
    upper = np.ldexp(np.where(pattern[:, None], given, np.inf).T, -e - E[:, None])
    total = None if constraints.total is None else np.ldexp(constraints.total[which], -top - E)
    form, weight = with_heavy_rows(generators, pattern, total is not None)
    k, s = np.count_nonzero(pattern), total is not None
    target = np.zeros((len(which), form.rows))
    target[:, : generators.m] = B
    first = form.rows - k - s
    target[:, first : first + k] = weight * upper[:, pattern]
    if total is not None:
        target[:, -1] = weight * total
    penalty = np.zeros((len(which), form.n))
    penalty[:, :n] = 0 if total is not None else l1  # l1 times a known sum is a constant
    most = job.options.max_epochs or 30 * form.n
    Z, used = form.solve(target, penalty, most, None, lambda: job.late(scratch))
    keep(job, constraints, which, E, Z[:, :n], upper, total, B, l1, used, answers)


def solve_by_support(
    job: Job, constraints: Constraints, which: np.ndarray, answers: Answers, scratch: Scratch
) -> np.ndarray:  # fmt: skip
    """Solve problems with the support solver; returns those that it could not settle."""
    targets: Any = job.targets
    e, top, summed = targets.gram.exponent, _top(job), constraints.total is not None
    linear = bounded_support.linear_terms(job, which, summed, scratch)
    E = linear.exponent
    upper = np.ldexp(constraints.upper[:, which].T, -e - E[:, None])
    total = None if constraints.total is None else np.ldexp(constraints.total[which], -top - E)
    B, weight = targets.exact_rows(which, E), np.ldexp(1.0, e - top)
    binding = upper
    if total is not None:
        binding = np.where(upper * weight < total[:, None], upper, np.inf)
    found = bounded_support.solve(job, which, linear, B, binding, total, weight, scratch)
    good = np.flatnonzero(found.settled)
    total = None if total is None else total[good]
    l1 = job.penalty.scaled(which[good], E[good])
    keep(
        job, constraints, which[good], E[good], found.X[good], upper[good], total, B[good], l1,
        found.steps[good], answers,
    )  # fmt: skip
    proved = answers.known[1, which[good]] <= job.options.proved(job.dtype)
    return np.delete(which, good[proved])


def keep(
    job: Job, constraints: Constraints, which: np.ndarray, E: np.ndarray, Z: np.ndarray,
    upper: np.ndarray, total: np.ndarray | None, B: np.ndarray, l1: np.ndarray, used: np.ndarray,
    answers: Answers,
) -> None:  # fmt: skip
    """Make what a solver found feasible, prove it, and write it in the caller's units."""
    targets: Any = job.targets
    generators = targets.generators
    e, top, given = generators.plain.exponent, _top(job), constraints.upper[:, which]
    X = feasible(Z, upper, total, np.ldexp(1.0, e - top))
    back = np.minimum(np.ldexp(X, e + E[:, None]), given.T).astype(job.dtype)
    room = np.ldexp(np.minimum(given, reach(job, constraints, which)).T, -e - E[:, None])
    X = np.ldexp(back.astype(F64), -e - E[:, None])
    objective, gap, violation = gap_of(
        generators, X, B, l1, room, total, np.ldexp(1.0, e - top), MISSED[job.dtype]
    )
    if total is not None:  # a sum that the units of its problem do not hold
        gap[(constraints.total[which] > 0) & (total < TINY)] = np.inf  # type: ignore[index]
    answers.X[which] = back
    answers.known[:, which] = np.ldexp(objective, 2 * E), gap, np.ldexp(violation, E)
    answers.epochs[which] = np.where(used < 0, -1 - used, used)
    answers.known[1, which[used < 0]] = np.inf


def reach(job: Job, constraints: Constraints, which: np.ndarray) -> np.ndarray:
    """Return what no coefficient of an optimum exceeds, in the caller's units."""
    targets: Any = job.targets
    gram = targets.gram
    if constraints.total is not None:
        return np.broadcast_to(constraints.total[which], (gram.n, len(which)))
    B = targets.B[:, which].astype(F64)
    most = np.full((gram.n, len(which)), np.inf)
    with np.errstate(all="ignore"):  # f(x) <= f(0), so ||A x|| <= 2 ||b||
        peak = np.abs(B).max(axis=0, initial=0)
        unit = B / np.where(peak > 0, peak, 1)
        far = 2.001 * peak * np.sqrt(np.einsum("ij,ij->j", unit, unit))
        if gram.lam > 0:  # lam ||D^1/2 x||^2 <= ||A x||^2
            most = far / np.sqrt(gram.lam) * gram.rootinv[:, None]
        if gram.shift.pointed:  # a'x = y0'A x, a > 0
            low = np.where(gram.used, gram.shift.low, 1)[:, None]
            most = np.fmin(most, far * np.sqrt(gram.shift.norm2) / low)
        most = np.maximum(np.ldexp(most, gram.exponent[:, None]), LEAST)
    return np.where(np.isnan(most) | ~gram.used[:, None], np.inf, most)


def _size(
    job: Job, constraints: Constraints, which: np.ndarray, pattern: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Return how large a right-hand side of a sum or a bound may be, in units of a target."""
    bounds = np.where(pattern[:, None], constraints.upper[:, which], 0)
    units = np.ldexp(1.0, -job.targets.gram.exponent)
    most = (bounds * units[:, None]).max(axis=0, initial=0)
    if constraints.total is not None:
        most = np.maximum(most, np.ldexp(constraints.total[which], -_top(job)))
    return most


def _top(job: Job) -> int:
    """Return the largest power of two by which a generator is multiplied."""
    return int(job.targets.gram.exponent.max(initial=0))
