# SPDX-License-Identifier: BSD-3-Clause
"""Dense generators that the time limit leaves no time to prepare: projected gradients on A itself.

Each step costs two products with A, and x is feasible after every one. The gap is what f* >= 0
gives: f(x) / f(0).
"""

from __future__ import annotations

import numpy as np

from fastcone._nnls.plan import Options
from fastcone._runtime.scaling import F64
from fastcone.result import Solution

RATE = 3e10  # flops a second with which preparation is reckoned: a BLAS on one core


def no_time_to_prepare(m: int, n: int, seconds: float | None) -> bool:
    """Return whether A'A and its factors would take more than half of the time."""
    return seconds is not None and 2 * m * n**2 + 2 * n**3 / 3 > RATE * seconds / 2


def descend(
    A: np.ndarray, B: np.ndarray, l1: np.ndarray | None, l2: float, X: np.ndarray, options: Options
) -> Solution:
    """Take steps from X (n, p) until the time is up."""
    weight = 0.0 if l1 is None else l1
    R = B - A @ X if X.any() else B.astype(F64)
    at_zero, steps = np.einsum("ij,ij->j", B, B, dtype=F64) / 2, 0
    while not options.deadline.passed() and steps != options.max_epochs:
        g = weight + l2 * X - A.T @ R
        free = np.where((X > 0) | (g < 0), g, 0)
        Af = A @ free
        square = np.einsum("ij,ij->j", free, free)
        curve = np.einsum("ij,ij->j", Af, Af) + l2 * square
        length = np.divide(square, curve, out=np.zeros_like(curve), where=curve > 0)
        blocked = np.any(free * length > X, axis=0)
        d = np.maximum(X - length * free, 0) - X
        Ad = np.where(blocked, A @ d, -length * Af) if blocked.any() else -length * Af
        curve = np.einsum("ij,ij->j", Ad, Ad) + l2 * np.einsum("ij,ij->j", d, d)
        slope = -np.einsum("ij,ij->j", g, d)
        step = np.divide(slope, curve, out=np.zeros_like(curve), where=curve > 0)
        step = np.clip(step, 0, 1)
        X, R, steps = np.maximum(X + step * d, 0), R - step * Ad, steps + 1
        if not step.any():
            break
    objective = np.einsum("ij,ij->j", R, R) / 2 + l2 / 2 * np.einsum("ij,ij->j", X, X)
    objective += weight * X.sum(axis=0)
    gap = np.divide(objective, at_zero, out=np.zeros_like(objective), where=at_zero > 0)
    violation = np.abs(np.minimum(X, weight + l2 * X - A.T @ R)).max(axis=0, initial=0)
    dtype = np.result_type(A.dtype, B.dtype)
    return Solution(
        X.astype(dtype), objective, gap, violation, np.full(B.shape[1], steps),
        gap <= options.proved(dtype),
    )  # fmt: skip
