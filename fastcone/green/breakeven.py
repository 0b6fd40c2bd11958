# SPDX-License-Identifier: BSD-3-Clause
"""From how many tasks on, and up to how many items per task, reuse costs less than retraining.

    reuse(T, n)   = F_g + T (s + n w_g)      one shared training, then per task: adapt, use
    retrain(T, n) =       T (F_d + n w_d)    one training per task, then use

    T*   smallest T with reuse <= retrain, n given:   ceil(F_g / bracket),
         bracket = F_d - s + n (w_d - w_g);   never where bracket <= 0 and F_g > 0
    N*   the n where the two are equal, T given:   margin / slope,
         margin = T (F_d - s) - F_g,   slope = T (w_g - w_d)

         slope <= 0, margin >= 0   reuse always
         slope > 0,  margin > 0    reuse below N*: per item it costs more
         slope > 0,  margin <= 0   never
         slope < 0,  margin < 0    reuse above N*
         slope = 0,  margin < 0    never

F_g training of the shared model, F_d training per task with all trials, s adaptation per task,
w_g and w_d use per item, n items per task.  Any unit will do: J, CPU-seconds, seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import number, vector
from .reading import significant

Costs = npt.ArrayLike
_Array = npt.NDArray[np.float64]

RHOS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Count:
    """A break-even count, or the reason why there is none.

    ``verdict`` is ``"from"`` (reuse wins from `value` on), ``"below"`` (up to `value`),
    ``"above"`` (beyond `value`), ``"always"``, ``"never"`` or ``"not resolved"``: the samples do
    not tell the sign the answer hangs on, so a value would be a guess and its interval may be
    unbounded.  ``ci`` is the interval of `value` over the samples, its end infinite where some
    of them never break even; None without samples.

    Examples
    --------
    >>> print(Count("from", 4, (3.0, 6.0)), "|", Count("never", None, None))
    from 4 (3 to 6) | never
    """

    verdict: str
    value: float | int | None
    ci: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an infinite end becomes None."""
        ci = None if self.ci is None else [e if math.isfinite(e) else None for e in self.ci]
        return {"verdict": self.verdict, "value": self.value, "ci": ci}

    def __str__(self) -> str:
        if self.value is None:
            return self.verdict
        text = f"{self.verdict} {_short(self.value)}"
        if self.ci is not None:
            text += f" ({_short(self.ci[0])} to {_short(self.ci[1])})"
        return text


@dataclass(frozen=True)
class Scenario:
    """Both counts and the winner when every cost of reuse is multiplied by `rho`.

    `rho` is what the model of energy cannot know: how much more power reuse draws per CPU-second
    than retraining does.  ``ratio`` is reuse / retrain, None where retraining costs nothing.
    """

    rho: float
    winner: str
    ratio: float | None
    ratio_ci: tuple[float, float] | None
    tasks: Count
    items: Count

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "rho": self.rho,
            "winner": self.winner,
            "ratio": self.ratio,
            "ratio_ci": None if self.ratio_ci is None else list(self.ratio_ci),
            "tasks": self.tasks.as_dict(),
            "items": self.items.as_dict(),
        }


@dataclass(frozen=True)
class BreakEven:
    """The answer of `break_even`.

    Parameters
    ----------
    tasks, items : Count
        T* and N*.
    winner : str
        ``"reuse"``, ``"retrain"`` or ``"not resolved"`` at the given numbers of tasks and items.
    ratio : float or None
        reuse / retrain there, with its interval ``ratio_ci``.
    sensitivity : tuple of Scenario
        The same for rho = 0.5, 1 and 2.
    flips : bool
        Whether the winner differs between them.  A claim that flips is a claim about rho.
    costs : mapping
        The means that went in, by argument name, and ``n_tasks``, ``n_items``.
    unit : str
        Unit of the costs.
    """

    tasks: Count
    items: Count
    winner: str
    ratio: float | None
    ratio_ci: tuple[float, float] | None
    sensitivity: tuple[Scenario, ...]
    flips: bool
    costs: Mapping[str, float]
    unit: str

    def reuse_total(self, n_tasks: Costs, n_items: Costs) -> _Array:
        """Return ``F_g + T (s + n w_g)`` for these numbers of tasks and items, broadcast."""
        c, t, n = self.costs, np.asarray(n_tasks, float), np.asarray(n_items, float)
        return np.asarray(c["train_shared"] + t * (c["adapt"] + n * c["reuse_item"]))

    def retrain_total(self, n_tasks: Costs, n_items: Costs) -> _Array:
        """Return ``T (F_d + n w_d)`` for these numbers of tasks and items, broadcast."""
        c, t, n = self.costs, np.asarray(n_tasks, float), np.asarray(n_items, float)
        return np.asarray(t * (c["train_task"] + n * c["retrain_item"]))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "tasks": self.tasks.as_dict(),
            "items": self.items.as_dict(),
            "winner": self.winner,
            "ratio": self.ratio,
            "ratio_ci": None if self.ratio_ci is None else list(self.ratio_ci),
            "sensitivity": [s.as_dict() for s in self.sensitivity],
            "flips": self.flips,
            "costs": dict(self.costs),
            "unit": self.unit,
        }

    def __str__(self) -> str:
        n_tasks, n_items = self.costs["n_tasks"], self.costs["n_items"]
        ratio = "?" if self.ratio is None else significant(self.ratio, 3)
        lines = [
            f"{n_tasks:g} tasks of {n_items:g} items: {self.winner}"
            f" (reuse / retrain = {ratio}, in {self.unit})",
            f"tasks T*: {self.tasks}   at {n_items:g} items per task",
            f"items N*: {self.items}   at {n_tasks:g} tasks",
        ]
        power = ", ".join(f"x{s.rho:g} {s.winner}" for s in self.sensitivity)
        verdict = "the winner flips" if self.flips else "the winner stands"
        lines.append(f"power of reuse per unit of cost {power}: {verdict}")
        return "\n".join(lines)


