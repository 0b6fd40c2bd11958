# SPDX-License-Identifier: BSD-3-Clause
"""Twins of the kernels of the 1-norm solver. Rows are problems, as in the kernels."""

from __future__ import annotations

import numpy as np


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
