# SPDX-License-Identifier: BSD-3-Clause
"""PowercapMeter against trees whose true energy is known."""

import os
import tempfile
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_green_fakes import COUNTS, UNITS, FakeTree

from fastcone.green import PowercapMeter, Profiler
from fastcone.green.meters.zones import modulus_nj

SETTINGS = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    fake = FakeTree(tmp_path)
    monkeypatch.setattr(os, "pread", fake.pread)
    return fake


def profiler(tree, **options):
    return Profiler(PowercapMeter(**tree.meter_options(), **options), clock=tree.clock)


def measured(tree, seconds=1.0, **options):
    """The reading of a region of so many seconds, all meters and clocks fake."""
    p = profiler(tree, **options)
    with p.region("r"):
        tree.advance(seconds)
    return p.report().regions["r"].energy


def assert_joules(reading, joules):
    assert reading.kind == "measured"
    assert reading.joules == pytest.approx(joules, abs=1e-3)
    assert reading.lo <= joules <= reading.hi


# Which zones are added up


def test_package_and_its_dram_are_added_and_measured(tree):
    tree.zone("intel-rapl:0", "package-0", watts=50)
    tree.zone("intel-rapl:0:2", "dram", watts=5)
    reading = measured(tree, 2.0)
    assert_joules(reading, 110.0)
    assert reading.meter == "rapl-powercap"
    assert reading.scope == "package-0+dram-0"
    assert reading.window_s == 2.0
    assert (reading.wraps, reading.gaps) == (0, 0)


def test_core_uncore_psys_and_unknown_zones_are_left_out(tree):
    tree.zone("intel-rapl:0", "package-0", watts=50)
    for i, name in enumerate(["core", "uncore", "dram", "gadget"]):
        tree.zone(f"intel-rapl:0:{i}", name, watts=3)
    tree.zone("intel-rapl:1", "psys", watts=90)
    tree.zone("dtpm:0", "big-core", watts=7)
    assert_joules(measured(tree), 53.0)


def test_psys_is_read_only_when_asked_for_and_then_alone(tree):
    tree.zone("intel-rapl:0", "package-0", watts=50)
    tree.zone("intel-rapl:1", "psys", watts=90)
    reading = measured(tree, psys=True)
    assert_joules(reading, 90.0)
    assert reading.scope == "psys"
    assert "psys-only" in reading.flags


def test_two_sockets_both_with_dram_are_all_added(tree):
    for i in range(2):
        tree.zone(f"intel-rapl:{i}", f"package-{i}", watts=50 + i)
        tree.zone(f"intel-rapl:{i}:0", "dram", watts=4 + i)
    reading = measured(tree)
    assert_joules(reading, 110.0)
    assert reading.scope == "package-0+package-1+dram-0+dram-1"


def test_msr_and_mmio_twins_count_once(tree):
    tree.zone("intel-rapl-mmio:0", "package-0", watts=50)
    tree.zone("intel-rapl:0", "package-0", watts=50)
    tree.zone("intel-rapl:0:0", "dram", watts=5)
    assert_joules(measured(tree), 55.0)


def test_mmio_twin_stands_in_for_an_unreadable_msr_zone(tree):
    tree.zone("intel-rapl:0", "package-0").fault = PermissionError(13, "")
    tree.zone("intel-rapl-mmio:0", "package-0", watts=50)
    assert_joules(measured(tree), 50.0)


def test_dies_that_mirror_one_counter_count_once(tree):
    for i in range(2):
        tree.zone(f"intel-rapl:{i}", f"package-0-die-{i}", watts=68, start=10**6)
    meter = PowercapMeter(**tree.meter_options())
    assert "package-0-die-1 mirrors package-0-die-0" in meter.probe().reason
    assert_joules(measured(tree), 68.0)


def test_dies_with_counters_of_their_own_are_added(tree):
    tree.zone("intel-rapl:0", "package-0-die-0", watts=60, start=10**6)
    tree.zone("intel-rapl:1", "package-0-die-1", watts=40, start=3 * 10**6)
    assert_joules(measured(tree), 100.0)


def test_dies_that_start_together_but_move_apart_are_added(tree):
    tree.zone("intel-rapl:0", "package-0-die-0", watts=90, start=10**6)
    tree.zone("intel-rapl:1", "package-0-die-1", watts=10, start=10**6)
    assert_joules(measured(tree), 100.0)


@pytest.mark.parametrize("name", ["package-{}", "package-{}-die-0"])
def test_equal_counters_of_two_sockets_are_both_added(tree, name):
    for i in range(2):
        tree.zone(f"intel-rapl:{i}", name.format(i), watts=68, start=10**6)
    assert_joules(measured(tree), 136.0)


