# SPDX-License-Identifier: BSD-3-Clause
"""Coordinate descent on one block of problems, until their certificates prove `tol`.

A lane stops when an epoch has moved it by less than a limit; whether that was enough the report
says. The limit is the one for which the convex bound would give `tol` (docs/nnls.md), and where the
report finds the gap still larger, the limit is lowered and the descent goes on.

In float64 the first epochs run in float32: the gap is second order in the error of x, so six
right digits make a gap near 1e-12, and an epoch costs half.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.certificate import Proof, from_report
from fastcone._nnls.pivoting import pivot
from fastcone._nnls.plan import CALL_WORK, FIRST_LOOK, MAX_FLOAT32_EPOCHS, PIVOT_EPOCHS
from fastcone._nnls.prepare import Gram
from fastcone._nnls.targets import LinearTerms, Targets
from fastcone._runtime.scaling import F64, largest_penalty, roundoff
from fastcone._runtime.threads import Scratch


def first_limit(gram: Gram, tol: float) -> float:
    """Return the epoch's movement, relative to ||b||^2, at which to look at the certificate."""
    curvature = gram.lam if gram.lam > 1e-6 else 1e-3
    return tol * curvature / max(0.25, 0.18 * (gram.top - 1) ** 2)


def first_schedule(p: int) -> np.ndarray:
    """Return the state of the extrapolation of p problems before their first epoch."""
    return np.tile((3.0, np.inf), (p, 1))


