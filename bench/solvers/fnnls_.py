# SPDX-License-Identifier: BSD-3-Clause
"""Fast NNLS (Bro, de Jong, J. Chemometrics 11, 1997): a plain NumPy loop on A'A and A'b."""

import numpy as np

NAME = "FNNLS, loop"
VERSION = "NumPy reference"
SLOW = True


def least_squares(G, c):
    try:
        return np.linalg.solve(G, c)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(G, c, rcond=None)[0]


def fnnls(G, c):
    """Minimise 1/2 x'Gx - c'x over x >= 0: one coordinate enters at a time."""
    n = len(c)
    x, passive = np.zeros(n), np.zeros(n, dtype=bool)
    fuzz = 10 * n * np.finfo(float).eps * np.abs(c).max()
    for _ in range(3 * n):
        descent = np.where(passive, -np.inf, c - G @ x)
        j = np.argmax(descent)
        if descent[j] <= fuzz:
            break
        passive[j] = True
        while True:
            F = np.flatnonzero(passive)
            s = least_squares(G[np.ix_(F, F)], c[F])
            down = np.flatnonzero(s <= 0)
            if not len(down):
                break
            share = x[F][down] / np.maximum(x[F][down] - s[down], np.finfo(float).tiny)
            x[F] += share.min() * (s - x[F])
            x[F[down[share == share.min()]]] = 0
            passive[F] = x[F] > 0
        x[:] = 0
        x[F] = s
    return x


def solve(A, B, l1):
    A, B = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    G, C = A.T @ A, A.T @ B - l1
    return np.stack([fnnls(G, c) for c in C.T], axis=1)
