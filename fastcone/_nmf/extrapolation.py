# SPDX-License-Identifier: BSD-3-Clause
"""Extrapolation of alternating half-steps, with what is needed to take it back.

After a half-step F -> F_new the other one sees  max(0, F_new + w (F_new - F_old)),  F_old being
where the same half-step ended one iteration before. An iteration that does not lower the
objective is undone and repeated with w = 0; w grows while all goes well and shrinks then.

Reference: Ang, Gillis, Neural Computation 31, 2019.
"""

from __future__ import annotations

import numpy as np

from fastcone._nmf.problem import Factors, Problem
from fastcone._runtime.threads import Scratch, aligned

FIRST = 0.3  # weight of the first extrapolation
GROW, GROW_CEILING = 1.05, 1.01  # of the weight and of its bound, for an iteration accepted
SHRINK = 1.5  # of the weight, for one undone


class Momentum:
    """The weight `weight_now` of the iteration under way, and where the half-steps ended before.

    With `kept`, what the last accepted iteration left stays whole while the next one is under way,
    as a checkpoint needs it, for one more array of the size of H.
    """

    def __init__(self, problem: Problem, start: Factors, kept: bool) -> None:
        self.size = problem.m, problem.k
        self.weight, self.ceiling, self.weight_now = FIRST, 1.0, 0.0
        self.accepted_state = self.weight, self.ceiling, self.weight_now
        shape, dtype = start.Ht.shape, start.Ht.dtype
        self.W, self.Ht = start.W, np.zeros(shape, dtype)
        self.next_Ht = np.zeros(shape, dtype) if kept else self.Ht

    def ahead(self, W: np.ndarray) -> np.ndarray:
        """Return W extrapolated."""
        new = aligned(W.shape, W.dtype)
        np.subtract(W, self.W, out=new)
        new *= W.dtype.type(self.weight_now)
        new += W
        return np.maximum(new, 0, out=new)

    def extrapolate_H(self, H: np.ndarray, rows: slice, scratch: Scratch) -> None:
        """Note where these rows of H' ended, and extrapolate them in place."""
        if not self.weight_now:
            self.next_Ht[rows] = H
            return
        difference = scratch.take("extrapolate H", H.shape, H.dtype)
        np.subtract(H, self.Ht[rows], out=difference)
        self.next_Ht[rows] = H
        difference *= H.dtype.type(self.weight_now)
        H += difference
        np.maximum(H, 0, out=H)

    def accept(self, W: np.ndarray) -> None:
        """Choose the weight of the next iteration; W is where it ended before this one."""
        if self.weight_now:
            self.weight = min(self.ceiling, self.weight * GROW)
            self.ceiling = min(1.0, self.ceiling * GROW_CEILING)
        self.weight_now = self.weight
        self.W = W.copy()
        self.Ht, self.next_Ht = self.next_Ht, self.Ht
        self.accepted_state = self.weight, self.ceiling, self.weight_now

    def disable_once(self) -> bool:
        """Turn extrapolation off for one iteration; False if it was off already."""
        if not self.weight_now:
            return False
        self.ceiling = self.weight
        self.weight /= SHRINK
        self.weight_now = 0.0
        return True

    def memory(self) -> dict[str, np.ndarray]:
        """Return the state after the last accepted iteration; its arrays last until the next."""
        m, k = self.size
        state = np.array(self.accepted_state)
        return {"momentum": state, "momentum W": self.W[:m, :k], "momentum Ht": self.Ht}

    def recall(self, memory: dict[str, np.ndarray]) -> None:
        """Continue from that state."""
        m, k = self.size
        self.weight, self.ceiling, self.weight_now = map(float, memory["momentum"])
        self.accepted_state = self.weight, self.ceiling, self.weight_now
        self.W = np.zeros_like(self.W)
        self.W[:m, :k], self.Ht[...] = memory["momentum W"], memory["momentum Ht"]
