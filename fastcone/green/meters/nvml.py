# SPDX-License-Identifier: BSD-3-Clause
"""Measured energy of NVIDIA cards, from the counter of their driver (extra ``[energy]``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..machine import suspended_ns
from ..reading import Reading
from .base import STILL_REFRESHES, Availability, Domain, Sample, Tallies
from .counted import counted, scope_of

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


class NvmlMeter:
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
    kind = "measured"
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
        self._clock, self._asleep, self._sleep = clock, asleep, sleep
        self._cards: list[Card] = []
        self._reason = "never probed"

    @property
    def scope(self) -> str:
        """What is read, e.g. ``"GPU0+GPU1"``; ``"none"`` where nothing is."""
        return scope_of(self._cards)

    @property
    def domains(self) -> dict[str, Domain]:
        """The counters this meter reads."""
        return {card.label: card.domain for card in self._cards}

    def probe(self) -> Availability:
        """Find the cards and say whether all have a counter."""
        self._cards = []
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
        self._cards = cards
        self._reason = f"reads {self.scope}" if cards else "no card"
        return Availability(bool(cards), self._reason)

    def read(self) -> dict[str, Sample]:
        """Read every counter once, nJ; a sample without raw where a read failed."""
        asleep, samples = self._asleep(), {}
        for card in self._cards:
            try:
                raw = self._nvml.nvmlDeviceGetTotalEnergyConsumption(card.handle) * _MILLIJOULE_NJ
            except self._nvml.NVMLError:
                raw = None
            samples[card.label] = Sample(raw, self._clock(), asleep)
        return samples

    def settle(self, *, opening: bool) -> None:
        """Wait for three refreshes of the counters, if there are any."""
        if self._cards:
            self._sleep(_SETTLE_S)

    def reading(self, tallies: Tallies, window_ns: int, pieces: int) -> Reading:
        """Return the energy of a window, its interval and everything that is wrong with it."""
        if not self._cards:
            return Reading.absent(
                self.name,
                "none",
                reason=self._reason,
                window_s=window_ns / 1e9,
                flags=("unavailable",),
            )
        return counted(self, self._cards, tallies, window_ns, pieces)

    def _domain(self, handle: Any) -> Domain:
        """Return the limits of a card: twice the most its power may be set to, for short peaks."""
        try:
            watts = self._nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[1] / 1e3
        except self._nvml.NVMLError:
            watts = 0.0
        ceiling = min(max(2 * watts, _LEAST_CEILING_W), _CEILING_W) if watts else _CEILING_W
        return Domain(_MODULUS_NJ, ceiling, refresh_ns=_REFRESH_NS)
