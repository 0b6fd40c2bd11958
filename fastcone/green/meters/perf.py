# SPDX-License-Identifier: BSD-3-Clause
"""Measured energy of CPU packages and their memory, from the perf events of Linux.

The same counters as powercap shows, for users whom the kernel lets watch the whole machine
(``perf_event_paranoid`` of 0 or less, or CAP_PERFMON) but not read powercap, which is for root.
The kernel extends them to 64 bits, counted from when we open them, so they neither wrap nor are
they reset; a unit is 2^-32 J.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..machine import in_virtual_machine, suspended_ns
from .base import REFRESH_NS, STILL_REFRESHES, Availability, Domain
from .counted import CounterMeter

_EVENTS = {"energy-pkg": "package", "energy-ram": "dram"}
_DOMAIN = Domain(ceiling_w=1000.0, may_reset=False)
_SYSCALL = {"x86_64": 298}
_SETTLE_S = 1.1 * STILL_REFRESHES * REFRESH_NS / 1e9
_POLL_S = 1.0

OpenEvent = Callable[[int, int, int], int]


@dataclass(frozen=True)
class Event:
    """One event that has been opened: its label, its descriptor, its unit in nJ."""

    label: str
    descriptor: int
    scale_nj: Fraction
    domain: Domain = _DOMAIN
    unit_nj: int = 61_035


class PerfMeter(CounterMeter[Event]):
    """Energy counters of the CPU packages, as Linux shows them as perf events.

    Read are ``energy-pkg`` and, where there is one, ``energy-ram``, of one CPU of every package.
    Where several dies of a package are named it cannot be known whether they mirror one counter,
    so the meter does not work there; `PowercapMeter` can tell.

    Parameters
    ----------
    root : str or Path
        Folder of the event source.
    cpus : str or Path
        Folder with the topology of the CPUs.
    open_event : callable
        Takes type, config and CPU, returns a descriptor, raises OSError.
    clock, asleep, sleep : callable
        As of `PowercapMeter`.

    Examples
    --------
    >>> print(PerfMeter(root="/no/such/folder").probe())
    no: cannot read /no/such/folder/type: ENOENT
    """

    name = "perf"
    settle_s = _SETTLE_S
    poll_interval_s = _POLL_S

    def __init__(
        self,
        root: str | Path = "/sys/bus/event_source/devices/power",
        *,
        cpus: str | Path = "/sys/devices/system/cpu",
        open_event: OpenEvent | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        asleep: Callable[[], int] = suspended_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.root, self._cpus = Path(root), Path(cpus)
        self._open = perf_event_open if open_event is None else open_event
        super().__init__(clock, asleep, sleep)

    def probe(self) -> Availability:
        """Open the events and say whether that is allowed."""
        self.close()
        try:
            self._find()
        except OSError as error:
            self.close()
            self._reason = _explain(error)
        except ValueError as error:
            self.close()
            self._reason = str(error)
        else:
            self._reason = f"reads {self.scope}"
        return Availability(bool(self._counters), self._reason)

    def _raw(self, counter: Event) -> int | None:
        try:
            (count,) = struct.unpack("=Q", os.read(counter.descriptor, 8))
        except (OSError, struct.error):  # an event of a CPU taken away ends
            return None
        return int(count * counter.scale_nj)

    def _flags(self) -> tuple[str, ...]:
        return ("vm",) if in_virtual_machine() else ()

    def close(self) -> None:
        """Close the events; `probe` opens them again."""
        for event in self._counters:
            os.close(event.descriptor)
        self._counters = []

    def __del__(self) -> None:
        if hasattr(self, "_counters"):
            self.close()

    def _find(self) -> None:
        kind = int(self._text("type"))
        packages: dict[int, int] = {}
        for cpu in _cpu_list(self._text("cpumask")):
            topology = self._cpus / f"cpu{cpu}" / "topology" / "physical_package_id"
            package = int(topology.read_text("ascii"))
            if package in packages:
                raise ValueError(
                    f"package {package} has several dies, which may mirror one counter"
                )
            packages[package] = cpu
        for event, name in _EVENTS.items():
            if event != "energy-pkg" and not (self.root / "events" / event).exists():
                continue
            config = int(self._text(f"events/{event}").removeprefix("event="), 16)
            scale = Fraction(self._text(f"events/{event}.scale"))
            for package, cpu in sorted(packages.items()):
                descriptor = self._open(kind, config, cpu)
                self._counters.append(Event(f"{name}-{package}", descriptor, scale * 10**9))

    def _text(self, name: str) -> str:
        return (self.root / name).read_text("ascii").strip()


def _cpu_list(text: str) -> list[int]:
    """Return the numbers of a list such as ``0,18-19``."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _explain(error: OSError) -> str:
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    if error.filename is not None:
        return f"cannot read {error.filename}: {code}"
    helps = "needs perf_event_paranoid <= 0 or CAP_PERFMON"
    return f"cannot open the event: {code}" + (f"; {helps}" if code in ("EACCES", "EPERM") else "")


def perf_event_open(kind: int, config: int, cpu: int) -> int:
    """Open a counting event of one CPU, all processes, and return its descriptor.

    Examples
    --------
    >>> try:
    ...     descriptor = perf_event_open(2**31, 0, 0)
    ... except OSError:
    ...     print("no such event")
    no such event
    """
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, "no system call known")
    size = 64  # the first version of the struct: type, size, config and zeros
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", kind, size, config), size)
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_int(-1), ctypes.c_int(cpu), ctypes.c_int(-1), ctypes.c_ulong(8))
    descriptor = int(libc.syscall(ctypes.c_long(number), attributes, *arguments))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "perf_event_open failed")
    return descriptor
