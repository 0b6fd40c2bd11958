# SPDX-License-Identifier: BSD-3-Clause
"""``%load_ext fastcone.green``: what a cell of a notebook costs."""

from __future__ import annotations

from typing import Any

from .profiler import Profiler


def load_ipython_extension(ipython: Any) -> None:
    """Register ``%%green [NAME]``, and ``%green STATEMENT`` for a line.

    The cell runs as it would without it, then its cost is printed.  One profiler serves the
    session, so cells of one name add up, and what ``green_report`` holds in the notebook is the
    whole table.

    Parameters
    ----------
    ipython : InteractiveShell
        IPython passes itself.
    """
    profiler = Profiler()

    def green(line: str, cell: str | None = None) -> None:
        name = "line" if cell is None else line.strip() or "cell"
        with profiler.region(name):
            ipython.run_cell(line if cell is None else cell)
        report = profiler.report()
        ipython.push({"green_report": report})
        print(report)

    ipython.register_magic_function(green, "line_cell", "green")
