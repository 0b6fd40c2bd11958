# SPDX-License-Identifier: BSD-3-Clause
"""What training asks of an iteration; answered in frobenius, divergence, sparse, stored."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from fastcone._nmf.extrapolation import Momentum
from fastcone._nmf.problem import Factors


class Update(ABC):
    """`factors`, accepted, and a candidate, their successor, which `accept` puts in their place.

    One round of `train`: `advance`, `objective`; where that is no progress and `without_momentum`
    offers another candidate, both again; then `accept`, or the end.
    """

    factors: Factors

    @abstractmethod
    def first(self) -> float:
        """Return the objective at the start."""

    @abstractmethod
    def advance(self) -> None:
        """Make the candidate."""

    @abstractmethod
    def objective(self, previous: float, last: bool) -> tuple[float, float]:
        """Return the objective of the candidate, and what those before were at least.

        previous: that of `factors`.  last: whether no candidate follows this one.  The second
        number is 0 unless earlier objectives turn out to have been rounded too low.
        """

    @abstractmethod
    def accept(self) -> None:
        """Take the candidate."""

    def several(self, first: float, previous: float, most: int, tol: float) -> list[float]:
        """Make the candidate of at most so many iterations; return the objectives, none if not so.

        Each gains more than `tol` and noise, and none but the last is seen, which `accept` takes:
        with the bits of as many iterations one by one. first: the objective of the start.
        """
        return []

    def noise(self, value: float) -> float:
        """Return what the candidate's objective `value` must gain at least, so as not to be noise.

        Two ways to the same sums (dense and sparse data) then end, and undo, at the same moment.
        """
        return 0.0

    def without_momentum(self) -> bool:
        """Make the next candidate without extrapolation; False if the last one had none."""
        return False

    def memory(self) -> dict[str, np.ndarray]:
        """Return what a resumed run must know besides the factors."""
        return {}

    def recall(self, memory: dict[str, np.ndarray]) -> None:  # noqa: B027
        """Continue as the run whose memory this is."""


class Extrapolated(Update):
    """An iteration whose candidate may have been extrapolated; `momentum` is None where none is."""

    momentum: Momentum | None
    candidate: Factors

    def without_momentum(self) -> bool:
        """Make the next candidate without extrapolation; False if the last one had none."""
        return self.momentum is not None and self.momentum.disable_once()

    def memory(self) -> dict[str, np.ndarray]:
        """Return what a resumed run must know besides the factors."""
        return self.momentum.memory() if self.momentum is not None else {}

    def recall(self, memory: dict[str, np.ndarray]) -> None:
        """Continue as the run whose memory this is."""
        if self.momentum is not None:
            self.momentum.recall(memory)

    def accept(self) -> None:
        """Take the candidate; its predecessor's arrays serve the next one."""
        if self.momentum is not None:
            self.momentum.accept(self.factors.W)
        self.factors, self.candidate = self.candidate, self.factors
