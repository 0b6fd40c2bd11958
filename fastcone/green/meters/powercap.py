# SPDX-License-Identifier: BSD-3-Clause
"""Measured energy of CPU packages and their memory, from the powercap interface of Linux."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ..machine import busy_ns, in_virtual_machine, suspended_ns
from ..reading import Reading
from .base import REFRESH_NS, STILL_REFRESHES, Availability, Domain, Sample, Tallies
from .children import children_ns
from .counted import counted, scope_of
from .zones import Opener, Zone, discover, explain, open_readonly

_MIRROR_NS = 2 * REFRESH_NS
_PROBE_S = 0.05
_SETTLE_S = 1.1 * STILL_REFRESHES * REFRESH_NS / 1e9
_SHORTEST_POLL_S, _LONGEST_POLL_S = 1.0, 30.0
_POLL_SHARE = 0.002  # of one core, that reading the counters may take
_FOREIGN_SHARE = 0.05
_MACHINE, _OWN = "cpu:machine", "cpu:own"


class PowercapMeter:
    """Energy counters of the CPU packages (RAPL), as Linux shows them under powercap.

    Read are all zones named ``package-*`` and the ``dram`` zone inside each.  Their sum is the
    whole machine's, every process on it included, without graphics cards, disks, fans and the
    losses of the power supply.  ``core`` and ``uncore`` lie inside a package and ``psys`` around
    it, so they are never added; a zone that appears twice (MSR and MMIO, or dies that mirror one
    counter) is read once.

    A counter wraps after minutes.  While a region is open a background thread of the `Profiler`
    reads it every `poll_interval_s`, short enough that it cannot wrap twice unseen.  What was
    not seen (failed reads, resets, sleep) is a gap: it adds nothing to ``joules``, its greatest
    possible energy to ``hi``, and a flag.

    Parameters
    ----------
    root : str or Path
        Folder of the powercap class.
    psys : bool
        Read the platform zone alone instead; readings carry the flag ``"psys-only"``.
    clock : callable
        Monotonic time, ns.
    asleep : callable
        Time the machine has been suspended since boot, ns.
    sleep : callable
        Waits so many seconds; used once, where several dies of a package must be told apart.
    opener : callable
        Opens a path for reading, returns a descriptor, raises OSError.
    stat : str
        File of the machine's CPU time, to notice other processes (flag ``"shared-host"``).

    Examples
    --------
    >>> meter = PowercapMeter(root="/no/such/folder")
    >>> meter.probe().ok
    False
    """

    name = "rapl-powercap"
    kind = "measured"

    def __init__(
        self,
        root: str | Path = "/sys/class/powercap",
        *,
        psys: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
        asleep: Callable[[], int] = suspended_ns,
        sleep: Callable[[float], object] = time.sleep,
        opener: Opener = open_readonly,
        stat: str = "/proc/stat",
    ) -> None:
        self.root = os.fspath(root)
        self._psys = psys
        self._clock = clock
        self._asleep = asleep
        self._sleep = sleep
        self._opener = opener
        self._stat = stat
        self._descriptors: dict[str, int] = {}
        self._zones: list[Zone] = []
        self._read_s = 0.0
        self._availability: Availability | None = None
        known = {"vm": in_virtual_machine(), "psys-only": psys}
        self._standing = [flag for flag, holds in known.items() if holds]

    @property
    def scope(self) -> str:
        """The zones that are read, e.g. ``"package-0+dram-0"``; ``"none"`` where none is."""
        return scope_of(self._zones)

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The counters this meter reads."""
        energy = {zone.label: zone.domain for zone in self._zones}
        return {**energy, _MACHINE: Domain(), _OWN: Domain()}

    @property
    def poll_interval_s(self) -> float | None:
        """1 s, or longer where a read is dear; at most a quarter of the fastest wrap, and 30 s."""
        horizons = [zone.domain.horizon_ns for zone in self._zones]
        if not horizons:
            return None
        fair = max(_SHORTEST_POLL_S, self._read_s / _POLL_SHARE)
        return min([fair, _LONGEST_POLL_S, *(h / 4e9 for h in horizons if h)])

    def probe(self) -> Availability:
        """Find the zones and say whether they can be read, and if not, why."""
        self.close()
        self._zones = []
        if not os.path.isdir(self.root):
            self._availability = Availability(False, self._no_root())
            return self._availability
        zones, reason = discover(self.root, self._opener, psys=self._psys)
        if zones:
            self._zones, mirrors = self._without_mirrors(zones)
            unranged = [z.label for z in self._zones if z.range_uj is None]
            notes = [f"reads {self.scope}", reason, *mirrors]
            if unranged:
                notes.append(f"range of {', '.join(unranged)} unknown: a wrap will be a gap")
            reason = "; ".join(note for note in notes if note)
        self._availability = Availability(bool(zones), reason)
        if zones:
            start = self._clock()
            self.read()
            self._read_s = (self._clock() - start) / 1e9
        return self._availability

    def settle(self, *, opening: bool) -> None:
        """Wait for three refreshes of the counters, if there are any."""
        if self._zones:
            self._sleep(_SETTLE_S)

    def read(self) -> dict[str, Sample]:
        """Read every counter once, nJ; a sample without raw where a read failed."""
        if self._availability is None:
            self.probe()
        asleep = self._asleep()
        samples = {}
        for zone in self._zones:
            raw, flags = self._counter(zone)
            samples[zone.label] = Sample(raw, self._clock(), asleep, flags)
        machine = busy_ns(self._stat)
        if samples and machine is not None:
            now = self._clock()
            samples[_MACHINE] = Sample(machine, now)
            samples[_OWN] = Sample(time.process_time_ns() + children_ns()[0], now)
        return samples

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Return the energy of a window, its interval and everything that is wrong with it."""
        window_s = window_ns / 1e9
        if not self._zones:
            reason = self._availability.reason if self._availability else "never probed"
            return Reading.absent(
                self.name, "none", reason=reason, window_s=window_s, flags=("unavailable",)
            )
        flags = [*self._standing, *(("shared-host",) if _is_shared(tallies) else ())]
        return counted(self, self._zones, tallies, window_ns, pieces, flags)

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def __del__(self) -> None:
        if hasattr(self, "_descriptors"):
            self.close()

    def _counter(self, zone: Zone) -> tuple[int | None, tuple[str, ...]]:
        try:
            descriptor = self._descriptors.get(zone.label)
            if descriptor is None:
                descriptor = self._descriptors[zone.label] = self._opener(zone.energy_path)
            text = os.pread(descriptor, 64, 0)
            if zone.ends_line and not text.endswith(b"\n"):
                raise ValueError("half-written")
            microjoules = int(text)
        except (OSError, ValueError):
            stale = self._descriptors.pop(zone.label, None)
            if stale is not None:
                _close_quietly(stale)
            return None, ()
        if microjoules < 0 or (zone.range_uj is not None and microjoules > zone.range_uj):
            return None, ("out-of-range",)
        return microjoules * 1000, ()

    def _without_mirrors(self, zones: list[Zone]) -> tuple[list[Zone], list[str]]:
        """Drop dies that show a sibling's counter: equal now, and equal again after a while."""
        if sum("-die-" in zone.label for zone in zones) < 2:
            return zones, []
        before = {zone.label: self._counter(zone)[0] for zone in zones}
        self._sleep(_PROBE_S)
        after = {zone.label: self._counter(zone)[0] for zone in zones}
        kept: list[Zone] = []
        notes = []
        for zone in zones:
            twin = next((z for z in kept if _mirrors(z, zone, (before, after))), None)
            if twin is None:
                kept.append(zone)
            else:
                notes.append(f"{zone.label} mirrors {twin.label}")
        return kept, notes

    def _no_root(self) -> str:
        if not sys.platform.startswith("linux"):
            return f"powercap is an interface of Linux, this is {sys.platform}"
        try:
            os.listdir(self.root)
        except OSError as error:
            why = explain(self.root, error)
        else:
            why = f"cannot list {self.root}"
        place = "a virtual machine" if in_virtual_machine() else "a kernel without the driver"
        return f"{why} ({place})"


def _is_shared(tallies: Tallies) -> bool:
    """Return whether other processes used the machine; False if too short to tell."""
    if _MACHINE not in tallies or tallies[_MACHINE].amount < 10**9:
        return False
    foreign = tallies[_MACHINE].amount - tallies[_OWN].amount
    return foreign > _FOREIGN_SHARE * tallies[_MACHINE].amount


def _mirrors(a: Zone, b: Zone, reads: tuple[Mapping[str, int | None], ...]) -> bool:
    def family(zone: Zone) -> str:
        return zone.label.partition("-die-")[0]

    if family(a) != family(b):
        return False
    tolerance = (a.domain.ceiling_w or 0.0) * _MIRROR_NS
    for values in reads:
        x, y = values[a.label], values[b.label]
        if not x or not y or abs(x - y) > tolerance:
            return False
    return True


def _close_quietly(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)
