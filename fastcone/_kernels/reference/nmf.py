# SPDX-License-Identifier: BSD-3-Clause
"""Plain NumPy twins of the kernels of training, and of whole iterations."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._kernels.reference.nnls import nnls_cd


def nmf_outer(B: np.ndarray, H: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return C + B'H: samples B (p, m) and their coefficients H (p, n).

    >>> nmf_outer(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.zeros((2, 1)))
    array([[3.],
           [6.]])
    """
    return C + B.T @ H


def nmf_entries(
    beta: float, X: np.ndarray, Y: np.ndarray, weight: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return w x y^(beta-2), w y^(beta-1), and the loss of each row.

    >>> nmf_entries(1, np.array([[0.0, 2.0]]), np.array([[3.0, 2.0]]), np.ones((1, 2)))
    (array([[0., 1.]]), array([[1., 1.]]), array([3.]))
    """
    if beta == 2:
        return weight * X, weight * Y, np.sum(weight * (X - Y) ** 2, axis=1) / 2
    Y = np.maximum(Y, least)
    ratio = np.divide(X, Y, out=np.zeros(X.shape), where=X > 0)
    f = np.where((X > 0) | (weight > 0), ratio, 1)
    if beta == 1:
        values = Y * (f * np.log(np.where(f > 0, f, 1)) - f + 1)
    elif beta == 0:
        values = f - np.log(f) - 1
    else:
        values = Y**beta * (f**beta - beta * f + beta - 1) / (beta * (beta - 1))
    unit = weight * Y ** (beta - 1)
    return unit * ratio, unit, np.sum(weight * values, axis=1)


def nmf_mu(
    beta: float,
    H: np.ndarray,
    num: np.ndarray,
    den: np.ndarray,
    l1: float = 0.0,
    l2: float = 0.0,
    floor: float = 0.0,
) -> np.ndarray:
    """Return the rows of H after one multiplicative step.

    >>> nmf_mu(2, np.ones((1, 2)), np.array([[2.0, 0.0]]), np.ones((1, 2)), floor=0.5)
    array([[2. , 0.5]])
    """
    if beta == 1:
        top, below = H * num, den + l1
        below = (below + np.sqrt(below**2 + 4 * l2 * top)) / 2
        return np.maximum(floor, np.divide(top, below, out=np.zeros_like(top), where=below > 0))
    exponent = 1 / (beta - 1 if beta > 2 else 3 - beta if l2 else max(2 - beta, 1))
    below = den + l1 + l2 * H
    ratio = np.divide(num, below, out=np.zeros_like(num), where=below > 0)
    return np.maximum(floor, H * ratio**exponent)


def nmf_objective(
    beta: float,
    X: np.ndarray,
    W: np.ndarray,
    H: np.ndarray,
    weight: np.ndarray | float = 1.0,
    penalties: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
) -> float:
    """Return D(X, W H) and the penalties l1_W, l1_H, l2_W, l2_H; X (m, N).

    >>> nmf_objective(2, np.eye(2), np.eye(2), np.zeros((2, 2)), penalties=(1, 1, 0, 0))
    3.0
    """
    l1_W, l1_H, l2_W, l2_H = penalties
    weight = np.broadcast_to(weight, X.shape)
    loss_value = nmf_entries(beta, np.where(weight > 0, X, 0), W @ H, weight)[2].sum()
    penalty = l1_W * W.sum() + l1_H * H.sum() + (l2_W * np.sum(W**2) + l2_H * np.sum(H**2)) / 2
    return float(loss_value + penalty)


def nmf_cd(
    X: np.ndarray,
    W: np.ndarray,
    H: np.ndarray,
    iterations: int,
    penalties: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    epochs: tuple[int, int] = (1, 1),
    first: float = 0.3,
    known: np.ndarray | float = 1.0,
    stored: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return W and H after iterations of coordinate descent, extrapolation from weight `first`.

    `known` is the mask or the weights: what is less known than the rest is filled in by W H, or,
    with `stored`, left out of the sums of every row.

    >>> nmf_cd(np.array([[2.0]]), np.array([[1.0]]), np.array([[0.0]]), 1)
    (array([[1.]]), array([[2.]]))
    """
    l1_W, l1_H, l2_W, l2_H = penalties
    k, largest = W.shape[1], np.max(known)
    share = known / largest
    l1_W, l1_H, l2_W, l2_H = l1_W / largest, l1_H / largest, l2_W / largest, l2_H / largest

    def descend(
        X: np.ndarray, share: Any, A: np.ndarray, H: np.ndarray, model: np.ndarray, count: int,
        l1: float, l2: float,
    ) -> np.ndarray:  # fmt: skip
        """Return rows H of X ~ H A' after epochs of descent, X filled in by the model."""
        if stored:
            return sparse_cd(X, share > 0, A, H, count, (l1, l2))
        C = (share * X + (1 - share) * model) @ A - l1
        G = A.T @ A + l2 * np.eye(k)
        return np.array([nnls_cd(G, c, h, -1.0, count)[0] for c, h in zip(C, H, strict=True)])

    weight, ceiling, now, W_before, H_before = first, 1.0, 0.0, W, H
    for _ in range(iterations):
        value = nmf_objective(2, X, W, H, known, penalties)
        while True:
            lean = np.maximum(0, W + now * (W - W_before))
            model = (lean @ H).T
            new_H = descend(X.T, np.transpose(share), lean, H.T, model, epochs[0], l1_H, l2_H).T
            H_lean = np.maximum(0, new_H + now * (new_H - H_before))
            H_before = new_H
            new_W = descend(X, share, H_lean.T, lean, lean @ H_lean, epochs[1], l1_W, l2_W)
            if not now or nmf_objective(2, X, new_W, H_lean, known, penalties) < value:
                break
            weight, ceiling, now = weight / 1.5, weight, 0.0
        if now:
            weight, ceiling = min(ceiling, 1.05 * weight), min(1.0, 1.01 * ceiling)
        W_before, W, H, now = W, new_W, H_lean, weight
    return W, H


def nmf_mu_iteration(
    beta: float,
    X: np.ndarray,
    W: np.ndarray,
    H: np.ndarray,
    weight: np.ndarray | float = 1.0,
    penalties: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    floor: float = 2.0**-52,
) -> tuple[np.ndarray, np.ndarray]:
    """Return W and H after one multiplicative step on H, then one on W.

    >>> nmf_mu_iteration(1, np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0]]))
    (array([[1.]]), array([[2.]]))
    """
    l1_W, l1_H, l2_W, l2_H = penalties
    weight = np.broadcast_to(np.asarray(weight, dtype=float), X.shape)
    X = np.where(weight > 0, X, 0)

    def step(X: np.ndarray, w: np.ndarray, A: np.ndarray, H: np.ndarray, *ls: float) -> np.ndarray:
        """One step on H in X ~ A H."""
        num, den, _ = nmf_entries(beta, X, A @ H, w)
        return nmf_mu(beta, H.T, (A.T @ num).T, (A.T @ den).T, ls[0], ls[1], floor).T

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


def sparse_cd(
    X: np.ndarray,
    known: np.ndarray,
    A: np.ndarray,
    H: np.ndarray,
    epochs: int,
    penalties: tuple[float, float] = (0.0, 0.0),
    fixed: int = 0,
) -> np.ndarray:
    """Return the rows of H after descent on the known entries of X (p, m), X ~ H A'.

    >>> known = np.array([[True, False]])
    >>> sparse_cd(np.array([[4.0, 0.0]]), known, np.array([[2.0], [1.0]]), np.ones((1, 1)), 1)
    array([[2.]])
    """
    l1, l2 = penalties
    H = H.copy()
    for x, seen, h in zip(X, known, H, strict=True):
        B = A[seen]
        if not len(B):
            h[fixed:] = 0
        for _ in range(epochs):
            for j in range(fixed, len(h)):
                below = B[:, j] @ B[:, j] + l2
                if below > 0:
                    h[j] = max(0, h[j] + (B[:, j] @ (x[seen] - B @ h) - l1 - l2 * h[j]) / below)
                elif l1 > 0:
                    h[j] = 0
    return H
