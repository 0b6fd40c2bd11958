# SPDX-License-Identifier: BSD-3-Clause
"""From how many tasks on does one trained model beat a model per task? In the study's own costs.

Per task the two arms send the contender that did best on the tuning images, oracles left out. Two
questions are answered, each in seconds, CPU-seconds and joules:

    equal_quality   only tasks where the cone is at least as good as that rival on the test images:
                    the 95 % interval of the paired difference reaches 0, or where a task has no
                    quality of each item, the difference itself; the others are "not reached"
    cone_quality    all tasks, against the cheapest rival that reaches the cone's quality, or
                    against the best one where none does
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastcone.green import break_even

Row = dict[str, Any]

N_ITEMS = 1000
UNITS: dict[str, Callable[[Row], float | None]] = {
    "seconds": lambda cost: cost["seconds"],
    "cpu_seconds": lambda cost: cost["cpu_seconds"],
    "joules": lambda cost: cost["energy"]["joules"],
}


def chosen(task: Row, arm: str) -> Row:
    """Return the row of an arm that did best on the tuning images, oracles left out."""
    rows = [row for row in task["results"] if row["arm"] == arm and not row["oracle"]]
    return max(rows, key=lambda row: row["tune_quality"])


def at_least_as_good(task: Row, reuse: Row, rival: Row) -> bool:
    """Return whether the test images leave it open that the cone is as good as its rival."""
    margin = task.get("margin")
    if margin is None:
        return bool(reuse["quality"] >= rival["quality"])
    return bool(margin["difference_ci"][1] >= 0)


def cheapest_adequate(task: Row, quality: float) -> Row:
    """Return the retrained row of least CPU time that reaches a quality, or else the best one."""
    rows = [row for row in task["results"] if row["arm"] == "retrain"]
    adequate = [row for row in rows if row["quality"] >= quality]
    if not adequate:
        return max(rows, key=lambda row: row["quality"])
    return min(adequate, key=lambda row: lifetime(row, task["n_items"], UNITS["cpu_seconds"]))


def compare(tasks: Mapping[str, Row], cone_cost: Row) -> dict[str, Any]:
    """Return ``study["break_even"]``.

    Parameters
    ----------
    tasks : mapping
        ``study["tasks"]``.
    cone_cost : dict
        Cost of training the cones.
    """
    verdicts, equal, own = {}, [], []
    for name, task in tasks.items():
        reuse, rival = chosen(task, "reuse"), chosen(task, "retrain")
        reached = at_least_as_good(task, reuse, rival)
        cheap = cheapest_adequate(task, reuse["quality"])
        if reached:
            equal.append((name, reuse, rival, task["n_items"]))
        own.append((name, reuse, cheap, task["n_items"]))
        verdicts[name] = {
            "reuse": reuse["name"],
            "reuse_quality": reuse["quality"],
            "retrain": rival["name"],
            "retrain_quality": rival["quality"],
            "reached": reached,
            "cheapest_adequate": cheap["name"],
        }
    return {
        "items_per_task": N_ITEMS,
        "tasks": verdicts,
        "equal_quality": _scenario(equal, cone_cost),
        "cone_quality": _scenario(own, cone_cost),
    }


def _scenario(pairs: list[tuple[str, Row, Row, int]], cone_cost: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"tasks": [name for name, *_ in pairs]}
    for unit, read in UNITS.items():
        found[unit] = _break_even(pairs, read, cone_cost, unit) if pairs else None
    return found


def _break_even(
    pairs: list[tuple[str, Row, Row, int]],
    read: Callable[[Row], float | None],
    cone_cost: Row,
    unit: str,
) -> dict[str, Any] | None:
    def mean(costs: list[float | None]) -> float | None:
        known = [cost for cost in costs if cost is not None]
        return sum(known) / len(known) if len(known) == len(costs) else None

    def train(row: Row) -> float | None:
        return read(row["train"]) if row["train"] else 0.0

    def per_item(row: Row, n_items: int) -> float | None:
        cost = read(row["use"])
        return None if cost is None else cost / n_items

    costs: dict[str, Any] = {
        "train_shared": read(cone_cost),
        "train_task": mean([train(rival) for _, _, rival, _ in pairs]),
        "adapt": mean([train(reuse) for _, reuse, _, _ in pairs]),
        "reuse_item": mean([per_item(reuse, n) for _, reuse, _, n in pairs]),
        "retrain_item": mean([per_item(rival, n) for _, _, rival, n in pairs]),
    }
    if any(cost is None for cost in costs.values()):
        return None
    return break_even(**costs, n_tasks=len(pairs), n_items=N_ITEMS, unit=unit).as_dict()


def lifetime(row: Row, n_items: int, read: Callable[[Row], float | None]) -> float:
    """Return the cost of training or tuning a contender and of using it on `N_ITEMS` items."""
    train = read(row["train"]) if row["train"] else 0.0
    return (train or 0.0) + N_ITEMS * (read(row["use"]) or 0.0) / n_items
