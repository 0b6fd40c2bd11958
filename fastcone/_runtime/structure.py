# SPDX-License-Identifier: BSD-3-Clause
"""The structure of sparse matrices, of every format, before any compiled code follows it.

scipy's own check looks at compressed formats alone, at nothing where the last pointer is not
positive, and cuts the caller's arrays. Nothing here is written to.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _wants(condition: Any, found: str) -> None:
    """Raise ValueError with what was found unless the condition holds."""
    if not condition:
        raise ValueError(found)


def _integers(name: str, array: Any) -> np.ndarray:
    """Return an index array, 1-D and of integers."""
    array = np.asarray(array)
    _wants(array.ndim == 1, f"{name} is {array.ndim}-D, want 1-D")
    _wants(array.dtype.kind in "iu", f"{name} has dtype {array.dtype}, want integers")
    return array


def _within(name: str, index: np.ndarray, size: int) -> None:
    """Check that all indices lie in 0..size-1."""
    if index.size:
        least, most = int(index.min()), int(index.max())
        _wants(least >= 0 and most < size, f"{name} holds {least if least < 0 else most}, "
               f"want indices from 0 to {size - 1}")  # fmt: skip


def _compressed(pointers: Any, index: Any, entries: int, major: int, minor: int) -> None:
    """Check pointers and indices of `entries` stored entries or blocks."""
    pointers, index = _integers("indptr", pointers), _integers("indices", index)
    _wants(len(pointers) == major + 1, f"indptr has {len(pointers)} entries, want {major + 1}")
    _wants(pointers[0] == 0, f"indptr begins with {pointers[0]}, want 0")
    _wants(len(index) == entries, f"indices and data have {len(index)} and {entries} entries")
    falls = np.flatnonzero(pointers[1:] < pointers[:-1])
    _wants(not falls.size, f"indptr falls at {falls[:1]}, want no less than before")
    last = int(pointers[-1])
    _wants(last <= entries, f"indptr ends with {last}, beyond the {entries} entries stored")
    _within("indices", index[:last], minor)


def _of_lists(value: Any) -> None:
    """Check the lists of a LIL matrix."""
    m, n = value.shape
    _wants(
        len(value.rows) == m == len(value.data),
        f"rows and data have {len(value.rows)} and {len(value.data)} lists, want {m}",
    )
    for i, (row, data) in enumerate(zip(value.rows, value.data, strict=True)):
        _wants(len(row) == len(data), f"row {i} has {len(row)} indices and {len(data)} entries")
        if row:
            _within(f"row {i}", _integers(f"row {i}", row), n)


def check_structure(value: Any) -> None:
    """Raise ValueError for a sparse matrix (m, n) whose parts do not fit together."""
    (m, n), kind = value.shape, value.format
    if kind in ("csr", "csc"):
        _wants(np.ndim(value.data) == 1, f"data is {np.ndim(value.data)}-D, want 1-D")
        major, minor = (m, n) if kind == "csr" else (n, m)
        _compressed(value.indptr, value.indices, len(value.data), major, minor)
    elif kind == "bsr":
        _wants(np.ndim(value.data) == 3, f"data is {np.ndim(value.data)}-D, want 3-D")
        _, r, c = value.data.shape
        _wants(r and c and not m % r and not n % c, f"blocks of {(r, c)} do not fit {(m, n)}")
        _compressed(value.indptr, value.indices, len(value.data), m // r, n // c)
    elif kind == "coo":
        sizes = [len(value.data), *map(len, value.coords)]
        _wants(len(set(sizes)) == 1, f"data and coords have {sizes} entries, want as many each")
        for name, index, size in zip(("row", "col"), value.coords, (m, n), strict=True):
            _within(name, _integers(name, index), size)
    elif kind == "lil":
        _of_lists(value)
    elif kind == "dok":
        keys = np.array(list(value.keys())).reshape(len(value), -1)
        _wants(not len(value) or keys.shape[1] == 2, "keys are not pairs of indices")
        for name, index, size in zip(("row", "col"), keys.T, (m, n), strict=False):
            _within(name, _integers(name, index), size)
    elif kind == "dia":
        offsets = _integers("offsets", value.offsets)
        _wants(np.ndim(value.data) == 2 and len(value.data) == len(offsets),
               f"data has shape {np.shape(value.data)}, want a row for each of {len(offsets)} "
               "offsets")  # fmt: skip
        _wants(len(set(offsets.tolist())) == len(offsets), "offsets are not distinct")
