# SPDX-License-Identifier: BSD-3-Clause
"""A study as one self-contained HTML page: the numbers that ``page.html.j2`` shows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fastcone.study.breakeven import N_ITEMS, UNITS, chosen, lifetime
from fastcone.study.problem import ARMS
from fastcone.study.report import text

Row = dict[str, Any]


def page(record: Row, pictures: Mapping[str, Path]) -> str:
    """Return the report.

    Parameters
    ----------
    record : dict
        The content of ``study.json``.
    pictures : mapping
        PNG files by name, as `fastcone.study.report.figures.draw_all` returns them, to be inlined.
    """
    tasks = [_task(name, task) for name, task in record["tasks"].items()]
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            record=record,
            images={name: _data_url(path) for name, path in pictures.items()},
            tasks=tasks,
            n_beats_free=sum(task["reuse"]["quality"] >= task["free"]["quality"] for task in tasks),
            energy_kinds=sorted({r["use"]["energy"]["kind"] for t in tasks for r in t["results"]}),
            packages={**record["environment"]["versions"], **record["environment"]["packages"]},
        )
    )


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals |= {
        "N_ITEMS": N_ITEMS,
        "METRIC_NAMES": text.METRIC_NAMES,
        "gain": text.gain,
        "paired": text.paired,
        "interval": text.interval,
    }
    templates.filters |= {
        "quality": lambda value, metric: text.quality(metric, value),
        "seconds": text.seconds,
        "joules": text.joules,
        "count": text.count,
        "plain": text.plain,
        "setting": lambda value: text.plain(value) if isinstance(value, float) else value,
        "mebibytes": lambda size: "-" if size is None else f"{size / 2**20:.0f} MiB",
        "cpu_seconds": lambda row, n_items: lifetime(row, n_items, UNITS["cpu_seconds"]),
        "per_items": _per_items,
        "carbon": _carbon,
    }
    return templates


def _task(name: str, task: Row) -> Row:
    """Return a task with its name, what each arm sends, and what did better than the cone."""
    reuse, rival, free = (chosen(task, arm) for arm in ARMS)
    rows = task["results"]
    return {
        **task,
        "name": name,
        "reuse": reuse,
        "retrain": rival,
        "free": free,
        "better": [
            row for row in rows if row["arm"] != "reuse" and row["quality"] > reuse["quality"]
        ],
        "top": max(row["quality"] for row in rows if not row["oracle"]),
        "has_carbon": any(row["use"]["carbon_g"] is not None for row in rows),
    }


def _per_items(use: Row, n_items: int) -> Row:
    """Return the cost of using a method on `N_ITEMS` items, from that of `n_items`."""
    share, energy = N_ITEMS / n_items, use["energy"]
    joules = {
        key: None if energy[key] is None else share * energy[key] for key in ("joules", "lo", "hi")
    }
    spent = {key: share * use[key] for key in ("seconds", "cpu_seconds")}
    return {**spent, "energy": {**joules, "kind": energy["kind"]}}


def _carbon(row: Row) -> str:
    parts = [cost["carbon_g"] for cost in (row["train"], row["use"]) if cost]
    return "-" if None in parts else f"{text.plain(sum(parts), '.2g')} g"


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
