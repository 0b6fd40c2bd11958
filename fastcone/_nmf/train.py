# SPDX-License-Identifier: BSD-3-Clause
"""One start trained to its end: iterate, accept what does not raise the objective."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from fastcone._nmf.arguments import Options, Scaled, factor, restarted, scaled
from fastcone._nmf.checkpoint import Checkpoint, Keeper, Saved, identity
from fastcone._nmf.divergence import EntryFit, KLFit
from fastcone._nmf.filled import FilledFit
from fastcone._nmf.frobenius import GramFit
from fastcone._nmf.problem import Factors, Penalty, Problem, Source
from fastcone._nmf.result import NMFResult, warn_of_end
from fastcone._nmf.sparse import SparseKL
from fastcone._nmf.stack import Stack, abreast
from fastcone._nmf.stored import StoredCD, StoredMU
from fastcone._nmf.update import Update
from fastcone._runtime.deadline import Expired
from fastcone._runtime.modelfile import LOCK_SECONDS


class Best:
    """The results of the starts so far; the best has the least objective, in scaled units."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[float, NMFResult, str]] = {}

    def offer(self, start: int, value: float, result: NMFResult, end: str) -> None:
        """Take the result of a start, and what ended it that is to be told, see `warn_of_end`."""
        self.found[start] = value, result, end

    @property
    def _least(self) -> tuple[float, NMFResult, str]:
        """The first of the best."""
        return min((self.found[start] for start in sorted(self.found)), key=lambda one: one[0])

    @property
    def result(self) -> NMFResult | None:
        """The first of the best, with the objectives of all, in the order of the starts."""
        if not self.found:
            return None
        values = np.array([self.found[start][1].objective for start in sorted(self.found)])
        return replace(self._least[1], restarts=values)

    @property
    def end(self) -> str:
        """What ended the best, "" if that is not to be told."""
        return self._least[2] if self.found else ""


def of_zeros(X: Source, W: np.ndarray | None, options: Options) -> NMFResult:
    """Return the factors of a zero matrix: zero, where they are not kept."""
    kept = np.zeros((X.m, options.rank), dtype=X.dtype)
    objective = 0.0
    columns = options.fixed if options.update_W else options.rank
    if W is not None and columns:
        kept[:, :columns] = W[:, :columns]
        objective = Penalty(options.weights["l1_W"], options.weights["l2_W"], 0.0)(kept)
    H = np.zeros((X.N, options.rank), dtype=X.dtype).T
    each = np.full(options.n_init, objective)
    return NMFResult(kept, H, objective, np.array([objective]), 0, True, each)


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


def _judged(fit: Update, history: list[float], last: bool) -> tuple[float, list[float]]:
    """Return the objective of the candidate, and those before, lifted so as to be monotone."""
    value, least = fit.objective(history[-1], last)
    return value, [max(before, least) for before in history] if least else history


def _gains(fit: Update, value: float, previous: float, tol: float) -> bool:
    """Return whether an objective is lower than the one before by more than `tol` and rounding."""
    return value < previous * (1 - tol) - fit.noise(value)


def _arrived(history: list[float], tol: float) -> bool:
    """Return whether the last objective is as good as nothing, compared with the first one."""
    return history[-1] <= tol * tol * history[0]


def train(
    scaled: Scaled,
    fit: Update,
    options: Options,
    keeper: Keeper | None,
    saved: Saved | None,
    offer: Callable[[float, NMFResult, str], None],
) -> Iterator[Update]:
    """Iterate until a stopping rule is met, see `nmf`, and offer the result, also on Ctrl-C.

    Yields the fit whenever it is to be advanced, by whom it may concern (`run`).
    """
    history, converged = saved.history if saved else [np.inf], False
    end = ""
    # what a checkpoint holds, in one assignment: Ctrl-C finds the three together
    done = fit.factors, len(history), saved.memory if saved else fit.memory()

    def keep(patience: float) -> None:
        if keeper and history[0] < np.inf:
            factors, count, memory = done
            keeper.save(scaled.problem, factors, history[:count], memory, patience)

    def give(converged: bool, end: str) -> None:
        at, count, _ = done
        offer(history[count - 1], _result(scaled, at, history[:count], converged), end)

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
            if not (keeper or options.callback):
                options.deadline.check()
                left = options.max_iter + 1 - len(history)
                values = fit.several(history[0], history[-1], left, options.tol)
                if values:
                    fit.accept()
                    history = history + values
                    done = fit.factors, len(history), fit.memory()
                    continue
            last = len(history) == options.max_iter
            yield fit
            value, history = _judged(fit, history, last)
            if not _gains(fit, value, history[-1], options.tol) and fit.without_momentum():
                yield fit
                value, history = _judged(fit, history, last)
            converged = not _gains(fit, value, history[-1], options.tol)
            if not value <= history[-1]:
                break
            fit.accept()
            history.append(value)
            converged |= _arrived(history, options.tol)
            done = fit.factors, len(history), fit.memory()
            if keeper and keeper.due():
                try:
                    keep(options.deadline.share(LOCK_SECONDS))
                except (OSError, ValueError) as error:
                    if not keeper.may_fail(error):
                        raise
            if options.callback and options.callback(len(history) - 1, scaled.objective(value)):
                break
        else:
            end = "" if converged or not options.tol else "max_iter"
    except Expired:
        end = "start" if len(history) == 1 else ""
    except BaseException as error:
        try:
            give(False, "")
            keep(0.0)  # who is to stop waits for no other writer
        except Exception as failed:
            error.add_note(f"its last iterate was not kept: {failed}")
        raise
    give(converged, end)
    keep(options.deadline.share(LOCK_SECONDS))


