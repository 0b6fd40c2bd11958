# SPDX-License-Identifier: BSD-3-Clause
"""What each step of a study cost, in the form ``study.json`` keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from fastcone.green import Profiler, Reading, Region, carbon

T = TypeVar("T")
Cost = dict[str, Any]

WINDOW_S = 0.2
MOST_RUNS = 50


class Account:
    """Measure steps with one profiler.

    Parameters
    ----------
    intensity : float or None
        Carbon intensity of the electricity, g CO2e per kWh; None leaves carbon unknown.
    pue : float
        Power usage effectiveness of the facility, >= 1.
    """

    def __init__(self, intensity: float | None = None, pue: float = 1.0) -> None:
        self._profiler = Profiler()
        self._intensity, self._pue = intensity, pue
        self._steps = 0

    @property
    def meters(self) -> dict[str, str]:
        """The meters in use, and what their probes said."""
        return self._profiler.report().meters

    def once(self, work: Callable[[], T]) -> tuple[T, Cost]:
        """Run a step and return its result and its cost."""
        return self._run(work, 0.0)

    def steady(self, work: Callable[[], T]) -> tuple[T, Cost]:
        """Run a step again until 0.2 s have passed; return its result and the mean cost of a run.

        Clocks and counters are too coarse for a step of a millisecond. Such a step is run again,
        and its first run, which loads what has to be loaded, is not counted.
        """
        result, first = self._run(work, 0.0)
        if first["seconds"] >= WINDOW_S:
            return result, first
        return result, self._run(work, WINDOW_S)[1]

    def _run(self, work: Callable[[], T], window_s: float) -> tuple[T, Cost]:
        self._steps += 1
        name = f"step {self._steps}"
        start, runs = time.perf_counter(), 0
        with self._profiler.region(name):
            while True:
                result = work()
                runs += 1
                if time.perf_counter() - start >= window_s or runs == MOST_RUNS:
                    break
        return result, self._cost(self._profiler.report().regions[name], runs)

    def _cost(self, region: Region, runs: int) -> Cost:
        grams, energy = None, region.energy / runs
        if self._intensity is not None:
            grams = carbon(kwh=energy.kwh, intensity=self._intensity, pue=self._pue).grams
        return {
            "seconds": region.seconds / runs,
            "cpu_seconds": region.cpu_seconds / runs,
            "peak_memory_bytes": region.peak_memory_bytes,
            "energy": _energy(energy),
            "carbon_g": grams,
        }


def _energy(reading: Reading) -> dict[str, Any]:
    plain = {key: getattr(reading, key) for key in ("joules", "lo", "hi", "kind", "meter", "scope")}
    return {**plain, "flags": list(reading.flags)}


def added(first: Cost, second: Cost | None) -> Cost:
    """Return the cost of two steps together; energy of the worse kind, the larger peak."""
    if second is None:
        return first
    a, b = first["energy"], second["energy"]
    kinds = ("measured", "modelled", "absent")
    kind = max(a["kind"], b["kind"], key=kinds.index)
    energy = {key: _sum(a[key], b[key]) for key in ("joules", "lo", "hi")}
    same = {key: a[key] for key in ("meter", "scope")}
    flags = list(dict.fromkeys([*a["flags"], *b["flags"]]))
    peaks = [c["peak_memory_bytes"] for c in (first, second) if c["peak_memory_bytes"] is not None]
    return {
        "seconds": first["seconds"] + second["seconds"],
        "cpu_seconds": first["cpu_seconds"] + second["cpu_seconds"],
        "peak_memory_bytes": max(peaks, default=None),
        "energy": {**energy, "kind": kind, **same, "flags": flags},
        "carbon_g": _sum(first["carbon_g"], second["carbon_g"]),
    }


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
