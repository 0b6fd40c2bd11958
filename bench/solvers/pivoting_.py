# SPDX-License-Identifier: BSD-3-Clause
"""Block principal pivoting (Kim, Park, SIAM J. Sci. Comput. 33, 2011): a plain NumPy reference.

Minimise 1/2 x'Gx - c'x over x >= 0 with G = A'A, c = A'b - l1. Every coordinate is passive
(gradient 0) or fixed (x = 0); all that are on the wrong side change sides at once, and columns with
the same passive set share a factorisation.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

NAME = "block principal pivoting"
VERSION = "NumPy reference"
SLOW = False
FRAGILE = True
FULL = 3  # exchanges in full that need not lower the number of wrong coordinates


def least_squares(G, C):
    try:
        return cho_solve(cho_factor(G, check_finite=False), C, check_finite=False)
    except LinAlgError:
        return np.linalg.lstsq(G, C, rcond=None)[0]


def minimisers(G, C, passive):
    """Each column's minimiser over its passive coordinates, once per passive set."""
    X = np.zeros_like(C)
    group = np.unique(np.packbits(passive, axis=0), axis=1, return_inverse=True)[1].ravel()
    order = np.argsort(group, kind="stable")
    for columns in np.split(order, np.cumsum(np.bincount(group))[:-1]):
        F = np.flatnonzero(passive[:, columns[0]])
        X[np.ix_(F, columns)] = least_squares(G[np.ix_(F, F)], C[np.ix_(F, columns)])
    return X


def solve(A, B, l1, support=None):
    """The minimisers, starting from the passive coordinates `support` (n, p) where given."""
    A, B = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    G, C = A.T @ A, A.T @ B - l1
    n, p = C.shape
    fuzz = 8 * n * np.finfo(float).eps * np.abs(C).max(axis=0)  # of a gradient
    diagonal = np.maximum(np.diag(G), np.finfo(float).tiny)[:, None]
    X, gradient = np.zeros_like(C), -C
    passive = np.zeros(C.shape, dtype=bool)
    if support is not None:
        passive = support.copy()
        X = minimisers(G, C, passive)
        gradient = G @ X - C
    least, full = np.full(p, n + 1), np.full(p, FULL)
    for _ in range(5 * n):
        wrong = np.where(passive, X * diagonal, gradient) < -fuzz
        count = wrong.sum(axis=0)
        left = np.flatnonzero(count)
        if not len(left):
            break
        better = count < least
        full = np.where(better, FULL, full - 1)
        least = np.minimum(least, count)
        last = n - 1 - np.argmax(wrong[::-1], axis=0)  # the backup rule: one alone, the last
        wrong &= (full >= 0) | (np.arange(n)[:, None] == last)
        passive ^= wrong
        X[:, left] = minimisers(G, C[:, left], passive[:, left])
        gradient[:, left] = G @ X[:, left] - C[:, left]
    return np.maximum(X, 0)
