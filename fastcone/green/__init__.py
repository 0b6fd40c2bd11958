# SPDX-License-Identifier: BSD-3-Clause
"""What a computation costs: time, CPU time, peak memory, energy, carbon.

    Profiler      named, nested regions; report() gives a Region per name
    Reading       joules with kind (measured, modelled, absent), scope and interval
    PowercapMeter energy counters of the CPU packages, where Linux shows them
    PerfMeter     the same counters as perf events; NvmlMeter: those of NVIDIA cards
    CodecarbonMeter  what codecarbon says, to cross_check another meter
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
from .crosscheck import cross_check
from .doctor import Check, Diagnosis, doctor
from .measure import measure
from .memory import MemoryWatch, Peak
from .meters.base import Accumulator, Availability, Domain, Meter, Sample, Tally
from .meters.codecarbon import CodecarbonMeter
from .meters.cputime import CpuTimeMeter
from .meters.nvml import NvmlMeter
from .meters.perf import PerfMeter
from .meters.powercap import PowercapMeter
from .notebook import load_ipython_extension
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
    "CodecarbonMeter",
    "Count",
    "CpuTimeMeter",
    "Diagnosis",
    "Domain",
    "MemoryWatch",
    "Meter",
    "NvmlMeter",
    "Peak",
    "PerfMeter",
    "PowercapMeter",
    "Profiler",
    "Reading",
    "Region",
    "Report",
    "Sample",
    "Tally",
    "break_even",
    "carbon",
    "cross_check",
    "default_meter",
    "doctor",
    "load_ipython_extension",
    "measure",
]
