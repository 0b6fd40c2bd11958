# SPDX-License-Identifier: BSD-3-Clause
"""Several starts side by side: one read of X, and one product, for all of them.

The factors of R runs are laid side by side, W (m, R k) and H' (N, R k), for the two products of an
iteration,

    per block of samples   C = [W_1 .. W_R]'X_b,   H_b of each run <- step,   XH' += X_b H_b'
    per block of rows      W_r of each run <- step

so that X is read once, and lanes that few generators leave empty are filled by those of other runs.
All else is a run's own (`GramFit`), block by block, in the same order: a run that is stacked ends
with the bits of one that is not.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from fastcone._nmf.frobenius import GramFit, whole
from fastcone._nmf.problem import Block, Problem, Sums
from fastcone._runtime.threads import Scratch

COLUMNS = 256  # of the stacked factors: wider products are no faster
BYTES = 1 << 28  # of the runs' coefficients


def abreast(problem: Problem) -> int:
    """Return how many starts may go side by side."""
    each = 4 * problem.N * problem.k * problem.dtype.itemsize
    return max(min(COLUMNS // problem.k, BYTES // each), 1)


class Stack:
    """Advances runs of one problem together; keeps the room for it while their number stays."""

    def __init__(self) -> None:
        self.count, self.sums, self.Ht = 0, cast(Sums, None), np.empty((0, 0))

    def __call__(self, fits: list[GramFit]) -> None:
        """Make the candidate of every run."""
        if len(fits) == 1:
            fits[0].advance()
            return
        problem = fits[0].problem
        if len(fits) != self.count:
            self.count = len(fits)
            self.sums = problem.X.sums(problem, self.count * problem.k)
            self.Ht = np.empty((problem.N, self.count * problem.k), problem.dtype)
        sees = [fit.ahead() for fit in fits]
        self._update_H(fits, sees)
        self._update_W(fits, [W for W, _ in sees])

    def _update_H(self, fits: list[GramFit], sees: list[tuple[np.ndarray, np.ndarray]]) -> None:
        problem, k, used = fits[0].problem, fits[0].problem.k, self.count * fits[0].problem.k
        width = problem.padded(used)
        steps = [fit.step_H(G) for fit, (_, G) in zip(fits, sees, strict=True)]
        all_W = np.zeros((problem.m, width), problem.dtype)
        for r, (W, _) in enumerate(sees):
            all_W[:, r * k : (r + 1) * k] = W[: problem.m, :k]
        A = problem.X.operand(all_W, used)
        parts = problem.per_block(problem.samples, len(fits), 2)

        def work(block: Block, scratch: Scratch) -> None:
            X = problem.X.block(block.rows, scratch)
            C = problem.X.product(X, A, scratch, "all C")
            all_H = self.Ht[block.rows]
            for r, fit in enumerate(fits):
                mine = own(problem, C, r, scratch)
                parts[block.index, r] = fit.block_of_H(block, steps[r], mine, scratch)
                all_H[:, r * k : (r + 1) * k] = fit.candidate.Ht[block.rows]
            self.sums.add(block, X, all_H, scratch)

        problem.for_each_block(problem.samples, work)
        for r, fit in enumerate(fits):
            fit.took_H(np.ascontiguousarray(parts[:, r]))

    def _update_W(self, fits: list[GramFit], starts: list[np.ndarray]) -> None:
        problem, steps = fits[0].problem, [fit.step_W() for fit in fits]
        parts = problem.per_block(problem.features, len(fits), 2)

        def work(block: Block, scratch: Scratch) -> None:
            C = self.sums.rows(block.rows, self.Ht, scratch)
            for r, fit in enumerate(fits):
                mine = own(problem, C, r, scratch)
                parts[block.index, r] = fit.block_of_W(block, steps[r], mine, starts[r], scratch)

        problem.for_each_block(problem.features, work)
        for r, fit in enumerate(fits):
            fit.next_G = whole(fit.WW)
            fit.finish(np.ascontiguousarray(parts[:, r]).sum(axis=0))


def own(problem: Problem, C: np.ndarray, r: int, scratch: Scratch) -> np.ndarray:
    """Return the columns of run r, padded, in `scratch`."""
    mine = scratch.take("own C", (len(C), problem.kp), problem.dtype)
    mine[:, : problem.k] = C[:, r * problem.k : (r + 1) * problem.k]
    mine[:, problem.k :] = 0
    return mine