def break_even(
    *,
    train_shared: Costs,
    train_task: Costs,
    reuse_item: Costs,
    retrain_item: Costs,
    n_tasks: int,
    n_items: float,
    adapt: Costs = 0.0,
    level: float = 0.95,
    unit: str = "J",
) -> BreakEven:
    """Compare one shared model reused for every task with one model trained per task.

    ``reuse(T, n) = F_g + T (s + n w_g)``, ``retrain(T, n) = T (F_d + n w_d)``; the break-even
    counts T* and N* and all their sign cases stand at the top of this module.

    Each cost is a number, or an array of bootstrap samples of its mean (`bootstrap_means`).  The
    arrays have one length; sample i of all of them is one draw, so that paired runs stay paired.
    For tasks of different cost pass the means over the mix; T* then counts average tasks.

    Parameters
    ----------
    train_shared : float or (B,) array
        F_g, training the shared model once, all trials included, >= 0.
    train_task : float or (B,) array
        F_d, training one model for one task, all trials included, >= 0.
    reuse_item, retrain_item : float or (B,) array
        w_g and w_d, using the shared and the task's own model on one item, >= 0.
    n_tasks : int
        T, tasks in actual use, >= 1; N* is for this many.
    n_items : float
        n, items per task in actual use, >= 0; T* is for this many.
    adapt : float or (B,) array
        s, fitting the shared model to one task, >= 0.
    level : float
        Probability of the intervals, in (0, 1).
    unit : str
        Unit of the costs, for printing.

    Returns
    -------
    BreakEven
        Where the interval of the bracket of T* contains 0, or that of margin or slope of N*, the
        count is ``"not resolved"``.

    Raises
    ------
    TypeError
        If a cost is absent (None) or not a number: an unknown cost is not 0.
    ValueError
        If a cost is negative, not finite, not a scalar or vector, or lengths differ.

    Examples
    --------
    A cone that costs 60 J once, tasks of 25 J, and 0.02 J against 0.01 J per item.

    >>> answer = break_even(train_shared=60, train_task=25, reuse_item=0.02, retrain_item=0.01,
    ...                     n_tasks=10, n_items=500)
    >>> print(answer)
    10 tasks of 500 items: reuse (reuse / retrain = 0.533, in J)
    tasks T*: from 3   at 500 items per task
    items N*: below 1900   at 10 tasks
    power of reuse per unit of cost x0.5 reuse, x1 reuse, x2 retrain: the winner flips
    """
    costs = _vectors(
        train_shared=train_shared,
        train_task=train_task,
        reuse_item=reuse_item,
        retrain_item=retrain_item,
        adapt=adapt,
    )
    tasks = _at_least_one(n_tasks)
    items = number("n_items", n_items)
    if not 0 < number("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1, found {level!r}")
    scenarios = tuple(_scenario(rho, costs, tasks, items, level) for rho in RHOS)
    here = scenarios[RHOS.index(1.0)]
    means = {name: float(values.mean()) for name, values in costs.items()}
    return BreakEven(
        tasks=here.tasks,
        items=here.items,
        winner=here.winner,
        ratio=here.ratio,
        ratio_ci=here.ratio_ci,
        sensitivity=scenarios,
        flips=len({s.winner for s in scenarios}) > 1,
        costs={**means, "n_tasks": tasks, "n_items": items},
        unit=unit,
    )


