# SPDX-License-Identifier: BSD-3-Clause
"""Twins of the kernels of non-negative least squares. Rows are problems, as in the kernels."""

from __future__ import annotations

import itertools

import numpy as np


def units_in(
    c: np.ndarray, k: int, E: int, l1: float, e: np.ndarray, largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scaled linear terms and the scaled penalties of one problem.

    >>> units_in(np.array([8.0, 4.0]), 2, 3, 4.0, np.array([0, 1]), 1e9)
    (array([1.5, 0. ]), array([0.5, 1. ]))
    """
    penalty = np.minimum(np.ldexp(l1, e - E), largest)
    return c * 2.0**-k - penalty, penalty


def nnls_cd(
    G: np.ndarray, c: np.ndarray, x: np.ndarray, stop: float, max_epochs: int
) -> tuple[np.ndarray, int]:
    """Return x and the epochs used, negative if `max_epochs` came before the limit `stop`.

    minimise 1/2 x'Gx - c'x over x >= 0, one coordinate after the other; with stop > 0 the iterate
    is extrapolated along its last step where that is nearly parallel to the one before.

    >>> nnls_cd(np.eye(2), np.array([1.0, -1.0]), np.zeros(2), 1e-12, 10)
    (array([1., 0.]), 2)
    """
    x, step, weight = x.copy(), np.zeros(len(x)), np.diag(G)
    before, last_start, interval, wait, extrapolated = 0.0, np.inf, 3, 3, False
    for epoch in range(1, max_epochs + 1):
        start, last = x.copy(), step
        for j in np.flatnonzero(weight):
            x[j] = max(0.0, x[j] - (G[j] @ x - c[j]) / G[j, j])
        step = x - start
        moved, along = weight @ step**2, weight @ (step * last)
        if moved <= stop:
            return x, epoch
        failed, extrapolated, wait = extrapolated and moved > before, False, wait - 1
        if wait < 0 and 0 < along < before and along**2 >= 0.9 * moved * before:
            extrapolated = 2 * moved < last_start
            failed, wait, last_start = not extrapolated, interval, min(last_start, moved)
        if failed:
            wait = interval = 4 * interval
        if extrapolated and stop > 0:
            x = np.maximum(x + min(along / (before - along), 50) * step, 0)
        before = moved
    return x, -max_epochs


def nnls_support(G: np.ndarray, c: np.ndarray, slack: float = 1e-12) -> np.ndarray:
    """Return argmin 1/2 x'Gx - c'x over x >= 0: one generator after the other enters the support.

    >>> nnls_support(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([3.0, 0.0]))
    array([1.5, 0. ])
    """
    x, norm = np.zeros(len(c)), np.sqrt(np.diag(G))
    P: list[int] = []
    while True:
        score = np.divide(c - G @ x, norm, out=np.zeros(len(c)), where=norm > 0)
        score[P] = 0
        if score.max(initial=0) <= slack:
            return x
        P.append(int(np.argmax(score)))
        while True:
            z = np.linalg.solve(G[np.ix_(P, P)], c[P])
            if np.all(z > 0):
                break
            bound = np.where(z <= 0, x[P] / np.where(z <= 0, x[P] - z, 1), np.inf)
            x[P] += bound.min() * (z - x[P])
            x[P[int(np.argmin(bound))]] = 0
            P = [j for k, j in enumerate(P) if x[j] > 0 or (z[k] > 0 and bound[k] > bound.min())]
        x = np.zeros(len(c))
        x[P] = z


def nnls_bounded(
    G: np.ndarray, c: np.ndarray, upper: np.ndarray, total: float | None = None
) -> np.ndarray:
    """Return argmin 1/2 x'Gx - c'x over 0 <= x <= upper and, where it is given, sum(x) = total.

    Every way to put coefficients at 0, at their bound or between is tried: a few generators only.

    >>> nnls_bounded(np.eye(2), np.array([3.0, 2.0]), np.array([9.0, 1.0]))
    array([3., 1.])
    >>> nnls_bounded(np.eye(2), np.array([3.0, 2.0]), np.array([9.0, 9.0]), 2.0)
    array([1.5, 0.5])
    """
    n, best, least = len(c), np.full(len(c), np.nan), np.inf
    for where in itertools.product("0fu", repeat=n):
        P = np.array([w == "f" for w in where])
        x = np.where([w == "u" for w in where], upper, 0.0)
        if not np.isfinite(x).all():
            continue
        k, s = int(P.sum()), int(total is not None)
        K = np.zeros((k + s, k + s))
        K[:k, :k], K[k:, :k], K[:k, k:] = G[np.ix_(P, P)], 1, 1
        rest = [] if total is None else [total - x.sum()]
        if k:
            x[P] = np.linalg.lstsq(K, np.concatenate([(c - G @ x)[P], rest]), rcond=None)[0][:k]
        near = 1e-11 * np.abs(x).max(initial=0)
        inside = np.all(x >= -near) and np.all(x <= upper + near)
        value = x @ G @ x / 2 - c @ x
        if inside and value < least and (total is None or abs(x.sum() - total) <= 1e-11 * total):
            best, least = np.clip(x, 0, upper), value
    return best


def nnls_report(
    G: np.ndarray,
    c: np.ndarray,
    x: np.ndarray,
    *,
    size: float,
    rounding: float,
    lam: float,
    shift: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """Return the numbers a certificate is made of, in the order of the kernel's `out`.

    `lam` is a lower bound of the least eigenvalue of G with unit diagonal, `shift` = A'y0 > 0,
    `scale` leads back to the caller's units; `rounding` and `size` give the allowance delta.
    """
    root = np.sqrt(np.diag(G))
    g = G @ x - c
    delta = rounding * root * (root @ x + size)
    hi, lo = np.maximum(g + delta, 0), np.minimum(g - delta, 0)
    curve = lam * np.diag(G)
    d = np.minimum(hi / curve, x)
    return np.array(
        [
            x @ g,
            c @ x,
            x @ delta,
            np.max(np.abs(np.minimum(x * scale, g / scale))),
            np.sum(d * hi - curve * d**2 / 2) + np.sum(lo**2 / curve / 2),
            np.max(-lo / shift),
            shift @ x,
            root @ x,
        ]
    )


def active_set(
    A: np.ndarray, b: np.ndarray, l1: np.ndarray, max_steps: int = 1000
) -> tuple[np.ndarray, int]:
    """Return the minimiser of 1/2 ||A x - b||^2 + l1'x over x >= 0 and the steps used.

    Lawson and Hanson's method with a least-squares solution from scratch on every support.

    >>> active_set(np.eye(2), np.array([1.0, -1.0]), np.zeros(2))
    (array([1., 0.]), 1)
    """
    n = A.shape[1]
    norm = np.linalg.norm(A, axis=0)
    x, support = np.zeros(n), np.zeros(n, dtype=bool)
    for step in range(max_steps):
        w = np.where(support | (norm == 0), -np.inf, A.T @ (b - A @ x) - l1)
        j = int(np.argmax(w / np.where(norm == 0, 1, norm)))
        if w[j] <= 1e-12 * norm[j] * np.linalg.norm(b):
            return x, step
        support[j] = True
        while True:
            S = A[:, support]
            z = np.zeros(n)
            z[support] = np.linalg.lstsq(S.T @ S, S.T @ b - l1[support], rcond=None)[0]
            if (z[support] > 0).all():
                break
            blocked = support & (z <= 0)
            alpha = np.min(x[blocked] / (x[blocked] - z[blocked]))
            x = x + alpha * (z - x)
            support &= ~(blocked & (x <= 1e-14 * np.abs(z)))
            x[~support] = 0
        x = z
    return x, -max_steps
