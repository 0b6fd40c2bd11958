# SPDX-License-Identifier: BSD-3-Clause
"""Coordinate descent where entries are unknown or weighted: squared error.

With v = max w the weights over their largest, and Y = WH at the factors at hand,

    1/2 sum w (x - y')^2  <=  v/2 ||Z - W'H'||_F^2 + a constant,      Z = Y + w / v (X - Y),

with equality at Y: what is not known is filled in by the model, and the iteration of
`frobenius.GramFit` on Z descends. Z is formed block by block, once before the step on H and once
after it. The objective is that of the entries (`losses.DataLoss`).

Reference: Lange, Hunter, Yang, J. Comput. Graph. Stat. 9, 2000 (optimisation transfer); filling in
goes back to Dempster, Laird, Rubin, J. R. Stat. Soc. B 39, 1977.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastcone._nmf.frobenius import GramFit
from fastcone._nmf.problem import Block, Factors, Problem
from fastcone._nmf.products import pack, product
from fastcone._runtime.threads import Scratch


class FilledFit(GramFit):
    """The state between iterations; see GramFit."""

    def __init__(self, problem: Problem, start: Factors, update_W: bool, kept: bool) -> None:
        super().__init__(problem, start, "cd", update_W, kept)
        assert problem.known is not None
        self.entrywise = self.accepted_entrywise = True
        self.largest = float(problem.known.max(initial=0))
        if self.largest:  # the bound has its least squares unweighted
            self.of_H, self.of_W = (
                replace(p, l1=p.l1 / self.largest, l2=p.l2 / self.largest)
                for p in (problem.H, problem.W)
            )

    def _half_norm(self) -> float:
        return 0.0  # of no use: the objective is that of the entries

    def update_H(self, W: np.ndarray, G: np.ndarray) -> np.ndarray:
        """Make the candidate's H; see GramFit."""
        self.panels = pack(W.T[: self.problem.k])
        return super().update_H(W, G)

    def _samples(self, block: Block, H: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return Z of a block, from the model W H."""
        problem = self.problem
        X, known = problem.X.block(block.rows, scratch), problem.known[block.rows]  # type: ignore[index]
        Y = product(self.panels, H, scratch, "Y")[:, : problem.m]
        Z = scratch.take("Z", X.shape, problem.dtype)
        if known.dtype == np.bool_:
            np.copyto(Z, Y)
            np.copyto(Z, X, where=known)
            return Z
        np.subtract(X, Y, out=Z)
        Z *= known
        Z *= problem.dtype.type(1 / self.largest)
        Z += Y
        return Z

    def _refreshed(
        self, block: Block, X: np.ndarray, H: np.ndarray, scratch: Scratch
    ) -> np.ndarray:
        return self._samples(block, H, scratch)
