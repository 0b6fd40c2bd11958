# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of the solvers checked and turned into what the batch works on."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_array, diags_array, issparse

from fastcone._nnls.plan import Options
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import F64
from fastcone._runtime.validation import (
    check_shape,
    choice,
    flag,
    integer,
    nonnegative,
    number,
    real_array,
    sparse_array,
    weights,
)

METHODS = ("auto", "cd", "active_set")
FAILS = ("return", "raise")
DEFAULT = Options(None, None, "auto", True, Deadline())


def checked_options(
    tol: float | None,
    max_epochs: int | None,
    method: str,
    time_limit: float | None,
    certify: bool,
    on_fail: str,
) -> Options:
    """Check the options that both solvers share."""
    plain = method is METHODS[0] and certify is True and on_fail is FAILS[0]
    if plain and tol is None and max_epochs is None and time_limit is None:
        return DEFAULT
    choice("on_fail", on_fail, FAILS)
    return Options(
        tol=None if tol is None else number("tol", tol, positive=True),
        max_epochs=None if max_epochs is None else _limit(max_epochs),
        method=choice("method", method, METHODS),
        certify=flag("certify", certify),
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


def checked_targets(B: Any, m: int, sparse: bool) -> Any:
    """Check targets for generators of m rows; entries of dense ones are looked at as they are read.

    `sparse`: the generators are, and then that is not so.
    """
    dense = type(B) is np.ndarray or not issparse(B)
    B = real_array("B", B, ndim=(1, 2), finite=sparse) if dense else sparse_array("B", B)
    if B.shape[0] != m:
        hint = ": transpose, targets are columns" if B.shape[-1] == m else ""
        raise ValueError(f"B has {B.shape[0]} rows, want {m} as A has{hint}")
    return B


def penalties(l1: Any, count: int) -> np.ndarray | None:
    """Return l1 for each of `count` problems, None where all are 0."""
    if type(l1) is float and l1 == 0:
        return None
    l1 = np.ascontiguousarray(weights("l1", l1, count))
    return l1 if l1.any() else None


def checked_pair(A: Any, B: Any, l2: float) -> tuple[Any, Any, float]:
    """Check A, B and l2; A comes in the dtype of the answers, sparse if either is."""
    if type(A) is type(B) is np.ndarray and A.dtype == B.dtype:
        A = real_array("A", A, ndim=(2,))
        return A, checked_targets(B, A.shape[0], False), nonnegative("l2", l2)
    A = sparse_array("A", A) if issparse(A) else real_array("A", A, ndim=(2,))
    B = checked_targets(B, A.shape[0], issparse(A))
    A = A.astype(np.result_type(A.dtype, B.dtype), copy=False)
    return (csc_array(A) if issparse(B) else A), B, nonnegative("l2", l2)


def weighted_rows(A: Any, B: Any, row_weights: Any) -> tuple[Any, Any]:
    """Return A and B with their rows multiplied by the roots of their weights."""
    squares = real_array("row_weights", row_weights, ndim=(1,), dtype=F64, nonnegative=True)
    check_shape("row_weights", squares, (A.shape[0],))
    root = np.sqrt(squares).astype(A.dtype)

    def times(M: Any) -> Any:
        if issparse(M):
            return csc_array(diags_array(root) @ M)
        return M * (root if M.ndim == 1 else root[:, None])

    return times(A), times(B)
