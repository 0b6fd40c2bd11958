# SPDX-License-Identifier: BSD-3-Clause
"""From a start to the factors: `fastcone.nmf` under scikit-learn's letters, and when it ends.

X (n, p) ~ W H: the coefficients W (n, k) are scikit-learn's, `nmf` calls them H'
and the components W'.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastcone._nmf.api import nmf
from fastcone._nnls.api import solve_nnls
from fastcone.sklearn import multiplicative as mu
from fastcone.sklearn.multiplicative import Weights

EVERY = 10  # iterations between two looks of `mu`


@dataclass(frozen=True)
class Problem:
    """What is minimised: D(X, W H) + penalties of W and H."""

    X: Any
    beta: float
    on_W: Weights
    on_H: Weights

    def objective(self, W: np.ndarray, H: np.ndarray) -> float:
        """Return the objective."""
        return mu.divergence(self.X, W, H, self.beta) + self.on_W(W) + self.on_H(H)


@dataclass
class Ending:
    """Ends a run by its objectives f, and tells of them.

    ::

        cd   f - f' <= tol^2 (f_1 - f_2) and f - f' <= tol f', or f' <= tol^2 f_1
        mu   every tenth iteration: sqrt(2 f) of ten before less sqrt(2 f') < tol sqrt(2 f_0)

    Near the end a decrease is about a gradient's square, which is where the tol^2 comes from: for
    cd scikit-learn asks for gradients of `tol` of the first ones.
    """

    solver: str
    tol: float
    start: float  # f_0, of mu
    verbose: int = 0
    tell: Callable[[int], bool] = lambda iteration: False
    seen: list[float] = field(default_factory=list)
    stopped: bool = False
    began: float = field(default_factory=time.perf_counter)

    def __call__(self, iteration: int, objective: float) -> bool:
        """Return whether the run ends after this iteration."""
        self.seen.append(objective)
        if self.verbose:
            seconds = time.perf_counter() - self.began
            print(f"Iteration {iteration} after {seconds:.3f} s: objective {objective:.9g}")
        rule = self._cd if self.solver == "cd" else self._mu
        self.stopped = self.tell(iteration) or (self.tol > 0 and rule())
        return self.stopped

    def _cd(self) -> bool:
        if len(self.seen) < 3:
            return False
        tol, (first, second), (before, now) = self.tol, self.seen[:2], self.seen[-2:]
        gain = before - now
        flat = gain <= tol**2 * (first - second) and gain <= tol * now
        return flat or now <= tol**2 * first

    def _mu(self) -> bool:
        if len(self.seen) % EVERY:
            return False
        before = self.seen[-EVERY - 1] if len(self.seen) > EVERY else self.start
        errors = (math.sqrt(2 * max(f, 0.0)) for f in (self.start, before, self.seen[-1]))
        at_start, error_before, error = errors
        return not at_start or (error_before - error) / at_start < self.tol


def _begun(ending: Ending, max_iter: int) -> int:
    """Return the iterations begun: the last one of a run that could go no lower was refused."""
    done = len(ending.seen)
    return done if ending.stopped else min(done + 1, max_iter)


def factorised(
    problem: Problem, W: np.ndarray, H: np.ndarray, ending: Ending, max_iter: int, update_H: bool
) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Return W, H, the iterations begun and the divergence, from a start that is not zero."""
    fit = nmf(
        problem.X.T, len(H), loss=problem.beta, solver=ending.solver, W=H.T, H=W.T,
        l1_W=problem.on_H.l1, l2_W=problem.on_H.l2, l1_H=problem.on_W.l1, l2_H=problem.on_W.l2,
        max_iter=max_iter, tol=0, update_W=update_H, callback=ending,
    )  # fmt: skip
    divergence = fit.objective - problem.on_W(fit.H) - problem.on_H(fit.W)
    found, kept = np.ascontiguousarray(fit.H.T), H
    H = np.ascontiguousarray(fit.W.T) if update_H else H
    if ending.solver == "mu":
        floors = mu.Floors.of(problem.X, kept, problem.beta)
        found, H = mu.settled(found, floors.W), mu.settled(H, floors.H) if update_H else H
    return found, H, _begun(ending, max_iter), divergence


def zeros_kept(
    problem: Problem, W: np.ndarray, H: np.ndarray, ending: Ending, max_iter: int
) -> tuple[np.ndarray, np.ndarray, int, float]:
    """The same by multiplicative steps that leave the zeros of the start at zero."""
    X, beta = problem.X, problem.beta
    floors = mu.Floors.of(X, H, beta)
    for iteration in range(1, max_iter + 1):
        W = mu.step(W, *mu.sums(X, W, H, beta, floors.product), problem.on_W, beta, floors.W)
        num, den = mu.sums(X.T, H.T, W.T, beta, floors.product)
        H = mu.step(H.T, num, den, problem.on_H, beta, floors.H).T
        if ending(iteration, problem.objective(W, H)):
            break
    divergence = mu.divergence(X, W, H, beta)
    H = np.ascontiguousarray(mu.settled(H, floors.H))
    return mu.settled(W, floors.W), H, iteration, divergence


def encoded(
    problem: Problem, H: np.ndarray, max_iter: int, tol: float, exact: bool = True
) -> tuple[np.ndarray, int]:
    """Return the coefficients of X for given components, and the iterations it took.

    The squared error has one answer, which `solve_nnls` proves. Other losses, and an answer that
    need not be exact, go down by multiplicative steps from a constant.
    """
    X, k, weights = problem.X, len(H), problem.on_W
    if problem.beta == 2 and exact:
        found = solve_nnls(H.T, X.T, l1=weights.l1, l2=weights.l2)
        return np.ascontiguousarray(found.x.T), int(max(np.max(found.epochs, initial=0), 1))
    W = np.full((X.shape[0], k), math.sqrt(float(X.mean()) / k), dtype=X.dtype)
    if not W.any() or not H.any():
        return np.zeros_like(W), 1
    ending = Ending("mu", tol, problem.objective(W, H))
    W, _, n_iter, _ = factorised(problem, W, H, ending, max_iter, False)
    return W, n_iter


def warn_of_end(n_iter: int, max_iter: int, tol: float) -> None:
    """Warn where `max_iter` ended a run."""
    if n_iter == max_iter and tol > 0:
        warnings.warn(
            f"Maximum number of iterations {max_iter} reached. Increase it to improve convergence.",
            ConvergenceWarning,
            stacklevel=4,
        )
