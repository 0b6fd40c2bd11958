# SPDX-License-Identifier: BSD-3-Clause
"""The reading of energy counters: what was counted, its bounds, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ..reading import Reading
from .base import Availability, Domain, Meter, Sample, Tallies, Tally, all_flags

_ENOUGH_REFRESHES = 100


class Counter(Protocol):
    """One energy counter, of a package, a memory or a card: name, step in nJ, limits."""

    @property
    def label(self) -> str:
        """What it counts, e.g. ``"package-0"``."""

    @property
    def unit_nj(self) -> int:
        """Its step, nJ."""

    @property
    def domain(self) -> Domain:
        """Where it wraps and the power it cannot exceed."""


def scope_of(counters: Iterable[Counter]) -> str:
    """Return the labels joined by plus signs, ``"none"`` for no counter.

    Examples
    --------
    >>> scope_of([])
    'none'
    """
    return "+".join(counter.label for counter in counters) or "none"


def counted(
    meter: Meter,
    counters: Sequence[Counter],
    tallies: Tallies,
    window_ns: int,
    pieces: int,
    flags: Iterable[str] = (),
) -> Reading:
    """Return the energy of a window.  Memory that told nothing leaves the scope; else it is absent.

    Examples
    --------
    >>> from fastcone.green import PowercapMeter
    >>> counted(PowercapMeter(root="/no/such"), [], {}, 10, 1).kind
    'measured'
    """
    seen = {c.label: tallies.get(c.label, Tally()) for c in counters}
    faults = {label: why for label, tally in seen.items() if (why := _fault(tally))}
    said = [*flags, *all_flags(seen.values())]
    said += [f"{label} {why}" for label, why in faults.items()]
    refresh_ns = max((c.domain.refresh_ns for c in counters), default=0)
    if window_ns < pieces * _ENOUGH_REFRESHES * refresh_ns:
        said.append("short-window")
    counts: dict[str, Any] = {
        "samples": sum(t.samples for t in seen.values()),
        "wraps": sum(t.wraps for t in seen.values()),
        "gaps": sum(t.gaps for t in seen.values()),
        "window_s": window_ns / 1e9,
        "flags": tuple(dict.fromkeys(said)),
    }
    good = [counter for counter in counters if counter.label not in faults]
    total, half, least, most = _sum(good, seen, window_ns, pieces)
    lost = [label for label in faults if not label.startswith("dram")]
    if lost:
        why = "; ".join(f"{label} {faults[label]}" for label in lost)
        lo = least / 1e9 if good else None
        return Reading.absent(meter.name, scope_of(counters), reason=why, lo=lo, **counts)
    return Reading(
        total / 1e9,
        least / 1e9,
        most / 1e9,
        meter.kind,
        meter.name,
        scope_of(good),
        resolution_j=half / 1e9,
        **counts,
    )


def _sum(
    counters: Iterable[Counter], seen: Mapping[str, Tally], window_ns: int, pieces: int
) -> tuple[int, float, float, float]:
    """Add counters up, nJ: what was counted, its half-width, and the bounds of the truth.

    At each end a counter may lag by one unit and by a refresh at any power it can have; and no
    window holds more than its length at that power.
    """
    total, width, least, most = 0, 0.0, 0.0, 0.0
    for counter in counters:
        tally, domain = seen[counter.label], counter.domain
        ceiling = domain.ceiling_w or 0.0
        half = pieces * (counter.unit_nj + ceiling * domain.refresh_ns)
        ceiling_nj = ceiling * max(window_ns, tally.covered_ns + tally.gap_ns)
        total += tally.amount
        width += half
        least += max(tally.amount - tally.less - half, 0.0)
        most += max(tally.amount, min(tally.amount + tally.more + half, ceiling_nj))
    return total, width, min(least, total), most


def _fault(tally: Tally) -> str:
    """Say why a counter told nothing in a window, or return an empty string."""
    if tally.amount == 0 and "stalled" in tally.flags:
        return "frozen"
    if tally.covered_ns == 0 and (tally.gaps or tally.samples == 0):
        return "not seen"
    return ""


C = TypeVar("C", bound=Counter)


class CounterMeter(Generic[C]):
    """What meters of counters share that are read one by one, each at once or not at all.

    A meter finds its `_counters` in `probe`, says in `_reason` why there are none, and reads one
    in `_raw`.
    """

    name = "none"
    kind = "measured"
    poll_interval_s: float | None = None
    settle_s = 0.0

    def __init__(
        self,
        clock: Callable[[], int],
        asleep: Callable[[], int],
        sleep: Callable[[float], object],
    ) -> None:
        self._clock, self._asleep, self._sleep = clock, asleep, sleep
        self._counters: list[C] = []
        self._reason = "never probed"

    @property
    def scope(self) -> str:
        """What is read, labels joined by plus signs; ``"none"`` where nothing is."""
        return scope_of(self._counters)

    @property
    def domains(self) -> dict[str, Domain]:
        """The counters this meter reads."""
        return {counter.label: counter.domain for counter in self._counters}

    def read(self) -> dict[str, Sample]:
        """Read every counter once, nJ; a sample without raw where a read failed."""
        asleep, samples = self._asleep(), {}
        for counter in self._counters:
            raw = self._raw(counter)
            samples[counter.label] = Sample(raw, self._clock(), asleep)
        return samples

    def settle(self, *, opening: bool) -> None:
        """Wait for three refreshes of the counters, if there are any."""
        if self._counters:
            self._sleep(self.settle_s)

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Return the energy of a window, its interval and everything that is wrong with it."""
        if not self._counters:
            return Reading.absent(
                self.name,
                "none",
                reason=self._reason,
                window_s=window_ns / 1e9,
                flags=("unavailable",),
            )
        return counted(self, self._counters, tallies, window_ns, pieces, self._flags())

    def probe(self) -> Availability:
        """Find the counters and say whether they can be read."""
        raise NotImplementedError

    def _raw(self, counter: C) -> int | None:
        """Return what a counter shows, nJ, None where it cannot be read."""
        raise NotImplementedError

    def _flags(self) -> tuple[str, ...]:
        """Return what is to be said of every reading."""
        return ()