def bootstrap_means(
    runs: Costs, *, samples: int = 2000, random_state: int | np.random.Generator = 0
) -> _Array:
    """Return means of resampled runs, for the intervals of `break_even`.

    Each sample is the mean of as many runs, drawn with replacement.  Give arms that were run
    interleaved, pair by pair, the same `random_state` and they are resampled pair by pair.

    Parameters
    ----------
    runs : (R,) array
        Repeated measurements of one cost, R >= 2.
    samples : int
        How many means to draw, >= 1.
    random_state : int or numpy.random.Generator
        Seed, or generator to draw from.

    Returns
    -------
    (samples,) array of float64

    Raises
    ------
    ValueError
        If there are fewer than two runs, or one is negative or not finite.

    Examples
    --------
    >>> means = bootstrap_means([1.0, 2.0, 3.0], samples=500)
    >>> means.shape, bool(1.0 <= means.min() <= means.max() <= 3.0)
    ((500,), True)
    """
    values = vector("runs", runs)
    if values.size < 2:
        raise ValueError(f"runs must be two measurements or more, found {values.size}")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ValueError(f"samples must be an integer >= 1, found {samples!r}")
    rng = np.random.default_rng(random_state)
    drawn = rng.integers(values.size, size=(samples, values.size))
    return np.asarray(values[drawn].mean(axis=1))


def _scenario(
    rho: float, costs: Mapping[str, _Array], n_tasks: int, n_items: float, level: float
) -> Scenario:
    once = rho * costs["train_shared"]
    saved = costs["train_task"] - rho * costs["adapt"]
    extra = rho * costs["reuse_item"] - costs["retrain_item"]
    reuse = once + n_tasks * rho * (costs["adapt"] + n_items * costs["reuse_item"])
    retrain = n_tasks * (costs["train_task"] + n_items * costs["retrain_item"])
    difference = reuse - retrain
    if _straddles(difference, level):
        winner = "not resolved"
    else:
        winner = "reuse" if difference.mean() <= 0 else "retrain"
    ratio, ratio_ci = None, None
    if (retrain > 0).all():
        ratio = float(reuse.mean() / retrain.mean())
        ratio_ci = _interval(reuse / retrain, level)
    return Scenario(
        rho,
        winner,
        ratio,
        ratio_ci,
        _tasks_count(once, saved - n_items * extra, level),
        _items_count(n_tasks * saved - once, n_tasks * extra, level),
    )


def _tasks_count(once: _Array, bracket: _Array, level: float) -> Count:
    if _straddles(bracket, level):
        return Count("not resolved", None, None)
    cost, gain = float(once.mean()), float(bracket.mean())
    if cost == 0 and gain >= 0:
        return Count("always", None, None)
    if gain <= 0:
        return Count("never", None, None)
    value = math.ceil(Fraction(cost) / Fraction(gain))
    each = np.full(once.shape, np.inf)
    np.divide(once, bracket, out=each, where=bracket > 0)
    return Count("from", value, _interval(np.maximum(np.ceil(each), 1.0), level))


def _items_count(margin: _Array, slope: _Array, level: float) -> Count:
    if _straddles(margin, level) or _straddles(slope, level):
        return Count("not resolved", None, None)
    left, per_item = float(margin.mean()), float(slope.mean())
    if per_item <= 0 and left >= 0:
        return Count("always", None, None)
    if per_item >= 0:
        if left <= 0 or per_item == 0:
            return Count("never", None, None)
        verdict = "below"
    else:
        verdict = "above"
    each = np.full(margin.shape, np.inf)
    np.divide(margin, slope, out=each, where=margin * slope > 0)
    return Count(verdict, left / per_item, _interval(each, level))


def _straddles(values: _Array, level: float) -> bool:
    """Return whether the interval of samples contains 0 without being the point 0."""
    ends = _interval(values, level)
    return ends is not None and ends[0] <= 0 <= ends[1] and ends[0] < ends[1]


def _interval(values: _Array, level: float) -> tuple[float, float] | None:
    """Return order statistics that hold at least `level` of the samples; None for one value."""
    if values.size < 2:
        return None
    ordered = np.sort(values)
    cut = int((1 - level) / 2 * (values.size - 1))
    return float(ordered[cut]), float(ordered[values.size - 1 - cut])


def _vectors(**costs: Costs) -> dict[str, _Array]:
    vectors = {name: vector(name, values) for name, values in costs.items()}
    lengths = {name: v.size for name, v in vectors.items() if v.size > 1}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"arrays of samples must have one length, found {lengths}")
    size = max(lengths.values(), default=1)
    return {name: np.broadcast_to(v, size) for name, v in vectors.items()}


def _at_least_one(n_tasks: int) -> int:
    if isinstance(n_tasks, bool) or not isinstance(n_tasks, (int, np.integer)) or n_tasks < 1:
        raise ValueError(f"n_tasks must be an integer >= 1, found {n_tasks!r}")
    return int(n_tasks)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "infinity"
    return f"{value:g}" if float(value).is_integer() else significant(value, 3)
