# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of `solve_nnlad` checked and turned into what the batch works on."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nnlad.solve import Problems
from fastcone._runtime import validation
from fastcone._runtime.validation import check_finite, check_shape, real_array, sparse_array


def columns(array: Any) -> Any:
    """Return a single vector as one column."""
    return array[:, None] if array.ndim == 1 else array


def checked_problems(A: Any, B: Any, l1: Any, weights: Any, x0: Any) -> tuple[Problems, bool]:
    """Check the data; return them, and whether B is one vector."""
    if issparse(A):
        raise TypeError(
            f"A is a sparse {type(A).__name__}, want a dense array (A.toarray()): every step "
            "needs whole columns of it; B may be sparse"
        )
    A = real_array("A", A, ndim=(2,), finite=weights is None)
    if issparse(B):
        B = sparse_array("B", B)
    else:
        B = real_array("B", B, ndim=(1, 2), finite=weights is None)
    (m, n), single, dtype = A.shape, B.ndim == 1, np.result_type(A.dtype, B.dtype)
    if B.shape[0] != m:
        raise ValueError(f"B has {B.shape[0]} rows, want {m} as A has")
    if weights is not None:
        weights = row_weights(weights, B.shape)
        A = read("A", A, weights if weights.ndim == 1 else weights.any(axis=1))
        B = B if issparse(B) else read("B", B, weights)
    if x0 is not None:
        x0 = real_array("x0", x0, ndim=(B.ndim,), dtype=dtype, nonnegative=True)
        check_shape("x0", x0, (n, *B.shape[1:]))
        x0 = columns(x0)
    B = columns(B).astype(dtype, copy=False)
    l1 = validation.weights("l1", l1, B.shape[1])
    return Problems(A, B, l1, weights, x0, dtype), single


def row_weights(weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Check the row weights: (m,), or as the targets where those are (m, p)."""
    weights = real_array(
        "weights", weights, ndim=(1, 2)[: len(shape)], dtype=np.float64, nonnegative=True
    )
    check_shape("weights", weights, shape[: weights.ndim])
    return weights


def read(name: str, array: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return an array with zeros where the weight is 0; the other entries must be finite."""
    if not weights.all():
        array = np.where(weights if weights.ndim == array.ndim else weights[:, None], array, 0)
    check_finite(name, array)
    return array
