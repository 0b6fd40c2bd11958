# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of nested regions, and what is said where it cannot be known."""

import gc
import mmap
import os

import pytest

from fastcone.green import CpuTimeMeter, MemoryWatch, Peak, Profiler
from fastcone.green import memory as memory_module

MB = 2**20 * max(1, (os.cpu_count() or 1) // 16)  # the kernel counts in batches per CPU


def held(megabytes):
    """Use so much memory and give it back; `MB` is larger than 2^20 on a large machine.

    Fresh pages from the kernel: an allocator may serve a block from pages it has kept.
    """
    gc.collect()
    with mmap.mmap(-1, megabytes * MB) as block:
        for page in range(0, len(block), 4096):
            block[page] = 1


needs_reset = pytest.mark.skipif(
    not memory_module.reset_peak(), reason="the peak cannot be reset on this system"
)


@needs_reset
def test_a_parents_peak_is_the_largest_of_its_children_and_its_own_pieces():
    p = Profiler(CpuTimeMeter())
    with p.region("before"):
        held(96)
    with p.region("parent"):
        with p.region("large"):
            held(64)
        with p.region("small"):
            held(16)
    peaks = {name: r.peak_memory_bytes / MB for name, r in p.report().regions.items()}
    assert all(r.peak_memory_kind == "measured" for r in p.report().regions.values())
    assert peaks["parent"] == pytest.approx(peaks["large"], abs=4)
    assert peaks["large"] - peaks["small"] == pytest.approx(48, abs=8)
    assert peaks["before"] - peaks["large"] == pytest.approx(32, abs=8)


@needs_reset
def test_a_parents_own_peak_before_a_child_is_not_lost_to_the_reset():
    p = Profiler(CpuTimeMeter())
    with p.region("parent"):
        held(64)
        with p.region("child"):
            held(8)
    peaks = {name: r.peak_memory_bytes / MB for name, r in p.report().regions.items()}
    assert peaks["parent"] - peaks["child"] == pytest.approx(56, abs=8)


@needs_reset
def test_two_profilers_do_not_spoil_each_others_peaks():
    watch = MemoryWatch()
    held(48)
    with Profiler(CpuTimeMeter()).region("r"):
        pass
    inner = MemoryWatch()
    assert watch.close().bytes - inner.close().bytes == pytest.approx(48 * MB, abs=8 * MB)


def test_a_peak_that_cannot_be_reset_is_exact_if_it_rose_and_a_bound_if_not(monkeypatch):
    lifetime = [100]
    monkeypatch.setattr(memory_module, "reset_peak", lambda: False)
    monkeypatch.setattr(memory_module, "peak_bytes", lambda: lifetime[0])
    quiet, loud = MemoryWatch(), MemoryWatch()
    assert quiet.close() == Peak(100, "bound")
    lifetime[0] = 300
    assert loud.close() == Peak(300, "measured")


def test_a_peak_that_cannot_be_read_is_absent_not_zero(monkeypatch):
    monkeypatch.setattr(memory_module, "peak_bytes", lambda: None)
    p = Profiler(CpuTimeMeter())
    with p.region("r"):
        pass
    region = p.report().regions["r"]
    assert (region.peak_memory_bytes, region.peak_memory_kind) == (None, "absent")
    assert "?" in str(p.report())
