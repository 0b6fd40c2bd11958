# SPDX-License-Identifier: BSD-3-Clause
"""Two plain ways to train, in NumPy: what a textbook gives. X (N, m) holds samples as rows.

Both yield W (m, k) and H (k, N) after every iteration, without end, and change what they are given.
"""

import numpy as np

from bench.solvers import pivoting_


def hals(X, W, H):
    """One epoch of coordinate descent on H, one on W (Cichocki, Phan, IEICE Trans. E92-A, 2009)."""
    Ht = np.ascontiguousarray(H.T)
    while True:
        epoch(X @ W, W.T @ W, Ht)
        epoch(X.T @ Ht, Ht.T @ Ht, W)
        yield W, Ht.T


def epoch(C, G, F):
    """F_j <- max(0, F_j + (C_j - F G_j) / G_jj), column after column."""
    for j in range(F.shape[1]):
        if G[j, j] > 0:
            F[:, j] = np.maximum(F[:, j] + (C[:, j] - F @ G[:, j]) / G[j, j], 0)


def pivoting(X, W, H):
    """Exact half-steps by block principal pivoting from the last supports (Kim, Park 2011)."""
    while True:
        H = pivoting_.solve(W, X.T, 0.0, H > 0)
        W = pivoting_.solve(H.T, X, 0.0, W.T > 0).T
        yield W, H
