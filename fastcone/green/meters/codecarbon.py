# SPDX-License-Identifier: BSD-3-Clause
"""What codecarbon says, to set beside another meter (extra ``[codecarbon]``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..machine import in_virtual_machine
from ..reading import Reading
from .base import Availability, Domain, Sample, Tallies, all_flags

_ERROR = 0.4
_STALE_S = 0.05  # codecarbon measures anew only if its last sample is older
_ENOUGH_NS = 10**9
_NJ_PER_KWH = 3.6e15


class CodecarbonMeter:
    """Energy as codecarbon adds it up: of CPU, memory and cards, of the whole machine.

    It mixes counters, where it finds any, with tables and constants, and does not say which, so
    every joule is labelled modelled and its meter is ``"codecarbon"``.  It states no interval
    either; ``lo`` and ``hi`` are those of errors of 40 % of the truth, which models of this
    family have shown against a plug meter on hardware known by name (arXiv 2509.22092).  A window
    in which it took no sample is absent; under a second it is flagged ``"short-window"``.

    Parameters
    ----------
    tracker : callable, optional
        Stands in for ``codecarbon.OfflineEmissionsTracker``.
    clock, sleep : callable
        As of `PowercapMeter`.

    Examples
    --------
    >>> CodecarbonMeter().kind
    'modelled'
    """

    name = "codecarbon"
    kind = "modelled"
    scope = "machine"
    poll_interval_s = None

    def __init__(
        self,
        tracker: Callable[..., Any] | None = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._make, self._clock, self._sleep = tracker, clock, sleep
        self._tracker: Any = None
        self._heard = _Heard()
        self._reason = "never probed"
        self.domains = {"machine": Domain()}

    def probe(self) -> Availability:
        """Say whether codecarbon is installed."""
        if self._make is None:
            try:
                self._make = import_module("codecarbon").OfflineEmissionsTracker
            except ImportError:
                self._reason = "codecarbon is not installed: pip install 'fastcone[codecarbon]'"
                return Availability(False, self._reason)
        self._reason = "a mixture of counters, tables and constants, by codecarbon"
        return Availability(True, self._reason)

    def read(self) -> dict[str, Sample]:
        """Have codecarbon measure, and return what it has counted since it was started, nJ."""
        if self._make is None:
            return {}
        if self._tracker is None:
            # It logs while it reads that it must not.
            logging.getLogger("codecarbon").setLevel(logging.ERROR)
            self._tracker = self._make(
                country_iso_code="USA",  # it insists on one; its carbon is not used
                save_to_file=False,
                save_to_logger=True,
                logging_logger=self._heard,
                allow_multiple_runs=True,
                log_level="error",
            )
            self._tracker.start()
        self._heard.kwh = None
        self._tracker.flush()
        kwh = self._heard.kwh
        raw = None if kwh is None else round(kwh * _NJ_PER_KWH)
        return {"machine": Sample(raw, self._clock())}

    def settle(self, *, opening: bool) -> None:
        """Wait before a region, so that codecarbon takes a sample where it begins."""
        if opening and self._make is not None:
            self._sleep(1.1 * _STALE_S)

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Return what codecarbon counted in a window, labelled as its word."""
        tally = tallies.get("machine")
        flags = all_flags(tallies.values())
        window_s = window_ns / 1e9
        if tally is None or tally.gaps or tally.amount == 0:
            reason = self._reason if tally is None else "codecarbon took no sample in this window"
            return Reading.absent(
                self.name, self.scope, reason=reason, window_s=window_s, flags=flags
            )
        if window_ns < pieces * _ENOUGH_NS:
            flags += ("short-window",)
        joules = tally.amount / 1e9
        return Reading(
            joules,
            joules / (1 + _ERROR),
            joules / (1 - _ERROR),
            self.kind,
            self.name,
            self.scope,
            window_s=window_s,
            samples=tally.samples,
            flags=(*(("vm",) if in_virtual_machine() else ()), *flags),
            params={"error_assumed": _ERROR},
        )

    def close(self) -> None:
        """Stop codecarbon's own thread; the next read starts it again, from 0."""
        if self._tracker is not None:
            self._tracker.stop()
            self._tracker = None


class _Heard:
    """An output of codecarbon that keeps the energy it is told."""

    kwh: float | None = None

    def out(self, total: Any, delta: Any) -> None:
        self.kwh = float(total.energy_consumed)

    def live_out(self, total: Any, delta: Any) -> None:
        pass

    def task_out(self, data: Any, experiment_name: str) -> None:
        pass

    def exit(self) -> None:
        pass
