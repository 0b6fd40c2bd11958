# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of a study, as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fastcone.study.breakeven import N_ITEMS, chosen
from fastcone.study.metrics import psnr
from fastcone.study.problem import ARMS
from fastcone.study.report.text import METRIC_NAMES, count, quality
from fastcone.study.run import Gallery, Study

Array = npt.NDArray[Any]
Row = dict[str, Any]

COLOURS = {"reuse": "#16795a", "retrain": "#b8562b", "training-free": "#7d8591"}
ARM_NAMES = {"reuse": "cone, reused", "retrain": "retrained", "training-free": "no training"}
INK = "#22262b"
DPI = 120


def draw_all(study: Study, folder: Path) -> dict[str, Path]:
    """Write every picture of a study.

    Parameters
    ----------
    study : Study
    folder : Path
        An existing folder.

    Returns
    -------
    dict
        Paths by name: ``"cone"``, the tasks, ``"costs"``, ``"break_even"``.
    """
    height, width = study.record["dataset"]["image_shape"]
    shape = (height, width)
    figures = {"cone": cone_picture(study, shape)}
    for name, task in study.record["tasks"].items():
        if name in study.galleries:
            figures[name] = gallery_picture(task, study.galleries[name], shape)
        else:
            figures[name] = quality_picture(task)
    figures["costs"] = cost_picture(study.record)
    figures["break_even"] = break_even_picture(study.record)
    paths = {}
    for name, figure in figures.items():
        paths[name] = folder / f"{name}.png"
        FigureCanvasAgg(figure)
        figure.savefig(paths[name], dpi=DPI, facecolor="white", metadata={"Software": None})
    return paths


def cone_picture(study: Study, shape: tuple[int, int]) -> Figure:
    """Draw generators of the class cones, one row per class, and of the common cone."""
    rows = [(f"class {label}", cone.W) for label, cone in study.model.classes.items()]
    rows.append(("all classes", study.model.common.W))
    columns = min(16, *(W.shape[1] for _, W in rows))
    title = f"Generators of the cones: the first {columns} of each"
    figure, place = _sheet(len(rows), columns, title, cell=0.56, left=1.0, gap=0.04)
    for i, (name, W) in enumerate(rows):
        for j in range(columns):
            _image(place(i, j), (W[:, j] / W[:, j].max()).reshape(shape))
        _row_label(figure, place(i, 0), name, INK)
    return figure


