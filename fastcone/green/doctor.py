# SPDX-License-Identifier: BSD-3-Clause
"""Which meters work on this machine, and why the others do not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .machine import in_virtual_machine
from .memory import MemoryWatch
from .meters.base import Meter
from .meters.children import resource
from .meters.codecarbon import CodecarbonMeter
from .meters.cputime import CpuTimeMeter
from .meters.nvml import NvmlMeter
from .meters.perf import PerfMeter
from .meters.powercap import PowercapMeter


@dataclass(frozen=True)
class Check:
    """One meter or source: what it gives, whether it works here, and why or why not."""

    name: str
    kind: str
    ok: bool
    reason: str


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    Parameters
    ----------
    meters : tuple of Check
        Sources of joules, best first.
    sources : tuple of Check
        Sources of time, CPU time and memory, and meters taken only where they are asked for.
    chosen : str or None
        The meter ``Profiler()`` uses here: the first that works.
    notes : tuple of str
        What else limits the account on this machine.
    """

    meters: tuple[Check, ...]
    sources: tuple[Check, ...]
    chosen: str | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON values."""
        return {
            "meters": [asdict(check) for check in self.meters],
            "sources": [asdict(check) for check in self.sources],
            "chosen": self.chosen,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        checks = [*self.meters, *self.sources]
        width = max(len(check.name) for check in checks)
        wide = max(len(check.kind) for check in checks)

        def line(check: Check) -> str:
            mark = "yes" if check.ok else "no "
            return f"  {mark}  {check.name:{width}}  {check.kind:{wide}}  {check.reason}"

        lines = ["energy meters", *map(line, self.meters), "other sources"]
        lines += [*map(line, self.sources), f"energy is read from: {self.chosen or 'nothing'}"]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def doctor(meters: Sequence[Meter] | None = None) -> Diagnosis:
    """Say which meters work here and why the others do not.  Nothing is printed.

    Parameters
    ----------
    meters : sequence of Meter, optional
        Meters to probe, best first; by default those a `Profiler` chooses from.

    Returns
    -------
    Diagnosis
        ``print`` it, or take ``as_dict()``.

    Examples
    --------
    >>> found = doctor()
    >>> [check.name for check in found.meters]
    ['rapl-powercap', 'perf', 'cpu-time']
    >>> all(check.reason for check in found.meters)
    True
    """

    def check(meter: Meter) -> Check:
        availability = meter.probe()
        return Check(meter.name, meter.kind, availability.ok, availability.reason)

    usual: tuple[Meter, ...] = (PowercapMeter(), PerfMeter(), CpuTimeMeter())
    probed = [check(meter) for meter in (usual if meters is None else meters)]
    beside = [check(meter) for meter in (NvmlMeter(), CodecarbonMeter())]
    chosen = next((check.name for check in probed if check.ok), None)
    notes = ["disks, fans and power supplies are not metered, cards only by NvmlMeter()"]
    if in_virtual_machine():
        notes.append("a virtual machine: an energy counter, if any, is the host's to interpret")
    if not any(check.ok and check.kind == "measured" for check in probed):
        notes.append("no joule is measured on this machine; CPU-seconds are the primary figure")
    return Diagnosis(tuple(probed), (_time(), _cpu(), _memory(), *beside), chosen, tuple(notes))


def _time() -> Check:
    info = time.get_clock_info("perf_counter")
    reason = f"{info.implementation}, step {info.resolution:g} s"
    return Check("seconds", "measured", info.monotonic, reason)


def _cpu() -> Check:
    info = time.get_clock_info("process_time")
    if resource is None:
        children = f"children are not counted on {sys.platform}"
    else:
        children = "and children once they have ended and been waited for"
    if not hasattr(os, "waitid"):
        children += "; running children cannot be noticed"
    return Check("cpu_seconds", "measured", True, f"{info.implementation}, {children}")


def _memory() -> Check:
    peak = MemoryWatch().close()
    reasons = {
        "measured": "peak resident memory of this process, reset for every region",
        "bound": "peak of the process's whole life: an upper bound unless the region raises it",
        "absent": f"no peak resident memory on {sys.platform}",
    }
    return Check("peak_memory_bytes", peak.kind, peak.bytes is not None, reasons[peak.kind])
