# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of the solvers checked and turned into what the batch works on."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nnls.active_set import gram_of
from fastcone._nnls.plan import Options
from fastcone._nnls.prepare import Generators
from fastcone._nnls.sparse import SparseTargets
from fastcone._nnls.targets import DataTargets
from fastcone._runtime import threads
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.validation import (
    check_shape,
    choice,
    integer,
    number,
    real_array,
    sparse_array,
    weights,
)

METHODS = ("auto", "cd", "active_set")


def checked_options(
    tol: float,
    max_epochs: int | None,
    method: str,
    time_limit: float | None,
    certify: bool,
    on_fail: str,
) -> Options:
    """Check the options that both solvers share."""
    choice("on_fail", on_fail, ("return", "raise"))
    return Options(
        tol=number("tol", tol, positive=True),
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


def checked_data(
    A: Any, B: Any, l1: Any, l2: float
) -> tuple[DataTargets | SparseTargets, np.dtype, bool]:
    """Check A, B and l1; return the targets, the working dtype, and whether B is one vector."""
    sparse = issparse(A), issparse(B)
    A = sparse_array("A", A) if sparse[0] else real_array("A", A, ndim=(2,))
    B = sparse_array("B", B) if sparse[1] else real_array("B", B, ndim=(1, 2), finite=any(sparse))
    if B.shape[0] != A.shape[0]:
        raise ValueError(f"B has {B.shape[0]} rows, want {A.shape[0]} as A has")
    dtype = np.result_type(A.dtype, B.dtype)
    single, A = B.ndim == 1, A.astype(dtype, copy=False)
    B = columns(B)
    l1 = weights("l1", l1, B.shape[1])
    with threads.one_blas_thread():
        if any(sparse):
            return SparseTargets(A, B, l1, l2), dtype, single
        generators = Generators(A)
        return DataTargets(generators, B, l1, l2, gram_of(generators, l2)), dtype, single
