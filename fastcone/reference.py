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
            failed, wait, launch = not leapt, pause, moved
        if failed:
            wait = pause = 4 * pause
        if leapt and stop > 0:
            x = np.maximum(x + min(along / (before - along), 50) * step, 0)
        before = moved
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


# --- nmf -------------------------------------------------------------------------------------


def nmf_outer(B: np.ndarray, H: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return C + B'H: samples B (p, m) and their coefficients H (p, n).

    >>> nmf_outer(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.zeros((2, 1)))
    array([[3.],
           [6.]])
    """
    return C + B.T @ H


def nmf_entries(
    loss: str, X: np.ndarray, Y: np.ndarray, weight: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return w x / y ("kl") or w y ("square"), and the loss of each row.

    >>> nmf_entries("square", np.array([[3.0, 9.0]]), np.ones((1, 2)), np.array([[1.0, 0.0]]))
    (array([[1., 0.]]), array([2.]))
    >>> nmf_entries("kl", np.array([[0.0, 2.0]]), np.array([[3.0, 2.0]]), np.ones((1, 2)))
    (array([[0., 1.]]), array([3.]))
    """
    if loss == "square":
        return weight * Y, np.sum(weight * (X - Y) ** 2, axis=1) / 2
    Y = np.maximum(Y, least)
    ratio = np.divide(X, Y, out=np.zeros(X.shape), where=X > 0)
    log = np.log(np.where(X > 0, ratio, 1))
    return weight * ratio, np.sum(weight * (X * log - X + Y), axis=1)


def nmf_mu(
    loss: str,
    H: np.ndarray,
    num: np.ndarray,
    den: np.ndarray,
    l1: float = 0.0,
    l2: float = 0.0,
    floor: float = 0.0,
) -> np.ndarray:
    """Return the rows of H after one multiplicative step.

    >>> nmf_mu("square", np.ones((1, 2)), np.array([[2.0, 0.0]]), np.ones((1, 2)), floor=0.5)
    array([[2. , 0.5]])
    """
    if loss == "square":
        top, below = H * num, den + l1 + l2 * H
    else:
        top, below = H * num, den + l1
        below = (below + np.sqrt(below**2 + 4 * l2 * top)) / 2
    return np.maximum(floor, np.divide(top, below, out=np.zeros_like(top), where=below > 0))


def nmf_objective(
    loss: str,
    X: np.ndarray,
    W: np.ndarray,
    H: np.ndarray,
    weight: np.ndarray | float = 1.0,
    penalties: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
) -> float:
    """Return D(X, W H) and the penalties l1_W, l1_H, l2_W, l2_H; X (m, N).

    >>> nmf_objective("square", np.eye(2), np.eye(2), np.zeros((2, 2)), penalties=(1, 1, 0, 0))
    3.0
    """
    l1_W, l1_H, l2_W, l2_H = penalties
    weight = np.broadcast_to(weight, X.shape)
    loss_value = nmf_entries(loss, np.where(weight > 0, X, 0), W @ H, weight)[1].sum()
    squares = l2_W * np.sum(W**2) / 2 + l2_H * np.sum(H**2) / 2
    return float(loss_value + l1_W * W.sum() + l1_H * H.sum() + squares)


def nmf_cd_iteration(
    X: np.ndarray,
    W: np.ndarray,
    H: np.ndarray,
    penalties: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    epochs: tuple[int, int] = (1, 1),
) -> tuple[np.ndarray, np.ndarray]:
    """Return W and H after epochs of coordinate descent on H (the first number), then on W.

    >>> nmf_cd_iteration(np.array([[2.0]]), np.array([[1.0]]), np.array([[0.0]]))
    (array([[1.]]), array([[2.]]))
    """
    l1_W, l1_H, l2_W, l2_H = penalties
    k = W.shape[1]

    def descend(G: np.ndarray, C: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
        return np.array([nnls_cd(G, c, x, -1.0, count)[0] for c, x in zip(C, rows, strict=True)])

    H = descend(W.T @ W + l2_H * np.eye(k), X.T @ W - l1_H, H.T, epochs[0]).T
    W = descend(H @ H.T + l2_W * np.eye(k), X @ H.T - l1_W, W, epochs[1])
    return W, H


def nmf_mu_iteration(
    loss: str,
    X: np.ndarray,
    W: np.ndarray,
    H: np.ndarray,
    weight: np.ndarray | float = 1.0,
    penalties: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    floor: float = 2.0**-52,
) -> tuple[np.ndarray, np.ndarray]:
    """Return W and H after one multiplicative step on H, then one on W.

    >>> nmf_mu_iteration("kl", np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0]]))
    (array([[1.]]), array([[2.]]))
    """
    l1_W, l1_H, l2_W, l2_H = penalties
    weight = np.broadcast_to(np.asarray(weight, dtype=float), X.shape)
    X = np.where(weight > 0, X, 0)

    def step(
        X: np.ndarray, w: np.ndarray, A: np.ndarray, H: np.ndarray, l1: float, l2: float
    ) -> np.ndarray:
        """One step on H in X ~ A H."""
        out = nmf_entries(loss, X, A @ H, w)[0]
        num, den = (A.T @ out, A.T @ w) if loss == "kl" else (A.T @ (w * X), A.T @ out)
        return nmf_mu(loss, H.T, num.T, den.T, l1, l2, floor).T

    H = step(X, weight, W, H, l1_H, l2_H)
    W = step(X.T, weight.T, H.T, W.T, l1_W, l2_W).T
    return W, H


def sparse_kl(
    X: np.ndarray, A: np.ndarray, H: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (X / Y) A and the rows' sums of x log(x / y) - x, Y = H A' at least `least`.

    >>> sparse_kl(np.array([[0.0, 1.0]]), np.ones((2, 1)), np.ones((1, 1)))
    (array([[1.]]), array([-1.]))
    """
    ratio = X / np.maximum(H @ A.T, least)
    return ratio @ A, np.sum(X * np.log(np.where(X > 0, ratio, 1)) - X, axis=1)


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
