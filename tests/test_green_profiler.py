# SPDX-License-Identifier: BSD-3-Clause
"""Regions: they nest, add up exactly, and refuse what they cannot tell apart."""

import asyncio
import contextlib
import json
import os
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcone.green import CpuTimeMeter, Domain, Profiler, Reading, Sample
from fastcone.green.meters.base import Availability

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


class Ticks:
    """A CPU clock that moves only when told."""

    def __init__(self):
        self.ns = 0

    def __call__(self):
        return self.ns


class StubMeter:
    """A counter in nJ set by the test, with a fast sampler, that can be made to fail."""

    name, kind = "stub", "measured"
    poll_interval_s = 0.002

    def __init__(self):
        self.raw, self.reads, self.broken = 0, 0, False
        self.domains = {"d": Domain(modulus=1000, ceiling_w=None)}

    def probe(self):
        return Availability(True, "stub")

    def read(self):
        self.reads += 1
        if self.broken and threading.current_thread() is not threading.main_thread():
            raise RuntimeError("meter broke")
        return {"d": Sample(self.raw % 1000, time.monotonic_ns())}

    def settle(self, *, opening):
        pass

    def reading(self, tallies, window_ns, pieces):
        joules = tallies["d"].amount / 1e9
        wraps = tallies["d"].wraps
        return Reading(joules, joules, joules, "measured", "stub", "d", wraps=wraps)


def modelled():
    ticks = Ticks()
    return ticks, Profiler(CpuTimeMeter(clock=ticks), clock=ticks)


# Nesting


def test_inclusive_holds_the_children_and_exclusive_does_not():
    ticks, p = modelled()
    with p.region("study"):
        ticks.ns += 1_000_000_000
        with p.region("train"):
            ticks.ns += 3_000_000_000
        ticks.ns += 2_000_000_000
    study, train = p.report().regions["study"], p.report().regions["train"]
    assert (study.seconds, study.exclusive_seconds) == (6.0, 3.0)
    assert (study.cpu_seconds, study.exclusive_cpu_seconds) == (6.0, 3.0)
    assert (study.energy.joules, study.exclusive_energy.joules) == (36.0, 18.0)
    assert (train.energy.joules, train.exclusive_energy.joules) == (18.0, 18.0)


def test_regions_of_one_name_add_up_wherever_they_are():
    ticks, p = modelled()
    for _ in range(3):
        with p.region("use"):
            ticks.ns += 10**9
    with p.region("outer"), p.region("use"):
        ticks.ns += 10**9
    use = p.report().regions["use"]
    assert (use.count, use.seconds, use.energy.joules) == (4, 4.0, 24.0)
    assert list(p.report().regions) == ["use", "outer"]


TREES = st.recursive(
    st.integers(0, 10**12), lambda children: st.lists(children, max_size=4), max_leaves=25
)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(tree=TREES)
def test_inclusive_is_exclusive_plus_children_for_every_region(tree):
    ticks, p = modelled()
    children = {}

    def walk(node, name):
        children[name] = []
        with p.region(name):
            if isinstance(node, int):
                ticks.ns += node
                return
            for i, child in enumerate(node):
                children[name].append(f"{name}.{i}")
                walk(child, f"{name}.{i}")

    walk(tree, "0")
    regions = p.report().regions
    assert set(regions) == set(children)
    for name, inside in children.items():
        region = regions[name]
        for own, full in (
            (region.exclusive_seconds, lambda r: r.seconds),
            (region.exclusive_energy.joules, lambda r: r.energy.joules),
        ):
            total = own + sum(full(regions[child]) for child in inside)
            assert full(region) == pytest.approx(total, rel=1e-14)


def test_a_region_that_raises_is_counted_and_the_exception_passes():
    ticks, p = modelled()
    with pytest.raises(ZeroDivisionError), p.region("outer"), p.region("r"):
        ticks.ns += 10**9
        1 / 0  # noqa: B018
    assert p.report().regions["r"].seconds == 1.0
    assert p.report().regions["outer"].exclusive_seconds == 0.0


