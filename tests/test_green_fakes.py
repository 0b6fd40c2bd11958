# SPDX-License-Identifier: BSD-3-Clause
"""A powercap tree whose truth is known, shared by the tests of fastcone.green.

The counters do what the kernel does: they hold 32 bits in a hardware unit, are brought up to
date every so often, and show microjoules cut to an integer.
"""

import contextlib
import os
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from fastcone.green import PowercapMeter, Profiler

COUNTS = 2**32

# The largest microjoules a counter shows, and the unit in nJ it has: Intel as the kernel rounds
# it, Intel exactly, memory of servers, AMD.
UNITS = {
    262143328850: Fraction(61035),
    262143999938: Fraction(10**9, 2**14),
    65712999613: Fraction(15300),
    65532610987: Fraction(15258),
}


class FakeClock:
    """Monotonic time that stands still until told otherwise."""

    def __init__(self):
        self.ns = 5 * 10**12
        self.asleep_ns = 0

    def __call__(self):
        return self.ns

    def asleep(self):
        return self.asleep_ns


class FakeZone:
    """One counter with a power in W; `true_nj` is what it has really used."""

    def __init__(self, path, clock, *, watts, range_uj, start, refresh_ns):
        self.path, self.clock, self.watts = path, clock, watts
        self.unit = UNITS[range_uj]
        self.range_uj = range_uj
        self.start = start
        self.refresh_ns = refresh_ns
        self.true_nj = Fraction(0)
        self.shown_nj = Fraction(0)
        self.frozen = False
        self.fault = None

    def advance(self, ns):
        """Use power for so long; the counter shows the energy of its last refresh."""
        before = self.clock.ns
        self.true_nj += Fraction(self.watts) * ns
        late = (before + ns) % self.refresh_ns
        if late <= ns:
            self.shown_nj = self.true_nj - Fraction(self.watts) * late

    @property
    def microjoules(self):
        counts = (self.start + int(self.shown_nj // self.unit)) % COUNTS
        return int(counts * self.unit // 1000)

    def write(self):
        if not self.frozen and self.path.is_dir():
            (self.path / "energy_uj").write_text(f"{self.microjoules}\n")


class FakeTree:
    """`/sys/class/powercap` with links into a tree of devices, on a clock of its own."""

    def __init__(self, base):
        self.devices = Path(base) / "devices" / "virtual" / "powercap"
        self.root = Path(base) / "class" / "powercap"
        self.devices.mkdir(parents=True)
        self.root.mkdir(parents=True)
        self.clock = FakeClock()
        self.zones = {}
        self.denied = set()
        self._paths = {}

    def zone(
        self,
        zone_id,
        name,
        *,
        watts=50.0,
        range_uj=262143328850,
        start=COUNTS // 3,
        refresh_ns=1,
        max_power_uw=None,
    ):
        """Add a zone such as `intel-rapl:0:2`; parents first."""
        control, *numbers = zone_id.split(":")
        path = self.devices / control
        for i in range(len(numbers)):
            path = path / ":".join([control, *numbers[: i + 1]])
        path.mkdir(parents=True)
        (path / "name").write_text(name + "\n")
        (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
        (path / "enabled").write_text("1\n")
        if max_power_uw is not None:
            (path / "constraint_0_max_power_uw").write_text(f"{max_power_uw}\n")
        for entry in (control, zone_id):
            with contextlib.suppress(FileExistsError):
                target = self.devices / control if entry == control else path
                (self.root / entry).symlink_to(target)
        zone = FakeZone(
            path, self.clock, watts=watts, range_uj=range_uj, start=start, refresh_ns=refresh_ns
        )
        self.zones[zone_id] = zone
        zone.write()
        return zone

    def advance(self, seconds, watts=None):
        """Let time pass, at this power from now on if one is given."""
        ns = round(seconds * 1e9)
        for zone in self.zones.values():
            if watts is not None:
                zone.watts = watts
            zone.advance(ns)
        self.clock.ns += ns
        for zone in self.zones.values():
            zone.write()

    def opener(self, path):
        """Open like the meter does, and remember which file a descriptor is."""
        fault = self._fault(path)
        if fault is not None:
            raise fault
        descriptor = os.open(path, os.O_RDONLY)
        self._paths[descriptor] = path
        return descriptor

    def pread(self, descriptor, size, offset):
        """Read like `os.pread`, failing where a fault is set or the zone is gone."""
        path = self._paths.get(descriptor)
        fault = self._fault(path) if path else None
        if fault is not None:
            raise fault
        return _pread(descriptor, size, offset)

    def vanish(self, zone_id):
        """Take a zone away, as unloading the driver does: open files fail too."""
        zone = self.zones[zone_id]
        zone.fault = OSError(19, "No such device")
        shutil.rmtree(zone.path)

    def _fault(self, path):
        if path in self.denied:
            return PermissionError(13, "Permission denied")
        for zone in self.zones.values():
            if zone.fault is not None and path == str(zone.path / "energy_uj"):
                return zone.fault
        return None

    def meter_options(self):
        """Arguments that tie a PowercapMeter to this tree and to nothing of the machine."""
        return {
            "root": self.root,
            "clock": self.clock,
            "asleep": self.clock.asleep,
            "sleep": self.advance,
            "opener": self.opener,
            "stat": "/no/such/stat",
        }


_pread = os.pread


def profiler(tree):
    return Profiler(PowercapMeter(**tree.meter_options()), clock=tree.clock)


def energy(p, name="r"):
    return p.report().regions[name].energy


def probe(tree):
    return PowercapMeter(**tree.meter_options()).probe()


@pytest.mark.parametrize("range_uj", UNITS)
def test_fake_counter_shows_its_range_just_before_it_wraps(tmp_path, range_uj):
    zone = FakeTree(tmp_path).zone("intel-rapl:0", "package-0", range_uj=range_uj, start=COUNTS - 1)
    assert zone.microjoules == range_uj
    zone.shown_nj = zone.unit
    assert zone.microjoules == 0


def test_fake_counter_counts_watts_times_seconds(tmp_path):
    tree = FakeTree(tmp_path)
    zone = tree.zone("intel-rapl:0", "package-0", watts=40.0, start=0)
    tree.advance(2.5)
    assert zone.true_nj == 100 * 10**9
    shown = int((tree.root / "intel-rapl:0" / "energy_uj").read_text())
    assert 0 <= 100_000_000 - shown <= 62


def test_fake_counter_lags_by_at_most_its_refresh(tmp_path):
    tree = FakeTree(tmp_path)
    zone = tree.zone("intel-rapl:0", "package-0", watts=40.0, refresh_ns=1_000_000)
    for ns in (300_000, 300_000, 300_000, 1_700_000, 50_000):
        tree.advance(ns / 1e9)
        lag_nj = zone.true_nj - zone.shown_nj
        assert 0 <= lag_nj < 40 * 1_000_000


def test_fake_tree_has_the_layout_of_sysfs(tmp_path):
    tree = FakeTree(tmp_path)
    tree.zone("intel-rapl:0", "package-0")
    tree.zone("intel-rapl:0:2", "dram")
    assert sorted(os.listdir(tree.root)) == ["intel-rapl", "intel-rapl:0", "intel-rapl:0:2"]
    assert (tree.root / "intel-rapl" / "intel-rapl:0" / "intel-rapl:0:2" / "name").is_file()
    assert all((tree.root / entry).is_symlink() for entry in os.listdir(tree.root))
