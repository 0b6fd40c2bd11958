# SPDX-License-Identifier: BSD-3-Clause
"""What a command line costs: run it in a region, hand back its status and its report."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from .profiler import Profiler
from .report import Report

NAME = "command"


def measure(command: Sequence[str], *, profiler: Profiler | None = None) -> tuple[int, Report]:
    """Run a command to its end and return its exit status and what it cost.

    Its standard streams are those of this process.  CPU time is that of the command and of the
    processes it waited for; peak memory is not known, as Linux starts a child's at its parent's.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell is involved.
    profiler : Profiler, optional
        With meters of your own; by default the best that works here.

    Returns
    -------
    status : int
        As of `subprocess.Popen.returncode`: negative if a signal ended it.
    report : Report
        One region, ``"command"``.

    Raises
    ------
    ValueError
        If there is no command.
    OSError
        If it cannot be started.

    Examples
    --------
    >>> import sys
    >>> status, report = measure([sys.executable, "-c", "raise SystemExit(3)"])
    >>> status, report.regions["command"].cpu_seconds > 0
    (3, True)
    """
    if not command:
        raise ValueError("command must hold a program, found none")
    p = Profiler() if profiler is None else profiler
    with p.region(NAME):
        status = _run(command)
    return status, p.report().without_memory()


def _run(command: Sequence[str]) -> int:
    """Wait for the command also when Ctrl-C, which it gets too, arrives here first."""
    with subprocess.Popen(list(command)) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
