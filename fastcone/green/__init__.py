# SPDX-License-Identifier: BSD-3-Clause
"""What a computation costs: time, CPU time, peak memory, energy, carbon.

    Profiler      named, nested regions; report() gives a Region per name
    Reading       joules with kind (measured, modelled, absent), scope and interval
    PowercapMeter energy counters of the CPU packages, where Linux shows them
    CpuTimeMeter  CPU time times watts per core: a model, for everywhere else
    doctor        which meters work here, and why the others do not
    carbon        kWh to grams of CO2e
    break_even    from how many tasks, and up to how many items, reuse beats retraining

This package needs the standard library and NumPy, and nothing else of fastcone.  docs/green.md
says how it measures and what it refuses to say.

Examples
--------
>>> from fastcone.green import CpuTimeMeter, Profiler
>>> p = Profiler(CpuTimeMeter())
>>> with p.region("train"):
...     total = sum(i * i for i in range(10_000))
>>> energy = p.report().regions["train"].energy
>>> energy.kind, energy.joules > 0
('modelled', True)
"""

from .breakeven import BreakEven, break_even
from .carbon import Carbon, carbon
from .doctor import Check, Diagnosis, doctor
from .measure import measure
from .memory import MemoryWatch, Peak
from .meters.base import Accumulator, Availability, Domain, Meter, Sample, Tally
from .meters.cputime import CpuTimeMeter
from .meters.powercap import PowercapMeter
from .profiler import Profiler, default_meter
from .reading import Reading
from .report import Region, Report
from .scenario import Count

__all__ = [
    "Accumulator",
    "Availability",
    "BreakEven",
    "Carbon",
    "Check",
    "Count",
    "CpuTimeMeter",
    "Diagnosis",
    "Domain",
    "MemoryWatch",
    "Meter",
    "Peak",
    "PowercapMeter",
    "Profiler",
    "Reading",
    "Region",
    "Report",
    "Sample",
    "Tally",
    "break_even",
    "carbon",
    "default_meter",
    "doctor",
    "measure",
]
