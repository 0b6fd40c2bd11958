# SPDX-License-Identifier: BSD-3-Clause
"""Faults of a counter that look like energy: what they touch is in doubt, and said to be."""

import pytest
from test_green_fakes import COUNTS, energy, profiler


@pytest.mark.parametrize("share", [0.01, 0.2, 0.8, 0.98])
@pytest.mark.parametrize("range_uj", [262143328850, 65532610987])
def test_a_counter_reset_is_a_gap_not_a_wrap(tree, share, range_uj):
    """At 80 % of the AMD range, polled after 16 s, this was 13,907 J measured for 1,600."""
    start = int(COUNTS * share)
    package = tree.zone("intel-rapl:0", "package-0", watts=50, start=start, range_uj=range_uj)
    p = profiler(tree)
    with p.region("r"):
        for second in range(32):
            tree.advance(1.0)
            if second == 15:
                package.start = -int(package.shown_nj // package.unit)
                package.write()
            p.poll()
    reading = energy(p)
    assert 1400.0 <= reading.joules <= 1600.0
    assert reading.lo <= 1600.0 <= reading.hi
    assert reading.wraps == 0
    assert {"counter-fell", "gap"} <= set(reading.flags)


@pytest.mark.parametrize("lost", [True, False])
def test_a_counter_that_stalls_in_mid_window_is_a_gap(tree, package, lost):
    """This was 50 J measured for 6,050, without a flag."""
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
        p.poll()
        package.frozen = True
        for _ in range(20):
            tree.advance(1.0)
            p.poll()
        package.frozen = False
        if lost:
            package.start -= round(1000e9 / package.unit)
            package.write()
        tree.advance(1.0)
        p.poll()
    reading = energy(p)
    assert reading.lo <= 1100.0 <= reading.hi
    assert {"stalled", "gap"} <= set(reading.flags)


@pytest.mark.parametrize("when", ["before the first read", "at the last read"])
def test_a_counter_that_stands_still_at_an_end_of_a_region_is_noticed(tree, package, when):
    p = profiler(tree)
    package.frozen = when == "before the first read"
    with p.region("r"):
        tree.advance(0.5)
        package.frozen = not package.frozen
        tree.advance(0.5)
    reading = energy(p)
    assert reading.hi is None or reading.lo <= 50.0 <= reading.hi
    assert "in-doubt" in reading.flags


def test_power_that_steps_within_a_refresh_stays_in_the_interval(tree):
    """.5 ms at 50 W were 0 J in [0, 0.00006]."""
    tree.zone("intel-rapl:0", "package-0", watts=1, refresh_ns=1_000_000)
    p = profiler(tree)
    with p.region("r"):
        tree.advance(0.0005, watts=50)
    reading = energy(p)
    assert reading.lo <= 0.025 <= reading.hi <= 0.5


def test_a_first_read_that_is_too_low_takes_nothing_from_before(tree, package):
    """6,640 J for 1,000."""
    p = profiler(tree)
    energy_file = package.path / "energy_uj"
    true = package.microjoules
    package.frozen = True
    energy_file.write_text(f"{true - 5_640_000_000}\n")
    with p.region("r"):
        package.frozen = False
        for _ in range(20):
            tree.advance(1.0)
            p.poll()
    reading = energy(p)
    assert reading.lo <= 1000.0 <= reading.hi
    assert reading.joules <= 1000.0
    assert "gap" in reading.flags


def test_two_bad_reads_across_the_boundary_of_two_regions_give_neither_more(tree, package):
    """3,000 J for 1,000."""
    p = profiler(tree)

    def seconds(count):
        for _ in range(count):
            tree.advance(1.0)
            p.poll()

    with p.region("first"):
        seconds(9)
        package.frozen = True
        (package.path / "energy_uj").write_text(f"{package.microjoules - 2_000_000_000}\n")
    with p.region("second"):
        package.frozen = False
        seconds(20)
    for name, truth in (("first", 450.0), ("second", 1000.0)):
        reading = energy(p, name)
        assert reading.lo <= truth <= reading.hi
        assert reading.joules <= truth + 1e-3
