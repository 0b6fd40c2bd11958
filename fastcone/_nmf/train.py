# SPDX-License-Identifier: BSD-3-Clause
"""One start trained to its end: iterate, accept what does not raise the objective."""

from __future__ import annotations

from typing import cast

import numpy as np

from fastcone._nmf.arguments import Options, Scaled
from fastcone._nmf.checkpoint import Keeper, Saved
from fastcone._nmf.divergence import EntryFit, KLFit
from fastcone._nmf.filled import FilledFit
from fastcone._nmf.frobenius import GramFit
from fastcone._nmf.problem import Factors, Penalty, Source
from fastcone._nmf.result import NMFResult
from fastcone._nmf.sparse import SparseKL
from fastcone._nmf.stored import StoredCD, StoredMU
from fastcone._nmf.update import Update
from fastcone._runtime.deadline import Expired


class Best:
    """The result of the starts so far with the least objective, compared in scaled units."""

    def __init__(self) -> None:
        self.value, self.result = np.inf, cast(NMFResult | None, None)
        self.exhausted = False  # whether only `max_iter` ended it

    def offer(self, value: float, result: NMFResult, exhausted: bool = False) -> None:
        """Keep the result of another start if it is better."""
        if self.result is None or value < self.value:
            self.value, self.result, self.exhausted = value, result, exhausted


def of_zeros(X: Source, W: np.ndarray | None, options: Options) -> NMFResult:
    """Return the factors of a zero matrix: zero, where they are not kept."""
    kept = np.zeros((X.m, options.rank), dtype=X.dtype)
    objective = 0.0
    columns = options.fixed if options.update_W else options.rank
    if W is not None and columns:
        kept[:, :columns] = W[:, :columns]
        objective = Penalty(options.weights["l1_W"], options.weights["l2_W"], 0.0)(kept)
    H = np.zeros((X.N, options.rank), dtype=X.dtype).T
    return NMFResult(kept, H, objective, np.array([objective]), 0, True)


def _fit(scaled: Scaled, options: Options, kept: bool) -> Update:
    """Return the iteration that serves the loss and the data."""
    problem, start, update_W, loss = scaled.problem, scaled.start, options.update_W, options.loss
    if problem.X.stored and options.solver == "cd":
        return StoredCD(problem, start, update_W, kept)
    if problem.X.stored:
        return StoredMU(problem, start, loss, update_W)
    if loss.entry == "square" and problem.known is None:
        return GramFit(problem, start, options.solver, update_W, kept)
    if options.solver == "cd":
        return FilledFit(problem, start, update_W, kept)
    if problem.X.sparse:
        return SparseKL(problem, start, loss.beta, update_W)
    kind = KLFit if loss.entry == "kl" and problem.known is None else EntryFit
    return kind(problem, start, loss, update_W)


def _advance(fit: Update, history: list[float], last: bool) -> tuple[float, list[float]]:
    """Return the objective of the next candidate, and those before, lifted so as to be monotone."""
    fit.advance()
    value, least = fit.objective(history[-1], last)
    return value, [max(before, least) for before in history] if least else history


def _gains(fit: Update, value: float, previous: float, tol: float) -> bool:
    """Return whether an objective is lower than the one before by more than `tol` and rounding."""
    return value < previous * (1 - tol) - fit.noise(value)


def _arrived(history: list[float], tol: float) -> bool:
    """Return whether the last objective is as good as nothing, compared with the first one."""
    return history[-1] <= tol * tol * history[0]


def train(
    scaled: Scaled, options: Options, keeper: Keeper | None, saved: Saved | None, best: Best
) -> None:
    """Iterate until a stopping rule is met, see `nmf`, and offer the result, also on Ctrl-C."""
    fit = _fit(scaled, options, keeper is not None)
    history, converged = saved.history if saved else [np.inf], False
    exhausted = False
    # what a checkpoint holds, in one assignment: Ctrl-C finds the three together
    done = fit.factors, len(history), saved.memory if saved else fit.memory()

    def keep() -> None:
        if keeper and history[0] < np.inf:
            factors, count, memory = done
            keeper.save(scaled.problem, factors, history[:count], memory)

    try:
        value = fit.first()
        if keeper and saved:
            keeper.check(saved.memory, fit.memory())
            fit.recall(saved.memory)
            converged = len(history) > 1 and not _gains(fit, history[-1], history[-2], options.tol)
            converged |= _arrived(history, options.tol)
        else:
            history[0] = value
        while not converged and len(history) <= options.max_iter:
            last = len(history) == options.max_iter
            value, history = _advance(fit, history, last)
            if not _gains(fit, value, history[-1], options.tol) and fit.without_momentum():
                value, history = _advance(fit, history, last)
            converged = not _gains(fit, value, history[-1], options.tol)
            if not value <= history[-1]:
                break
            fit.accept()
            history.append(value)
            converged |= _arrived(history, options.tol)
            done = fit.factors, len(history), fit.memory()
            if keeper and keeper.due():
                keep()
            if options.callback and options.callback(len(history) - 1, scaled.objective(value)):
                break
        else:
            exhausted = not converged
    except Expired:
        pass
    except BaseException as error:
        keep()
        if isinstance(error, KeyboardInterrupt):
            at, count, _ = done
            best.offer(history[count - 1], _result(scaled, at, history[:count], False))
        raise
    keep()
    at, count, _ = done
    best.offer(history[count - 1], _result(scaled, at, history[:count], converged), exhausted)


def _result(scaled: Scaled, at: Factors, history: list[float], converged: bool) -> NMFResult:
    """Return the factors and their objectives in the caller's units."""
    W, H = scaled.factors(at)
    values = np.array([scaled.objective(value) for value in history])
    return NMFResult(W, H, float(values[-1]), values, len(values) - 1, converged)
