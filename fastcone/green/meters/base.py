# SPDX-License-Identifier: BSD-3-Clause
"""What a meter is, and the bookkeeping all meters share.

A meter reads raw counters and knows nothing of regions, wraps or gaps.  The `Accumulator` turns
its reads into one total per domain that only ever grows.  Every region is a difference of two
snapshots of these totals, so what is nested adds up exactly.  All totals are integers: nJ or ns.

    delta = b - a             the counter grew
    delta = b - a + modulus   it wrapped, once: more than one wrap cannot happen within `horizon_ns`
    a gap                     a read failed, the counter was reset, too much time passed,
                              the machine slept, or the power would be impossible
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..reading import Reading

REFRESH_NS = 1_000_000
"""How often RAPL counters are brought up to date: about every millisecond."""

_SLACK_NS = 10 * REFRESH_NS
_SLEEP_NS = 100_000_000


@dataclass(frozen=True)
class Availability:
    """Whether a meter works here, and why or why not.

    Examples
    --------
    >>> print(Availability(False, "no zones"))
    no: no zones
    """

    ok: bool
    reason: str

    def __str__(self) -> str:
        return f"{'yes' if self.ok else 'no'}: {self.reason}"


@dataclass(frozen=True)
class Sample:
    """One read of one counter: the raw value (None where the read failed) and its time.

    ``asleep_ns`` is the time the machine has been suspended since boot.  ``flags`` are notes that
    the region being measured inherits.
    """

    raw: int | None
    t_ns: int
    asleep_ns: int = 0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """What is known of a counter: the modulus it wraps at and the power it cannot exceed.

    ``modulus`` is in the counter's unit, None where unknown; ``ceiling_w`` is in W, which is
    nJ per ns, None for a counter that does not count energy.
    """

    modulus: int | None = None
    ceiling_w: float | None = None
    smallest_modulus: int | None = None

    @property
    def horizon_ns(self) -> float | None:
        """Time within which the counter can wrap at most once, ns; None: it never wraps."""
        modulus = self.modulus or self.smallest_modulus
        return modulus / self.ceiling_w if modulus and self.ceiling_w else None


@dataclass(frozen=True)
class Tally:
    """What one domain has counted; every field only grows, so a window is a difference.

    ``amount`` is in the unit of the counter (nJ, ns), ``covered_ns`` is time whose amount is
    known, ``gap_ns`` is time whose amount is not.

    Examples
    --------
    >>> Tally(amount=7, samples=3, flags={"gap": 2}) - Tally(amount=5, samples=1, flags={"gap": 2})
    Tally(amount=2, covered_ns=0, gap_ns=0, samples=2, wraps=0, gaps=0, flags={})
    """

    amount: int = 0
    covered_ns: int = 0
    gap_ns: int = 0
    samples: int = 0
    wraps: int = 0
    gaps: int = 0
    flags: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __add__(self, other: Tally) -> Tally:
        return self._combined(other, 1)

    def __sub__(self, other: Tally) -> Tally:
        return self._combined(other, -1)

    def _combined(self, other: Tally, sign: int) -> Tally:
        names = dict.fromkeys((*self.flags, *other.flags))
        counts = {f: self.flags.get(f, 0) + sign * other.flags.get(f, 0) for f in names}
        return Tally(
            self.amount + sign * other.amount,
            self.covered_ns + sign * other.covered_ns,
            self.gap_ns + sign * other.gap_ns,
            self.samples + sign * other.samples,
            self.wraps + sign * other.wraps,
            self.gaps + sign * other.gaps,
            {f: n for f, n in counts.items() if n},
        )


Tallies = Mapping[str, Tally]


class Meter(Protocol):
    """What a `Profiler` asks of a meter; write a class with these to add your own.

    ``name`` and ``kind`` label the readings.  ``poll_interval_s`` is how often a background
    thread must read the meter while a region is open, None if never.
    """

    name: str
    kind: str

    @property
    def poll_interval_s(self) -> float | None:
        """Longest time between two reads, s; None where only the ends of a region matter."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The counters this meter reads."""

    def probe(self) -> Availability:
        """Say whether the meter works here, and why not."""

    def read(self) -> Mapping[str, Sample]:
        """Read every counter once.  A counter that cannot be read gives a sample without raw."""

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Put a label on what was tallied over `pieces` windows of `window_ns` ns in all."""


class Accumulator:
    """Running totals of the counters of one meter.

    Parameters
    ----------
    meter : Meter
        Read by `advance`, and by nothing else.

    Examples
    --------
    >>> from fastcone.green import CpuTimeMeter
    >>> ticks = iter([100, 350])
    >>> totals = Accumulator(CpuTimeMeter(clock=lambda: next(ticks)))
    >>> start = totals.advance()
    >>> (totals.advance()["process"] - start["process"]).amount
    250
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._last: dict[str, Sample] = {}
        self._doubted: dict[str, Sample] = {}
        self._tally: dict[str, Tally] = {}

    def advance(self, *, boundary: bool = True) -> dict[str, Tally]:
        """Read the meter, add what has been counted since the last read, return the totals.

        Parameters
        ----------
        boundary : bool
            True at the ends of a region.  A failed read there ends the record: what the counter
            shows later can no longer be divided between the two sides.  A failed read in between
            loses nothing, the next one spans it.
        """
        domains = self.meter.domains
        for name, sample in self.meter.read().items():
            known = self._tally.get(name, Tally())
            self._tally[name] = known + self._step(name, domains[name], sample, boundary)
        return dict(self._tally)

    def _step(self, name: str, domain: Domain, now: Sample, boundary: bool) -> Tally:
        last = self._last.get(name)
        flags = dict.fromkeys(now.flags, 1)
        if now.raw is None:
            flags["failed-read"] = 1
            if not boundary:
                return Tally(flags=flags)
            self._last[name] = now
            return _gap(last, now, flags)
        self._last[name] = now
        if last is None:
            return Tally(samples=1, flags=flags)
        if last.raw is None:
            return _gap(last, now, flags) + Tally(samples=1)
        delta, wrapped, fault = _difference(domain, last, now)
        if fault:
            if fault in ("impossible-power", "counter-fell"):
                self._doubted[name] = last
            return _gap(last, now, {**flags, fault: 1}) + Tally(samples=1)
        # Was the counter reset, or was the last value wrong?  Take the smaller rise.
        if name in self._doubted:
            other = _difference(domain, self._doubted.pop(name), now)
            if not other[2] and other[0] < delta:
                delta, wrapped, _ = other
        return Tally(delta, now.t_ns - last.t_ns, 0, 1, int(wrapped), 0, flags)


