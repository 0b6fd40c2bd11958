# SPDX-License-Identifier: BSD-3-Clause
"""Plain ways to train, in NumPy: what a textbook gives. X (N, m) holds samples as rows.

All yield W (m, k) and H (k, N) after every iteration, without end, and change what they are given.
"""

import numpy as np
import scipy.optimize

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


def rated(X, W, H, l2):
    """Exact half-steps where the stored entries of a sparse X are the known ones, l2 on W and H."""
    by_sample, by_feature = X.tocsr(), X.T.tocsr()
    while True:
        H = np.stack([ridge(by_sample, i, W, l2) for i in range(X.shape[0])], axis=1)
        W = np.stack([ridge(by_feature, i, H.T, l2) for i in range(X.shape[1])])
        yield W, H


def ridge(X, i, A, l2):
    """The h >= 0 that minimises ||A h - x||^2 + l2 ||h||^2 over the entries of row i of X."""
    known = slice(X.indptr[i], X.indptr[i + 1])
    k = A.shape[1]
    rows = np.concatenate([A[X.indices[known]], np.sqrt(l2) * np.eye(k)])
    return scipy.optimize.nnls(rows, np.concatenate([X.data[known], np.zeros(k)]))[0]
