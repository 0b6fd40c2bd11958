# SPDX-License-Identifier: BSD-3-Clause
"""What a meter is, and the bookkeeping all meters share.

A meter reads raw counters and knows nothing of regions, wraps or gaps.  The `Accumulator` turns
its reads into one total per domain that only ever grows.  Every region is a difference of two
snapshots of these totals, so what is nested adds up exactly.  All totals are integers: nJ or ns.

    delta = b - a             the counter grew
    delta = b - a + modulus   it fell, and a wrap fits the power of the span before
    a gap                     a read failed, the counter was reset or stood still, too much time
                              passed, the machine slept, or the power would be impossible

Beside the amount run two totals that bound it: the truth of a window lies in
[amount - less, amount + more], up to the step and the refresh of the counter at its two ends.
A fault is seen one read late, and a wrong value may be the one before or the one after, so the
span before a fault and some spans after it count for nothing in `less` and for the greatest
possible energy in `more`.  So does a wrap, because a reset close to the top looks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..reading import Reading

REFRESH_NS = 1_000_000
"""How often RAPL counters are brought up to date: about every millisecond."""

STILL_REFRESHES = 3
"""A package draws watts: a counter that counts nothing for so many refreshes stands still."""

_SLACK_REFRESHES = 2
_SLEEP_NS = 100_000_000
_DOUBTED_SPANS = 3
_STEP, _STEP_W = 4.0, 50.0  # a span fits its neighbour up to 4 times its power and 50 W
_SUSPECT = ("impossible-power", "counter-fell", "stalled")


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
    nJ per ns, None for a counter that does not count energy.  ``refresh_ns`` is the longest time
    between two updates of it; ``may_reset`` is False for one that nobody but us can set to 0.
    """

    modulus: int | None = None
    ceiling_w: float | None = None
    smallest_modulus: int | None = None
    refresh_ns: int = REFRESH_NS
    may_reset: bool = True

    @property
    def horizon_ns(self) -> float | None:
        """Time within which the counter can wrap at most once, ns; None: it never wraps."""
        modulus = self.modulus or self.smallest_modulus
        return modulus / self.ceiling_w if modulus and self.ceiling_w else None


