# SPDX-License-Identifier: BSD-3-Clause
"""Peak resident memory of a region.

Linux keeps one high-water mark per process, ``VmHWM``, and resets it to the present size when 5
is written to ``/proc/self/clear_refs``.  A reset inside a region would lose the peak before it.
So every mark is read before it is reset, and counted for all regions open at that time:

    peak(region) = max over the pieces between the marks set while it was open

Where the mark cannot be reset, the peak of the whole process is read instead.  If it rose during
the region, the region rose to it and the value is exact; if not, it is only a bound from above.
``ru_maxrss`` of a child is of no use: on Linux it starts at the size of its parent.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

STATUS = "/proc/self/status"
CLEAR_REFS = "/proc/self/clear_refs"


@dataclass(frozen=True)
class Peak:
    """A peak of resident memory.

    ``kind`` is ``"measured"``, ``"bound"`` (the region's peak is this or less) or ``"absent"``.
    Two peaks combine to the larger one; the result is no better known than it can be.

    Examples
    --------
    >>> Peak(5, "measured").joined(Peak(3, "bound"))
    Peak(bytes=5, kind='measured')
    >>> Peak(5, "bound").joined(Peak(3, "measured"))
    Peak(bytes=5, kind='bound')
    """

    bytes: int | None
    kind: str

    def joined(self, other: Peak) -> Peak:
        """Return the peak of two windows taken together."""
        if self.bytes is None or other.bytes is None:
            return Peak(None, "absent")
        if self.bytes == other.bytes:
            return self if self.kind == "measured" else other
        return max(self, other, key=lambda peak: peak.bytes or 0)


class MemoryWatch:
    """Peak resident memory of this process from construction to `close`.

    Several may be open at once, nested or not.  Children's memory is not in it.  Kernels since
    6.2 keep the size per CPU and bring it up to date in batches, so it is exact to some 100 kB on
    a small machine, some MB on a large one.  Resetting the mark also lowers what
    ``resource.getrusage(RUSAGE_SELF).ru_maxrss`` reports afterwards.

    Examples
    --------
    >>> watch = MemoryWatch()
    >>> block = bytearray(8 * 2**20)
    >>> peak = watch.close()
    >>> peak.kind in ("measured", "bound", "absent")
    True
    """

    _lock = threading.Lock()
    _open: ClassVar[list[MemoryWatch]] = []

    def __init__(self) -> None:
        self._peak: int | None = None
        with MemoryWatch._lock:
            self._resettable = _mark(MemoryWatch._open)
            self._start = peak_bytes()
            MemoryWatch._open.append(self)

    def close(self) -> Peak:
        """Stop watching and return the peak."""
        with MemoryWatch._lock:
            _mark(MemoryWatch._open)
            MemoryWatch._open.remove(self)
        if self._peak is None:
            return Peak(None, "absent")
        rose = self._start is not None and self._peak > self._start
        return Peak(self._peak, "measured" if rose or self._resettable else "bound")


def _forget_after_fork() -> None:
    """Give a forked child its own list; the watches of its parent are not its own."""
    MemoryWatch._lock = threading.Lock()
    MemoryWatch._open = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def _mark(watches: list[MemoryWatch]) -> bool:
    """Count the peak since the last mark for these watches; return whether it could be reset."""
    peak = peak_bytes()
    for watch in watches:
        if peak is not None:
            watch._peak = max(peak, watch._peak or 0)
    return reset_peak()


def peak_bytes() -> int | None:
    """Return the peak resident memory since the last reset, bytes; None where unknown.

    Examples
    --------
    >>> peak_bytes() is None or peak_bytes() > 0
    True
    """
    try:
        with open(STATUS, encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def reset_peak() -> bool:
    """Reset the peak to the present size; return whether that worked.

    Examples
    --------
    >>> reset_peak() in (True, False)
    True
    """
    try:
        with open(CLEAR_REFS, "w", encoding="ascii") as file:
            file.write("5\n")
    except OSError:
        return False
    return True
