# SPDX-License-Identifier: BSD-3-Clause
"""The two break-even counts for one rho: exact from mean costs, then with their intervals."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from .costs import NAMES, Cost
from .fieller import Means, crossing
from .reading import significant

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Count:
    """A break-even count, or the reason why there is none.

    ``verdict`` is ``"from"`` (reuse wins from `value` on), ``"below"`` (up to `value`),
    ``"above"`` (beyond `value`), ``"always"``, ``"never"`` or ``"not resolved"``: the runs do
    not tell the sign the answer hangs on, so a value would be a guess.  ``ci`` is the interval
    of the count; its end is infinite where the runs allow that it is never reached.  None where
    there are no runs, or fewer than five of one cost.

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
            known = self.ci is not None and (self.ci[0] > 0 or math.isfinite(self.ci[1]))
            if self.ci is None or not known:
                return self.verdict
            return f"{self.verdict} ({_short(self.ci[0])} to {_short(self.ci[1])})"
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


def unresolved(scenario: Scenario) -> Scenario:
    """Return a scenario in which nothing is known."""
    nothing = Count("not resolved", None, None)
    return replace(scenario, winner="not resolved", ratio_ci=None, tasks=nothing, items=nothing)


def scenario_of(
    rho: float, costs: Mapping[str, Cost], means: Means | None, n_tasks: int, n_items: Fraction
) -> Scenario:
    """Answer for one rho: from exact means, with the intervals of the runs or of the readings."""
    mid = _Exact(rho, {name: cost.mean for name, cost in costs.items()}, n_tasks, n_items)
    answer = mid.scenario()
    if means is not None:
        return _with_runs(answer, mid, means)
    if any(cost.bounded for cost in costs.values()):
        ends = []
        for reuse, retrain in ((0, 1), (1, 0)):  # the best for reuse, and the worst
            picked = {
                name: cost.ends[retrain if name in ("train_task", "retrain_item") else reuse]
                for name, cost in costs.items()
            }
            ends.append(_Exact(rho, picked, n_tasks, n_items).scenario())
        return _with_ends(answer, *ends)
    return answer


class _Exact:
    """Counts of exact costs.  Decimal numbers mean what they say: a ceiling of 0.3 / 0.1 is 3."""

    def __init__(
        self, rho: float, cost: Mapping[str, Fraction], n_tasks: int, n_items: Fraction
    ) -> None:
        r, self.rho, self.n_tasks, self.n_items = Fraction(rho), rho, n_tasks, n_items
        self.once = r * cost["train_shared"]
        self.saved = cost["train_task"] - r * cost["adapt"]
        self.extra = r * cost["reuse_item"] - cost["retrain_item"]
        self.bracket = self.saved - n_items * self.extra
        self.margin = n_tasks * self.saved - self.once
        self.slope = n_tasks * self.extra
        self.reuse = self.once + n_tasks * r * (cost["adapt"] + n_items * cost["reuse_item"])
        self.retrain = n_tasks * (cost["train_task"] + n_items * cost["retrain_item"])

    def scenario(self) -> Scenario:
        winner = "reuse" if self.reuse <= self.retrain else "retrain"
        ratio = _float(self.reuse / self.retrain) if self.retrain > 0 else None
        return Scenario(self.rho, winner, ratio, None, self.tasks(), self.items())

    def tasks(self) -> Count:
        if self.once == 0 and self.bracket >= 0:
            return Count("always", None, None)
        if self.bracket <= 0:
            return Count("never", None, None)
        return Count("from", math.ceil(self.once / self.bracket), None)

    def items(self) -> Count:
        if self.slope <= 0 and self.margin >= 0:
            return Count("always", None, None)
        if self.slope >= 0 and (self.margin <= 0 or self.slope == 0):
            return Count("never", None, None)
        return Count("below" if self.slope > 0 else "above", _float(self.margin / self.slope), None)


def _with_runs(answer: Scenario, exact: _Exact, means: Means) -> Scenario:
    """Put intervals on an answer, or take it back where the runs do not tell a sign."""
    r, t, n = exact.rho, exact.n_tasks, float(exact.n_items)

    def weights(**given: float) -> _Array:
        return np.array([given.get(name, 0.0) for name in NAMES])

    reuse = weights(train_shared=r, adapt=r * t, reuse_item=r * t * n)
    retrain = weights(train_task=t, retrain_item=t * n)
    once = weights(train_shared=r)
    per_task = weights(adapt=r, reuse_item=r * n, train_task=-1.0, retrain_item=-n)
    fixed = weights(train_shared=r, adapt=r * t, train_task=-t)
    per_item = weights(reuse_item=r * t, retrain_item=-t)
    tasks, items = answer.tasks, answer.items
    lo, hi = crossing(means, once, per_task)
    ends = (max(math.ceil(lo), 1.0), float(math.ceil(hi)) if math.isfinite(hi) else hi)
    if not means.resolves(per_task):
        tasks = Count("not resolved", None, ends)
    elif tasks.value is not None:
        tasks = replace(tasks, ci=ends)
    if not (means.resolves(fixed) and means.resolves(per_item)):
        items = Count("not resolved", None, crossing(means, fixed, per_item))
    elif items.value is not None:
        items = replace(items, ci=crossing(means, fixed, per_item))
    winner = answer.winner if means.resolves(reuse - retrain) else "not resolved"
    ratio_ci = None if answer.ratio is None else crossing(means, reuse, -retrain)
    return replace(answer, winner=winner, ratio_ci=ratio_ci, tasks=tasks, items=items)


def _with_ends(answer: Scenario, best: Scenario, worst: Scenario) -> Scenario:
    """Bound an answer by those for the ends of the readings."""

    def between(mid: Count, a: Count, b: Count) -> Count:
        if len({mid.verdict, a.verdict, b.verdict}) > 1:
            return Count("not resolved", None, None)
        if mid.value is None or a.value is None or b.value is None:
            return mid
        return replace(mid, ci=(float(min(a.value, b.value)), float(max(a.value, b.value))))

    ratios = None
    if best.ratio is not None and worst.ratio is not None:
        ratios = best.ratio, worst.ratio
    return replace(
        answer,
        winner=answer.winner if best.winner == worst.winner else "not resolved",
        ratio_ci=ratios,
        tasks=between(answer.tasks, best.tasks, worst.tasks),
        items=between(answer.items, best.items, worst.items),
    )


def _float(value: Fraction) -> float:
    """Return the nearest finite float."""
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max


def _short(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "infinity"
    if value == int(value):
        return str(int(value)) if value < 10**6 else f"{Decimal(int(value)):.4g}"
    return significant(value, 3)
