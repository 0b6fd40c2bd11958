# SPDX-License-Identifier: BSD-3-Clause
"""When to stop: a time limit that every thread of a job looks at between its kernel calls."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from fastcone._runtime.validation import number


class Expired(Exception):
    """The time is up, or another thread has failed: what is not finished stays as it is."""


class Deadline:
    """A moment, `seconds` from now (never, if None), or sooner if the job is cancelled."""

    def __init__(self, seconds: float | None = None) -> None:
        self.end = math.inf if seconds is None else time.monotonic() + seconds
        self.cancelled = False

    @classmethod
    def checked(cls, time_limit: float | None) -> Deadline:
        """Return the deadline of a caller's `time_limit`, or raise for a bad one."""
        if time_limit is not None:
            time_limit = number("time_limit", time_limit, positive=True)
        return cls(time_limit)

    def passed(self) -> bool:
        """Return whether to stop."""
        return self.cancelled or time.monotonic() > self.end

    def left(self) -> float | None:
        """Return the seconds left as a `time_limit` for what is called next, None for no limit."""
        return None if self.end == math.inf else max(self.end - time.monotonic(), 1e-9)

    def share(self, most: float) -> float:
        """Return the seconds that something else may take: those left, `most` at most."""
        return min(most, max(self.end - time.monotonic(), 0.0))

    def check(self) -> float:
        """Return the seconds left; raise `Expired` if there are none."""
        if self.passed():
            raise Expired
        return self.end - time.monotonic()

    def part(self, share: float) -> Deadline:
        """Return the moment when this share of the time left is over."""
        return self if self.end == math.inf else Deadline(share * max(self.check(), 0.0))

    def slices(self, count: int, step: int) -> Iterator[slice]:
        """Cut 0..count into slices of `step`, looking at the time between them (`Expired`)."""
        for first in range(0, count, step):
            if first:
                self.check()
            yield slice(first, min(first + step, count))

    def cancel(self) -> None:
        """Make every thread stop after the kernel call under way."""
        self.cancelled = True