def test_a_root_that_is_the_device_folder_reads_the_same(tree):
    tree.zone("intel-rapl:0", "package-0", watts=50)
    tree.zone("intel-rapl:0:0", "dram", watts=5)
    tree.root = tree.devices
    assert_joules(measured(tree), 55.0)


NAMES = ["core", "uncore", "psys", "gadget", "package", "dram-like"]


@SETTINGS
@given(
    order=st.permutations(["intel-rapl:0", "intel-rapl:3", "intel-rapl-mmio:0"]),
    extras=st.lists(st.sampled_from(NAMES), max_size=5),
    aliases=st.sets(st.integers(20, 99), max_size=3),
    psys_watts=st.floats(1, 300),
)
def test_order_duplicates_and_extra_zones_do_not_change_the_total(
    order, extras, aliases, psys_watts
):
    packages = {"intel-rapl:0": 0, "intel-rapl:3": 1, "intel-rapl-mmio:0": 0}
    with tempfile.TemporaryDirectory() as base:
        tree = FakeTree(base)
        for zone_id in order:
            tree.zone(zone_id, f"package-{packages[zone_id]}", watts=40 + packages[zone_id])
        tree.zone("intel-rapl:0:9", "dram", watts=4)
        for i, name in enumerate(extras):
            watts = psys_watts if name == "psys" else 9
            tree.zone(f"intel-rapl:{10 + i}", name, watts=watts)
            tree.zone(f"intel-rapl:3:{i}", name, watts=watts)
        for alias in aliases:
            (tree.root / f"intel-rapl:{alias}").symlink_to(tree.zones["intel-rapl:3"].path)
        assert_joules(measured(tree), 85.0)


# Wraps


@pytest.mark.parametrize("range_uj", UNITS)
def test_modulus_is_the_range_and_one_unit(range_uj):
    assert modulus_nj(range_uj) == COUNTS * UNITS[range_uj]


def test_modulus_of_an_unknown_kind_of_range_is_the_next_integer():
    assert modulus_nj(1000) == 1001 * 1000


STEPS = st.lists(st.tuples(st.floats(0.01, 60), st.floats(1, 4)), min_size=1, max_size=70)


