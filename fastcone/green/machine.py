# SPDX-License-Identifier: BSD-3-Clause
"""Facts of the machine that decide how far a counter can be trusted."""

from __future__ import annotations

import os
import time


def in_virtual_machine(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Return whether the CPU says that a hypervisor is present (x86 Linux; False elsewhere).

    Examples
    --------
    >>> in_virtual_machine("/no/such/file")
    False
    """
    try:
        with open(cpuinfo, encoding="ascii", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return False
    return "hypervisor" in flags.split()


def busy_ns(stat: str = "/proc/stat") -> int | None:
    """Return the CPU time all processes of the machine have used since boot, ns.

    The kernel counts it in ticks, 10 ms as a rule.  None where there is no ``/proc/stat``.

    Examples
    --------
    >>> busy_ns("/no/such/file") is None
    True
    """
    try:
        with open(stat, encoding="ascii", errors="replace") as lines:
            fields = lines.readline().split()
        user, nice, system, _idle, _iowait, irq, softirq = (int(f) for f in fields[1:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq) * (10**9 // os.sysconf("SC_CLK_TCK"))


def suspended_ns() -> int:
    """Return how long the machine has been suspended since boot, ns; 0 where it cannot be known.

    Examples
    --------
    >>> abs(suspended_ns() - suspended_ns()) < 1_000_000_000
    True
    """
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
