# SPDX-License-Identifier: BSD-3-Clause
"""The command line: ``fastcone study``, ``doctor``, ``measure``; also ``python -m fastcone``."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastcone._runtime.config import version_of

if TYPE_CHECKING:
    from fastcone.study.data import Dataset
    from fastcone.study.run import Progress

DATASETS = ("digits", "mnist_784")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if missing.

    Returns
    -------
    int
        Exit status: 0, 1 if the command failed, 130 if it was interrupted. Wrong arguments exit
        with 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(arguments)
    try:
        if options.command == "measure":
            return measure(options)
        return doctor() if options.command == "doctor" else study(options, arguments)
    except KeyboardInterrupt:
        return _failed(options, "interrupted", status=130)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="fastcone", description="Train a cone once, reuse it for every task by projection."
    )
    top.add_argument("--version", action="version", version=f"fastcone {version_of('fastcone')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="tell which energy meters work here, and why others do not")
    timed = commands.add_parser(
        "measure",
        help="run a command and tell what it cost",
        description="Run a command, then print time, CPU time and energy of it on standard error. "
        "The exit status is the command's.",
    )
    timed.add_argument("--csv", metavar="FILE", type=Path, help="write the figures there, too")
    timed.add_argument("program", nargs="+", metavar="-- PROGRAM [ARGUMENT ...]")
    run = commands.add_parser(
        "study",
        help="reuse one cone for many tasks, against a model retrained for each",
        description="Train a cone per class once, reuse it for every task, and measure quality, "
        "time, CPU time, memory and energy against models retrained for each task and against "
        "classical methods. Writes study.json, pictures and report.html.",
    )
    images = run.add_mutually_exclusive_group()
    images.add_argument(
        "--data", metavar="FILE.npz", help="images: arrays x_train, y_train, x_test, y_test"
    )
    images.add_argument(
        "--dataset",
        choices=DATASETS,
        help="bundled 8 x 8 digits (default), or MNIST from OpenML (downloaded once)",
    )
    run.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("study-out"), help="default: %(default)s"
    )
    run.add_argument("--quick", action="store_true", help="fewer images, smaller rivals")
    run.add_argument("--seed", type=_seed, default=0, help="default: %(default)s")
    run.add_argument(
        "--intensity",
        metavar="G",
        type=_intensity,
        help="carbon intensity of the electricity, g CO2e per kWh; without it carbon stays unknown",
    )
    run.add_argument(
        "--pue",
        type=_pue,
        default=1.0,
        help="power usage effectiveness of the facility, default: %(default)s",
    )
    return top


def doctor() -> int:
    """Print which meters work on this machine."""
    from fastcone.green import doctor as diagnose

    print(diagnose())
    return 0


def measure(options: argparse.Namespace) -> int:
    """Run a command and print what it cost."""
    from fastcone.green import measure as run

    try:
        if options.csv is not None:
            options.csv.write_text("", encoding="utf-8")  # fails before hours of work, not after
    except OSError as error:
        return _failed(options, f"error: {error}", status=2)
    try:
        status, report = run(options.program)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        return _failed(options, f"error: {error}", status=126 if denied else 127)
    print(report, file=sys.stderr)
    if options.csv is not None:
        options.csv.write_text(report.to_csv(), encoding="utf-8")
    return status if status >= 0 else 128 - status


def study(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the study, write it, and print its table."""
    try:
        data = _images(options)
        options.out.mkdir(parents=True, exist_ok=True)
    except (ImportError, OSError, ValueError) as error:
        return _failed(options, f"error: {error}")
    from fastcone.study.report.text import text
    from fastcone.study.report.write import write_study
    from fastcone.study.run import run_study

    progress, close = _bar() if sys.stderr.isatty() else (None, lambda: None)
    try:
        found = run_study(
            data,
            quick=options.quick,
            seed=options.seed,
            intensity=options.intensity,
            pue=options.pue,
            progress=progress,
        )
    finally:
        close()
    command = shlex.join(["python", "-m", "fastcone", *arguments])
    try:
        report = write_study(found, options.out, command=command)
    except OSError as error:
        return _failed(options, f"error: {error}")
    print(text(found.record))
    print(f"report: {report}")
    return 0


def _failed(options: argparse.Namespace, reason: str, *, status: int = 1) -> int:
    print(f"fastcone {options.command}: {reason}", file=sys.stderr)
    return status


def _images(options: argparse.Namespace) -> Dataset:
    from fastcone.study import require

    require()
    from fastcone.study import data

    if options.data is not None:
        return data.load_npz(options.data, options.seed)
    load = data.fetch_mnist if options.dataset == "mnist_784" else data.load_digits
    return load(options.seed)


def _bar() -> tuple[Progress, Callable[[], None]]:
    """Return a progress callback that draws a bar, and the function that closes the bar."""
    from tqdm import tqdm

    bar = tqdm(total=1, unit="step", bar_format="{l_bar}{bar}| {n}/{total} {desc}", leave=False)

    def progress(done: int, total: int, text: str) -> None:
        bar.total, bar.n = total, done
        bar.set_description_str(text)

    return progress, bar.close


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 2^32 - 1, found {text}")
    return int(text)


def _intensity(text: str) -> float:
    return _at_least(text, 0.0)


def _pue(text: str) -> float:
    return _at_least(text, 1.0)


def _at_least(text: str, minimum: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not minimum <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number >= {minimum:g}, found {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
