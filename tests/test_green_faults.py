# SPDX-License-Identifier: BSD-3-Clause
"""Every way a counter is known to fail, injected once: no fault may add energy or stay silent."""

import errno
import json
import os
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_green_fakes import COUNTS, FakeTree, energy, probe, profiler

SETTINGS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


# Faults inside a region


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENODATA, errno.EIO, errno.ENODEV])
def test_a_read_that_fails_between_the_ends_loses_nothing_and_is_flagged(tree, package, code):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(0.3)
        package.fault = OSError(code, "")
        p.poll()
        package.fault = None
        tree.advance(0.3)
    reading = energy(p)
    assert reading.joules == pytest.approx(30.0, abs=1e-3)
    assert "failed-read" in reading.flags
    assert reading.gaps == 0


@pytest.mark.parametrize("text", ["", "\n", "12a\n", "-5\n", "15"])
def test_an_empty_or_broken_file_is_a_failed_read(tree, package, text):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(0.3)
        (package.path / "energy_uj").write_text(text)
        p.poll()
        tree.advance(0.3)
    reading = energy(p)
    assert reading.joules == pytest.approx(30.0, abs=1e-3)
    assert "failed-read" in reading.flags


def test_a_read_that_fails_at_the_end_is_a_gap_and_not_given_to_the_next_region(tree, package):
    p = profiler(tree)
    with p.region("first"):
        tree.advance(1.0)
        p.poll()
        tree.advance(2.0)
        package.fault = OSError(errno.EIO, "")
    package.fault = None
    with p.region("second"):
        tree.advance(1.0)
    first, second = energy(p, "first"), energy(p, "second")
    assert first.joules == pytest.approx(50.0, abs=1e-3)
    assert first.hi == pytest.approx(50.0 + 2.0 * 1000.0, rel=1e-3)
    assert {"gap", "failed-read"} <= set(first.flags)
    assert second.joules == pytest.approx(50.0, abs=1e-3)
    assert "gap" not in second.flags


def test_a_read_that_fails_at_the_beginning_takes_nothing_from_before(tree, package):
    p = profiler(tree)
    with p.region("outer"):
        tree.advance(5.0)
        package.fault = OSError(errno.EIO, "")
        with p.region("r"):
            package.fault = None
            tree.advance(1.0)
            p.poll()
            tree.advance(1.0)
    reading = energy(p)
    assert reading.joules == pytest.approx(50.0, abs=1e-3)
    assert "gap" in reading.flags
    assert reading.hi >= 100.0


def test_a_region_without_one_good_read_is_absent(tree, package):
    p = profiler(tree)
    with p.region("r"):
        package.fault = OSError(errno.EIO, "")
        tree.advance(1.0)
    reading = energy(p)
    assert reading.kind == "absent"
    assert reading.joules is None
    assert "failed-read" in reading.flags


def test_a_zone_that_vanishes_leaves_what_was_seen_then_nothing(tree, package):
    tree.zone("intel-rapl:0:0", "dram", watts=5)
    p = profiler(tree)
    with p.region("during"):
        tree.advance(1.0)
        p.poll()
        tree.vanish("intel-rapl:0")
        tree.advance(1.0)
    during = energy(p, "during")
    assert during.kind == "measured"
    assert during.joules == pytest.approx(55.0, abs=1e-3)
    assert during.lo <= 110.0 <= during.hi
    assert "gap" in during.flags
    with p.region("after"):
        tree.advance(1.0)
    after = energy(p, "after")
    assert (after.kind, after.joules) == ("absent", None)
    json.dumps(p.report().as_dict(), allow_nan=False)


def test_one_socket_that_vanishes_makes_later_regions_absent_not_half(tree, package):
    tree.zone("intel-rapl:1", "package-1", watts=50)
    p = profiler(tree)
    with p.region("before"):
        tree.advance(1.0)
    tree.vanish("intel-rapl:1")
    with p.region("after"):
        tree.advance(1.0)
    after = energy(p, "after")
    assert energy(p, "before").joules == pytest.approx(100.0, abs=1e-3)
    assert (after.kind, after.joules) == ("absent", None)
    assert after.lo == pytest.approx(49.0, abs=0.1)


def test_a_zone_that_comes_back_is_read_again(tree, package):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
        p.poll()
        package.fault = OSError(errno.ENODEV, "")
        tree.advance(1.0)
        p.poll()
        package.fault = None
        tree.advance(1.0)
    assert energy(p).joules == pytest.approx(150.0, abs=1e-3)


@pytest.mark.parametrize("how", ["denied", "missing", "garbage"])
def test_an_unknown_range_is_measured_until_the_counter_falls(tree, package, how):
    range_file = package.path / "max_energy_range_uj"
    if how == "denied":
        tree.denied.add(str(range_file))
    elif how == "missing":
        range_file.unlink()
    else:
        range_file.write_text("?\n")
    package.start = COUNTS - int(120e9 // package.unit)
    package.write()
    assert "range of package-0 unknown" in probe(tree).reason
    p = profiler(tree)
    with p.region("r"):
        for _ in range(4):
            tree.advance(1.0)
            p.poll()
    reading = energy(p)
    assert reading.joules == pytest.approx(150.0, abs=1e-3)
    assert reading.lo <= 200.0 <= reading.hi
    assert {"counter-fell", "gap"} <= set(reading.flags)


def test_a_counter_that_is_zero_once_by_mistake_adds_nothing(tree, package):
    tree.advance(2.0)
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
        p.poll()
        (package.path / "energy_uj").write_text("0\n")
        p.poll()
        tree.advance(1.0)
        p.poll()
        tree.advance(1.0)
    reading = energy(p)
    assert reading.joules == pytest.approx(100.0, abs=1e-3)
    assert reading.lo <= 200.0 <= reading.hi
    assert {"counter-fell", "gap"} <= set(reading.flags)


def test_power_above_the_constraint_is_a_gap(tree):
    package = tree.zone("intel-rapl:0", "package-0", watts=50, max_power_uw=200_000_000)
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0, watts=390)
        p.poll()
        tree.advance(1.0, watts=900)
    reading = energy(p)
    assert reading.joules == pytest.approx(390.0, abs=1e-3)
    assert "impossible-power" in reading.flags
    assert reading.hi < float(package.true_nj) / 1e9


