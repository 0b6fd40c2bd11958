# SPDX-License-Identifier: BSD-3-Clause
"""What a profiler hands back: one `Region` per name, and the meters it used."""

from __future__ import annotations

import csv
import io
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .reading import Reading, significant

_COLUMNS = (
    "project_name",
    "duration",
    "energy_consumed",
    "cpu_seconds",
    "energy_lo",
    "energy_hi",
    "energy_kind",
    "meter",
    "scope",
    "flags",
    "cpu_energy",
    "gpu_energy",
    "os",
    "python_version",
    "cpu_count",
)
_CPU, _GPU = ("package-", "process CPU"), ("GPU",)


@dataclass(frozen=True)
class Region:
    """What the regions of one name cost, taken together.

    Inclusive values hold what nested regions cost, exclusive values do not: for every region,
    inclusive = exclusive + the sum of the inclusive values of the regions directly inside it.

    Parameters
    ----------
    count : int
        How often a region of this name was closed.
    seconds, exclusive_seconds : float
        Wall-clock time, s.
    cpu_seconds, exclusive_cpu_seconds : float
        User and system time of this process and of its children that have ended, s.
    peak_memory_bytes : int or None
        Largest resident memory of this process while a region of this name was open, what was
        there before included, bytes.
    peak_memory_kind : str
        ``"measured"``, ``"bound"`` (it was this or less) or ``"absent"``.
    energy, exclusive_energy : Reading
        From the first meter of the profiler.
    readings : mapping
        Meter name to inclusive reading.  Never summed: scopes may overlap.
    """

    count: int
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int | None
    peak_memory_kind: str
    energy: Reading
    exclusive_seconds: float
    exclusive_cpu_seconds: float
    exclusive_energy: Reading
    readings: Mapping[str, Reading] = field(hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the region as plain JSON values."""
        return {
            "count": self.count,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "peak_memory_kind": self.peak_memory_kind,
            "energy": self.energy.as_dict(),
            "exclusive": {
                "seconds": self.exclusive_seconds,
                "cpu_seconds": self.exclusive_cpu_seconds,
                "energy": self.exclusive_energy.as_dict(),
            },
            "readings": {name: r.as_dict() for name, r in self.readings.items()},
        }


@dataclass(frozen=True)
class Report:
    """The regions closed so far, in the order they were first opened.

    Parameters
    ----------
    regions : dict
        Region name to `Region`.
    meters : dict
        Meter name to what its probe said.

    Examples
    --------
    >>> from fastcone.green import Profiler
    >>> p = Profiler()
    >>> with p.region("train"):
    ...     pass
    >>> report = p.report()
    >>> list(report.regions), report.regions["train"].count
    (['train'], 1)
    >>> sorted(report.as_dict())
    ['meters', 'regions']
    """

    regions: dict[str, Region]
    meters: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "regions": {name: region.as_dict() for name, region in self.regions.items()},
            "meters": dict(self.meters),
        }

    def without_memory(self) -> Report:
        """Return the report with its peaks of memory absent, where they tell of another process."""
        regions = {
            name: replace(region, peak_memory_bytes=None, peak_memory_kind="absent")
            for name, region in self.regions.items()
        }
        return Report(regions, dict(self.meters))

    def to_csv(self) -> str:
        """Return a table, a region a line, with the columns that codecarbon's files have as well.

        ``duration`` s; ``energy_consumed``, ``cpu_energy`` (where a meter counts CPUs alone) and
        ``gpu_energy``, kWh; ``os``, ``python_version``, ``cpu_count``.  Beside them what codecarbon
        does not say: ``cpu_seconds``, ``energy_lo``, ``energy_hi``, ``energy_kind``, ``meter``,
        ``scope`` and ``flags``.  An unknown is an empty cell, never 0; carbon is not in it, as it
        needs an intensity.

        Examples
        --------
        >>> print(Report({}, {}).to_csv().split(",")[:3])
        ['project_name', 'duration', 'energy_consumed']
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        for name, region in self.regions.items():
            e = region.energy
            kwh = [None if j is None else j / 3.6e6 for j in (e.joules, e.lo, e.hi)]
            table.writerow(
                [
                    *(name, region.seconds, kwh[0], region.cpu_seconds, *kwh[1:]),
                    *(e.kind, e.meter, e.scope, " ".join(e.flags)),
                    *(_kwh_of(region, _CPU), _kwh_of(region, _GPU)),
                    *(platform.platform(), platform.python_version(), os.cpu_count()),
                ]
            )
        return text.getvalue()

    def __str__(self) -> str:
        model = _one_model(self.regions.values())
        last = "notes" if model else "energy"
        head = ("region", "runs", "seconds", "CPU s", "peak MiB", last)
        rows = [head, *(_row(name, r, bool(model)) for name, r in self.regions.items())]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:5], widths[1:5], strict=True)]
            lines.append("  ".join([*cells, row[5]]).rstrip())
        if model:
            lines.append(f"energy: CPU s x {model} W per core, a model, not measured")
        lines += [f"meter {name}: {said}" for name, said in self.meters.items()]
        return "\n".join(lines)


def _kwh_of(region: Region, parts: tuple[str, ...]) -> float | None:
    """Return the energy of the first meter that counts these parts and no other, kWh."""
    for reading in region.readings.values():
        if reading.joules is not None and all(
            p.startswith(parts) for p in reading.scope.split("+")
        ):
            return reading.kwh
    return None


def _one_model(regions: Iterable[Region]) -> str:
    """Return the watts where every joule is CPU time times these: a column would say no more."""
    found = {
        "/".join(f"{w:g}" for w in r.energy.params.get("watts_per_core", ()))
        if (r.energy.kind, r.energy.meter) == ("modelled", "cpu-time")
        else ""
        for r in regions
    }
    return found.pop() if len(found) == 1 else ""


def _row(name: str, region: Region, model: bool) -> tuple[str, ...]:
    memory = "?"
    if region.peak_memory_bytes is not None:
        bound = "<=" if region.peak_memory_kind == "bound" else ""
        memory = f"{bound}{region.peak_memory_bytes / 2**20:.1f}"
    times = (significant(region.seconds, 4), significant(region.cpu_seconds, 4))
    last = ", ".join(region.energy.flags) if model else str(region.energy)
    return (name, str(region.count), *times, memory, last)
