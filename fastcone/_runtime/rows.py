# SPDX-License-Identifier: BSD-3-Clause
"""Samples as rows: their masks, their dtype and their norms."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastcone._runtime import kernels
from fastcone._runtime.scaling import safe_range
from fastcone._runtime.validation import check_finite, choice

Array = npt.NDArray[Any]
Loss = Literal["l2", "l1"]


def narrowed(matrix: Array, dtype: Any) -> Array:
    """Return generators in the samples' dtype; none may be lost or leave the range there."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = matrix.astype(dtype, copy=False)
    if narrow.dtype != matrix.dtype and (
        not np.isfinite(narrow).all() or np.any(matrix.any(axis=0) & ~narrow.any(axis=0))
    ):
        raise ValueError(f"V is {narrow.dtype}, too narrow for this cone's W: want float64")
    return narrow


def nan_mask(name: str, value: str, samples: Array) -> npt.NDArray[np.bool_]:
    """Return where samples are known: the mask "nan" stands for entries that are not NaN."""
    if value == "stored":
        raise ValueError(f'{name} "stored" wants a scipy.sparse matrix, found a dense array')
    choice(name, value, ("nan", "stored"))
    return ~np.isnan(samples)


def filled(name: str, rows: Array, known: npt.NDArray[np.bool_]) -> Array:
    """Return rows with zeros for the unknown entries; the known ones must be finite."""
    rows = np.where(known, rows, 0)
    check_finite(name, rows)
    return rows


def groups(
    known: npt.NDArray[np.bool_] | None,
) -> list[tuple[Any, npt.NDArray[np.bool_]]]:
    """Return samples that share their known entries, and these; none where all are known."""
    if known is None:
        return []
    if known.ndim == 1:
        return [(slice(None), known)]
    patterns, which, counts = np.unique(known, axis=0, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(which.ravel()), np.cumsum(counts)[:-1])
    return list(zip(members, patterns, strict=False))  # no samples: no pattern, one empty split


def row_norms(rows: Array, loss: Loss) -> Array:
    """Return the 2-norms or 1-norms of rows, at any scale: no square overflows or vanishes."""
    if loss == "l1":
        return np.asarray(np.abs(rows).sum(axis=1))
    if rows.shape[1] > 1 and rows.strides[1] != rows.itemsize:
        rows = np.ascontiguousarray(rows)
    norm, (low, high) = np.empty(len(rows), rows.dtype), safe_range(rows.dtype)
    if not kernels.row_norms(rows, low, high, norm):
        hard = np.flatnonzero(norm < 0)
        peak = np.abs(rows[hard]).max(axis=1, initial=0)
        scaled = rows[hard] / np.where(peak > 0, peak, 1)[:, None]
        with np.errstate(under="ignore"):
            norm[hard] = peak * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return np.asarray(norm)
