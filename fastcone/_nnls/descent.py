# SPDX-License-Identifier: BSD-3-Clause
"""Coordinate descent on one block of problems, until their certificates prove `tol`.

A lane stops when an epoch has moved it by less than a limit; whether that was enough the report
says. The limit is the one for which the convex bound would give `tol` (docs/nnls.md), and where the
report finds the gap still larger, the limit is lowered and the descent goes on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastcone import _dispatch
from fastcone._nnls.certificate import Proof, from_facts
from fastcone._nnls.gram import FACTS, Gram, unit
from fastcone._nnls.targets import F64, Linear
from fastcone._threads import Scratch

FIRST_LOOK = 12  # epochs before a lane's rate of progress is looked at
CALL_WORK = 8e8  # flops of one kernel call: at most some 20 ms between looks at the clock


def first_limit(gram: Gram, tol: float) -> float:
    """Return the epoch's movement, relative to ||b||^2, at which to look at the certificate."""
    curvature = gram.lam if gram.lam > 1e-6 else 1e-3
    return tol * curvature / max(0.5, 0.36 * (gram.top - 1) ** 2)


class Descent:
    """One block: its linear terms, its coefficients X (p, ld), its proofs.

    `dtype` is that of the answers: coefficients are rounded to it before they are proved.
    """

    def __init__(
        self, gram: Gram, linear: Linear, X: np.ndarray, known: bool, dtype: np.dtype
    ) -> None:
        self.gram, self.linear, self.X, self.known, self.dtype = gram, linear, X, known, dtype
        self.rounding = gram.rounding if gram.dtype == F64 else 0.0
        p = len(X)
        self.epochs = np.zeros(p, dtype=np.intp)
        self.proof = Proof(np.full(p, np.inf), np.full(p, np.inf), np.full(p, np.inf))

    def prove(self, which: np.ndarray, scratch: Scratch) -> None:
        """Renew the proofs of some problems."""
        gram, p = self.gram, len(which)
        every = p == len(self.X)
        if self.dtype != gram.dtype:
            self.X[which] = self.X[which].astype(self.dtype)
        C, X = (self.linear.C, self.X) if every else (self.linear.C[which], self.X[which])
        facts = scratch.take("facts", (p, FACTS), gram.dtype)
        work = scratch.take(
            "work", ((2 * gram.rows + 11) * _dispatch.tile(gram.dtype),), gram.dtype
        )
        _dispatch.nnls_report(
            gram.G, gram.coord, C, X, self.linear.allow[which], self.rounding, facts, work
        )
        proof = from_facts(facts, gram, self.linear.size[which].astype(np.float64), self.known)
        self.proof.objective[which] = proof.objective
        self.proof.gap[which] = proof.gap
        self.proof.violation[which] = proof.violation

    def _descend(
        self,
        which: np.ndarray,
        stop: np.ndarray,
        budget: int,
        persist: bool,
        late: Callable[[], bool],
        scratch: Scratch,
    ) -> np.ndarray:
        """Epochs on some problems until each has stopped, is hopeless, or the budget is spent.

        Returns the problems given up: at the rate of their last epochs, the limit is farther away
        than the budget. With `persist` none is.
        """
        gram, given_up = self.gram, []
        work = scratch.take(
            "work", ((2 * gram.rows + 11) * _dispatch.tile(gram.dtype),), gram.dtype
        )
        moved = np.full(len(self.X), np.inf)
        done, step = 0, FIRST_LOOK
        while len(which) and done < budget and not late():
            every = len(which) == len(self.X)
            C, X = (self.linear.C, self.X) if every else (self.linear.C[which], self.X[which])
            most = int(CALL_WORK / (2 * gram.rows**2 * len(which) + 1))
            step = max(1, min(step, budget - done, most))
            used = scratch.take("epochs", (len(which),), np.intc)
            last = scratch.take("last", (len(which),), gram.dtype)
            left = _dispatch.nnls_cd(
                gram.G, gram.inv, gram.weight, C, X, stop[which], last, step, used, work
            )
            if not every:
                self.X[which] = X
            self.epochs[which] += np.abs(used)
            done += step
            going = used < 0 if left else np.zeros(len(which), dtype=bool)
            if left and not persist:
                with np.errstate(divide="ignore", invalid="ignore"):
                    rate = np.log(last / moved[which]) / step
                    needed = np.log(stop[which] / last) / rate
                hopeless = (
                    going & (moved[which] < np.inf) & ~((rate < 0) & (needed < budget - done))
                )
                given_up.append(which[hopeless])
                going &= ~hopeless
            moved[which] = last
            which = which[going]
            step = done
        return np.concatenate(given_up) if given_up else which[:0]

    def run(
        self,
        tol: float,
        max_epochs: int,
        late: Callable[[], bool],
        scratch: Scratch,
        *,
        started: bool,
        persist: bool,
    ) -> None:
        """Descend until every gap is proved to be at most `tol`, or nothing more can be gained."""
        gram, size2 = self.gram, np.maximum(self.linear.size, self.linear.allow / 8) ** 2
        stop = (first_limit(gram, tol) * size2).astype(gram.dtype)
        floor = (8 * unit(gram.dtype)) ** 2 * gram.n * size2
        todo = np.arange(len(self.X))
        if started:
            self.prove(todo, scratch)
            todo = todo[self.proof.gap > tol]
        while len(todo):
            budget = max_epochs - int(self.epochs[todo].max())
            given_up = self._descend(todo, stop, budget, persist, late, scratch)
            self.prove(todo, scratch)
            todo = np.setdiff1d(todo, given_up, assume_unique=True)
            gap = self.proof.gap[todo]
            over = gap > tol
            more = over & (stop[todo] > floor[todo]) & (self.epochs[todo] < max_epochs)
            ratio = (tol / gap[more]) ** (1 if gram.lam > 1e-6 else 2)
            todo = todo[more]
            stop[todo] = np.maximum(stop[todo] * np.clip(ratio / 4, 1e-6, 0.1), floor[todo] / 2)
            if late():
                return
