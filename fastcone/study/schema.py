# SPDX-License-Identifier: BSD-3-Clause
"""The form of ``study.json``, checked before it is written (docs/study.md describes it)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

SCHEMA = 1
TASKS = (
    "classify_0_1",
    "classify_10",
    "denoise_gaussian",
    "denoise_salt_pepper",
    "denoise_periodic",
    "inpaint",
    "deblur",
    "super_resolve",
    "separate",
    "detect",
    "compress",
)
METRICS = ("accuracy", "psnr_db", "auroc")
ARMS = ("reuse", "retrain", "free")
KINDS = ("measured", "modelled", "absent")
UNITS = ("seconds", "cpu_seconds", "joules")


def complaints(record: Any) -> list[str]:
    """Return what is wrong with a study's record, nothing if it has the form of schema 1.

    Parameters
    ----------
    record : object
        As read from ``study.json``.

    Examples
    --------
    >>> complaints({"schema": 2})[0]
    'schema must be 1, found 2'
    """
    return list(_study(record))


def _study(record: Any) -> Iterator[str]:
    if not isinstance(record, dict):
        yield f"the study must be an object, found {type(record).__name__}"
        return
    if record.get("schema") != SCHEMA:
        yield f"schema must be {SCHEMA}, found {record.get('schema')!r}"
    yield from _numbers("study", record)
    missing = [
        key
        for key in ("environment", "dataset", "cone", "tasks", "break_even")
        if not isinstance(record.get(key), dict)
    ]
    if missing:
        yield f"study must have an object {missing[0]!r}"
        return
    cone = record["cone"]
    if not isinstance(cone.get("rank"), int) or cone["rank"] < 1:
        yield f"cone.rank must be an integer >= 1, found {cone.get('rank')!r}"
    yield from _cost("cone.cost", cone.get("cost"))
    if tuple(record["tasks"]) != TASKS:
        yield f"tasks must be {', '.join(TASKS)}, found {', '.join(record['tasks'])}"
    for name, task in record["tasks"].items():
        yield from _task(f"tasks.{name}", task)
    for name in ("equal_quality", "cone_quality"):
        yield from _scenario(f"break_even.{name}", record["break_even"].get(name))


def _numbers(path: str, value: Any) -> Iterator[str]:
    """Complain of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(f"{path}[{index}]", inner)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} must be finite, found {value!r}"
    elif not isinstance(value, str | int | float | bool | None):
        yield f"{path} must be plain JSON, found {type(value).__name__}"


def _task(path: str, task: Any) -> Iterator[str]:
    if task.get("metric") not in METRICS:
        yield f"{path}.metric must be one of {', '.join(METRICS)}, found {task.get('metric')!r}"
    if not isinstance(task.get("n_items"), int) or task["n_items"] < 1:
        yield f"{path}.n_items must be an integer >= 1, found {task.get('n_items')!r}"
    for row in task.get("paired") or []:
        yield from _pair(f"{path}.paired", row, task.get("results") or [])
    rows = task.get("results") or []
    arms = {row.get("arm") for row in rows}
    for arm in ARMS:
        if arm not in arms:
            yield f"{path}.results must have a row of the arm {arm!r}, found none"
    for row in rows:
        yield from _row(f"{path}.results[{row.get('name')!r}]", row, task.get("metric"))


def _pair(path: str, row: Any, results: Any) -> Iterator[str]:
    names = {result.get("name") for result in results}
    if not {row.get("ours"), row.get("theirs")} <= names:
        yield f"{path} must name two of the results"
    ends = row.get("difference_ci") or [None, None]
    numbers = [ends[0], row.get("difference"), ends[1]]
    if not all(map(_is_number, numbers)) or not ends[0] <= numbers[1] <= ends[1]:
        yield f"{path} must have a difference within its interval, found {numbers}"


def _row(path: str, row: Any, metric: str) -> Iterator[str]:
    if row.get("arm") not in ARMS:
        yield f"{path}.arm must be one of {', '.join(ARMS)}, found {row.get('arm')!r}"
    if not isinstance(row.get("name"), str) or not isinstance(row.get("oracle"), bool):
        yield f"{path} must have a name and say whether it is an oracle"
    quality, ends = row.get("quality"), row.get("quality_ci") or [None, None]
    if not _is_number(quality) or not all(map(_is_number, ends)) or len(ends) != 2:
        yield f"{path} must have a quality and two ends of its interval"
    elif not ends[0] <= ends[1] or (metric != "psnr_db" and not 0 <= quality <= 1):
        yield f"{path} has a quality or an interval out of range: {quality} {ends}"
    if row.get("train") is not None:
        yield from _cost(f"{path}.train", row["train"])
    yield from _cost(f"{path}.use", row.get("use"))


def _cost(path: str, cost: Any) -> Iterator[str]:
    if not isinstance(cost, dict):
        yield f"{path} must be a cost, found {cost!r}"
        return
    for key in ("seconds", "cpu_seconds"):
        if not _is_number(cost.get(key)) or cost[key] < 0:
            yield f"{path}.{key} must be a number >= 0, found {cost.get(key)!r}"
    for key in ("peak_memory_bytes", "carbon_g"):
        if key not in cost or not (cost[key] is None or _is_number(cost[key])):
            yield f"{path}.{key} must be a number or null"
    energy = cost.get("energy")
    if not isinstance(energy, dict) or energy.get("kind") not in KINDS:
        yield f"{path}.energy must say its kind, one of {', '.join(KINDS)}"
        return
    known = energy["kind"] != "absent"
    if any((energy.get(key) is not None) != known for key in ("joules", "hi")):
        yield f"{path}.energy must have joules if and only if it is not absent"
    elif known and not energy["lo"] <= energy["joules"] <= energy["hi"]:
        yield f"{path}.energy must have lo <= joules <= hi"
    if not all(isinstance(energy.get(key), str) for key in ("meter", "scope")):
        yield f"{path}.energy must name its meter and its scope"


def _scenario(path: str, scenario: Any) -> Iterator[str]:
    if not isinstance(scenario, dict) or not isinstance(scenario.get("tasks"), list):
        yield f"{path} must list its tasks"
        return
    for unit in UNITS:
        answer = scenario.get(unit)
        if not scenario["tasks"] and answer is not None:
            yield f"{path}.{unit} must be null without a task"
        if answer is not None and not {"tasks", "items", "winner", "costs"} <= set(answer):
            yield f"{path}.{unit} must have both counts, the winner and the costs"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
