# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of the solvers checked and turned into what the batch works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._nnls.plan import Options
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.validation import (
    check_shape,
    choice,
    integer,
    number,
    real_array,
)

METHODS = ("auto", "cd", "active_set")


def checked_options(
    tol: float | None,
    max_epochs: int | None,
    method: str,
    time_limit: float | None,
    certify: bool,
    on_fail: str,
) -> Options:
    """Check the options that both solvers share."""
    choice("on_fail", on_fail, ("return", "raise"))
    return Options(
        tol=None if tol is None else number("tol", tol, positive=True),
        max_epochs=None if max_epochs is None else _limit(max_epochs),
        method=choice("method", method, METHODS),
        certify=bool(certify),
        deadline=Deadline.checked(time_limit),
    )


def _limit(max_epochs: Any) -> int:
    """Return a limit that a C int holds."""
    return min(integer("max_epochs", max_epochs, minimum=1), 2**31 - 1)


def columns(array: np.ndarray) -> np.ndarray:
    """Return a single vector as one column."""
    return array[:, None] if array.ndim == 1 else array


def start_from(x0: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Check a warm start and return it as columns."""
    if x0 is None:
        return None
    x0 = real_array("x0", x0, ndim=(len(shape),), dtype=dtype, nonnegative=True)
    check_shape("x0", x0, shape)
    return columns(x0)
