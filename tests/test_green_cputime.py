# SPDX-License-Identifier: BSD-3-Clause
"""The model of CPU time: what is charged to a region, what is not, and what is said of it."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
from test_green_profiler import Ticks, modelled

from fastcone.green import CpuTimeMeter, Profiler
from fastcone.green.meters import children

needs_proc = pytest.mark.skipif(
    children._living_ns("/proc", "self") is None, reason="living children cannot be read here"
)


@pytest.mark.parametrize("scale", [0.5, 2.0, 8.0])
def test_watts_scale_every_joule_alike_and_leave_ratios_alone(scale):
    reports = []
    for k in (1.0, scale):
        ticks = Ticks()
        meter = CpuTimeMeter((2.0 * k, 5.0 * k, 11.0 * k), clock=ticks)
        p = Profiler(meter, clock=ticks)
        for name, ns in (("a", 7 * 10**8), ("b", 3 * 10**9)):
            with p.region(name):
                ticks.ns += ns
        reports.append([region.energy for region in p.report().regions.values()])
    for before, after in zip(*reports, strict=True):
        for part in ("lo", "joules", "hi"):
            assert getattr(after, part) == pytest.approx(scale * getattr(before, part), rel=1e-14)
    (a, b), (x, y) = reports
    assert a.joules / b.joules == pytest.approx(x.joules / y.joules, rel=1e-14)


def test_joules_are_cpu_seconds_times_watts_and_modelled():
    p = Profiler(CpuTimeMeter((3, 6, 12)))
    with p.region("r"):
        sum(range(300_000))
    region = p.report().regions["r"]
    assert region.cpu_seconds > 0
    assert region.energy.kind == "modelled"
    floor = region.energy.params["floor_j"] / 6
    assert 0 < floor < 1e-3
    net = region.cpu_seconds - floor
    assert region.energy.joules == pytest.approx(6 * net)
    assert region.energy.lo == pytest.approx(3 * net)
    assert region.energy.hi == pytest.approx(12 * region.cpu_seconds)


def test_an_empty_region_costs_nothing_once_its_floor_is_subtracted():
    ticks = itertools.count(0, 7_000)  # every read of the clock costs 7 us
    p = Profiler(CpuTimeMeter(clock=lambda: next(ticks)))
    for _ in range(50):
        with p.region("r"):
            pass
    energy = p.report().regions["r"].energy
    assert energy.params["floor_j"] == pytest.approx(50 * 7e-6 * 6)
    assert energy.lo == energy.joules == 0
    assert energy.hi == pytest.approx(50 * 7e-6 * 24)


def wait_for_cpu(seconds):
    """Wait until a child has used so much CPU time."""
    end = time.monotonic() + 30
    while time.monotonic() < end and children._living_ns("/proc", "self") < seconds * 1e9:
        time.sleep(0.01)


@needs_proc
def test_the_past_of_a_child_is_not_charged_to_the_region_that_waits_for_it():
    """1.5 CPU-seconds were charged to a region of .3 ms."""
    burn = "import time\nwhile time.process_time() < 0.4: pass\ninput()"
    child = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE)
    wait_for_cpu(0.3)
    p = Profiler(CpuTimeMeter())
    with p.region("r"):
        child.communicate(b"\n")
    assert p.report().regions["r"].cpu_seconds < 0.2


@needs_proc
def test_a_worker_that_goes_on_living_is_counted_while_it_works():
    """Two workers of a pool used 4 CPU-seconds, shown as 120 mJ."""
    burn = (
        "import time\ninput()\nend = time.process_time() + 0.3\n"
        "while time.process_time() < end: pass\nprint()\ninput()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    p = Profiler(CpuTimeMeter())
    with p.region("r"):
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
    child.communicate(b"\n")
    region = p.report().regions["r"]
    assert 0.25 <= region.cpu_seconds < 0.6
    assert "unreaped-children" not in region.energy.flags


@pytest.fixture
def many_threads(monkeypatch):
    monkeypatch.setattr("fastcone.green.meters.cputime._threads", lambda: 4)


def test_threads_that_spin_are_waited_for(many_threads):
    """The spin of a BLAS pool after a product was charged to the next region."""
    busy = Spin(0.02)
    p = Profiler(CpuTimeMeter(clock=busy))
    with p.region("r"):
        pass
    energy = p.report().regions["r"].energy
    assert "spinning" not in energy.flags
    assert p.report().regions["r"].cpu_seconds < 0.01


def test_threads_that_never_rest_are_flagged_and_not_waited_for_long(many_threads):
    p = Profiler(CpuTimeMeter(clock=Spin(60.0)))
    start = time.perf_counter()
    with p.region("r"):
        pass
    assert time.perf_counter() - start < 2.0
    assert "spinning" in p.report().regions["r"].energy.flags


class Spin:
    """A CPU clock of a process whose other thread spins for so long, from the first read on."""

    def __init__(self, seconds):
        self.end, self.last = None, 0
        self.seconds = seconds

    def __call__(self):
        now = time.perf_counter_ns()
        if self.end is None:
            self.end = now + round(self.seconds * 1e9)
        return min(now, self.end)


def test_more_cpu_time_than_the_cpus_can_give_is_flagged():
    ticks = Ticks()
    p = Profiler(CpuTimeMeter(clock=ticks))
    for name, ns in (("r", 10**9), ("fine", 0)):
        with p.region(name):
            ticks.ns += ns
    assert "impossible-cpu" in p.report().regions["r"].energy.flags
    assert "impossible-cpu" not in p.report().regions["fine"].energy.flags


def test_what_cannot_be_seen_of_a_child_leaves_the_reading_open_above(monkeypatch):
    monkeypatch.setattr(children, "has_unreaped_children", lambda: True)
    monkeypatch.setattr(children, "_living_ns", lambda proc, pid: None)
    ticks, p = modelled()
    with p.region("r"):
        ticks.ns += 10**9
    energy = p.report().regions["r"].energy
    assert energy.hi is None
    assert str(energy).startswith("~at least 6.0 J (1.5-?; ")
    assert "unreaped-children" in str(energy)
    assert "unreaped-children" in str(p.report())


@pytest.mark.parametrize(
    "watts", [(1, 2), (3, 2, 1), (0, 1, 2), (1, 2, float("inf")), (1, float("nan"), 3), None, "abc"]
)
def test_watts_that_are_no_interval_are_refused(watts):
    with pytest.raises(ValueError, match="watts_per_core"):
        CpuTimeMeter(watts)


def test_cpu_time_of_an_ended_child_is_counted():
    p = Profiler(CpuTimeMeter())
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    with p.region("r"):
        subprocess.run([sys.executable, "-c", burn], check=True)
    assert p.report().regions["r"].cpu_seconds >= 0.25


def test_a_cpu_clock_that_runs_backwards_gives_absent():
    ticks = Ticks()
    p = Profiler(CpuTimeMeter(clock=ticks))
    ticks.ns = 10**9
    with p.region("r"):
        ticks.ns = 0
    assert p.report().regions["r"].energy.kind == "absent"


def test_the_spin_after_a_product_is_not_charged_to_a_region_that_sleeps():
    """.02 CPU-seconds were; where the pool does not come to rest the reading says so."""
    a = np.ones((800, 800))
    p = Profiler(CpuTimeMeter())
    for _ in range(3):
        a @ a
        with p.region("sleep"):
            time.sleep(0.02)
    region = p.report().regions["sleep"]
    assert region.cpu_seconds < 3 * 0.01 or "spinning" in region.energy.flags
