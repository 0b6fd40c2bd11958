# SPDX-License-Identifier: BSD-3-Clause
"""The study itself: train the cones once, let every contender do every task, keep the account."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fastcone._runtime.config import show_config
from fastcone.study.account import Account
from fastcone.study.breakeven import chosen, compare
from fastcone.study.data import Dataset
from fastcone.study.metrics import mean_quality
from fastcone.study.model import Model, as_saved, train_model
from fastcone.study.problem import Contender, Context, Items, Settings, Size, Task
from fastcone.study.tasks import build_tasks

Array = npt.NDArray[Any]
Row = dict[str, Any]
Progress = Callable[[int, int, str], None]

FULL = Size(n_restore=1000, n_tune=100, width=512, rounds=40, n_svm=2000)
QUICK = Size(n_restore=200, n_tune=50, width=128, rounds=6, n_svm=500)
QUICK_IMAGES = (2000, 200, 500)
N_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Gallery:
    """The first items of a task and every contender's answers to them."""

    items: Items
    answers: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Study:
    """What a study found.

    Parameters
    ----------
    record : dict
        The content of ``study.json``; docs/study.md describes it.
    galleries : dict
        `Gallery` of each task that is judged by PSNR.
    model : Model
        The cones.
    """

    record: dict[str, Any]
    galleries: dict[str, Gallery]
    model: Model


def run_study(
    data: Dataset,
    *,
    quick: bool = False,
    seed: int = 0,
    intensity: float | None = None,
    pue: float = 1.0,
    progress: Progress | None = None,
) -> Study:
    """Run the study: one cone per class against models trained for each task.

    Parameters
    ----------
    data : Dataset
        From `fastcone.study.data`.
    quick : bool
        Fewer images and smaller rivals, for a look at the outcome.
    seed : int
        Of the noise, the cones and the rivals. Two runs give the same qualities.
    intensity : float, optional
        Carbon intensity of the electricity, g CO2e per kWh; without it carbon is not known.
    pue : float
        Power usage effectiveness of the facility, >= 1.
    progress : callable, optional
        Called as ``progress(steps done, steps in all, what comes next)``.

    Returns
    -------
    Study
    """
    tell = progress or (lambda done, total, text: None)
    account = Account(intensity, pue)
    if quick:
        data = data.limited(*QUICK_IMAGES)
    tell(0, 1, "training the cones")
    trained, cone = train_model(data, account, seed)
    model, cone["file"] = as_saved(trained)
    tasks = build_tasks(Context(data, model, QUICK if quick else FULL, seed))
    records, galleries = run_tasks(tasks, account, tell)
    record = {
        "schema": 1,
        "environment": environment(account, quick, seed, intensity, pue),
        "dataset": data.as_dict(),
        "cone": cone,
        "tasks": records,
        "break_even": compare(records, cone["cost"]),
    }
    return Study(record, galleries, model)


def run_tasks(
    tasks: Sequence[Task], account: Account, tell: Progress
) -> tuple[dict[str, Any], dict[str, Gallery]]:
    """Let every contender do its task; return ``study["tasks"]`` and the galleries."""
    total, done = 1 + sum(len(task.contenders) for task in tasks), 1
    records, galleries = {}, {}
    for task in tasks:
        rows, answers = [], {}
        for contender in task.contenders:
            tell(done, total, f"{task.title}: {contender.name}")
            row, answers[contender.name] = contest(task, contender, account)
            rows.append(row)
            done += 1
        records[task.name] = {
            "title": task.title,
            "about": task.about,
            "metric": task.metric,
            "n_items": task.n_items,
            "results": rows,
            "paired": [paired(task, answers, *names) for names in task.pairs],
            "margin": margin(task, rows, answers),
        }
        if task.metric == "psnr_db":
            galleries[task.name] = _gallery(task, answers)
    tell(total, total, "done")
    return records, galleries


def contest(task: Task, contender: Contender, account: Account) -> tuple[dict[str, Any], Any]:
    """Train a contender, use it, judge it; return its row and its answers."""
    method, train_cost = contender.method, None
    settings: Settings = {}
    if contender.train is not None:
        (method, settings), train_cost = account.once(contender.train)
    if method is None:
        raise TypeError(f"contender {contender.name!r} must have a method or a way to train one")
    ready = method
    answers, use_cost = account.steady(lambda: ready(task.test))
    quality, (lo, hi) = task.judge(answers, task.test)
    row = {
        "arm": contender.arm,
        "name": contender.name,
        "oracle": contender.oracle,
        "quality": quality,
        "quality_ci": [lo, hi],
        "tune_quality": task.judge(ready(task.tune), task.tune)[0],
        "settings": settings,
        "train": train_cost,
        "use": use_cost,
    }
    return row, answers


def paired(task: Task, answers: dict[str, Array], ours: str, theirs: str) -> dict[str, Any]:
    """Return the mean difference of quality per item of two contenders, and its interval."""
    if task.each is None:
        raise TypeError(f"task {task.name!r} must have a quality of each item to compare by items")
    one, two = (task.each(answers[name], task.test) for name in (ours, theirs))
    difference, (lo, hi) = mean_quality(one - two)
    return {"ours": ours, "theirs": theirs, "difference": difference, "difference_ci": [lo, hi]}


def margin(task: Task, rows: list[Row], answers: dict[str, Array]) -> dict[str, Any] | None:
    """Return what the cone is better by than the best retrained model, item by item."""
    if task.each is None:
        return None
    best = [chosen({"results": rows}, arm)["name"] for arm in ("reuse", "retrain")]
    return {**paired(task, answers, *best), "n": len(task.test.data)}


def _gallery(task: Task, answers: dict[str, Array]) -> Gallery:
    first = Items(task.test.data[:N_SHOWN], task.test.truth[:N_SHOWN], None)
    return Gallery(first, {name: answer[:N_SHOWN] for name, answer in answers.items()})


def environment(
    account: Account, quick: bool, seed: int, intensity: float | None, pue: float
) -> dict[str, Any]:
    """Return what a reader must know to judge or repeat the measurements."""
    packages = ("numpy", "scipy", "scikit-learn", "scikit-image", "matplotlib")
    config = show_config().as_dict()
    return {
        **{key: list(v) if isinstance(v, tuple) else v for key, v in config.items()},
        "cpu": cpu_name(),
        "packages": {name: version(name) for name in packages},
        "quick": quick,
        "seed": seed,
        "meters": account.meters,
        "carbon_intensity_g_per_kwh": intensity,
        "pue": pue,
    }


def cpu_name(cpuinfo: str = "/proc/cpuinfo") -> str:
    """Return the CPU's own name where the system tells it, else its architecture.

    Examples
    --------
    >>> cpu_name("/no/such/file") == (platform.processor() or platform.machine())
    True
    """
    try:
        lines = Path(cpuinfo).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
