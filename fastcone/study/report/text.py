# SPDX-License-Identifier: BSD-3-Clause
"""A study in words and numbers: the formats of all its tables, and the text table of the CLI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastcone.study.breakeven import N_ITEMS, chosen
from fastcone.study.problem import ARMS

Row = dict[str, Any]

METRIC_NAMES = {"accuracy": "accuracy", "psnr_db": "PSNR", "auroc": "AUROC"}
FORMATS = {"accuracy": "{:.2%}", "psnr_db": "{:.2f} dB", "auroc": "{:.3f}"}
GAINS = {"accuracy": "{:+.2f} pt", "psnr_db": "{:+.2f} dB", "auroc": "{:+.3f}"}


def quality(metric: str, value: float) -> str:
    """Return a quality in its unit.

    Examples
    --------
    >>> quality("accuracy", 0.9526), quality("psnr_db", 20.0)
    ('95.26%', '20.00 dB')
    """
    return FORMATS[metric].format(value)


def gain(metric: str, ours: float, theirs: float) -> str:
    """Return by how much a quality is above another.

    Examples
    --------
    >>> gain("accuracy", 0.95, 0.94), gain("psnr_db", 19.0, 20.5)
    ('+1.00 pt', '-1.50 dB')
    """
    scale = 100 if metric == "accuracy" else 1
    return GAINS[metric].format(scale * (ours - theirs))


def paired(metric: str, row: Row) -> str:
    """Return a difference item by item in words.

    Examples
    --------
    >>> row = {"ours": "a", "theirs": "b", "difference": 2.6, "difference_ci": [2.5, 2.75]}
    >>> paired("psnr_db", row)
    'a against b: +2.60 dB (+2.50 to +2.75 dB)'
    """
    mean = gain(metric, row["difference"], 0.0)
    spread = interval(metric, row["difference_ci"])
    return f"{row['ours']} against {row['theirs']}: {mean} ({spread})"


def interval(metric: str, ci: Sequence[float]) -> str:
    """Return the interval of a difference in words.

    Examples
    --------
    >>> interval("psnr_db", [2.5, 2.75])
    '+2.50 to +2.75 dB'
    """
    lo, hi = (gain(metric, v, 0.0) for v in ci)
    return f"{lo.split()[0]} to {hi}"


def seconds(value: float) -> str:
    """Return a time with three digits, in the unit that fits.

    Examples
    --------
    >>> seconds(12.34), seconds(0.00123), seconds(4.7e-6), seconds(0.0)
    ('12.3 s', '1.23 ms', '4.7 us', '0 us')
    """
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"


def joules(energy: Row) -> str:
    """Return an energy with its interval; a model gets a ``~``, an absent one a dash.

    Examples
    --------
    >>> joules({"joules": 12.0, "lo": 6.0, "hi": 24.0, "kind": "modelled"})
    '~12 J (6-24)'
    >>> joules({"joules": 0.0031, "lo": 0.0030, "hi": 0.0032, "kind": "measured"})
    '3.1 mJ (3-3.2)'
    >>> joules({"joules": None, "lo": None, "hi": None, "kind": "absent"})
    '-'
    """
    if energy["joules"] is None:
        return "-"
    modelled = energy["kind"] == "modelled"
    factors = (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6))
    unit, factor = next((pair for pair in factors if energy["joules"] >= pair[1]), factors[-1])
    value, lo, hi = (
        plain(energy[key] / factor, ".2g" if modelled else ".4g") for key in ("joules", "lo", "hi")
    )
    return f"{'~' if modelled else ''}{value} {unit} ({lo}-{hi})"


def plain(value: float, digits: str = ".3g") -> str:
    """Return a number rounded to so many digits, without an exponent where that is short.

    Examples
    --------
    >>> plain(1234.5, ".2g"), plain(0.012345)
    ('1200', '0.0123')
    """
    rounded = float(f"{value:{digits}}")
    return f"{rounded:.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def count(answer: Row | None) -> str:
    """Return a break-even count in words.

    Examples
    --------
    >>> count({"verdict": "from", "value": 4, "ci": None}), count(None)
    ('from 4', 'not reached')
    """
    if answer is None:
        return "not reached"
    if answer["value"] is None:
        return str(answer["verdict"])
    return f"{answer['verdict']} {plain(answer['value'])}"


def text(record: Row) -> str:
    """Return the table that the CLI prints.

    Parameters
    ----------
    record : dict
        The content of ``study.json``.
    """
    head = ("task", "cone", "retrained", "", "no training", "", "CPU time: cone", "retrained")
    rows = [head]
    for name, task in record["tasks"].items():
        reuse, rival, free = (chosen(task, arm) for arm in ARMS)
        found = [quality(task["metric"], row["quality"]) for row in (reuse, rival, free)]
        cells = [name, found[0], found[1], rival["name"], found[2], free["name"]]
        rows.append((*cells, *(_cpu(row, task["n_items"]) for row in (reuse, rival))))
    lines = [*_aligned(rows), *_margins(record["tasks"]), *_pairs(record["tasks"])]
    cost, file = record["cone"]["cost"], record["cone"]["file"]
    lines += [
        "",
        f"The best of each arm on tuning images, oracles left out. CPU time: tuning or training + "
        f"{N_ITEMS} items.",
        f"The cones were trained once: {seconds(cost['seconds'])}, "
        f"{seconds(cost['cpu_seconds'])} CPU, {joules(cost['energy'])} {cost['energy']['kind']}.",
        f"All tasks used one model file: {file['name']}, sha256 {file['sha256'][:16]}.",
    ]
    return "\n".join([*lines, *_break_even(record["break_even"])])


def _margins(tasks: Row) -> list[str]:
    """Return what the cone is better by than the best retrained model, item by item."""
    head = "Cone less the best retrained model, item by item, 95 % interval of the mean difference:"
    margins = ((name, task["metric"], task["margin"]) for name, task in tasks.items())
    found = [
        f"  {name}: {paired(metric, row)}, n = {row['n']}" for name, metric, row in margins if row
    ]
    return ["", head, *found]


def _pairs(tasks: Row) -> list[str]:
    """Return the differences item by item, under a head if there are any."""
    found = [
        f"  {name}: {paired(task['metric'], row)}"
        for name, task in tasks.items()
        for row in task["paired"]
    ]
    head = ["", "Image by image, with the 95 % interval of the mean difference:"]
    return [*head, *found] if found else []


def _break_even(answer: Row) -> list[str]:
    n_tasks = len(answer["tasks"])
    lines = [f"Break-even in CPU-seconds, {N_ITEMS} items per task:"]
    for key, what in (
        ("equal_quality", "tasks where the cone is at least as good"),
        ("cone_quality", "tasks, rivals need only reach the cone's quality"),
    ):
        scenario = answer[key]
        found = scenario["cpu_seconds"]
        words = "not reached"
        if found is not None:
            words = f"tasks {count(found['tasks'])}, items per task {count(found['items'])}"
        lines.append(f"  {len(scenario['tasks']):2d} of {n_tasks} {what}: {words}")
    return lines


def _cpu(row: Row, n_items: int) -> str:
    train = row["train"]["cpu_seconds"] if row["train"] else 0.0
    return f"{seconds(train)} + {seconds(N_ITEMS * row['use']['cpu_seconds'] / n_items)}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]
