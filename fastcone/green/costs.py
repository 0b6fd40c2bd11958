# SPDX-License-Identifier: BSD-3-Clause
"""The costs that go into a break-even: numbers, repeated runs, or Readings with their labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ._checks import vector
from .fieller import Means
from .reading import Reading

Costs = npt.ArrayLike | Reading | Sequence[Reading]

NAMES = ("train_shared", "train_task", "reuse_item", "retrain_item", "adapt")
FEWEST_RUNS = 5
"""An interval of fewer runs than this would be a guess about their distribution."""


@dataclass(frozen=True)
class Cost:
    """One cost: its runs, and the readings they came from, if they did.

    Examples
    --------
    >>> cost = Cost(np.array([0.1, 0.2]), ())
    >>> cost.runs, cost.mean, cost.ends[0] == cost.mean
    (2, Fraction(3, 20), True)
    """

    values: npt.NDArray[np.float64]
    readings: tuple[Reading, ...]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return self.values.size

    @property
    def mean(self) -> Fraction:
        """The mean; a decimal number is taken as written, 0.1 as one tenth."""
        return sum((_exact(v) for v in self.values), Fraction(0)) / self.runs

    @property
    def unseen(self) -> bool:
        """Whether a reading misses a part of which nothing is known."""
        return any(reading.hi is None for reading in self.readings)

    @property
    def bounded(self) -> bool:
        """Whether this is one measured reading, whose interval is its own."""
        return len(self.readings) == 1 and self.readings[0].kind == "measured" and not self.unseen

    @property
    def ends(self) -> tuple[Fraction, Fraction]:
        """The least and the most this cost may be."""
        if not self.bounded:
            return self.mean, self.mean
        reading = self.readings[0]
        return _exact(reading.lo or 0.0), _exact(reading.hi or 0.0)


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def gathered(**costs: Costs) -> dict[str, Cost]:
    """Return the costs checked and by name, in the order of `NAMES`."""
    return {name: _cost(name, costs[name]) for name in NAMES}


def _cost(name: str, given: Costs) -> Cost:
    listed = [given] if isinstance(given, Reading) else given
    if isinstance(listed, Sequence) and listed and isinstance(listed[0], Reading):
        readings = tuple(r for r in listed if isinstance(r, Reading))
        if len(readings) < len(listed):
            raise TypeError(f"{name} must be all Readings or all numbers, found both")
        joules = [r.joules for r in readings]
        if None in joules:
            raise TypeError(f"{name} is absent ({readings[joules.index(None)]}): it is not 0")
        return Cost(vector(name, [j for j in joules if j is not None]), readings)
    return Cost(vector(name, given), ())  # type: ignore[arg-type]


def means_of(costs: Mapping[str, Cost], level: float, paired: bool) -> Means | None:
    """Return means and their covariance; None without runs or with too few of one cost."""
    runs = {name: cost.runs for name, cost in costs.items() if cost.runs > 1}
    if paired and len(set(runs.values())) > 1:
        raise ValueError(f"paired costs must have one number of runs, found {runs}")
    if not runs or min(runs.values()) < FEWEST_RUNS:
        return None
    size = len(costs)
    covariance = np.zeros((size, size))
    several = [i for i, cost in enumerate(costs.values()) if cost.runs > 1]
    if paired:
        rows = np.array([list(costs.values())[i].values for i in several])
        covariance[np.ix_(several, several)] = np.cov(rows) / rows.shape[1]
    else:
        for i in several:
            values = list(costs.values())[i].values
            covariance[i, i] = values.var(ddof=1) / values.size
    dofs = [cost.runs - 1 if cost.runs > 1 else math.inf for cost in costs.values()]
    means = np.array([float(cost.mean) for cost in costs.values()])
    return Means(means, covariance, np.array(dofs, dtype=float), level, paired)
