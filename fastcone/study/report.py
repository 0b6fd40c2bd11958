# SPDX-License-Identifier: BSD-3-Clause
"""A study as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fastcone.study.breakeven import N_ITEMS, chosen
from fastcone.study.table import METRIC_NAMES, count, gain, joules, paired, plain, quality, seconds

Row = dict[str, Any]

STYLE = """
:root { --ink:#22262b; --soft:#5c6570; --line:#e3e6ea; --cone:#16795a; --rival:#b8562b;
  --free:#7d8591; }
* { box-sizing:border-box; }
body { font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif; color:var(--ink);
  margin:0 auto; max-width:70rem; padding:2rem 1.5rem 5rem; background:#fff; }
h1 { font-size:1.9rem; line-height:1.2; margin:0 0 .3rem; }
h2 { font-size:1.3rem; margin:3rem 0 .4rem; padding-top:1rem; border-top:1px solid var(--line); }
p { max-width:48rem; margin:.5rem 0; }
.lead { color:var(--soft); font-size:1.08rem; }
.cards { display:flex; flex-wrap:wrap; gap:1rem; margin:1.6rem 0; }
.card { flex:1 1 11rem; border:1px solid var(--line); border-radius:.6rem; padding:.8rem 1rem; }
.card b { display:block; font-size:1.55rem; line-height:1.25; color:var(--cone); }
.card span { color:var(--soft); font-size:.88rem; }
.wide { overflow-x:auto; }
table { border-collapse:collapse; font-size:.86rem; margin:.8rem 0; min-width:100%; }
th { text-align:left; color:var(--soft); font-weight:600; vertical-align:bottom; }
th,td { padding:.32rem .7rem .32rem 0; border-bottom:1px solid var(--line); }
td.n,th.n { text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap; }
tr.reuse td:first-child { color:var(--cone); } tr.retrain td:first-child { color:var(--rival); }
tr.free td:first-child { color:var(--free); } tr.best { background:#f3f8f6; font-weight:600; }
.win { color:var(--cone); } .loss { color:var(--rival); }
img { max-width:100%; height:auto; display:block; margin:.8rem 0; }
code { background:#f4f5f7; padding:.1rem .35rem; border-radius:.3rem; font-size:.9em;
  overflow-wrap:anywhere; }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.15rem 1.2rem; font-size:.9rem; }
dt { color:var(--soft); } dd { margin:0; overflow-wrap:anywhere; }
"""


def page(record: Row, pictures: Mapping[str, Path]) -> str:
    """Return the report.

    Parameters
    ----------
    record : dict
        The content of ``study.json``.
    pictures : mapping
        PNG files by name, as `fastcone.study.pictures.draw_all` returns them; they are inlined.
    """
    images = {name: _image(path, name) for name, path in pictures.items()}
    tasks = [
        f'<h2 id="{name}">{escape(task["title"])}</h2><p>{escape(task["about"])}</p>'
        f"{images[name]}{_results(task)}{_paired(task)}"
        for name, task in record["tasks"].items()
    ]
    body = "".join(
        [
            _opening(record),
            _summary(record),
            _losses(record),
            _break_even(record, images),
            *tasks,
            _cones(record, images),
            _method(record),
            _repeat(record),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>One cone, many tasks</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _opening(record: Row) -> str:
    data, cost = record["dataset"], record["cone"]["cost"]
    verdicts = record["break_even"]["tasks"].values()
    own = record["break_even"]["cone_quality"]["cpu_seconds"]
    free = sum(
        chosen(task, "reuse")["quality"] >= chosen(task, "free")["quality"]
        for task in record["tasks"].values()
    )
    height, width = data["image_shape"]
    cards = [
        (f"{seconds(cost['cpu_seconds'])}", "CPU time to train all cones, once"),
        (f"{sum(v['reached'] for v in verdicts)} of {len(verdicts)}", "tasks at least as good as "
         "the best model retrained for the task"),
        (f"{free} of {len(verdicts)}", "tasks at least as good as the best method without "
         "training"),
        (count(own and own["tasks"]).removeprefix("from "), f"tasks of {N_ITEMS} items from which "
         "on one cone costs less CPU time than the cheapest models of its quality"),
    ]  # fmt: skip
    shown = "".join(
        f'<div class="card"><b>{escape(number)}</b><span>{escape(what)}</span></div>'
        for number, what in cards
    )
    return (
        "<h1>One cone, many tasks</h1>"
        f'<p class="lead">A non-negative dictionary per class, trained once on {data["n_fit"]} '
        f"images of {height} x {width} pixels ({escape(data['name'])}), is reused for "
        f"{len(record['tasks'])} tasks by projection. Here is what that costs and how good it is, "
        "next to models retrained for each task and to classical methods that need no training."
        f'</p><div class="cards">{shown}</div>'
    )


def _summary(record: Row) -> str:
    head = ["task", "cone", "retrained", "", "cone - retrained", "no training", "",
            "cone - no training", "cone CPU", "retrained CPU"]  # fmt: skip
    rows = []
    for name, task in record["tasks"].items():
        metric = task["metric"]
        reuse, rival, free = (chosen(task, arm) for arm in ("reuse", "retrain", "free"))
        cells = [f'<td><a href="#{name}">{escape(task["title"])}</a></td>']
        cells.append(_number(f"<b>{quality(metric, reuse['quality'])}</b>"))
        for row in (rival, free):
            cells.append(_number(quality(metric, row["quality"])))
            cells.append(f"<td>{escape(row['name'])}</td>")
            sign = "win" if reuse["quality"] >= row["quality"] else "loss"
            difference = gain(metric, reuse["quality"], row["quality"])
            cells.append(_number(f'<span class="{sign}">{difference}</span>'))
        cells += [_number(_lifetime(row, task["n_items"])) for row in (reuse, rival)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        "<h2>Every task in one line</h2><p>Each arm sends the contender that did best on tuning "
        "images; methods that know something unknown in practice (oracles) are left out. CPU time "
        f"is training or tuning plus use on {N_ITEMS} items; the cones themselves are counted once,"
        " above.</p>" + _table(head, rows)
    )


def _losses(record: Row) -> str:
    lines = []
    for name, task in record["tasks"].items():
        reuse = chosen(task, "reuse")
        ahead = [
            f"{escape(row['name'])} by "
            f"{gain(task['metric'], row['quality'], reuse['quality']).lstrip('+')}"
            for row in task["results"]
            if row["arm"] != "reuse" and row["quality"] > reuse["quality"]
        ]
        if ahead:
            title = f'<a href="#{name}">{escape(task["title"])}</a>'
            lines.append(f"<li>{title}: {', '.join(ahead)}</li>")
    ceilings = ", ".join(
        f"{quality('psnr_db', part['clean_psnr_db'])} ({escape(part['name'])})"
        for part in record["cone"]["parts"]
    )
    said = f"<ul>{''.join(lines)}</ul>" if lines else "<p>Nowhere in this study.</p>"
    return (
        "<h2>Where the cone loses</h2><p>Methods of the other arms, oracles included, that did "
        "better than the cone on the test images, and by how much. Two reasons: a model trained on "
        "pairs of spoilt and clean images knows the damage, the cone has only ever seen clean "
        "images; and a restored image is a point of the cone, so it can hardly be better than the "
        "cone's own copy of the clean image. Those copies of the test images reach "
        f"{ceilings}.</p>" + said
    )


def _break_even(record: Row, images: Mapping[str, str]) -> str:
    rows = []
    for key, what in (
        ("equal_quality", "tasks where the cone is at least as good as the best rival"),
        ("cone_quality", "all tasks; a rival need only reach the cone's quality"),
    ):
        scenario = record["break_even"][key]
        for unit, title in (("seconds", "s"), ("cpu_seconds", "CPU-s"), ("joules", "J")):
            answer = scenario[unit]
            cells = [f"<td>{what} ({len(scenario['tasks'])})</td>", f"<td>{title}</td>"]
            if answer is None:
                cells += ["<td>not reached</td>", *["<td></td>"] * 4]
            else:
                cells += [
                    f"<td>{count(answer['tasks'])}</td>",
                    f"<td>{count(answer['items'])}</td>",
                ]
                cells.append(f"<td>{answer['winner']}</td>")
                ratio = "" if answer["ratio"] is None else plain(answer["ratio"], ".2g")
                cells.append(_number(ratio))
                power = ", ".join(f"x{s['rho']:g} {s['winner']}" for s in answer["sensitivity"])
                cells.append(f"<td>{power}</td>")
            rows.append(f"<tr>{''.join(cells)}</tr>")
    head = ["", "unit", "tasks T*", "items per task N*", "winner", "cone / retrained",
            "if the cone drew other power"]  # fmt: skip
    return (
        "<h2>When does reuse pay?</h2><p>T* is the number of tasks from which one shared model "
        f"costs less than one model per task, at {N_ITEMS} items per task. N* is the number of "
        "items per task at which that turns over: a projection costs more per item than a small "
        "network. Where the cone does not reach the best rival's quality the task does not count "
        'as a saving: it is "not reached". The last column asks whether the winner stands if a '
        "CPU-second of the cone drew half or twice the power of one of a rival; so does the band "
        f"in the picture.</p>{_table(head, rows)}{images['break_even']}{images['costs']}"
    )


def _results(task: Row) -> str:
    head = ["contender", "arm", METRIC_NAMES[task["metric"]], "95 % interval",
            "trained or tuned", "CPU", "energy", f"use, {N_ITEMS} items", "CPU", "energy",
            "peak memory", "settings"]  # fmt: skip
    carbon = any(row["use"]["carbon_g"] is not None for row in task["results"])
    if carbon:
        head.append("carbon, training + use")
    top = max(row["quality"] for row in task["results"] if not row["oracle"])
    rows = []
    for row in task["results"]:
        best = " best" if row["quality"] == top and not row["oracle"] else ""
        cells = _result(row, task["metric"], task["n_items"])
        if carbon:
            cells.append(_number(_carbon(row)))
        rows.append(f'<tr class="{row["arm"]}{best}">{"".join(cells)}</tr>')
    return _table(head, rows)


def _paired(task: Row) -> str:
    """Say how far contenders are apart image by image."""
    if not task["paired"]:
        return ""
    rows = [f"<li>{escape(paired(task['metric'], row))}</li>" for row in task["paired"]]
    return (
        "<p>Image by image, the mean difference and its 95 % interval (bootstrap over test images, "
        f"both answers to an image drawn together):</p><ul>{''.join(rows)}</ul>"
    )


def _result(row: Row, metric: str, n_items: int) -> list[str]:
    lo, hi = (quality(metric, end) for end in row["quality_ci"])
    train, use = row["train"], row["use"]
    share = N_ITEMS / n_items
    energy = {key: use["energy"][key] for key in ("joules", "lo", "hi")}
    scaled = {key: None if value is None else share * value for key, value in energy.items()}
    memory = use["peak_memory_bytes"]
    settings = ", ".join(f"{key} {_setting(value)}" for key, value in row["settings"].items())
    return [
        f"<td>{escape(row['name'])}</td>",
        f"<td>{row['arm']}</td>",
        _number(quality(metric, row["quality"])),
        _number(f"{lo} to {hi}"),
        _number(seconds(train["seconds"]) if train else "none"),
        _number(seconds(train["cpu_seconds"]) if train else ""),
        _number(joules(train["energy"]) if train else ""),
        _number(seconds(share * use["seconds"])),
        _number(seconds(share * use["cpu_seconds"])),
        _number(joules({**scaled, "kind": use["energy"]["kind"]})),
        _number("-" if memory is None else f"{memory / 2**20:.0f} MiB"),
        f"<td>{escape(settings)}</td>",
    ]


def _cones(record: Row, images: Mapping[str, str]) -> str:
    head = [
        "",
        "cones",
        "rank",
        "generators left",
        "iterations",
        "time",
        "CPU time",
        "energy",
        "clean images",
    ]
    rows = []
    for part in record["cone"]["parts"]:
        cost = part["cost"]
        left = "-".join(dict.fromkeys(map(str, (min(part["generators"]), max(part["generators"])))))
        numbers = [str(part["cones"]), str(part["rank"]), left, str(part["iterations"])]
        numbers += [seconds(cost["seconds"]), seconds(cost["cpu_seconds"]), joules(cost["energy"])]
        numbers.append(quality("psnr_db", part["clean_psnr_db"]))
        rows.append(f"<tr><td>{escape(part['name'])}</td>{''.join(map(_number, numbers))}</tr>")
    return f"<h2>The cones</h2>{_table(head, rows)}{images['cone']}"


def _method(record: Row) -> str:
    kinds = sorted(
        {row["use"]["energy"]["kind"] for t in record["tasks"].values() for row in t["results"]}
    )
    said = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
        for name, text in record["environment"]["meters"].items()
    )
    data = record["dataset"]
    return (
        "<h2>What is measured, and what is not</h2>"
        "<p><b>Measured:</b> qualities, wall-clock time, CPU time (user and system, all threads) "
        f"and peak memory of the process. <b>Energy here is {' and '.join(kinds)}</b>; a value "
        "with ~ comes from a model and its interval is the model's range, not an error bar. Where "
        "nothing is known nothing is printed. Carbon is operational only, and needs the "
        "intensity of your electricity (<code>--intensity</code>).</p>"
        f"<dl>{said}</dl>"
        f"<p><b>Fairness:</b> {data['n_fit']} images train every model, {data['n_tune']} others "
        f"choose every setting and stop the training of the networks, {data['n_test']} test images "
        "are used once, to judge (and, in the break-even, to say which tasks the cone does no "
        "worse, without an interval). The time for choosing is part of each contender's training "
        "cost. All arms run on the same cores, networks training on one BLAS thread; each step is "
        "measured once, short ones as the mean of "
        "many runs. Intervals: Wilson for accuracy, bootstrap over test images otherwise; PSNR has "
        "peak 1 and is the mean over images. Idle power, cooling and making the hardware are not "
        "counted.</p>"
    )


def _repeat(record: Row) -> str:
    environment = record["environment"]
    packages = {**environment["versions"], **environment["packages"]}
    facts = {
        "command": record["command"],
        "data": f"{record['dataset']['source']}, sha256 {record['dataset']['sha256'][:16]}",
        "seed": environment["seed"],
        "processor": f"{environment['cpu']}, {environment['threads']} threads",
        "SIMD level": environment["level"],
        "compiler": environment["compiler"],
        "BLAS": "; ".join(environment["blas"]),
        "system": f"{environment['machine']}, Python {environment['python']}",
        "packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }
    lines = "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return (
        "<h2>How to repeat it</h2>"
        f"<p><code>{escape(record['command'])}</code></p><p>The same seed gives the same "
        "qualities; times are those of the machine. All numbers are in <code>study.json</code> "
        f"beside this page.</p><dl>{lines}</dl>"
    )


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(rows)}</table></div>'


def _number(text: str) -> str:
    return f'<td class="n">{text}</td>'


def _setting(value: Any) -> str:
    return plain(value) if isinstance(value, float) else str(value)


def _lifetime(row: Row, n_items: int) -> str:
    train = row["train"]["cpu_seconds"] if row["train"] else 0.0
    return seconds(train + N_ITEMS * row["use"]["cpu_seconds"] / n_items)


def _carbon(row: Row) -> str:
    parts = [cost["carbon_g"] for cost in (row["train"], row["use"]) if cost]
    return "-" if None in parts else f"{plain(sum(parts), '.2g')} g"


def _image(path: Path, name: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{data}">'
