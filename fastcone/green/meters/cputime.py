# SPDX-License-Identifier: BSD-3-Clause
"""Energy modelled from CPU time, for machines that have no energy counter."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from types import ModuleType

from ..reading import Reading
from .base import Availability, Domain, Sample, Tallies, all_flags

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

DEFAULT_WATTS = (3.0, 6.0, 12.0)


class CpuTimeMeter:
    """Energy as CPU time times watts per core: a model, and labelled as one.

    ``joules = t_cpu * mid``, interval ``[t_cpu * lo, t_cpu * hi]``, where ``t_cpu`` is the user
    and system time of this process and of its children that have ended and been waited for.

    The default of 3, 6 and 12 W is a range of design powers per core, not a confidence interval.
    Published values per core run from about 4 W (server processors of many cores: EPYC 7552,
    4.2 W) to about 11 W (desktop: A8-7680, 11.3 W; both from the table of Green Algorithms).  A
    CPU-second of one of two hardware threads of a core costs less, a core in turbo costs more.
    For hardware known by name, models of this family have been off by up to 40 % against a plug
    meter (arXiv 2509.22092).  The power of the idle machine, its memory, fans, disks and supply
    are not in it, so there is no idle power to subtract.

    Whatever the watts are, they scale every joule of a report alike: ratios between two
    workloads hold as long as both draw similar power per CPU-second.

    Parameters
    ----------
    watts_per_core : tuple of three floats
        Low, middle and high power of one busy core, W, ascending and > 0.
    clock : callable
        Returns the CPU time of this process, ns.

    Raises
    ------
    ValueError
        If there are not three numbers > 0 in ascending order.

    Examples
    --------
    >>> from fastcone.green import Profiler
    >>> p = Profiler(CpuTimeMeter(watts_per_core=(2, 4, 8)))
    >>> with p.region("sum"):
    ...     _ = sum(range(100_000))
    >>> energy = p.report().regions["sum"].energy
    >>> energy.kind, energy.joules == 2 * energy.lo, energy.hi == 2 * energy.joules
    ('modelled', True, True)
    """

    name = "cpu-time"
    kind = "modelled"
    scope = "process CPU"
    poll_interval_s = None
    domains: Mapping[str, Domain] = {"process": Domain(), "children": Domain()}

    def __init__(
        self,
        watts_per_core: tuple[float, float, float] = DEFAULT_WATTS,
        *,
        clock: Callable[[], int] = time.process_time_ns,
    ) -> None:
        try:
            lo, mid, hi = (float(w) for w in watts_per_core)
        except (TypeError, ValueError):
            raise ValueError(
                f"watts_per_core must be three numbers (lo, mid, hi), found {watts_per_core!r}"
            ) from None
        if not (0 < lo <= mid <= hi and math.isfinite(hi)):
            raise ValueError(
                f"watts_per_core must be > 0, finite and ascending, found {watts_per_core!r}"
            )
        self.watts_per_core = (lo, mid, hi)
        self._clock = clock

    def probe(self) -> Availability:
        """Say what is counted; this meter works everywhere."""
        watts = "/".join(f"{w:g}" for w in self.watts_per_core)
        children = "ended children" if resource else "no children (this system cannot say)"
        return Availability(
            True, f"a model: CPU time of this process and {children} x {watts} W per core"
        )

    def read(self) -> dict[str, Sample]:
        """Return the CPU times of the process and of its ended children, ns."""
        t_ns = time.perf_counter_ns()
        samples = {"process": Sample(self._clock(), t_ns)}
        if resource is not None:
            flags = ("unreaped-children",) if has_unreaped_children() else ()
            samples["children"] = Sample(children_ns(), t_ns, flags=flags)
        return samples

    def settle(self) -> None:
        """Do nothing: the clock of the process does not lag."""

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Return the modelled energy of a window."""
        gaps = sum(t.gaps for t in tallies.values())
        samples = sum(t.samples for t in tallies.values())
        flags = all_flags(tallies.values())
        if gaps:
            return Reading.absent(
                self.name,
                self.scope,
                reason="the CPU clock ran backwards",
                window_s=window_ns / 1e9,
                flags=flags,
                samples=samples,
                gaps=gaps,
            )
        seconds = sum(t.amount for t in tallies.values()) / 1e9
        lo, mid, hi = self.watts_per_core
        return Reading(
            seconds * mid,
            seconds * lo,
            seconds * hi,
            self.kind,
            self.name,
            self.scope,
            window_s=window_ns / 1e9,
            resolution_j=pieces * mid * time.get_clock_info("process_time").resolution,
            samples=samples,
            flags=flags,
            params={"watts_per_core": list(self.watts_per_core)},
        )


def children_ns() -> int:
    """Return the CPU time of the children that have ended and been waited for, ns.

    Examples
    --------
    >>> children_ns() >= 0
    True
    """
    if resource is None:
        return 0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds: float = usage.ru_utime + usage.ru_stime
    return round(seconds * 1e6) * 1000


def has_unreaped_children() -> bool:
    """Return whether a child exists whose CPU time is not counted yet; False if unknown.

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
