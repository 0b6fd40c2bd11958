# SPDX-License-Identifier: BSD-3-Clause
"""What the solvers return: answers that carry their own proof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, repr=False)
class Solution:
    """Coefficients of p problems and, for each, how far from the optimum it can be at most.

    Attributes
    ----------
    x : ndarray, (n, p) or (n,)
        Coefficients, x >= 0, one problem a column; exactly 0 off the support.
    objective : ndarray (p,) or float
        The objective at x, in float64; of float32 problems to some 1e-6 of that at
        x = 0 (the violation likewise, of ||a_j|| ||b||): to what docs/nnls.md calls rho_32.
    gap : ndarray (p,) or float
        Upper bound of (objective - optimum) / (objective at x = 0); `inf` where no bound is known.
    violation : ndarray (p,) or float
        Violation of the optimality conditions, max_j |min(x_j, g_j)| with g the gradient at x.
    epochs : ndarray of int (p,) or int
        Passes over the coordinates, or steps of the exact solver.
    converged : ndarray of bool (p,) or bool
        The gap wanted is proved.
    penalty : ndarray (p,) or float, default 0
        The part of the objective that is not the residual's: l1 sum(x) + l2/2 ||x||^2.
    norm : int or None, default 2
        Norm of the residual in the objective; None where the objective leaves ||b|| out.
    """

    x: np.ndarray
    objective: Any
    gap: Any
    violation: Any
    epochs: Any
    converged: Any
    penalty: Any = 0.0
    norm: int | None = 2

    @property
    def residual(self) -> Any:
        """||A x - b|| of each problem, in the norm and with the row weights of the objective.

        Taken from the objective, and known to about 1e-8 ||b|| (float32: 1e-3) where its square
        is in float64's range; not a number where the objective does not hold ||b||.
        """
        if self.norm is None:
            return self.objective * np.nan
        with np.errstate(invalid="ignore"):
            fit = np.maximum(self.objective - self.penalty, 0)
        return np.sqrt(2 * fit) if self.norm == 2 else fit

    def __repr__(self) -> str:
        n, p = self.x.shape if self.x.ndim == 2 else (len(self.x), 1)
        done, gap = np.count_nonzero(self.converged), np.max(self.gap, initial=0)
        return f"Solution({p} problems of {n} generators, {done} converged, largest gap {gap:.2g})"

    def single(self) -> Solution:
        """Return the answer of a single problem with scalars in place of arrays."""
        return Solution(
            self.x[:, 0],
            self.objective.item(),
            self.gap.item(),
            self.violation.item(),
            self.epochs.item(),
            self.converged.item(),
            self.penalty if isinstance(self.penalty, float) else self.penalty.item(),
            self.norm,
        )

    def with_penalty(self, l1: np.ndarray | None, l2: float) -> Solution:
        """Return the answer with what the penalties have added to its objectives."""
        x, penalty = self.x.astype(float, copy=False), np.zeros(self.x.shape[1])
        with np.errstate(over="ignore", under="ignore"):
            if l1 is not None:
                np.multiply(l1, x.sum(axis=0), out=penalty, where=l1 > 0)
            if l2:  # neither l2 / 2, which may underflow, nor x^2, which may overflow, on its own
                weighted = np.sqrt(l2) * x
                penalty += np.einsum("ij,ij->j", weighted, weighted) / 2
        return replace(self, penalty=penalty)


class ConvergenceError(RuntimeError):
    """Some problems were not solved to `tol`, and the caller asked for an exception.

    Attributes
    ----------
    solution : Solution
        The best feasible answers found, as they would have been returned.
    """

    def __init__(self, solution: Solution) -> None:
        left = int(np.size(solution.converged) - np.count_nonzero(solution.converged))
        super().__init__(
            f"{left} of {np.size(solution.converged)} problems did not reach tol, largest gap "
            f"{np.max(solution.gap):.3g}; their best feasible x is in this error's .solution"
        )
        self.solution = solution
