# SPDX-License-Identifier: BSD-3-Clause
"""Twins of the kernels that all solvers share. Rows are problems, as in the kernels."""

from __future__ import annotations

import numpy as np


def product(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return C = B A for generators A (m, n) and rows B (p, m), and the squared norms of the rows.

    >>> product(np.array([[1.0], [2.0]]), np.array([[3.0, 4.0]]))
    (array([[11.]]), array([25.]))
    """
    return B @ A, np.sum(B * B, axis=1)
