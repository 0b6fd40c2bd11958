# SPDX-License-Identifier: BSD-3-Clause
"""Regions of a program and what each of them cost.

Every region is a difference of two snapshots of totals that only grow (see `meters/base.py`), so
nested regions add up exactly, however they are divided:

    inclusive = snapshot at the end - snapshot at the beginning
    exclusive = inclusive - the inclusive costs of the regions directly inside
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ContextDecorator
from dataclasses import dataclass
from typing import Any, TypeVar

from .memory import MemoryWatch, Peak
from .meters.base import Accumulator, Meter, Tallies, Tally
from .meters.cputime import CpuTimeMeter
from .meters.perf import PerfMeter
from .meters.powercap import PowercapMeter
from .reading import Reading
from .report import Region, Report
from .suspended import gives_suspended, other_tasks, suspended

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Cost:
    """Time and the tallies of every meter: a snapshot of the totals, or a difference of two."""

    ns: int
    tallies: tuple[Tallies, ...]
    deaths: int = 0

    def __add__(self, other: _Cost) -> _Cost:
        return self._combined(other, Tally.__add__, 1)

    def __sub__(self, other: _Cost) -> _Cost:
        return self._combined(other, Tally.__sub__, -1)

    def _combined(self, other: _Cost, apply: Callable[[Tally, Tally], Tally], sign: int) -> _Cost:
        none = Tally()
        tallies = tuple(
            {name: apply(a.get(name, none), b.get(name, none)) for name in {**a, **b}}
            for a, b in zip(self.tallies, other.tallies, strict=True)
        )
        return _Cost(self.ns + sign * other.ns, tallies, self.deaths + sign * other.deaths)


@dataclass(eq=False)
class _Open:
    """A region that has been entered and not yet left."""

    name: str
    start: _Cost
    watch: MemoryWatch
    thread: int
    pid: int
    flags: dict[str, None]
    inside: _Cost | None = None
    parts: int = 0

    def contain(self, cost: _Cost) -> None:
        """Count a region that was opened and left inside this one; none of them is kept."""
        self.inside = cost if self.inside is None else self.inside + cost
        self.parts += 1


@dataclass
class _Total:
    """All closed regions of one name."""

    count: int
    inclusive: _Cost
    exclusive: _Cost
    pieces: int
    peak: Peak
    flags: dict[str, None]


class _Region(ContextDecorator):
    """What `Profiler.region` returns: one region, or a region per call of a function."""

    def __init__(self, profiler: Profiler, name: str) -> None:
        self._profiler, self._name = profiler, name
        self._opened: _Open | None = None

    def _recreate_cm(self) -> _Region:
        return _Region(self._profiler, self._name)

    def __call__(self, function: _F) -> _F:
        if gives_suspended(function):
            name = getattr(function, "__name__", repr(function))
            raise TypeError(f"{name} is a generator or coroutine function: put the region inside")
        return super().__call__(function)

    def __enter__(self) -> None:
        self._opened = self._profiler._enter(self._name, suspended(sys._getframe(1)))

    def __exit__(self, *error: object) -> None:
        if self._opened is not None:
            self._profiler._leave(self._opened, other_tasks())
            self._opened = None


def default_meter() -> Meter:
    """Return the first meter that works here of `PowercapMeter`, `PerfMeter`, `CpuTimeMeter`.

    Examples
    --------
    >>> default_meter().probe().ok
    True
    """
    counters: tuple[Meter, ...] = (PowercapMeter(), PerfMeter())
    return next((counter for counter in counters if counter.probe().ok), CpuTimeMeter())


class Profiler:
    """Time, CPU time, peak memory and energy of named regions of a program.

    Regions nest; those of one name add up.  A region belongs to the process, so while one is
    open only the thread that opened it may open another, and regions close innermost first.  A
    region that ends in an exception is counted: what it used is used.

    Parameters
    ----------
    meters : Meter or sequence of Meter, optional
        The first gives the energy of a region, all are kept in ``readings``.  None takes
        `PowercapMeter` or `PerfMeter` where one can read, `CpuTimeMeter` elsewhere.
    clock : callable
        Wall-clock time, ns, monotonic.

    Raises
    ------
    ValueError
        If two meters have one name, or there is none.

    Notes
    -----
    The reads of the meters come last at the start and first at the end, so that little of what a
    region itself costs is inside.  Regions that end in another order than nested ones are
    flagged ``"overlap"``, and in no region's exclusive cost.  A region opened in a generator is
    flagged ``"generator"``, one opened while other asyncio tasks are pending ``"other-tasks"``:
    what runs while it is suspended is in it.  After a fork the
    child starts with an empty report, and the regions open in its parent are not its own.

    Examples
    --------
    >>> p = Profiler()
    >>> with p.region("study"):
    ...     for _ in range(2):
    ...         with p.region("train"):
    ...             _ = sum(range(1000))
    >>> regions = p.report().regions
    >>> regions["train"].count, regions["study"].seconds >= regions["train"].seconds
    (2, True)
    >>> regions["study"].energy.kind in ("measured", "modelled")
    True
    """

    def __init__(
        self,
        meters: Meter | Sequence[Meter] | None = None,
        *,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        if meters is None:
            meters = [default_meter()]
        elif not isinstance(meters, Sequence):
            meters = [meters]
        names = [meter.name for meter in meters]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"meters must be one or more of different names, found {names}")
        self._said = {meter.name: str(meter.probe()) for meter in meters}
        self._meters = list(meters)
        cpu = [i for i, meter in enumerate(meters) if isinstance(meter, CpuTimeMeter)]
        self._cpu = cpu[0] if cpu else len(self._meters)
        self._read = self._meters if cpu else [*self._meters, CpuTimeMeter()]
        self._clock = clock
        self._start_afresh()

    def region(self, name: str) -> _Region:
        """Measure what happens inside the ``with`` block, or in a function, under this name.

        Parameters
        ----------
        name : str
            Not empty, and not the name of a region that is open.

        Raises
        ------
        TypeError, ValueError
            If the name is not a non-empty string, or what is decorated is a generator or a
            coroutine function, whose call runs nothing yet.
        RuntimeError
            If, on entering, a region of this name is open or another thread has a region open.
            Leaving never raises.

        Examples
        --------
        >>> p = Profiler()
        >>> @p.region("sum")
        ... def add(n):
        ...     return sum(range(n))
        >>> add(1000), p.report().regions["sum"].count
        (499500, 1)
        """
        return _Region(self, name)

    def poll(self) -> None:
        """Read the meters now, as the background thread does while a region is open.

        Call it from inside a region where one call holds the interpreter for minutes: the thread
        cannot run meanwhile, and a counter that may have wrapped unseen would leave a gap.
        """
        with self._lock:
            for accumulator in self._accumulators:
                accumulator.advance(boundary=False)

    def report(self) -> Report:
        """Return what the regions closed so far have cost."""
        self._notice_fork()
        with self._lock:
            totals = [(name, self._totals[name]) for name in self._order if name in self._totals]
            return Report({name: self._region(total) for name, total in totals}, dict(self._said))

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._accumulators = [Accumulator(meter) for meter in self._read]
        self._stack: list[_Open] = []
        self._order: list[str] = []
        self._totals: dict[str, _Total] = {}
        self._deaths = 0
        self._stop: threading.Event | None = None

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            self._start_afresh()

    def _enter(self, name: str, flags: tuple[str, ...]) -> _Open:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, found {type(name).__name__}")
        if not name:
            raise ValueError("name must not be empty")
        self._notice_fork()
        with self._lock:
            here = threading.get_ident()
            if self._stack and self._stack[-1].thread != here:
                raise RuntimeError(
                    f"region {name!r} would overlap {self._stack[-1].name!r}, which another "
                    f"thread has open: a region measures the whole process; put one region "
                    f"around both threads"
                )
            if any(outer.name == name for outer in self._stack):
                raise RuntimeError(f"region {name!r} is open already, a nested one needs another")
            if not self._stack:
                self._start_sampler()
            watch = MemoryWatch()
            try:
                start = self._opening()
            except BaseException:  # Ctrl-C while the meters settle: as if never entered
                watch.close()
                if not self._stack:
                    self._stop_sampler()
                raise
            opened = _Open(name, start, watch, here, self._pid, dict.fromkeys(flags))
            self._stack.append(opened)
            if name not in self._order:
                self._order.append(name)
            return opened

    def _leave(self, opened: _Open, flags: tuple[str, ...]) -> None:
        if opened.pid != os.getpid():
            self._notice_fork()
            return
        with self._lock:
            opened.flags.update(dict.fromkeys(flags))
            try:
                cost = self._closing() - opened.start
            finally:  # Ctrl-C here loses this region, and leaves none open
                peak = opened.watch.close()
                if self._stack[-1] is not opened:
                    for other in self._stack[self._stack.index(opened) :]:
                        other.flags["overlap"] = None
                self._stack.remove(opened)
                if not self._stack:
                    self._stop_sampler()
            if self._stack and "overlap" not in opened.flags:
                self._stack[-1].contain(cost)
            self._add(opened, cost, peak)

    def _add(self, opened: _Open, cost: _Cost, peak: Peak) -> None:
        own = cost if opened.inside is None else cost - opened.inside
        known = self._totals.get(opened.name)
        if known is None:
            pieces, flags = 1 + opened.parts, opened.flags
            self._totals[opened.name] = _Total(1, cost, own, pieces, peak, flags)
        else:
            known.count += 1
            known.inclusive = known.inclusive + cost
            known.exclusive = known.exclusive + own
            known.pieces += 1 + opened.parts
            known.peak = known.peak.joined(peak)
            known.flags.update(opened.flags)

    def _opening(self) -> _Cost:
        """Read twice, so that a counter that stands still or tells nonsense is noticed."""
        for accumulator in self._accumulators:
            if not self._stack:
                accumulator.rest()
            accumulator.advance(boundary=False)
            accumulator.meter.settle(opening=True)
        tallies = tuple(a.advance() for a in self._accumulators)
        return _Cost(self._clock(), tallies, self._deaths)

    def _closing(self) -> _Cost:
        """Read, and once more to learn whether to believe it."""
        now = self._clock()
        for accumulator in self._accumulators:
            accumulator.advance()
        for accumulator in self._accumulators:
            accumulator.meter.settle(opening=False)
        return _Cost(now, tuple(a.confirm() for a in self._accumulators), self._deaths)

    def _region(self, total: _Total) -> Region:
        readings = {
            meter.name: self._reading(i, total.inclusive, total.count, total.flags)
            for i, meter in enumerate(self._meters)
        }
        return Region(
            count=total.count,
            seconds=total.inclusive.ns / 1e9,
            cpu_seconds=self._cpu_ns(total.inclusive) / 1e9,
            peak_memory_bytes=total.peak.bytes,
            peak_memory_kind=total.peak.kind,
            energy=readings[self._meters[0].name],
            exclusive_seconds=total.exclusive.ns / 1e9,
            exclusive_cpu_seconds=self._cpu_ns(total.exclusive) / 1e9,
            exclusive_energy=self._reading(0, total.exclusive, total.pieces, total.flags),
            readings=readings,
        )

    def _reading(self, index: int, cost: _Cost, pieces: int, flags: Iterable[str]) -> Reading:
        reading = self._meters[index].reading(cost.tallies[index], cost.ns, pieces)
        for flag in flags:
            reading = reading.flagged(flag)
        if cost.deaths and self._meters[index].poll_interval_s is not None:
            reading = reading.flagged("sampler-died")
        return reading

    def _cpu_ns(self, cost: _Cost) -> int:
        return sum(tally.amount for tally in cost.tallies[self._cpu].values())

    def _start_sampler(self) -> None:
        intervals = [m.poll_interval_s for m in self._meters if m.poll_interval_s is not None]
        if not intervals:
            return
        self._stop = threading.Event()
        args = (self._stop, min(intervals))
        thread = threading.Thread(target=self._sample, args=args, name="fastcone-green")
        thread.daemon = True
        thread.start()

    def _stop_sampler(self) -> None:
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _sample(self, stop: threading.Event, interval_s: float) -> None:
        while not stop.wait(interval_s):
            with self._lock:
                if stop.is_set():
                    return
                try:
                    self.poll()
                except Exception:
                    self._deaths += 1
                    return