def gallery_picture(task: Row, gallery: Gallery, shape: tuple[int, int]) -> Figure:
    """Draw, for some items of a task, what was given, the best answer of each arm, and the truth.

    Every answer carries its PSNR in dB; the best of an item is in bold.
    """
    truth = gallery.items.truth
    parts = truth.shape[1] // (shape[0] * shape[1])
    n_items = min(len(truth), 10 // parts)
    rows: list[tuple[str, str, Array]] = []
    if not np.array_equal(gallery.items.data, truth):
        rows.append(("given", INK, gallery.items.data))
    for arm in ARMS:
        name = chosen(task, arm)["name"]
        rows.append((f"{ARM_NAMES[arm]}\n{name}", COLOURS[arm], gallery.answers[name]))
    rows.append(("truth", INK, truth))
    values = [_decibels(images, truth, parts) for _, _, images in rows]
    contest = [value for value, (_, colour, _) in zip(values, rows, strict=True) if colour != INK]
    best = np.max([value for value in contest if value is not None], axis=0)
    figure, place = _sheet(len(rows), n_items, f"{task['title']}. {task['about']}", wide=parts)
    for i, ((name, colour, images), value) in enumerate(zip(rows, values, strict=True)):
        for j in range(n_items):
            axes = place(i, j)
            _image(axes, _panel(images[j], shape))
            if value is not None:
                weight = "bold" if value[j] >= best[j] and colour != INK else "normal"
                axes.set_title(f"{value[j]:.1f}", fontsize=7.5, color=colour, pad=2, weight=weight)
        _row_label(figure, place(i, 0), name, colour)
    return figure


def quality_picture(task: Row) -> Figure:
    """Draw the quality of every contender of a task with its interval."""
    rows = task["results"][::-1]
    figure = Figure(figsize=(8.6, 0.9 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(rows):
        value, (lo, hi) = row["quality"], row["quality_ci"]
        colour = COLOURS[row["arm"]]
        axes.plot([lo, hi], [y, y], color=colour, lw=5, alpha=0.3, solid_capstyle="butt")
        axes.plot(value, y, "o", color=colour, ms=7)
        text = quality(task["metric"], value)
        axes.annotate(text, (hi, y), (6, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=9)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(COLOURS[row["arm"]])
    axes.margins(x=0.14, y=0.12)
    title = f"{task['title']}. {task['about']}"
    figure.suptitle(title, x=0.012, ha="left", fontsize=10.5, color=INK)
    axes.set_xlabel(f"{METRIC_NAMES[task['metric']]}, 95 % interval", fontsize=8.5)
    _plain_axes(axes, "x")
    return figure


def cost_picture(record: Row) -> Figure:
    """Draw the CPU time of each arm per task: training or tuning, and use on 1000 items."""
    names = list(record["tasks"])[::-1]
    figure = Figure(figsize=(9.4, 1.5 + 0.52 * len(names)), layout="constrained")
    axes = figure.subplots()
    cone = record["cone"]["cost"]["cpu_seconds"]
    axes.axvline(cone, color=COLOURS["reuse"], lw=1.2, ls=(0, (4, 3)))
    axes.annotate(
        "training of all cones, once ",
        (cone, len(names) - 0.45),
        fontsize=8.5,
        color=COLOURS["reuse"],
        ha="right",
        va="center",
    )
    for y, name in enumerate(names):
        task = record["tasks"][name]
        for offset, (arm, colour) in zip((0.26, 0.0, -0.26), COLOURS.items(), strict=True):
            row = chosen(task, arm)
            train = row["train"]["cpu_seconds"] if row["train"] else 0.0
            use = N_ITEMS * row["use"]["cpu_seconds"] / task["n_items"]
            axes.barh(y + offset, train + use, 0.24, color=colour, alpha=0.45)
            axes.barh(y + offset, use, 0.24, color=colour)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(-0.6, len(names) - 0.2)
    axes.set_xlabel(
        f"CPU-seconds, log scale: using it on {N_ITEMS} items (dark), "
        f"and with training or tuning (light)",
        fontsize=8.5,
    )
    handles = [axes.barh(0, 0, color=colour) for colour in COLOURS.values()]
    axes.legend(
        handles,
        [ARM_NAMES[arm] for arm in COLOURS],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    _plain_axes(axes, "x")
    return figure


def break_even_picture(record: Row) -> Figure:
    """Draw the total CPU time of both arms against the number of tasks, and of items per task."""
    figure = Figure(figsize=(10.4, 7.4), layout="constrained")
    grid = figure.subplots(2, 2)
    for axes, (key, title) in zip(
        grid,
        (
            ("equal_quality", "where the cone is at least as good as the best rival"),
            ("cone_quality", "all tasks, rivals need only reach the cone's quality"),
        ),
        strict=True,
    ):
        answer = record["break_even"][key]["cpu_seconds"]
        names = record["break_even"][key]["tasks"]
        heading = f"{len(names)} of {len(record['tasks'])} tasks: {title}"
        axes[0].set_title(heading, fontsize=9.5, loc="left", color=INK)
        if answer is None:
            for ax in axes:
                ax.text(0.5, 0.5, "not reached in any task", ha="center", color=INK)
                ax.set_axis_off()
            continue
        tasks = np.arange(0, max(12, len(names) + 2))
        items = np.geomspace(1, 1e5, 200)
        _curves(axes[0], answer, tasks, tasks, N_ITEMS)
        axes[0].set_xlabel(f"tasks, {N_ITEMS} items each   (T*: {count(answer['tasks'])})")
        _curves(axes[1], answer, items, len(names), items)
        axes[1].set_xlabel(f"items per task, {len(names)} tasks   (N*: {count(answer['items'])})")
        axes[1].set(xscale="log", yscale="log")
    grid[0, 0].legend(frameon=False, fontsize=8.5, loc="upper left")
    return figure


def _curves(axes: Axes, answer: Row, x: Array, tasks: Any, items: Any) -> None:
    """Draw both totals; the band is the cone at half and at twice the power per CPU-second."""
    c = answer["costs"]
    reuse = c["train_shared"] + tasks * (c["adapt"] + items * c["reuse_item"])
    retrain = tasks * (c["train_task"] + items * c["retrain_item"])
    axes.fill_between(x, reuse / 2, 2 * reuse, color=COLOURS["reuse"], alpha=0.13, lw=0)
    axes.plot(x, reuse, color=COLOURS["reuse"], lw=2, label="one cone, reused")
    axes.plot(x, retrain, color=COLOURS["retrain"], lw=2, label="one model per task")
    axes.set_ylabel("CPU-seconds in all", fontsize=8.5)
    axes.set_xlim(x[0], x[-1])
    _plain_axes(axes, "both")


def _decibels(images: Array, truth: Array, parts: int) -> Array | None:
    if images is truth or images.shape != truth.shape:
        return None
    return psnr(images, truth, parts)


def _panel(row: Array, shape: tuple[int, int]) -> Array:
    """Return the image of a row; several parts side by side; a smaller image as it is."""
    pixels = shape[0] * shape[1]
    if row.size < pixels:
        factor = round((pixels / row.size) ** 0.5)
        return row.reshape(shape[0] // factor, shape[1] // factor)
    return np.hstack(list(row.reshape(-1, *shape)))


def _sheet(
    n_rows: int,
    n_columns: int,
    title: str,
    *,
    cell: float = 0.86,
    wide: int = 1,
    left: float = 2.35,
    gap: float = 0.2,
) -> tuple[Figure, Callable[[int, int], Axes]]:
    """Return a figure of image cells, sizes in inches, and the function that makes a cell's axes.

    A cell is `cell` high and `wide` times as wide; `left` is kept for labels, `gap` above cells.
    """
    top, step_x, step_y = 0.42 + gap, cell * wide + 0.05, cell + gap
    width, height = left + n_columns * step_x + 0.1, top + n_rows * step_y
    figure = Figure(figsize=(width, height))
    figure.text(0.12 / width, 1 - 0.2 / height, title, fontsize=10.5, color=INK, va="center")
    made: dict[tuple[int, int], Axes] = {}

    def place(i: int, j: int) -> Axes:
        if (i, j) not in made:
            x, y = left + j * step_x, height - top - (i + 1) * step_y + gap
            box = (x / width, y / height, cell * wide / width, cell / height)
            made[i, j] = figure.add_axes(box)
        return made[i, j]

    return figure, place


def _image(axes: Axes, image: Array) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()


def _row_label(figure: Figure, first: Axes, text: str, colour: str) -> None:
    box = first.get_position()
    x = 0.12 / figure.get_figwidth()
    figure.text(x, (box.y0 + box.y1) / 2, text, fontsize=8.5, color=colour, va="center")


def _plain_axes(axes: Axes, grid: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis=grid, color="#e3e6ea", lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5)
