# SPDX-License-Identifier: BSD-3-Clause
"""Energy modelled from CPU time, for machines that have no energy counter."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping

from ..reading import Reading
from .base import Availability, Domain, Sample, Tallies, all_flags
from .children import children_ns, resource

DEFAULT_WATTS = (1.5, 6.0, 24.0)

_REST_STEP_S, _REST_S = 0.005, 0.25  # the system counts other threads in ticks, 4 ms as a rule
_BUSY = 0.2  # CPU time per wall time of a process whose only thread sleeps
_QUIET_NS, _QUIET_STEPS = 100_000, 2
_FLOOR_TRIES = 9
_CLOCK_SLACK_NS = 20_000_000


class CpuTimeMeter:
    """Energy as CPU time times watts per core: a model, and labelled as one.

    ``joules = t_cpu * mid``, interval ``[t_cpu * lo, t_cpu * hi]``, where ``t_cpu`` is the user
    and system time of this process and of its children, less what reading the clocks costs.  On
    Linux children that live are counted while they run; elsewhere when they have ended and been
    waited for, and ``hi`` is None while one has not.

    The default of 1.5, 6 and 24 W is a range of powers per core, not a confidence interval.  The
    design powers in the table of Green Algorithms run from 3.8 to 23.8 W per core, median 11.3,
    and a CPU-second of one of two hardware threads of a core is half a core.  For known hardware
    give design power / cores.

    Before a region the meter waits until the other threads of the process rest, .25 s at the
    most: a BLAS pool spins for 20 to 200 ms after a product, which would be charged to the region.
    If they do not rest the reading is flagged ``"spinning"``; where there was more CPU time than
    the CPUs can give in the window, ``"impossible-cpu"``.

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
    >>> energy.kind, energy.joules == 2 * energy.lo, energy.hi > 2 * energy.joules
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
        self._floor_ns = 0
        self._others_ns = 0
        self._reads_to_flag = 0
        self._children_ns = 0

    def probe(self) -> Availability:
        """Say what is counted; this meter works everywhere."""
        if not self._floor_ns:
            self._floor_ns = max(min(self._empty_ns() for _ in range(_FLOOR_TRIES)), 0)
        watts = "/".join(f"{w:g}" for w in self.watts_per_core)
        children = "its children" if resource else "no children (this system cannot say)"
        return Availability(
            True, f"a model: CPU time of this process and {children} x {watts} W per core"
        )

    def read(self) -> dict[str, Sample]:
        """Return the CPU times of the process and of its ended children, ns."""
        t_ns = time.perf_counter_ns()
        self._reads_to_flag -= 1
        spinning = ("spinning",) if self._reads_to_flag == 0 else ()
        samples = {"process": Sample(self._clock(), t_ns, flags=spinning)}
        if resource is not None:
            total, whole = children_ns()
            self._children_ns = max(self._children_ns, total)  # a tick is lost where one ends
            flags = () if whole else ("unreaped-children",)
            samples["children"] = Sample(self._children_ns, t_ns, flags=flags)
        return samples

    def settle(self, *, opening: bool) -> None:
        """Before a region, wait until the other threads rest; if they do not, flag the region."""
        others = self._clock() - time.thread_time_ns()
        if not opening or _threads() < 2 or abs(others - self._others_ns) < _QUIET_NS:
            return
        quiet = 0
        for _ in range(round(_REST_S / _REST_STEP_S)):
            start, cpu = time.perf_counter_ns(), self._clock()
            time.sleep(_REST_STEP_S)
            rests = self._clock() - cpu < _BUSY * (time.perf_counter_ns() - start)
            quiet = quiet + 1 if rests else 0
            if quiet == _QUIET_STEPS:
                self._others_ns = self._clock() - time.thread_time_ns()
                return
        self._reads_to_flag = 2  # not the read that opens the region, the one after

    def _empty_ns(self) -> int:
        """Return the CPU time that two reads in a row charge to what lies between them."""
        before, after = self.read(), self.read()
        return sum((after[d].raw or 0) - (before[d].raw or 0) for d in before)

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
        used_ns = sum(t.amount for t in tallies.values())
        if used_ns > window_ns * (os.cpu_count() or 1) + pieces * _CLOCK_SLACK_NS:
            flags += ("impossible-cpu",)
        floor_ns = min(pieces * self._floor_ns, used_ns)
        seconds = (used_ns - floor_ns) / 1e9
        lo, mid, hi = self.watts_per_core
        return Reading(
            seconds * mid,
            seconds * lo,
            None if "unreaped-children" in flags else used_ns / 1e9 * hi,
            self.kind,
            self.name,
            self.scope,
            window_s=window_ns / 1e9,
            resolution_j=pieces * mid * time.get_clock_info("process_time").resolution,
            samples=samples,
            flags=flags,
            params={
                "watts_per_core": list(self.watts_per_core),
                "floor_j": floor_ns / 1e9 * mid,
            },
        )


def _threads() -> int:
    """Return how many threads this process has, those of libraries included; 2 where unknown."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 2
