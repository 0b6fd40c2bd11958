# SPDX-License-Identifier: BSD-3-Clause
"""Checks of numbers that come from outside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


def number(name: str, value: Any, *, minimum: float = 0.0) -> float:
    """Return a finite number >= `minimum` as a float, or raise an error that names it.

    Examples
    --------
    >>> number("pue", 1, minimum=1.0)
    1.0
    >>> number("kwh", -2)
    Traceback (most recent call last):
    ...
    ValueError: kwh must be finite and >= 0, found -2
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, found {type(value).__name__}")
    if not (math.isfinite(value) and value >= minimum):
        raise ValueError(f"{name} must be finite and >= {minimum:g}, found {value!r}")
    return float(value)


def vector(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return a number or a vector of finite numbers >= 0 as a float64 vector, never empty.

    Examples
    --------
    >>> vector("adapt", 2)
    array([2.])
    >>> vector("adapt", None)
    Traceback (most recent call last):
    ...
    TypeError: adapt must be real numbers, found None: what is absent is not 0
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        found = "None" if values is None else f"dtype {array.dtype}"
        raise TypeError(f"{name} must be real numbers, found {found}: what is absent is not 0")
    if array.ndim > 1 or array.size == 0:
        raise ValueError(f"{name} must be a number or a vector, found shape {array.shape}")
    array = np.atleast_1d(array.astype(np.float64))
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        raise ValueError(f"{name} must be finite and >= 0, found {array[bad[0]]} at {bad[0]}")
    return array
