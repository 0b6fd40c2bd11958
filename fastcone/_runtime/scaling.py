# SPDX-License-Identifier: BSD-3-Clause
"""Scaling by powers of two, which is exact, and the ranges in which nothing needs it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


ROUNDOFF = {dtype: float(np.finfo(dtype).eps) / 2 for dtype in (F32, F64)}


def roundoff(dtype: np.dtype) -> float:
    """Return the unit roundoff, half the distance from 1 to the next larger number."""
    return ROUNDOFF[dtype]


def may_underflow(function: Callable[P, R]) -> Callable[P, R]:
    """Let what a function loses below the range of its numbers be zero, as numpy does by default.

    Every entry point is one: a caller's ``np.errstate(under="raise")`` is about his own numbers.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if np.geterr()["under"] == "ignore":  # half the time of setting it
            return function(*args, **kwargs)
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return call


def rescale(values: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return values[i, j] * 2^(columns_j + rows_i), exactly where the result is a normal number."""
    limit = 60 if values.dtype == np.float32 else 500
    if max(np.abs(columns).max(initial=0), np.abs(rows).max(initial=0)) > limit:
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(values, columns + rows[:, None])
    one = values.dtype.type(1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled = values * np.ldexp(one, columns)
        scaled *= np.ldexp(one, rows)[:, None]
    return scaled


def exponent(values: np.ndarray | float) -> np.ndarray:
    """Return the integers e with |value| in [2^(e-1), 2^e), 0 for zeros."""
    return np.frexp(values)[1]


def safe_range(dtype: np.dtype) -> tuple[float, float]:
    """Return the squared norms within which no sum of squares over- or underflows."""
    return (1e-250, 1e250) if dtype == F64 else (1e-28, 1e28)


def largest_penalty(dtype: np.dtype) -> float:
    """Return the scaled penalty beyond which one is cut: far more than any coefficient can earn."""
    return min(1e150, float(np.finfo(dtype).max) ** 0.5)