def test_a_burst_within_one_refresh_is_not_called_impossible(tree):
    tree.zone("intel-rapl:0", "package-0", watts=400, refresh_ns=1_000_000)
    p = profiler(tree)
    tree.advance(0.00069)  # and .3 ms while the counter settles
    with p.region("r"):
        tree.advance(0.00002)
    reading = energy(p)
    assert reading.gaps == 0
    assert reading.joules == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize("seconds", [0.005, 0.05, 0.09, 1.0])
def test_a_frozen_counter_is_absent_not_zero(tree, package, seconds):
    package.frozen = True
    p = profiler(tree)
    with p.region("r"):
        tree.advance(seconds)
    reading = energy(p)
    assert (reading.kind, reading.joules) == ("absent", None)
    assert "package-0 frozen" in reading.flags


def test_a_frozen_dram_counter_leaves_the_scope(tree, package):
    tree.zone("intel-rapl:0:0", "dram").frozen = True
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
    reading = energy(p)
    assert reading.scope == "package-0"
    assert reading.joules == pytest.approx(50.0, abs=1e-3)
    assert "dram-0 frozen" in reading.flags


def test_a_counter_above_its_range_is_a_failed_read(tree, package):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
        (package.path / "energy_uj").write_text(f"{package.range_uj + 1}\n")
        p.poll()
        tree.advance(1.0)
    reading = energy(p)
    assert reading.joules == pytest.approx(100.0, abs=1e-3)
    assert {"out-of-range", "failed-read"} <= set(reading.flags)


def test_two_wraps_in_one_gap_are_a_gap(tree, package):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
        p.poll()
        tree.advance(600.0, watts=900)
    reading = energy(p)
    assert reading.joules == pytest.approx(50.0, abs=1e-3)
    assert {"unsampled", "gap"} <= set(reading.flags)
    assert reading.lo <= 50.0 + 600 * 900 <= reading.hi


def test_sleep_of_the_machine_is_a_gap(tree, package):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
        p.poll()
        tree.clock.asleep_ns += 3600 * 10**9
        tree.advance(1.0)
        p.poll()
        tree.advance(1.0)
    reading = energy(p)
    assert reading.joules == pytest.approx(100.0, abs=1e-3)
    assert {"slept", "gap"} <= set(reading.flags)


def test_a_clock_that_jumps_back_is_a_gap(tree, package):
    p = profiler(tree)
    with p.region("r"):
        tree.advance(2.0)
        p.poll()
        tree.clock.ns -= 10**9
        p.poll()
        tree.advance(1.0)
    reading = energy(p)
    assert reading.joules == pytest.approx(150.0, abs=1e-3)
    assert {"clock-jump", "gap"} <= set(reading.flags)


def test_time_between_regions_is_in_neither(tree, package):
    p = profiler(tree)
    for name in ("a", "b"):
        with p.region(name):
            tree.advance(1.0)
        tree.advance(10_000.0)
    for name in ("a", "b"):
        assert energy(p, name).joules == pytest.approx(50.0, abs=1e-3)
        assert energy(p, name).gaps == 0


# Whatever fails, no energy is invented, and the truth stays inside the interval

EVENTS = st.lists(
    st.tuples(st.floats(0.01, 8), st.floats(1, 900), st.booleans(), st.booleans()),
    min_size=1,
    max_size=14,
)


def replay(events, start, *, failing):
    """Regions `r0`, `r1`, ... in a row, each of two steps with a poll between; and the truth."""
    with tempfile.TemporaryDirectory() as base, pytest.MonkeyPatch.context() as patch:
        tree = FakeTree(base)
        patch.setattr(os, "pread", tree.pread)
        zone = tree.zone("intel-rapl:0", "package-0", start=start)
        p = profiler(tree)
        truth = []
        fault = OSError(errno.EIO, "")
        for i, (seconds, watts, at_end, at_poll) in enumerate(events):
            with p.region(f"r{i}"):
                before = zone.true_nj
                tree.advance(seconds, watts)
                zone.fault = fault if failing and at_poll else None
                p.poll()
                tree.advance(seconds / 2, watts)
                zone.fault = fault if failing and at_end else None
                truth.append(float(zone.true_nj - before) / 1e9)
        return [r.energy for r in p.report().regions.values()], truth


@SETTINGS
@given(events=EVENTS, start=st.integers(0, COUNTS - 1))
def test_failed_reads_never_add_energy_and_are_always_flagged(events, start):
    good, truth = replay(events, start, failing=False)
    bad, _ = replay(events, start, failing=True)
    begins_blind = [False, *(event[2] for event in events)]
    for (_, _, at_end, at_poll), blind, full, cut, true in zip(
        events, begins_blind, good, bad, truth, strict=False
    ):
        assert full.gaps or full.joules == pytest.approx(true, abs=1e-3)
        assert full.lo <= true <= full.hi
        assert cut.joules is None or 0 <= cut.joules <= true + 1e-3
        assert cut.hi is None or cut.lo <= true <= cut.hi
        if at_end or at_poll:
            assert "failed-read" in cut.flags
        if at_end or blind:
            assert "gap" in cut.flags
        assert (cut.kind == "absent") == (cut.joules is None)