@dataclass(frozen=True)
class Tally:
    """What one domain has counted; every field only grows, so a window is a difference.

    ``amount`` is in the unit of the counter (nJ, ns), ``covered_ns`` is time whose amount is
    known, ``gap_ns`` is time whose amount is not.  The truth of a window lies between
    ``amount - less`` and ``amount + more``.

    Examples
    --------
    >>> Tally(amount=7, samples=3, flags={"gap": 2}) - Tally(amount=5, samples=1, flags={"gap": 2})
    Tally(amount=2, covered_ns=0, gap_ns=0, samples=2, wraps=0, gaps=0, less=0, more=0, flags={})
    """

    amount: int = 0
    covered_ns: int = 0
    gap_ns: int = 0
    samples: int = 0
    wraps: int = 0
    gaps: int = 0
    less: int = 0
    more: int = 0
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
            self.less + sign * other.less,
            self.more + sign * other.more,
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

    def settle(self, *, opening: bool) -> None:
        """Wait until every counter must have moved; called outside the window, at both ends."""

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Put a label on what was tallied over `pieces` windows of `window_ns` ns in all."""


@dataclass
class _Track:
    """What is remembered of one counter: its last read, and how the span before it went."""

    last: Sample | None = None
    amount: int = 0
    elapsed: int = 0
    watts: float | None = None
    doubt: int = 0
    before_fault: Sample | None = None


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
        self._tracks: dict[str, _Track] = {}
        self._tally: dict[str, Tally] = {}

    def rest(self) -> None:
        """Forget the last reads: what is counted until the next one belongs to nobody."""
        self._tracks = {}

    def advance(self, *, boundary: bool = True) -> dict[str, Tally]:
        """Read the meter, add what has been counted since the last read, return the totals.

        Parameters
        ----------
        boundary : bool
            True at the ends of a region.  A failed read there ends the record: what the counter
            shows later can no longer be divided between the two sides.  A failed read in between
            loses nothing, the next one spans it.
        """
        for name, past, span in self._steps(boundary):
            self._tally[name] = self._tally.get(name, Tally()) + past + span
        return dict(self._tally)

    def confirm(self) -> dict[str, Tally]:
        """Read once more, after `Meter.settle`, and return the totals as of the read before.

        What this read tells of that one is in them: whether the counter stood still or its value
        was wrong.  What has been counted since is not.
        """
        before = dict(self._tally)
        for name, past, span in self._steps(False):
            if "failed-read" in span.flags:
                past = _doubted(self.meter.domains[name], self._tracks[name], "unconfirmed")
            before[name] = before.get(name, Tally()) + past
            self._tally[name] = before[name] + span
        return before

    def _steps(self, boundary: bool) -> list[tuple[str, Tally, Tally]]:
        domains = self.meter.domains
        return [
            (name, *_step(self._tracks.setdefault(name, _Track()), domains[name], now, boundary))
            for name, now in self.meter.read().items()
        ]


_NOTHING = Tally()


def _step(track: _Track, domain: Domain, now: Sample, boundary: bool) -> tuple[Tally, Tally]:
    """Return what a read tells of the span before the last one, and of the last one."""
    last, flags = track.last, dict.fromkeys(now.flags, 1)
    if now.raw is None:
        flags["failed-read"] = 1
        if not boundary:
            return _NOTHING, Tally(flags=flags)
        track.last, track.amount, track.elapsed = now, 0, 0
        return _NOTHING, _gap(domain, last, now, flags)
    track.last = now
    if last is None:
        track.doubt = int(boundary)  # nothing read before it says that it is true
        return _NOTHING, Tally(samples=1, flags=flags)
    if last.raw is None:
        track.doubt = 1
        return _NOTHING, _gap(domain, last, now, flags) + Tally(samples=1)
    delta, wrapped, fault = _difference(domain, last, now, track.watts)
    if fault:
        past = _doubted(domain, track, fault) if fault in _SUSPECT else _NOTHING
        if fault in _SUSPECT:
            track.doubt, track.before_fault = _DOUBTED_SPANS, last
        track.amount, track.elapsed = 0, 0
        return past, _gap(domain, last, now, {**flags, fault: 1}) + Tally(samples=1)
    # Was the counter reset, or was the last value wrong?  Take the smaller rise.
    if track.before_fault is not None:
        other = _difference(domain, track.before_fault, now, track.watts)
        track.before_fault = None
        if not other[1] and not other[2] and other[0] < delta:
            delta, wrapped, _ = other
    elapsed = now.t_ns - last.t_ns
    less, more = 0, 0
    if domain.ceiling_w is not None:
        most = max(int(domain.ceiling_w * (elapsed + domain.refresh_ns)) - delta, 0)
        if track.doubt or wrapped:
            less, more = delta, most
        elif domain.may_reset and now.raw <= _fitting(domain, track.watts) * elapsed:
            more = most  # so low that it may have been reset, and have passed where it was
        elif elapsed >= domain.refresh_ns:
            track.watts = delta / elapsed
        if track.doubt:
            flags["in-doubt"] = 1
            track.doubt -= 1
        if wrapped:
            track.doubt = max(track.doubt, 1)
    track.amount, track.elapsed = delta - less, elapsed
    return _NOTHING, Tally(delta, elapsed, 0, 1, int(wrapped), 0, less, more, flags)


def _difference(
    domain: Domain, last: Sample, now: Sample, watts: float | None
) -> tuple[int, bool, str]:
    """Return what was counted between two reads, whether it wrapped, and why it is not known."""
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
    if domain.ceiling_w is None:
        return delta, wrapped, ""
    longest = elapsed + _SLACK_REFRESHES * domain.refresh_ns
    if wrapped and delta > _fitting(domain, watts) * longest:
        return 0, False, "counter-fell"
    if delta > domain.ceiling_w * longest:
        return 0, False, "impossible-power"
    if delta == 0 and elapsed >= STILL_REFRESHES * domain.refresh_ns:
        return 0, False, "stalled"
    return delta, wrapped, ""


def _fitting(domain: Domain, watts: float | None) -> float:
    """Return the most power, W, that a span beside one of `watts` is taken to have."""
    assert domain.ceiling_w is not None
    return domain.ceiling_w if watts is None else min(_STEP * watts + _STEP_W, domain.ceiling_w)


def _doubted(domain: Domain, track: _Track, fault: str) -> Tally:
    """Return what makes the span before the last one, counted already, count for nothing."""
    longest = track.elapsed + domain.refresh_ns if track.elapsed else 0
    most = int((domain.ceiling_w or 0.0) * longest)
    flags = {fault: 1, "in-doubt": 1} if track.elapsed else {}
    return Tally(less=track.amount, more=max(most - track.amount, 0), flags=flags)


def _gap(domain: Domain, last: Sample | None, now: Sample, flags: Mapping[str, int]) -> Tally:
    lost = max(now.t_ns - last.t_ns, 0) if last else 0
    more = int((domain.ceiling_w or 0.0) * lost)
    return Tally(gap_ns=lost, gaps=1, more=more, flags={**flags, "gap": 1})


def all_flags(tallies: Iterable[Tally]) -> tuple[str, ...]:
    """Return the names of all flags raised in these tallies, each once.

    Examples
    --------
    >>> all_flags([Tally(flags={"gap": 1}), Tally(flags={"slept": 1, "gap": 4})])
    ('gap', 'slept')
    """
    return tuple(dict.fromkeys(flag for tally in tallies for flag in tally.flags))