@dataclass(frozen=True)
class Place:
    """Where the samples are: what the problem, the iteration and the keeper of checkpoints are."""

    problem: type[Problem] = Problem
    fit: Callable[[Scaled, Options, bool], Update] = _fit
    keeper: type[Keeper] = Keeper


def factorise(
    samples: Source,
    known: np.ndarray | None,
    factors: tuple[Any, Any],
    options: Options,
    kept: Checkpoint | None,
    seeded: bool,
    place: Place,
) -> NMFResult:
    """Return the best of all starts; `factors` are W and H as the caller gave them."""
    W, H = factors
    if kept is not None and options.n_init > 1:
        raise ValueError(f"n_init must be 1 with a checkpoint, found {options.n_init}")
    partly = H is None and W is not None and np.shape(W)[1:] == (options.fixed,)
    columns = options.fixed if partly else options.rank
    W = factor("W", W, (samples.m, columns), samples.dtype)
    H = factor("H", H, (options.rank, samples.N), samples.dtype)
    if W is not None and options.update_W and not partly and not W.any():
        raise ValueError("W holds only zeros, want a start that can be improved")
    keeper = saved = None
    if kept is not None:
        of_weights = known is not None and known.dtype != np.bool_
        arrays = {"W": W, "H": H, "weights" if of_weights else "mask": known}
        keeper = place.keeper(kept, identity(samples, arrays, options, seeded))
        saved = keeper.load()
    if not samples.largest:
        return of_zeros(samples, W, options)
    best = Best()
    try:
        first = scaled(
            samples, known, W, H, options, saved.factors if saved else None, place.problem
        )  # fmt: skip
        done = 0
        while done < options.n_init:
            fits = [first] + [
                restarted(first, W, H, options) for _ in range(_abreast(first, options, done) - 1)
            ]
            run(
                [
                    train(one, place.fit(one, options, keeper is not None), options, keeper, saved,
                          partial(best.offer, done + i))
                    for i, one in enumerate(fits)
                ]
            )  # fmt: skip
            done += len(fits)
            if done < options.n_init:
                first = restarted(first, W, H, options)
    except BaseException as error:
        options.deadline.cancel()
        if best.result is not None:
            error.result = best.result  # type: ignore[attr-defined]
        raise
    if best.end:
        warn_of_end(best.end, options.max_iter, options.tol)
    return cast(NMFResult, best.result)


def _abreast(first: Scaled, options: Options, done: int) -> int:
    """Return how many of the starts that are left go side by side."""
    problem = first.problem
    plain = options.loss.entry == "square" and not problem.partial and type(problem) is Problem
    return min(options.n_init - done, abreast(problem)) if plain and not options.callback else 1


def run(trainings: list[Iterator[Update]]) -> None:
    """Train to the end: each time, all that are to be advanced together."""
    stack = Stack()
    waiting = [cast(Generator[Update, None, None], each) for each in trainings]
    while waiting:
        pairs = [(each, fit) for each in waiting if (fit := next(each, None)) is not None]
        waiting = [each for each, _ in pairs]
        fits = [fit for _, fit in pairs]
        try:
            if len(fits) > 1:
                stack(cast(list[GramFit], fits))
            elif fits:
                fits[0].advance()
        except BaseException as error:
            _end(waiting, error)
            return


def _end(trainings: list[Generator[Update, None, None]], error: BaseException) -> None:
    """Let each training end by itself; raise the error if one does."""
    raised = None
    for each in trainings:
        try:
            each.throw(error)
        except StopIteration:
            pass
        except BaseException as again:
            raised = again
    if raised is not None:
        raise raised


def _result(scaled: Scaled, at: Factors, history: list[float], converged: bool) -> NMFResult:
    """Return the factors and their objectives in the caller's units."""
    W, H = scaled.factors(at)
    values = np.array([scaled.objective(value) for value in history])
    return NMFResult(W, H, float(values[-1]), values, len(values) - 1, converged)
