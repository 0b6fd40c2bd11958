# SPDX-License-Identifier: BSD-3-Clause
"""Random lives of a counter: the truth lies in [lo, hi], or the reading is absent.

A trace is a package whose power steps, also within a refresh, and whose counter wraps, is reset
to 0, stands still for 2.5 s or more (and then catches up, or has lost what was used), tells
nonsense or cannot be read.  Regions of .3 ms to 20 s lie anywhere in it, polled as the sampler
does.  In the suite there are a few hundred; for 10,000, and a table of what they were like:

    python tests/test_green_traces.py 10000
"""

import sys
import tempfile
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from test_green_fakes import COUNTS, FakeTree, profiler

KINDS = ("clean", "resets", "stalls", "bad reads", "failed reads", "all")


class Trace(FakeTree):
    """One package driven by random events; its file is never written, reads are answered."""

    def __init__(self, base, kind, seed):
        super().__init__(base)
        self.rng = np.random.default_rng([KINDS.index(kind), seed])
        rng = self.rng
        declared = None if rng.random() < 0.3 else int(rng.integers(15, 300)) * 10**6
        self.ceiling = 1000.0 if declared is None else max(2 * declared / 1e6, 100.0)
        range_uj = int(rng.choice([65532610987, 262143328850, 262143999938]))
        start = int(rng.integers(COUNTS))
        if rng.random() < 0.5:  # so that it wraps soon
            start = COUNTS - int(10 ** rng.uniform(0, 12.5) / (range_uj * 1e3 / COUNTS))
        self.package = self.zone(
            "intel-rapl:0",
            "package-0",
            range_uj=range_uj,
            start=start,
            refresh_ns=1_000_000,
            max_power_uw=declared,
        )
        self.step_s = float(rng.choice([0.0004, 0.02, 0.5, 5.0]))
        self.next_step = self.clock.ns
        self.odds = {
            "bad": 0.04 if kind in ("bad reads", "all") else 0.0,
            "failed": 0.1 if kind in ("failed reads", "all") else 0.0,
        }
        self.next = {}
        self.every = {"reset": 6.0, "stall": 12.0}
        for event, kinds in (("reset", "resets"), ("stall", "stalls")):
            if kind in (kinds, "all"):
                self.schedule(event)
        self.stalled = None
        self.seen = Counter()

    def schedule(self, event):
        self.next[event] = self.clock.ns + round(self.rng.exponential(self.every[event]) * 1e9)

    def advance(self, seconds, watts=None):
        """Let time pass from event to event."""
        end = self.clock.ns + round(seconds * 1e9)
        while self.clock.ns < end:
            if self.clock.ns >= self.next_step:
                self.package.watts = int(np.ceil(10 ** self.rng.uniform(0, np.log10(self.ceiling))))
                self.package.watts = min(self.package.watts, int(self.ceiling))
                wait = max(self.rng.exponential(self.step_s), 1e-5)
                self.next_step = self.clock.ns + round(wait * 1e9)
            due = [t for t in (self.next_step, *self.next.values()) if t > self.clock.ns]
            ns = min([end, *due]) - self.clock.ns
            self.package.advance(ns)
            self.clock.ns += ns
            for event in [e for e, t in self.next.items() if t <= self.clock.ns]:
                self.happen(event)

    def happen(self, event):
        zone = self.package
        self.seen[event] += 1
        if event == "reset":
            zone.start = -int(zone.shown_nj // zone.unit)
            self.schedule("reset")
        elif event == "stall":
            self.stalled = (zone.microjoules, int(zone.shown_nj // zone.unit))
            del self.next["stall"]
            self.next["resume"] = self.clock.ns + round(self.rng.uniform(2.5, 20) * 1e9)
        else:
            if self.rng.random() < 0.5:  # what was used meanwhile is lost
                zone.start -= int(zone.shown_nj // zone.unit) - self.stalled[1]
            self.stalled = None
            del self.next["resume"]
            self.schedule("stall")

    def pread(self, descriptor, size, offset):
        if self.rng.random() < self.odds["failed"]:
            self.seen["failed"] += 1
            raise OSError(5, "Input/output error")
        shown = self.package.microjoules if self.stalled is None else self.stalled[0]
        if self.rng.random() < self.odds["bad"]:
            self.seen["bad"] += 1
            shown = int(self.rng.choice([0, self.rng.integers(self.package.range_uj)]))
        return f"{shown}\n".encode()


def live(kind, seed):
    """Run a trace; return its regions as (truth in J, reading), its ceiling, and its events."""
    with tempfile.TemporaryDirectory() as base:
        trace = Trace(base, kind, seed)
        rng, truths = trace.rng, []
        with mock.patch("os.pread", trace.pread):
            p = profiler(trace)
            for i in range(int(rng.integers(1, 5))):
                trace.advance(float(10 ** rng.uniform(-4, 0.7)))
                with p.region(f"r{i}"):
                    before = trace.package.true_nj
                    left = float(10 ** rng.uniform(-3.5, 1.3))
                    while left > 0:
                        part = min(left, rng.uniform(1.0, 1.1))
                        trace.advance(part)
                        left -= part
                        if left > 0:
                            p.poll()
                    truths.append(float(trace.package.true_nj - before) / 1e9)
            readings = [region.energy for region in p.report().regions.values()]
        return list(zip(truths, readings, strict=True)), trace


def holds(truth, reading):
    return reading.hi is None or reading.lo - 1e-9 <= truth <= reading.hi + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_lies_in_the_interval_or_the_reading_is_absent(kind):
    for seed in range(15):
        for truth, reading in live(kind, seed)[0]:
            assert holds(truth, reading), (seed, truth, reading)
            assert (reading.kind == "absent") == (reading.joules is None)


def test_a_clean_counter_is_measured_to_its_refresh_and_wraps_alone_widen():
    for seed in range(20):
        regions, trace = live("clean", seed)
        top = trace.package.start + trace.package.shown_nj // trace.package.unit
        for truth, reading in regions:
            assert reading.kind == "measured"
            if trace.package.start > 0.02 * COUNTS and top < COUNTS:
                lag = trace.ceiling * 1e-3 + 1e-4
                assert abs(reading.joules - truth) <= lag
                assert reading.hi - reading.lo <= 2 * lag + 1e-9


def main(traces):
    """Print, per kind of trace, how often the truth was held and what was said instead."""
    missed = 0
    print(f"{'kind':14}{'traces':>8}{'regions':>9}{'held':>8}{'absent':>8}{'width':>10}  events")
    for k, kind in enumerate(KINDS):
        count = traces // len(KINDS) + (k < traces % len(KINDS))
        found, events = [], Counter()
        for seed in range(count):
            regions, trace = live(kind, seed)
            found += regions
            events += trace.seen
            for truth, reading in regions:
                if not holds(truth, reading):
                    print(f"MISSED {kind} {seed}: {truth:g} J, {reading}")
        held = sum(holds(*pair) for pair in found)
        missed += len(found) - held
        known = [(t, r) for t, r in found if r.hi is not None and t > 1]
        width = np.median([(r.hi - r.lo) / t for t, r in known])
        absent = sum(r.hi is None for _, r in found)
        said = ", ".join(f"{n} {e}" for e, n in sorted(events.items())) or "none"
        print(f"{kind:14}{count:8}{len(found):9}{held:8}{absent:8}{width:9.1%}  {said}")
    return missed


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)))
