# SPDX-License-Identifier: BSD-3-Clause
"""NvmlMeter on a made-up pynvml whose truth is known."""

import pytest
from test_green_fakes import FakeClock, energy

from fastcone.green import NvmlMeter, Profiler


class FakeNvml:
    """Cards that draw watts; their counters follow every .1 s, in mJ."""

    class NVMLError(Exception):
        pass

    def __init__(self, watts, start_mj=5_000_000, limit_mw=300_000):
        self.watts, self.start, self.limit = list(watts), start_mj, limit_mw
        self.clock, self.began = FakeClock(), FakeClock().ns
        self.true = [0.0] * len(self.watts)
        self.shown = list(self.true)
        self.broken = set()

    def nvmlInit(self):
        pass

    def nvmlDeviceGetCount(self):
        return len(self.watts)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle):
        return [100_000, self.limit]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if handle in self.broken:
            raise self.NVMLError("Not Supported")
        return (self.start + int(self.shown[handle] * 1000)) % 2**64

    def advance(self, seconds):
        late = (self.clock.ns + round(seconds * 1e9)) % 100_000_000 / 1e9
        for i, watts in enumerate(self.watts):
            self.true[i] += watts * seconds
            if late <= seconds:
                self.shown[i] = self.true[i] - watts * late
        self.clock.ns += round(seconds * 1e9)

    def profiler(self):
        options = {"clock": self.clock, "asleep": lambda: 0, "sleep": self.advance}
        return Profiler(NvmlMeter(self, **options), clock=self.clock)


def lived(nvml, seconds=12.345, polls=20):
    p = nvml.profiler()
    with p.region("r"):
        for _ in range(polls):
            nvml.advance(seconds / polls)
            p.poll()
    return energy(p)


def test_the_counters_of_several_cards_are_added():
    found = lived(FakeNvml([250, 30]))
    truth = 280 * 12.345
    assert (found.kind, found.scope, found.flags) == ("measured", "GPU0+GPU1", ())
    assert found.lo <= truth <= found.hi
    assert found.joules == pytest.approx(truth, abs=2 * 280 * 0.1)


def test_a_counter_that_wraps_in_the_region_is_followed():
    found = lived(FakeNvml([100], start_mj=2**64 - 500_000))
    assert found.wraps == 1
    assert found.lo <= 1234.5 <= found.hi
    assert found.joules == pytest.approx(1234.5, abs=20)


def test_a_driver_that_was_loaded_anew_is_a_gap():
    nvml = FakeNvml([100])
    p = nvml.profiler()
    with p.region("r"):
        for i in range(20):
            if i == 10:
                nvml.start = -int(nvml.shown[0] * 1000)
            nvml.advance(1.0)
            p.poll()
    found = energy(p)
    assert "counter-fell" in found.flags
    assert found.lo <= 2000 <= found.hi


def test_a_card_without_the_counter_is_absent_not_zero():
    nvml = FakeNvml([100, 100])
    nvml.broken = {1}
    found = lived(nvml)
    assert (found.kind, found.joules) == ("absent", None)
    assert found.params["reason"] == "GPU1: Not Supported"


def test_a_card_lost_in_the_region_is_absent():
    nvml = FakeNvml([100, 100])
    p = nvml.profiler()
    with p.region("r"):
        nvml.advance(20)
        nvml.broken = {1}
    assert (energy(p).kind, energy(p).joules) == ("absent", None)


def test_a_short_window_says_so_and_its_interval_holds_the_truth():
    for i in range(40):
        nvml = FakeNvml([280])
        nvml.advance(0.013 * i)
        found = lived(nvml, seconds=0.25, polls=1)
        assert "short-window" in found.flags
        assert found.lo <= 70 <= found.hi


def test_no_card_and_no_module_are_reasons(monkeypatch):
    assert NvmlMeter(FakeNvml([])).probe().reason == "no card"
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert "fastcone[energy]" in NvmlMeter().probe().reason
