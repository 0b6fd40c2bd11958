# SPDX-License-Identifier: BSD-3-Clause
"""Dense generators that the time limit leaves no time to prepare: projected gradients on A itself.

Each step costs two products with A, and x is feasible after every one. The gap is what f* >= 0
gives: f(x) / f(0).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._nnls.certificate import relative
from fastcone._nnls.plan import Options
from fastcone._nnls.result import Solution
from fastcone._runtime.scaling import F64, exponent

RATE = 3e10  # flops a second with which preparation is reckoned: a BLAS on one core


def no_time_to_prepare(m: int, n: int, seconds: float | None) -> bool:
    """Return whether A'A and its factors would take more than half of the time."""
    return seconds is not None and 2 * m * n**2 + 2 * n**3 / 3 > RATE * seconds / 2


def solve_in_time(
    A: np.ndarray, B: np.ndarray, l1: np.ndarray | None, l2: float, X: np.ndarray, options: Options
) -> Solution:
    """Take steps from X (n, p) until the time is up."""
    e = exponent(np.abs(B).max(axis=0, initial=0))
    scaled, weight = np.ldexp(B.astype(F64), -e), 0.0 if l1 is None else np.ldexp(l1, -e)
    with np.errstate(all="ignore"):
        X, at_zero = np.ldexp(X, -e), np.einsum("ij,ij->j", scaled, scaled) / 2
        R = scaled - A @ X if X.any() else scaled
        bad = ~(_objective(X, R, weight, l2) <= at_zero)
        X, R, steps = np.where(bad, 0, X), np.where(bad, scaled, R), 0
        while not options.deadline.passed() and steps != options.max_epochs:
            step = _step(A, X, R, weight, l2)
            if step is None:
                break
            X, R, steps = *step, steps + 1
        objective = _objective(X, R, weight, l2)
        violation = np.abs(np.minimum(X, weight + l2 * X - A.T @ R)).max(axis=0, initial=0)
        gap, dtype = relative(objective, at_zero), np.result_type(A.dtype, B.dtype)
        X = np.minimum(np.ldexp(X, e), np.finfo(dtype).max).astype(dtype)
        objective, violation = np.ldexp(objective, 2 * e), np.ldexp(violation, e)
    epochs = np.full(B.shape[1], steps)
    return Solution(X, objective, gap, violation, epochs, gap <= options.proved(dtype))


def _objective(X: np.ndarray, R: np.ndarray, weight: Any, l2: float) -> np.ndarray:
    squares = np.einsum("ij,ij->j", R, R) + l2 * np.einsum("ij,ij->j", X, X)
    return np.asarray(squares / 2 + weight * X.sum(axis=0))


def _step(
    A: np.ndarray, X: np.ndarray, R: np.ndarray, weight: Any, l2: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return X and R = B - A X after the best step along the projected gradient; None for none."""
    g = weight + l2 * X - A.T @ R
    free = np.where((X > 0) | (g < 0), g, 0)
    Af, square = A @ free, np.einsum("ij,ij->j", free, free)
    length = _ratio(square, np.einsum("ij,ij->j", Af, Af) + l2 * square)
    blocked = np.any(free * length > X, axis=0)
    d = np.maximum(X - length * free, 0) - X
    Ad = np.where(blocked, A @ d, -length * Af) if blocked.any() else -length * Af
    curve = np.einsum("ij,ij->j", Ad, Ad) + l2 * np.einsum("ij,ij->j", d, d)
    step = np.clip(_ratio(-np.einsum("ij,ij->j", g, d), curve), 0, 1)
    if not np.any(step > 0):
        return None
    step = np.nan_to_num(step)
    return np.maximum(X + step * d, 0), R - step * Ad


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)
