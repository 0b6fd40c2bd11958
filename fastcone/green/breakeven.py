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

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import number
from .costs import FEWEST_RUNS, Cost, Costs, gathered, means_of
from .reading import significant
from .scenario import Count, Scenario, scenario_of, unresolved

_Array = npt.NDArray[np.float64]

RHOS = (0.5, 1.0, 2.0)


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
    kind, scope : str
        Where costs were Readings: the worst kind among them, and what they cover; else
        ``"given"`` and ``""``.
    flags : tuple of str
        What was wrong with the readings; ``"few-runs"`` where a cost has 2 to 4 runs, from which
        no interval is given; ``"unseen"`` where a reading misses a part, so that nothing is
        resolved.
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
    kind: str = "given"
    scope: str = ""
    flags: tuple[str, ...] = field(default=())

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
            "kind": self.kind,
            "scope": self.scope,
            "flags": list(self.flags),
        }

    def __str__(self) -> str:
        n_tasks, n_items = self.costs["n_tasks"], self.costs["n_items"]
        ratio = "?" if self.ratio is None else significant(self.ratio, 3)
        lines = [
            f"{n_tasks:g} tasks of {n_items:g} items: {self.winner}"
            f" (reuse / retrain = {ratio}, in {self._unit()})",
            f"tasks T*: {self.tasks}   at {n_items:g} items per task",
            f"items N*: {self.items}   at {n_tasks:g} tasks",
        ]
        power = ", ".join(f"x{s.rho:g} {s.winner}" for s in self.sensitivity)
        verdict = "the winner flips" if self.flips else "the winner stands"
        lines.append(f"power of reuse per unit of cost {power}: {verdict}")
        if self.flags:
            lines.append(f"note: {', '.join(self.flags)}")
        return "\n".join(lines)

    def _unit(self) -> str:
        return self.unit if self.kind == "given" else f"{self.unit}, {self.kind}, {self.scope}"


def break_even(
    *,
    train_shared: Costs,
    train_task: Costs,
    reuse_item: Costs,
    retrain_item: Costs,
    n_tasks: int,
    n_items: float,
    adapt: Costs = 0.0,
    paired: bool = False,
    level: float = 0.95,
    unit: str = "J",
) -> BreakEven:
    """Compare one shared model reused for every task with one model trained per task.

    ``reuse(T, n) = F_g + T (s + n w_g)``, ``retrain(T, n) = T (F_d + n w_d)``; the break-even
    counts T* and N* and all their sign cases stand at the top of this module.

    Each cost is a number, the array of its repeated runs, a `Reading`, or a list of Readings.
    From five runs of every repeated cost on, counts, ratio and winner carry intervals (`fieller`
    says how; they cover what they say, about 95 % at 5, 10 and 30 runs); with fewer there is no
    interval.  Single measured readings carry their own lo..hi into the counts.  The range of a
    modelled reading does not enter: the watts are common to both arms and cancel, and `rho`
    stands for what does not.  For tasks of different cost pass the means over the mix.

    Parameters
    ----------
    train_shared : float, (R,) array, Reading or list of Reading
        F_g, training the shared model once, all trials included, >= 0.
    train_task : float, (R,) array, Reading or list of Reading
        F_d, training one model for one task, all trials included, >= 0.
    reuse_item, retrain_item : float, (R,) array, Reading or list of Reading
        w_g and w_d, using the shared and the task's own model on one item, >= 0.
    n_tasks : int
        T, tasks in actual use, >= 1; N* is for this many.
    n_items : float
        n, items per task in actual use, >= 0; T* is for this many.
    adapt : float, (R,) array, Reading or list of Reading
        s, fitting the shared model to one task, >= 0.
    paired : bool
        Whether run i of every repeated cost was taken side by side, so that the load of the
        machine is common to them.
    level : float
        Probability of the intervals, in (0, 1).
    unit : str
        Unit of the costs, for printing.

    Returns
    -------
    BreakEven
        Where the interval of the bracket of T* contains 0, or that of margin or slope of N*, or
        a reading misses a part (its hi is None), the count is ``"not resolved"``.

    Raises
    ------
    TypeError
        If a cost is absent (None, or a Reading that is) or not a number: an unknown cost is not 0.
    ValueError
        If a cost is negative, not finite, not a scalar or vector, or paired lengths differ.

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
    costs = gathered(
        train_shared=train_shared,
        train_task=train_task,
        reuse_item=reuse_item,
        retrain_item=retrain_item,
        adapt=adapt,
    )
    tasks = _at_least_one(n_tasks)
    items = Fraction(repr(number("n_items", n_items)))
    if not 0 < number("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1, found {level!r}")
    means = means_of(costs, level, paired)
    unseen = any(cost.unseen for cost in costs.values())
    scenarios = tuple(
        scenario_of(rho, costs, None if unseen else means, tasks, items) for rho in RHOS
    )
    if unseen:
        scenarios = tuple(unresolved(scenario) for scenario in scenarios)
    here = scenarios[RHOS.index(1.0)]
    few = any(1 < cost.runs < FEWEST_RUNS for cost in costs.values())
    own = [flag for flag, holds in (("few-runs", few), ("unseen", unseen)) if holds]
    kind, scope, flags = _label(costs)
    return BreakEven(
        tasks=here.tasks,
        items=here.items,
        winner=here.winner,
        ratio=here.ratio,
        ratio_ci=here.ratio_ci,
        sensitivity=scenarios,
        flips=len({s.winner for s in scenarios}) > 1,
        costs={
            **{n: float(c.mean) for n, c in costs.items()},
            "n_tasks": tasks,
            "n_items": float(items),
        },
        unit=unit,
        kind=kind,
        scope=scope,
        flags=(*flags, *own),
    )


def _label(costs: Mapping[str, Cost]) -> tuple[str, str, tuple[str, ...]]:
    total = sum(r for cost in costs.values() for r in cost.readings)
    if isinstance(total, int):
        return "given", "", ()
    return total.kind, total.scope, total.flags


def _at_least_one(n_tasks: int) -> int:
    if isinstance(n_tasks, bool) or not isinstance(n_tasks, (int, np.integer)) or n_tasks < 1:
        raise ValueError(f"n_tasks must be an integer >= 1, found {n_tasks!r}")
    return int(n_tasks)