def _difference(domain: Domain, last: Sample, now: Sample) -> tuple[int, bool, str]:
    assert last.raw is not None and now.raw is not None
    elapsed = now.t_ns - last.t_ns
    delta = now.raw - last.raw
    wrapped = delta < 0
    if elapsed < 0:
        return 0, False, "clock-jump"
    if now.asleep_ns - last.asleep_ns > _SLEEP_NS:
        return 0, False, "slept"
    if domain.horizon_ns is not None and elapsed >= domain.horizon_ns:
        return 0, False, "unsampled"
    if wrapped:
        if domain.modulus is None:
            return 0, False, "counter-fell"
        delta += domain.modulus
    if domain.ceiling_w is not None and delta > domain.ceiling_w * (elapsed + _SLACK_NS):
        return 0, False, "impossible-power"
    return delta, wrapped, ""


def _gap(last: Sample | None, now: Sample, flags: Mapping[str, int]) -> Tally:
    lost = max(now.t_ns - last.t_ns, 0) if last else 0
    return Tally(gap_ns=lost, gaps=1, flags={**flags, "gap": 1})


def all_flags(tallies: Iterable[Tally]) -> tuple[str, ...]:
    """Return the names of all flags raised in these tallies, each once.

    Examples
    --------
    >>> all_flags([Tally(flags={"gap": 1}), Tally(flags={"slept": 1, "gap": 4})])
    ('gap', 'slept')
    """
    return tuple(dict.fromkeys(flag for tally in tallies for flag in tally.flags))
