# SPDX-License-Identifier: BSD-3-Clause
"""Measured energy of NVIDIA cards, from the counter of their driver (extra ``[energy]``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..machine import suspended_ns
from .base import STILL_REFRESHES, Availability, Domain
from .counted import CounterMeter

_REFRESH_NS = 100_000_000
_SETTLE_S = 1.1 * STILL_REFRESHES * _REFRESH_NS / 1e9
_MILLIJOULE_NJ = 10**6
_MODULUS_NJ = 2**64 * _MILLIJOULE_NJ
_CEILING_W = 2000.0
_LEAST_CEILING_W = 100.0
_POLL_S = 1.0


@dataclass(frozen=True)
class Card:
    """One card: its label, the handle of the driver, its limits."""

    label: str
    handle: Any
    domain: Domain
    unit_nj: int = _MILLIJOULE_NJ


class NvmlMeter(CounterMeter[Card]):
    """Energy counters of all NVIDIA cards, memory and board included.

    Differences of ``nvmlDeviceGetTotalEnergyConsumption``, mJ since the driver was loaded.  Power
    is never sampled instead: a card without the counter makes the meter not work, as a sum
    without one would not be the machine's.  The counter is taken to be brought up to date every
    .1 s or faster, so regions under 10 s are flagged ``"short-window"``, and their ends wait .33 s
    to see that it moves.

    Parameters
    ----------
    nvml : module, optional
        What stands in for ``pynvml`` (package ``nvidia-ml-py``).
    clock, asleep, sleep : callable
        As of `PowercapMeter`.

    Examples
    --------
    >>> NvmlMeter().probe().ok in (True, False)
    True
    """

    name = "nvml"
    settle_s = _SETTLE_S
    poll_interval_s = _POLL_S

    def __init__(
        self,
        nvml: Any = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        asleep: Callable[[], int] = suspended_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._nvml = nvml
        super().__init__(clock, asleep, sleep)

    def probe(self) -> Availability:
        """Find the cards and say whether all have a counter."""
        self._counters = []
        if self._nvml is None:
            try:
                self._nvml = import_module("pynvml")
            except ImportError:
                self._reason = "pynvml is not installed: pip install 'fastcone[energy]'"
                return Availability(False, self._reason)
        cards = []
        try:
            self._nvml.nvmlInit()
            for index in range(self._nvml.nvmlDeviceGetCount()):
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                cards.append(Card(f"GPU{index}", handle, self._domain(handle)))
        except self._nvml.NVMLError as error:
            self._reason = f"GPU{len(cards)}: {error}" if cards else str(error)
            return Availability(False, self._reason)
        self._counters = cards
        self._reason = f"reads {self.scope}" if cards else "no card"
        return Availability(bool(cards), self._reason)

    def _raw(self, counter: Card) -> int | None:
        try:
            shown = self._nvml.nvmlDeviceGetTotalEnergyConsumption(counter.handle)
        except self._nvml.NVMLError:
            return None
        return int(shown * _MILLIJOULE_NJ)

    def _domain(self, handle: Any) -> Domain:
        """Return the limits of a card: twice the most its power may be set to, for short peaks."""
        try:
            watts = self._nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[1] / 1e3
        except self._nvml.NVMLError:
            watts = 0.0
        ceiling = min(max(2 * watts, _LEAST_CEILING_W), _CEILING_W) if watts else _CEILING_W
        return Domain(_MODULUS_NJ, ceiling, refresh_ns=_REFRESH_NS)
