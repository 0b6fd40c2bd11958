# SPDX-License-Identifier: BSD-3-Clause
"""Dense generators that the time limit leaves no time to prepare: projected gradients on A itself.

Each step costs two products with A, and x is feasible after every one: within its bounds, and with
its sum, for which a step leads towards the vertex of the least linear part (Frank, Wolfe, Naval
Research Logistics Quarterly 3, 1956). The gap is what f* >= 0 gives: f(x) / f(0), with a sum f(x)
over the larger of f(x) and f(0).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._nnls.bounded import Constraints, multiplier, vertex
from fastcone._nnls.certificate import relative
from fastcone._nnls.plan import Options
from fastcone._nnls.result import Solution
from fastcone._runtime.scaling import F64, exponent

RATE = 3e10  # flops a second with which preparation is reckoned: a BLAS on one core


def no_time_to_prepare(m: int, n: int, seconds: float | None) -> bool:
    """Return whether A'A and its factors would take more than half of the time."""
    return seconds is not None and 2 * m * n**2 + 2 * n**3 / 3 > RATE * seconds / 2


def solve_in_time(
    A: np.ndarray, B: np.ndarray, l1: np.ndarray | None, l2: float, X: np.ndarray, options: Options,
    constraints: Constraints | None,
) -> Solution:  # fmt: skip
    """Take steps from X (n, p), feasible, until the time is up."""
    e = exponent(np.abs(B).max(axis=0, initial=0))
    scaled, weight = np.ldexp(B.astype(F64), -e), 0.0 if l1 is None else np.ldexp(l1, -e)
    with np.errstate(all="ignore"):
        X, at_zero = np.ldexp(X, -e), np.einsum("ij,ij->j", scaled, scaled) / 2
        upper: Any = np.inf if constraints is None else np.ldexp(constraints.upper, -e)
        total = None if constraints is None else constraints.total
        total = None if total is None else np.ldexp(total, -e)
        R = scaled - A @ X if X.any() else scaled
        bad = ~(_objective(X, R, weight, l2) <= at_zero) & (total is None)
        X, R, steps = np.where(bad, 0, X), np.where(bad, scaled, R), 0
        while not options.deadline.passed() and steps != options.max_epochs:
            step = _step(A, X, R, weight, l2, upper, total)
            if step is None:
                break
            X, R, steps = *step, steps + 1
        objective = _objective(X, R, weight, l2)
        g = weight + l2 * X - A.T @ R
        if total is not None:
            g, at_zero = g - multiplier(X.T, g.T, upper.T), np.maximum(at_zero, objective)
        worst = np.maximum(np.minimum(X, g), np.minimum(upper - X, -g))
        violation = np.abs(worst).max(axis=0, initial=0)
        gap, dtype = relative(objective, at_zero), np.result_type(A.dtype, B.dtype)
        X = np.minimum(np.ldexp(X, e), np.finfo(dtype).max).astype(dtype)
        objective, violation = np.ldexp(objective, 2 * e), np.ldexp(violation, e)
    epochs = np.full(B.shape[1], steps)
    return Solution(X, objective, gap, violation, epochs, gap <= options.proved(dtype))


def _objective(X: np.ndarray, R: np.ndarray, weight: Any, l2: float) -> np.ndarray:
    squares = np.einsum("ij,ij->j", R, R) + l2 * np.einsum("ij,ij->j", X, X)
    return np.asarray(squares / 2 + weight * X.sum(axis=0))


def _step(
    A: np.ndarray, X: np.ndarray, R: np.ndarray, weight: Any, l2: float, upper: Any, total: Any
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return X and R = B - A X after the best step in a feasible direction; None for none."""
    g = weight + l2 * X - A.T @ R
    if total is None:
        d, Ad = _projected(A, X, g, l2, upper)
    else:
        d = vertex(g, upper, total) - X
        Ad = A @ d
    curve = np.einsum("ij,ij->j", Ad, Ad) + l2 * np.einsum("ij,ij->j", d, d)
    step = np.clip(_ratio(-np.einsum("ij,ij->j", g, d), curve), 0, 1)
    if not np.any(step > 0):
        return None
    step = np.nan_to_num(step)
    return np.clip(X + step * d, 0, upper), R - step * Ad


def _projected(
    A: np.ndarray, X: np.ndarray, g: np.ndarray, l2: float, upper: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best step along the gradient, cut at the bounds, and A times it."""
    free = np.where(((X > 0) | (g < 0)) & ((upper > X) | (g > 0)), g, 0)
    Af, square = A @ free, np.einsum("ij,ij->j", free, free)
    length = _ratio(square, np.einsum("ij,ij->j", Af, Af) + l2 * square)
    d = np.clip(X - length * free, 0, upper) - X
    blocked = np.any((free * length > X) | (X - length * free > upper), axis=0)
    return d, np.where(blocked, A @ d, -length * Af) if blocked.any() else -length * Af


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)