def test_open_regions_are_not_reported():
    _, p = modelled()
    with p.region("r"):
        assert p.report().regions == {}
    assert list(p.report().regions) == ["r"]


# What is refused


def test_a_region_of_another_thread_is_refused_while_one_is_open():
    _, p = modelled()
    raised = []

    def other():
        try:
            with p.region("b"):
                pass
        except RuntimeError as error:
            raised.append(str(error))

    with p.region("a"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(raised) == 1
    assert "'b'" in raised[0]
    assert "'a'" in raised[0]
    assert list(p.report().regions) == ["a"]
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(raised) == 1
    assert list(p.report().regions) == ["a", "b"]


def test_regions_that_end_in_the_wrong_order_are_kept_and_flagged_and_the_rest_goes_on():
    """The measurement was lost, and the with block of the user raised."""
    ticks, p = modelled()
    a, b = p.region("a"), p.region("b")
    a.__enter__()
    b.__enter__()
    ticks.ns += 10**9
    a.__exit__(None, None, None)
    ticks.ns += 10**9
    b.__exit__(None, None, None)
    with p.region("c"):
        pass
    regions = p.report().regions
    assert [regions[n].seconds for n in "abc"] == [1.0, 2.0, 0.0]
    assert ["overlap" in regions[n].energy.flags for n in "abc"] == [True, True, False]


def test_overlapping_regions_never_make_an_exclusive_cost_negative():
    ticks, p = modelled()
    a, b = p.region("a"), p.region("b")
    with p.region("outer"):
        a.__enter__()
        ticks.ns += 10**9
        b.__enter__()
        ticks.ns += 10**9
        a.__exit__(None, None, None)
        b.__exit__(None, None, None)
    outer = p.report().regions["outer"]
    assert 0 <= outer.exclusive_seconds <= outer.seconds == 2.0


def test_a_region_in_a_generator_holds_what_its_consumer_does_and_says_so():
    ticks, p = modelled()

    def numbers():
        with p.region("r"):
            yield 1

    for _ in numbers():
        ticks.ns += 10**9
    assert p.report().regions["r"].seconds == 1.0
    assert "generator" in p.report().regions["r"].energy.flags


def test_a_context_manager_of_the_users_own_is_no_generator():
    _, p = modelled()

    @contextlib.contextmanager
    def helper():
        with p.region("r"):
            yield

    with helper():
        pass
    assert "generator" not in p.report().regions["r"].energy.flags


def test_a_region_beside_other_tasks_of_asyncio_says_so():
    _, p = modelled()

    async def measured(name):
        with p.region(name):
            await asyncio.sleep(0.001)

    async def main():
        await asyncio.gather(measured("a"), measured("b"))
        await asyncio.sleep(0.01)

    asyncio.run(main())
    for name in "ab":
        assert "other-tasks" in p.report().regions[name].energy.flags
    asyncio.run(measured("alone"))
    assert "other-tasks" not in p.report().regions["alone"].energy.flags


def test_a_decorated_function_is_a_region_per_call():
    ticks, p = modelled()

    @p.region("f")
    def f(n):
        ticks.ns += n * 10**9
        return n

    assert f(1) + f(2) == 3
    assert (p.report().regions["f"].count, p.report().regions["f"].seconds) == (2, 3.0)


def test_a_generator_or_coroutine_function_is_not_decorated():
    def generator():
        yield

    async def coroutine():
        pass

    for function in (generator, coroutine):
        with pytest.raises(TypeError, match=f"{function.__name__} is a generator"):
            modelled()[1].region("r")(function)


def test_nested_regions_are_summed_and_not_kept():
    """2.5 kB were held for each: 242 MiB for 10^5."""
    ticks, p = modelled()
    held = []
    with p.region("outer"):
        tracemalloc.start()
        for _ in range(2):  # what is made once is made in the first half
            for _ in range(200):
                with p.region("inner"):
                    ticks.ns += 1
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[1] - held[0] < 200 * 100


def test_a_name_inside_itself_is_refused():
    _, p = modelled()
    with p.region("a"), pytest.raises(RuntimeError, match="'a' is open already"), p.region("a"):
        pass
    assert p.report().regions["a"].count == 1


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (3, TypeError), (None, TypeError)])
def test_a_bad_name_is_refused(name, error):
    with pytest.raises(error, match="name"), Profiler(CpuTimeMeter()).region(name):
        pass


