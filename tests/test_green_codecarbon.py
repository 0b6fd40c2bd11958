# SPDX-License-Identifier: BSD-3-Clause
"""CodecarbonMeter on a made-up tracker, and one meter beside another."""

import sys
import warnings
from types import SimpleNamespace

import pytest
from test_green_fakes import FakeClock, FakeTree, energy

from fastcone.green import CodecarbonMeter, PowercapMeter, Profiler, Reading, cross_check


class FakeTracker:
    """Counts watts, and measures anew only if its last sample is 50 ms old."""

    watts = 40.0

    def __init__(self, clock):
        self.clock, self.made = clock, []

    def __call__(self, **options):
        self.made.append(options)
        self.output = options["logging_logger"]
        return self

    def start(self):
        self.last, self.kwh = self.clock.ns, 0.0

    def flush(self):
        if self.clock.ns - self.last >= 50_000_000:
            self.kwh += self.watts * (self.clock.ns - self.last) / 3.6e15
            self.last = self.clock.ns
        self.output.out(SimpleNamespace(energy_consumed=self.kwh), None)

    def stop(self):
        pass


def beside(tree):
    tracker = FakeTracker(tree.clock)
    codecarbon = CodecarbonMeter(tracker, clock=tree.clock, sleep=tree.advance)
    meters = [PowercapMeter(**tree.meter_options()), codecarbon]
    return Profiler(meters, clock=tree.clock), tracker


@pytest.fixture
def tree(tmp_path):
    tree = FakeTree(tmp_path)
    tree.zone("intel-rapl:0", "package-0", watts=40.0)
    return tree


def test_its_energy_is_labelled_as_its_word_and_never_measured(tree):
    p, tracker = beside(tree)
    with p.region("outer"), p.region("r"):
        tree.advance(10.0)
    found = p.report().regions["r"].readings["codecarbon"]
    assert (found.kind, found.meter, found.scope) == ("modelled", "codecarbon", "machine")
    assert found.joules == pytest.approx(400.0)
    assert (found.lo, found.hi) == pytest.approx((400 / 1.4, 400 / 0.6))
    assert len(tracker.made) == 1 and tracker.made[0]["save_to_file"] is False
    assert energy(p).meter == "rapl-powercap"


def test_a_window_it_took_no_sample_in_is_absent_not_zero(tree):
    p, _ = beside(tree)
    with p.region("r"):
        tree.advance(0.01)
    found = p.report().regions["r"].readings["codecarbon"]
    assert (found.kind, found.joules) == ("absent", None)


@pytest.mark.parametrize(("watts", "warns"), [(40.0, False), (43.0, False), (45.0, True)])
def test_a_cross_check_warns_beyond_ten_percent(tree, watts, warns):
    p, tracker = beside(tree)
    tracker.watts = watts
    with p.region("r"):
        tree.advance(100.0)
    readings = p.report().regions["r"].readings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ratio = cross_check(readings["rapl-powercap"], readings["codecarbon"])
    assert ratio == pytest.approx(watts / 40.0, rel=1e-3)
    assert [("codecarbon says" in str(w.message)) for w in caught] == [True] * warns


def test_what_is_absent_has_no_ratio():
    known = Reading(1.0, 1.0, 1.0, "measured", "m", "package-0")
    assert cross_check(known, Reading.absent("c", "machine", reason="none")) is None


def test_without_codecarbon_there_is_a_reason_and_no_number(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    p = Profiler(CodecarbonMeter(), clock=FakeClock())
    with p.region("r"):
        pass
    assert energy(p).kind == "absent"
    assert "fastcone[codecarbon]" in str(energy(p))
