# SPDX-License-Identifier: BSD-3-Clause
"""Extrapolation of alternating half-steps, with what is needed to take it back.

After a half-step F -> F_new the other one sees  max(0, F_new + w (F_new - F_old)),  F_old being
where the same half-step ended one iteration before. An iteration that does not lower the
objective is undone and repeated with w = 0; w grows while all goes well and shrinks then.

Reference: Ang, Gillis, Neural Computation 31, 2019.
"""

from __future__ import annotations

import numpy as np

from fastcone._nmf.problem import Factors

FIRST = 0.3  # weight of the first extrapolation
GROW, GROW_CEILING = 1.05, 1.01  # of the weight and of its bound, for an iteration accepted
SHRINK = 1.5  # of the weight, for one undone


class Momentum:
    """The weight `now` of the iteration under way, and where the half-steps ended before."""

    def __init__(self, start: Factors) -> None:
        self.weight, self.ceiling, self.now = FIRST, 1.0, 0.0
        self.W, self.Ht = start.W.copy(), start.Ht.copy()

    def lean(self, new: np.ndarray, before: np.ndarray) -> None:
        """Extrapolate `new` in place; `before` takes its value from ahead of that."""
        difference = new - before
        before[...] = new
        if self.now:
            difference *= self.now
            new += difference
            np.maximum(new, 0, out=new)

    def accept(self) -> None:
        """Choose the weight of the next iteration."""
        if self.now:
            self.weight = min(self.ceiling, self.weight * GROW)
            self.ceiling = min(1.0, self.ceiling * GROW_CEILING)
        self.now = self.weight

    def retreat(self) -> bool:
        """Turn extrapolation off for one iteration; False if it was off already."""
        if not self.now:
            return False
        self.ceiling = self.weight
        self.weight /= SHRINK
        self.now = 0.0
        return True
