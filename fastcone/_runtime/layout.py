# SPDX-License-Identifier: BSD-3-Clause
"""Matrices in the layouts of the product and the descent kernel, and products with them.

Every product of the solvers with rows of data goes through that kernel, whose sums have one order
whatever the batch: no BLAS, whose bits depend on the shape of the batch and on its threads.
"""

from __future__ import annotations

import numpy as np

from fastcone._runtime import kernels
from fastcone._runtime.threads import Scratch, aligned

BLOCK = 4  # coordinates per register block of the descent kernel


def pack(A: np.ndarray) -> np.ndarray:
    """Return A (m, n) in panels of its columns, the last one filled up with zeros."""
    m, n = A.shape
    width = kernels.panel(A.dtype)
    panels = aligned((-(-n // width), m, width), A.dtype)
    kernels.pack(A, panels)
    return panels


def blocks(n: int) -> int:
    """Return n rounded up to whole register blocks of the descent kernel."""
    return -(-n // BLOCK) * BLOCK


def pack_symmetric(G: np.ndarray) -> np.ndarray:
    """Lay a symmetric G, its size rounded up by `blocks`, out as the descent kernel wants it."""
    n = len(G)
    return np.ascontiguousarray(G.reshape(n // BLOCK, BLOCK, n).transpose(0, 2, 1)).ravel()


def product_and_norms(
    panels: np.ndarray, rows: np.ndarray, scratch: Scratch, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows @ (the packed matrix), (p, ld), and the rows' squared norms, in `scratch`."""
    C = scratch.take(name, (len(rows), panels.shape[0] * panels.shape[2]), rows.dtype)
    norm2 = scratch.take(name + " norm2", (len(rows),), rows.dtype)
    kernels.product(panels, rows, C, norm2)
    return C, norm2


def product(panels: np.ndarray, rows: np.ndarray, scratch: Scratch, name: str) -> np.ndarray:
    """Return rows @ (the packed matrix), in `scratch`."""
    return product_and_norms(panels, rows, scratch, name)[0]