@SETTINGS
@given(
    steps=STEPS,
    watts=st.floats(0.5, 249),
    start=st.integers(0, COUNTS - 1),
    range_uj=st.sampled_from(sorted(UNITS)),
)
@example(steps=[(60.0, 4.0)] * 58, watts=249.0, start=COUNTS - 1, range_uj=65532610987)
def test_wrapping_counter_sums_to_the_true_energy_within_one_unit(steps, watts, start, range_uj):
    """Wherever power stays within four times that of the span before."""
    with tempfile.TemporaryDirectory() as base:
        tree = FakeTree(base)
        zone = tree.zone("intel-rapl:0", "package-0", watts=watts, range_uj=range_uj, start=start)
        p = profiler(tree)
        with p.region("r"):
            before = zone.true_nj
            wraps = (start + int(before // zone.unit)) // COUNTS
            for seconds, factor in steps:
                tree.advance(seconds, watts * factor)
                p.poll()
            true_nj = zone.true_nj - before
            wraps = (start + int(zone.true_nj // zone.unit)) // COUNTS - wraps
        reading = p.report().regions["r"].energy
    error_nj = Fraction(reading.joules) * 10**9 - true_nj
    assert abs(error_nj) <= zone.unit + 1000
    assert reading.wraps == wraps
    assert reading.gaps == 0


def test_a_fall_that_does_not_fit_the_power_before_it_is_no_wrap(tree):
    zone = tree.zone("intel-rapl:0", "package-0", watts=2, start=COUNTS - 20 * 10**6)
    p = profiler(tree)
    with p.region("r"):
        before = zone.true_nj
        tree.advance(1.0)
        p.poll()
        tree.advance(4.0, watts=900)
        p.poll()
        true_j = float(zone.true_nj - before) / 1e9
    reading = p.report().regions["r"].energy
    assert reading.wraps == 0
    assert "counter-fell" in reading.flags
    assert reading.lo <= true_j <= reading.hi


def test_fifty_wraps_are_resolved(tree):
    tree.zone("intel-rapl:0", "package-0", watts=900, range_uj=65532610987)
    p = profiler(tree)
    with p.region("r"):
        for _ in range(75):
            tree.advance(49.0)
            p.poll()
    reading = p.report().regions["r"].energy
    assert reading.wraps == 50
    assert reading.joules == pytest.approx(75 * 49 * 900, abs=16e-6)


def test_poll_interval_is_a_second_where_a_read_is_cheap(tree):
    tree.zone("intel-rapl:0", "package-0", range_uj=65532610987)
    meter = PowercapMeter(**tree.meter_options())
    assert meter.poll_interval_s is None
    meter.probe()
    assert meter.poll_interval_s == 1.0
    assert PowercapMeter(root="/no/such/folder").poll_interval_s is None


@pytest.mark.parametrize(("read_s", "interval_s"), [(0.01, 5.0), (0.1, 65.5326 / 4)])
def test_a_dear_read_is_rare_and_never_too_late_for_a_wrap(tree, read_s, interval_s):
    tree.zone("intel-rapl:0", "package-0", range_uj=65532610987)

    def slow(path, plain=tree.opener):
        tree.clock.ns += round(read_s * 1e9) * path.endswith("energy_uj")
        return plain(path)

    meter = PowercapMeter(**{**tree.meter_options(), "opener": slow})
    meter.probe()
    assert meter.poll_interval_s == pytest.approx(interval_s, rel=1e-4)


# Regions


@SETTINGS
@given(
    steps=st.lists(st.tuples(st.floats(0.01, 20), st.floats(200, 800)), min_size=2, max_size=12),
    cut=st.integers(0, 12),
    start=st.integers(0, COUNTS - 1),
)
def test_splitting_a_region_anywhere_changes_nothing(steps, cut, start):
    with tempfile.TemporaryDirectory() as base:
        tree = FakeTree(base)
        tree.zone("intel-rapl:0", "package-0", watts=400, start=start)
        tree.zone("intel-rapl:0:0", "dram", watts=400, start=COUNTS - 1 - start)
        p = profiler(tree)
        with p.region("whole"):
            for name, part in (("first", steps[:cut]), ("second", steps[cut:])):
                with p.region(name):
                    for seconds, watts in part:
                        tree.advance(seconds, watts)
                        p.poll()
        regions = p.report().regions
    whole, first, second = (regions[n].energy.joules for n in ("whole", "first", "second"))
    between = regions["whole"].exclusive_energy.joules  # while the counter settled, 5 times
    assert whole == pytest.approx(first + second + between, rel=1e-14, abs=1e-12)
    assert between <= 5 * 0.0034 * 2 * 800
    wraps = [regions[n].energy.wraps for n in ("whole", "first", "second")]
    assert wraps[0] == wraps[1] + wraps[2] + regions["whole"].exclusive_energy.wraps


def test_interval_holds_the_truth_although_the_counter_lags(tree):
    zone = tree.zone("intel-rapl:0", "package-0", watts=80, refresh_ns=1_000_000)
    p = profiler(tree)
    tree.advance(0.0007)
    for _ in range(50):
        before = zone.true_nj
        with p.region("r"):
            tree.advance(0.0103)
        true_j = float(zone.true_nj - before) / 1e9
        reading = p.report().regions["r"].energy
        assert reading.lo <= true_j <= reading.hi
        p = profiler(tree)


def test_short_window_is_flagged_and_a_long_one_is_not(tree):
    tree.zone("intel-rapl:0", "package-0")
    assert "short-window" in measured(tree, 0.05).flags
    assert "short-window" not in measured(tree, 0.2).flags


def test_zero_length_region_is_zero_joules_and_measured(tree):
    tree.zone("intel-rapl:0", "package-0")
    reading = measured(tree, 0.0)
    assert (reading.joules, reading.kind, reading.gaps) == (0.0, "measured", 0)


def test_other_processes_on_the_machine_are_flagged(tree, tmp_path, monkeypatch):
    tree.zone("intel-rapl:0", "package-0")
    stat = tmp_path / "stat"
    options = {**tree.meter_options(), "stat": str(stat)}
    own = [0]
    monkeypatch.setattr("time.process_time_ns", lambda: own[0])
    for own_share, flagged in ((0.99, False), (0.5, True)):
        stat.write_text("cpu  100 0 0 1000 0 0 0 0 0 0\ncpu0 100 0 0 1000 0 0 0 0 0 0\n")
        p = Profiler(PowercapMeter(**options), clock=tree.clock)
        with p.region("r"):
            tree.advance(10.0)
            stat.write_text("cpu  1000 0 100 1000 0 0 0 0 0 0\n")
            own[0] += round(10e9 * own_share)
        assert ("shared-host" in p.report().regions["r"].energy.flags) == flagged


def test_report_of_a_measured_region_is_labelled_with_scope_and_interval(tree):
    tree.zone("intel-rapl:0", "package-0", watts=31.4)
    text = str(measured(tree))
    assert text.startswith("31.40 J (30.40-32.40;")
    assert "rapl-powercap, package-0, measured" in text
