# SPDX-License-Identifier: BSD-3-Clause
"""The products of training: dictionaries in panels of one lane vector, and what they meet."""

from __future__ import annotations

import numpy as np

from fastcone._nmf import kernels
from fastcone._runtime import kernels as runtime_kernels
from fastcone._runtime.threads import Scratch, aligned


def padded(count: int, dtype: np.dtype) -> int:
    """Return `count` rounded up to what the rows of a factor are padded to."""
    unit = kernels.unit(dtype.itemsize)
    return -(-count // unit) * unit


def pack(A: np.ndarray) -> np.ndarray:
    """Return A (m, n) in panels of its columns, filled up with zeros to the padded count."""
    width = kernels.vector(A.dtype)
    panels = aligned((padded(A.shape[1], A.dtype) // width, A.shape[0], width), A.dtype)
    runtime_kernels.pack(A, panels)
    return panels


def product(panels: np.ndarray, rows: np.ndarray, scratch: Scratch, name: str) -> np.ndarray:
    """Return rows @ (the packed matrix), in `scratch`."""
    C = scratch.take(name, (len(rows), panels.shape[0] * panels.shape[2]), rows.dtype)
    kernels.times(panels, rows, C)
    return C


def outer(rows: np.ndarray, H: np.ndarray, out: np.ndarray, scratch: Scratch) -> None:
    """Add rows' H, the sum over the samples of a block, to `out`, which may be wider than H."""
    size = kernels.outer_work(out.shape[1], H.dtype.itemsize)
    kernels.outer(rows, H, out, scratch.take("outer", (size,), H.dtype))
