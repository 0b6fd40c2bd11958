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


# --- units -----------------------------------------------------------------------------------


def units_in(
    c: np.ndarray, k: int, E: int, l1: float, e: np.ndarray, largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scaled linear terms and the scaled penalties of one problem.

    >>> units_in(np.array([8.0, 4.0]), 2, 3, 4.0, np.array([0, 1]), 1e9)
    (array([1.5, 0. ]), array([0.5, 1. ]))
    """
    penalty = np.minimum(np.ldexp(l1, e - E), largest)
    return c * 2.0**-k - penalty, penalty


def units_out(x: np.ndarray, e: np.ndarray, E: int, largest: float) -> np.ndarray:
    """Return one problem's coefficients in the caller's units.

    >>> units_out(np.array([1.0, 1.0]), np.array([0, 3]), 1, 10.0)
    array([ 2., 10.])
    """
    return np.minimum(np.ldexp(x, e + E), largest)


# --- nnls ------------------------------------------------------------------------------------


def nnls_cd(
    G: np.ndarray, c: np.ndarray, x: np.ndarray, stop: float, max_epochs: int
) -> tuple[np.ndarray, int]:
    """Return x and the epochs used, negative if `max_epochs` came before the limit `stop`.

    minimise 1/2 x'Gx - c'x over x >= 0, one coordinate after the other; with stop > 0 the iterate
    leaps along its last step where that is nearly parallel to the one before.

    >>> nnls_cd(np.eye(2), np.array([1.0, -1.0]), np.zeros(2), 1e-12, 10)
    (array([1., 0.]), 2)
    """
    x, step, weight = x.copy(), np.zeros(len(x)), np.diag(G)
    before, launch, pause, wait, leapt = 0.0, np.inf, 3, 3, False
    for epoch in range(1, max_epochs + 1):
        start, last = x.copy(), step
        for j in np.flatnonzero(weight):
            x[j] = max(0.0, x[j] - (G[j] @ x - c[j]) / G[j, j])
        step = x - start
        moved, along = weight @ step**2, weight @ (step * last)
        if moved <= stop:
            return x, epoch
        failed, leapt, wait = leapt and moved > before, False, wait - 1
        if wait < 0 and 0 < along < before and along**2 >= 0.9 * moved * before:
            leapt = 2 * moved < launch
            failed, wait, launch = not leapt, pause, min(launch, moved)
        if failed:
            wait = pause = 4 * pause
        if leapt and stop > 0:
            x = np.maximum(x + min(along / (before - along), 50) * step, 0)
        before = moved
    return x, -max_epochs


def nnls_pivot(
    G: np.ndarray, c: np.ndarray, x: np.ndarray, slack: np.ndarray, max_steps: int
) -> tuple[np.ndarray, int]:
    """Return x and the steps used, negative and x unchanged where pivoting gave up.

    minimise 1/2 x'Gx - c'x over x >= 0, from the support of x: solve on it, exchange what is wrong.

    >>> nnls_pivot(np.eye(2), np.array([1.0, -1.0]), np.ones(2), np.zeros(2), 10)
    (array([1., 0.]), 2)
    """
    support, least, patience = x > 0, len(x) + 1, 3
    for step in range(1, max_steps + 1):
        z = np.zeros(len(x))
        z[support] = np.linalg.solve(G[np.ix_(support, support)], c[support])
        wrong = np.where(support, z < 0, G @ z - c < -slack)
        count = np.count_nonzero(wrong)
        patience = 3 if count < least else patience - 1
        least = min(least, int(count))
        if not count:
            return z, step
        if not patience:
            return x, -step
        support = support ^ wrong
    return x, -max_steps


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


# --- nnlad -----------------------------------------------------------------------------------


def nnlad(
    A: np.ndarray, b: np.ndarray, l1: np.ndarray, x: np.ndarray, max_steps: int = 10_000
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return x, a dual point y and the steps used, -1 - steps if `max_steps` came first.

    minimise ||A x - b||_1 + l1'x over x >= 0 from x: every edge of a vertex is built from scratch,
    the steepest one is followed for as long as it descends.

    >>> nnlad(np.ones((3, 1)), np.array([1.0, 2.0, 9.0]), np.zeros(1), np.zeros(1))
    (array([2.]), array([-1.,  0.,  1.]), 1)
    """
    x = x.copy()
    free: list[int] = []
    rows: list[int] = []
    s = np.where(b - A @ x > 0, 1.0, -1.0)
    step = 0
    while True:
        K, r = A[np.ix_(rows, free)], b - A @ x
        s[rows] = r[rows] = 0
        y = s.copy()
        y[rows] = np.linalg.solve(K.T, (l1 - A.T @ s)[free])
        g = l1 - A.T @ y
        g[free] = 0
        edges = []  # steepness, direction, what goes: ("free", j) or ("rows", i)
        for j in np.flatnonzero((g < -1e-12) | ((g > 1e-12) & (x > 0))):
            d = np.zeros(len(x))
            d[j] = -np.sign(g[j])
            d[free] = -d[j] * np.linalg.solve(K, A[rows, j])
            edges.append((-abs(g[j]) / np.linalg.norm(A @ d), d, ("free", int(j))))
        for k, i in enumerate(rows):
            if abs(y[i]) > 1 + 1e-12:
                d = np.zeros(len(x))
                d[free] = np.linalg.solve(K, -np.sign(y[i]) * np.eye(len(rows))[k])
                edges.append(((1 - abs(y[i])) / np.linalg.norm(A @ d), d, ("rows", i)))
        if not edges or step == max_steps:
            return x, np.clip(y, -1, 1), -1 - step if edges else step
        _, d, (kind, index) = min(edges, key=lambda edge: edge[0])
        step += 1
        if kind == "rows":
            s[index] = np.sign(y[index])
        x, s, end = _walk(A, l1, x, r, s, d, rows)
        if kind == "free" and end != ("free", index):
            free.append(index)
        if kind == "rows":
            rows.remove(index)
        if end[0] == "rows":
            rows.append(end[1])
        elif end != (kind, index):
            free.remove(end[1])


def _walk(
    A: np.ndarray,
    l1: np.ndarray,
    x: np.ndarray,
    r: np.ndarray,
    s: np.ndarray,
    d: np.ndarray,
    rows: list[int],
) -> tuple[np.ndarray, np.ndarray, tuple[str, int]]:
    """Return x, the signs, and the row or generator at which x + t d stops descending."""
    u = A @ d
    u[rows] = np.where(s[rows] != 0, u[rows], 0)
    slope = l1 @ d - s @ u
    crossed = [("rows", i, s[i] * r[i] / (s[i] * u[i])) for i in np.flatnonzero(s * u > 1e-12)]
    walls = [("free", k, x[k] / -d[k]) for k in np.flatnonzero(d < -1e-12)]
    s = s.copy()
    events = sorted(crossed + walls, key=lambda event: event[2])
    while events[0][0] == "rows" and slope + 2 * abs(u[events[0][1]]) < 0:
        _, i, _ = events.pop(0)
        slope += 2 * abs(u[i])
        s[i] = -s[i]
    kind, index, t = events[0]
    x = np.maximum(x + t * d, 0)
    if kind == "free":
        x[index] = 0
    return x, s, (kind, int(index))


def nnlad_proof(
    A: np.ndarray, b: np.ndarray, l1: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[float, float, float]:
    """Return objective, gap and violation, with no allowance for rounding.

    `weight` > 0 with weight'x* <= ||b||_1 + f for an optimal x* and every value f attained.

    >>> nnlad_proof(np.ones((2, 1)), np.ones(2), np.zeros(1), np.ones(1), np.zeros(2), np.ones(1))
    (0.0, 0.0, 0.0)
    """
    size = np.abs(b).sum()
    objective = np.abs(b - A @ x).sum() + l1 @ x
    over = np.maximum(A.T @ y - l1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_mass = np.max(np.where(over > 0, over / weight, 0)) * (size + objective)
        by_l1 = np.max(np.where(over > 0, over / l1, 0)) * objective
    low = max(b @ y - min(by_mass, by_l1), 0.0)
    violation = np.max(over / np.abs(A).sum(axis=0))
    return float(objective), float((objective - low) / size), float(violation)