class Descent:
    """One block: its linear terms, its coefficients X (p, ld), its proofs.

    `dtype` is that of the answers: coefficients are rounded to it before they are proved. `most` is
    the number of problems of a full block.
    """

    def __init__(
        self,
        gram: Gram,
        linear: LinearTerms,
        X: np.ndarray,
        targets: Targets,
        dtype: np.dtype,
        most: int,
    ) -> None:
        self.gram, self.linear, self.X, self.dtype, self.most = gram, linear, X, dtype, most
        self.known, self.data = targets.known, targets.data
        self.rounding = gram.rounding if gram.dtype == F64 else 0.0
        p = len(X)
        self.epochs = np.zeros(p, dtype=np.intp)
        self.schedule = first_schedule(p)
        self.proof = Proof(np.full(p, np.inf), np.full(p, np.inf), np.full(p, np.inf))

    def prove(self, which: np.ndarray, scratch: Scratch) -> None:
        """Renew the proofs of some problems."""
        gram, p = self.gram, len(which)
        every = p == len(self.X)
        if self.dtype != gram.dtype:
            self.X[which] = self.X[which].astype(self.dtype)
        C, X = (self.linear.C, self.X) if every else (self.linear.C[which], self.X[which])
        report = scratch.take("report", (p, len(kernels.REPORT)), gram.dtype)
        work = scratch.take("work", (kernels.nnls_work(gram.rows, gram.dtype),), gram.dtype)
        kernels.nnls_report(
            gram.G, gram.coord, C, X, self.linear.delta_scale[which], self.rounding, report, work
        )
        size = self.linear.b_norm[which].astype(np.float64)
        proof = from_report(report, gram, size, known=self.known, data=self.data)
        self.proof.objective[which] = proof.objective
        self.proof.gap[which] = proof.gap
        self.proof.violation[which] = proof.violation

    def held(self, which: np.ndarray) -> list[np.ndarray]:
        """Return the gaps, objectives, violations and coefficients of some problems."""
        return [values[which] for values in self._parts()]

    def take_back(self, which: np.ndarray, held: list[np.ndarray], worse: np.ndarray) -> None:
        """Go back to what was `held` of the problems `which`, those that are `worse` now."""
        for values, kept in zip(self._parts(), held, strict=True):
            values[which[worse]] = kept[worse]

    def _parts(self) -> tuple[np.ndarray, ...]:
        return self.proof.gap, self.proof.objective, self.proof.violation, self.X

    def _descend(
        self,
        which: np.ndarray,
        stop: np.ndarray,
        max_epochs: int,
        persist: bool,
        late: Callable[[], bool],
        scratch: Scratch,
    ) -> np.ndarray:
        """Epochs on some problems until each has stopped, is hopeless, or has had `max_epochs`.

        Returns the problems given up: at the rate of its last epochs, the limit is farther away
        than the epochs left. With `persist` none is. The rate is looked at after 12, 24, 48 ...
        epochs of a problem, and kernel calls are cut there and where A's size tells: neighbours
        make no difference.
        """
        gram, given_up = self.gram, []
        work = scratch.take("work", (kernels.nnls_work(gram.rows, gram.dtype),), gram.dtype)
        longest = int(max(1, CALL_WORK / (2 * gram.rows**2 * self.most + 1)))
        moved = np.empty(len(self.X), dtype=gram.dtype)
        done, look, before = 0, FIRST_LOOK, 0
        while len(which) and not late():
            every = len(which) == len(self.X)
            C, X, schedule = self.linear.C, self.X, self.schedule
            if not every:
                C, X, schedule = C[which], X[which], schedule[which]
            left = max_epochs - self.epochs[which]
            step = np.minimum(left, min(look - done, longest)).astype(np.intc)
            used = scratch.take("epochs", (len(which),), np.intc)
            last = scratch.take("last", (len(which),), gram.dtype)
            unfinished = kernels.nnls_cd(
                gram.G, gram.inv, gram.weight, C, X, stop[which], schedule, last, step, used, work
            )
            if not every:
                self.X[which], self.schedule[which] = X, schedule
            self.epochs[which] += np.abs(used)
            if not unfinished:
                break
            done += min(look - done, longest)
            going = (used < 0) & (left > step)
            which, last, left = which[going], last[going], (left - step)[going]
            if done == look:
                if before and not persist:
                    with np.errstate(divide="ignore", invalid="ignore"):
                        rate = np.log(last / moved[which]) / (done - before)
                        hope = (rate < 0) & (np.log(stop[which] / last) / rate < left)
                    given_up.append(which[~hope])
                    which, last = which[hope], last[hope]
                moved[which] = last
                before, look = done, 2 * look
        return np.concatenate(given_up) if given_up else which[:0]

    def _start(self, scratch: Scratch) -> None:
        """Prove the start; one that is worse than 0, or not even finite, becomes 0."""
        every = np.arange(len(self.X))
        with np.errstate(over="ignore", invalid="ignore"):
            self.prove(every, scratch)
        at_zero = self.linear.b_norm.astype(np.float64) ** 2 / 2 if self.known else 0.0
        bad = np.flatnonzero(~(self.proof.objective <= at_zero * (1 + 1e-6)))
        if bad.size:
            self.X[bad] = 0
            self.prove(bad, scratch)

    def _descend_float32(
        self,
        gram: Gram,
        which: np.ndarray,
        stop: np.ndarray,
        max_epochs: int,
        late: Callable[[], bool],
        scratch: Scratch,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Epochs in the narrower dtype of `gram`, as far as it resolves them.

        What is beyond its range is cut: the answer is a start here. Returns which problems have
        stopped at their limit `stop`, and those given up.
        """
        largest, dtype = largest_penalty(gram.dtype), gram.dtype
        C = scratch.take(f"C{dtype.itemsize}", self.X.shape, dtype)
        X = scratch.take(f"X{dtype.itemsize}", self.X.shape, dtype)
        with np.errstate(over="ignore"):
            limit = np.maximum(stop, self._least_limit(gram)).astype(dtype)
            C[...], X[...] = self.linear.C, self.X
        np.maximum(C, -largest, out=C)
        np.minimum(X, largest, out=X)
        other, most = copy.copy(self), min(max_epochs, MAX_FLOAT32_EPOCHS)
        other.gram, other.linear, other.X = gram, replace(self.linear, C=C), X
        other.epochs, other.schedule = np.zeros_like(self.epochs), first_schedule(len(X))
        given_up = other._descend(which, limit, most, False, late, scratch)
        part = slice(None) if len(which) == len(X) else which
        self.X[part] = X[part]
        self.epochs += other.epochs
        given_up = np.union1d(given_up, which[other.epochs[which] >= most])
        stopped = limit <= stop
        stopped[given_up] = False
        return stopped, given_up

    def _least_limit(self, gram: Gram) -> np.ndarray:
        """Return the movement of an epoch below which this dtype tells nothing."""
        return (8 * roundoff(gram.dtype)) ** 2 * gram.n * self._size2()

    def _size2(self) -> np.ndarray:
        """Return the unit of those movements, ||b||^2, or more where l1 is far more."""
        return np.maximum(self.linear.b_norm, self.linear.delta_scale / 8) ** 2

    def run(
        self,
        tol: float,
        max_epochs: int,
        late: Callable[[], bool],
        scratch: Scratch,
        *,
        gram32: Gram | None,
        pivot_gram: Gram | None,
        started: bool,
        persist: bool,
    ) -> None:
        """Descend until every gap is proved to be at most `tol`, or nothing more can be gained.

        gram32: the same quadratic in float32, for the first epochs.  pivot_gram: in float64, for
        pivoting where too many epochs are needed.  started: whether X is the caller's.  persist:
        whether to go on at any rate.
        """
        gram = self.gram
        stop = (first_limit(gram, tol) * self._size2()).astype(gram.dtype)
        floor = self._least_limit(gram)
        todo = np.arange(len(self.X))
        if started:
            self._start(scratch)
            todo = todo[~(self.proof.gap <= tol)]
        while len(todo):
            stopped = np.ones(len(self.X), dtype=bool)
            held = self.held(todo) if started and gram32 is not None else None
            if gram32 is not None:
                most = (
                    min(max_epochs, PIVOT_EPOCHS + 2 * gram.n)
                    if pivot_gram is not None
                    else max_epochs
                )
                stopped, slow = self._descend_float32(gram32, todo, stop, most, late, scratch)
                gram32 = None
            else:
                slow = self._descend(todo, stop, max_epochs, persist, late, scratch)
            if pivot_gram is not None and len(slow):
                pivot(self, pivot_gram, slow, max_epochs, late, scratch)
            self.prove(todo, scratch)
            if held is not None:  # a start may be better than the narrower dtype can tell
                gap, objective = self.proof.gap[todo], self.proof.objective[todo]
                self.take_back(todo, held, ~((gap <= held[0]) | (objective <= held[1])))
            more = ~(self.proof.gap <= tol) & (stop > floor) & (self.epochs < max_epochs)
            more[slow] &= persist
            todo = todo[more[todo]]
            low = todo[stopped[todo]]
            ratio = (tol / self.proof.gap[low]) ** (1 if gram.lam > 1e-6 else 2)
            stop[low] = np.maximum(stop[low] * np.clip(ratio / 4, 1e-6, 0.1), floor[low] / 2)
            if late():
                return