def test_no_meter_and_two_of_one_name_are_refused():
    for meters in ([], [CpuTimeMeter(), CpuTimeMeter()]):
        with pytest.raises(ValueError, match="meters"):
            Profiler(meters)


# Several meters


def test_every_meter_is_kept_and_none_is_summed():
    ticks = Ticks()
    stub = StubMeter()
    p = Profiler([stub, CpuTimeMeter(clock=ticks)])
    with p.region("r"):
        stub.raw += 700
        ticks.ns += 10**9
    region = p.report().regions["r"]
    assert sorted(region.readings) == ["cpu-time", "stub"]
    assert region.energy.joules == 700e-9
    assert region.readings["cpu-time"].joules == pytest.approx(6.0, rel=1e-3)


# The sampler


def live_samplers():
    return [thread for thread in threading.enumerate() if thread.name == "fastcone-green"]


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def test_the_sampler_resolves_wraps_and_stops_with_the_outermost_region():
    stub = StubMeter()
    p = Profiler(stub)
    assert wait_until(lambda: not live_samplers())
    with p.region("outer"):
        assert len(live_samplers()) == 1
        with p.region("inner"):
            assert len(live_samplers()) == 1
            for _ in range(5):
                reads = stub.reads
                stub.raw += 600
                assert wait_until(lambda seen=reads: stub.reads >= seen + 2)
        assert len(live_samplers()) == 1
    assert wait_until(lambda: not live_samplers())
    reading = p.report().regions["inner"].energy
    assert reading.joules == pytest.approx(3000e-9)
    assert reading.wraps == 3


def test_a_meter_that_cannot_wrap_needs_no_thread():
    assert wait_until(lambda: not live_samplers())
    p = Profiler(CpuTimeMeter())
    with p.region("r"):
        assert not live_samplers()


def test_a_sampler_that_dies_is_flagged():
    stub = StubMeter()
    p = Profiler(stub)
    with p.region("r"):
        stub.broken = True
        assert wait_until(lambda: not live_samplers())
    assert "sampler-died" in p.report().regions["r"].energy.flags
    stub.broken = False
    with p.region("after"):
        pass
    assert "sampler-died" not in p.report().regions["after"].energy.flags


# Forks


@needs_fork
def test_a_forked_child_starts_afresh_and_the_parent_is_not_disturbed():
    p = Profiler(CpuTimeMeter())
    read_end, write_end = os.pipe()
    pid = None
    try:
        with p.region("parent"):
            pid = os.fork()
            if pid == 0:
                with p.region("child"):
                    pass
        if pid == 0:
            os.write(write_end, json.dumps(list(p.report().regions)).encode())
    finally:
        if pid == 0:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        assert json.loads(pipe.read()) == ["child"]
    assert list(p.report().regions) == ["parent"]


# Reports


def test_a_report_is_plain_json_and_a_readable_table():
    ticks, p = modelled()
    with p.region("train"):
        ticks.ns += 2 * 10**9
    plain = p.report().as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    cost = plain["regions"]["train"]
    assert {"seconds", "cpu_seconds", "peak_memory_bytes", "energy", "count"} <= set(cost)
    lines = str(p.report()).splitlines()
    assert lines[0].split()[:3] == ["region", "runs", "seconds"]
    assert lines[0].split()[-1] == "notes"
    assert " J" not in lines[1]
    assert lines[2] == "energy: CPU s x 1.5/6/24 W per core, a model, not measured"
    assert lines[3].startswith("meter cpu-time: yes")
