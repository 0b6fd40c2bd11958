# SPDX-License-Identifier: BSD-3-Clause
"""CPU time of child processes, living and ended.

The system adds a child's time to its parent when the child has ended and been waited for, all of
it at once: a region that waits for a child would be charged with the child's past, and one that
leaves a pool of workers running with nothing.  So on Linux the children that live are read, too,
and a region is charged with the difference.  Their clocks tick 10 ms.
"""

from __future__ import annotations

import os
from types import ModuleType

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None


def ended_ns() -> int:
    """Return the CPU time of the children that have ended and been waited for, ns.

    Examples
    --------
    >>> ended_ns() >= 0
    True
    """
    if resource is None:
        return 0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds: float = usage.ru_utime + usage.ru_stime
    return round(seconds * 1e6) * 1000


def has_unreaped_children() -> bool:
    """Return whether a child exists whose time is not in `ended_ns` yet; False if unknown.

    Examples
    --------
    >>> has_unreaped_children() in (True, False)
    True
    """
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def children_ns(proc: str = "/proc") -> tuple[int, bool]:
    """Return the CPU time of all children, ns, and whether those that live are in it.

    Of a living child its own ended children are counted, its living ones are looked into.

    Examples
    --------
    >>> total, whole = children_ns()
    >>> total >= 0, whole in (True, False)
    (True, True)
    """
    if not has_unreaped_children():
        return ended_ns(), True
    living = _living_ns(proc, "self")
    return ended_ns() + (living or 0), living is not None


def _living_ns(proc: str, parent: str) -> int | None:
    """Return the CPU time of the living descendants of a process; None if it cannot be known."""
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    total, tasks = 0, f"{proc}/{parent}/task"
    try:
        pids = []
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/children", encoding="ascii") as file:
                pids += file.read().split()
    except OSError:
        return None
    for pid in pids:
        try:
            with open(f"{proc}/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            total += tick * sum(int(f) for f in fields[11:15])
            below = _living_ns(proc, pid)
        except (OSError, ValueError, IndexError):
            continue  # it has ended meanwhile
        total += below or 0
    return total
