# SPDX-License-Identifier: BSD-3-Clause
"""PerfMeter on a made-up event source whose truth is known."""

import os
import struct

import pytest
from test_green_fakes import FakeClock, energy

from fastcone.green import PerfMeter, Profiler

SCALE = "2.3283064365386962890625e-10"  # 2^-32 J


class FakeEvents:
    """`/sys/bus/event_source/devices/power` and counters of packages and memory."""

    def __init__(self, base, packages=(0, 1), cpumask="0,18", watts=50):
        self.root, self.cpus, self.clock = base / "power", base / "cpu", FakeClock()
        self.watts, self.joules, self.opened, self.fault = watts, 7.0, [], None
        (self.root / "events").mkdir(parents=True)
        for name, text in {
            "type": "9",
            "cpumask": cpumask,
            "events/energy-pkg": "event=0x02",
            "events/energy-ram": "event=0x03",
            "events/energy-psys": "event=0x05",
            "events/energy-pkg.scale": SCALE,
            "events/energy-ram.scale": "1.52587890625e-05",
        }.items():
            (self.root / name).write_text(text + "\n")
        for cpu, package in zip((0, 18), packages, strict=True):
            topology = self.cpus / f"cpu{cpu}" / "topology"
            topology.mkdir(parents=True)
            (topology / "physical_package_id").write_text(f"{package}\n")

    def open_event(self, kind, config, cpu):
        if self.fault:
            raise self.fault
        self.opened.append((kind, config, cpu))
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.scales[descriptor] = 2**32 if config == 2 else 2**16
        return descriptor

    def advance(self, seconds):
        self.clock.ns += round(seconds * 1e9)
        self.joules += self.watts * seconds

    def meter(self, monkeypatch):
        self.scales, read = {}, os.read

        def answer(descriptor, size):
            if descriptor not in self.scales:
                return read(descriptor, size)
            return b"" if self.watts is None else self.count(self.scales[descriptor])

        monkeypatch.setattr("fastcone.green.meters.perf.os.read", answer)
        return PerfMeter(
            self.root,
            cpus=self.cpus,
            open_event=self.open_event,
            clock=self.clock,
            asleep=lambda: 0,
            sleep=self.advance,
        )

    def count(self, scale):
        return struct.pack("=Q", int(self.joules * scale))


def test_packages_and_memory_are_added_and_psys_is_left_out(tmp_path, monkeypatch):
    events = FakeEvents(tmp_path)
    p = Profiler(events.meter(monkeypatch), clock=events.clock)
    with p.region("r"):
        events.advance(2.0)
    found = energy(p)
    assert (found.kind, found.meter) == ("measured", "perf")
    assert found.scope == "package-0+package-1+dram-0+dram-1"
    assert found.joules == pytest.approx(400.0, abs=1e-3)  # 4 counters, 50 W, 2 s
    assert found.lo <= 400.0 <= found.hi
    assert sorted(set(events.opened)) == [(9, 2, 0), (9, 2, 18), (9, 3, 0), (9, 3, 18)]


def test_a_counter_that_starts_near_zero_is_not_taken_for_one_that_was_reset(tmp_path, monkeypatch):
    events = FakeEvents(tmp_path)
    events.joules = 0.001
    p = Profiler(events.meter(monkeypatch), clock=events.clock)
    with p.region("r"):
        events.advance(2.0)
    assert energy(p).hi - energy(p).lo < 10


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (PermissionError(13, "Permission denied"), "EACCES; needs perf_event_paranoid <= 0"),
        (OSError(19, "No such device"), "ENODEV"),
    ],
)
def test_an_event_that_cannot_be_opened_gives_the_reason(tmp_path, monkeypatch, fault, said):
    events = FakeEvents(tmp_path)
    events.fault = fault
    meter = events.meter(monkeypatch)
    assert said in meter.probe().reason
    p = Profiler(meter, clock=events.clock)
    with p.region("r"):
        events.advance(1.0)
    assert (energy(p).kind, energy(p).joules) == ("absent", None)


def test_dies_of_one_package_are_refused(tmp_path, monkeypatch):
    assert "several dies" in FakeEvents(tmp_path, (0, 0)).meter(monkeypatch).probe().reason


def test_half_a_source_closes_what_it_opened(tmp_path, monkeypatch):
    events = FakeEvents(tmp_path)
    (events.root / "events" / "energy-ram.scale").write_text("much\n")
    meter = events.meter(monkeypatch)
    assert not meter.probe().ok
    for descriptor in events.scales:
        with pytest.raises(OSError):
            os.fstat(descriptor)


def test_an_event_that_ends_in_mid_region_is_absent(tmp_path, monkeypatch):
    events = FakeEvents(tmp_path)
    p = Profiler(events.meter(monkeypatch), clock=events.clock)
    with p.region("r"):
        events.advance(1.0)
        monkeypatch.setattr(events, "count", lambda scale: b"")
    assert energy(p).kind == "absent"
    assert "failed-read" in energy(p).flags


def test_a_frozen_event_is_absent(tmp_path, monkeypatch):
    events = FakeEvents(tmp_path)
    p = Profiler(events.meter(monkeypatch), clock=events.clock)
    events.watts = 0
    with p.region("r"):
        events.advance(1.0)
    assert energy(p).kind == "absent"
    assert "package-0 frozen" in energy(p).flags
