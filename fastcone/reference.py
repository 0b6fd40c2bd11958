# SPDX-License-Identifier: BSD-3-Clause
"""A plain NumPy twin of every kernel: the executable specification.

Slow and obvious. Only tests and documentation import it. Rows are problems, as in the kernels.
"""

from __future__ import annotations

import numpy as np

# --- product ---------------------------------------------------------------------------------


def product(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return C = B A for generators A (m, n) and rows B (p, m), and the squared norms of the rows.

    >>> product(np.array([[1.0], [2.0]]), np.array([[3.0, 4.0]]))
    (array([[11.]]), array([25.]))
    """
    return B @ A, np.sum(B * B, axis=1)


# --- nnls ------------------------------------------------------------------------------------


def nnls_cd(
    G: np.ndarray, c: np.ndarray, x: np.ndarray, stop: float, max_epochs: int
) -> tuple[np.ndarray, int]:
    """Return x and the epochs used, negative if `max_epochs` came before the limit `stop`.

    minimise 1/2 x'Gx - c'x over x >= 0, one coordinate after the other.

    >>> nnls_cd(np.eye(2), np.array([1.0, -1.0]), np.zeros(2), 1e-12, 10)
    (array([1., 0.]), 2)
    """
    x = x.copy()
    for epoch in range(1, max_epochs + 1):
        moved = 0.0
        for j in range(len(x)):
            if G[j, j] == 0:
                continue
            to = max(0.0, x[j] - (G[j] @ x - c[j]) / G[j, j])
            moved += G[j, j] * (to - x[j]) ** 2
            x[j] = to
        if moved <= stop:
            return x, epoch
    return x, -max_epochs


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
    """Return the facts a certificate is made of, in the order of the kernel's `out`.

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
