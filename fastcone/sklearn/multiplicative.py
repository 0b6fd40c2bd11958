# SPDX-License-Identifier: BSD-3-Clause
"""Multiplicative steps in NumPy, for what `fastcone.nmf` does not do: zeros kept, sums kept.

    num = (X * Y^(b-2)) H',   den = Y^(b-1) H',   Y = W H >= least
    W  <- W (num / (den + l1 + l2 W))^g

with the exponent g of docs/nmf.md. The step on H is that on W of the transposed problem. A zero
stays a zero, which a start with a known pattern of zeros relies on. `MiniBatchNMF` keeps sums of
num H^(1/g) and den over its batches. X is (n, p), dense or CSR or CSC; sparse X is opened, some
rows at a time, for b other than 1 and 2 alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

OPENED = 1 << 22  # entries of sparse X that are opened at a time
FLOOR = 52  # a positive entry of a factor stays above 2^-FLOOR units, or more
GATHERED = 1 << 20  # numbers gathered at a time for the entries of sparse X


class Weights(NamedTuple):
    """l1 sum(F) + l2/2 ||F||^2 on a factor F."""

    l1: float
    l2: float

    def __call__(self, F: np.ndarray) -> float:
        """Return the penalty in float64."""
        total = self.l1 * float(F.sum(dtype=np.float64)) if self.l1 else 0.0
        if self.l2:
            total += self.l2 / 2 * float(np.einsum("ij,ij->", F, F, dtype=np.float64))
        return total


def exponent(beta: float, l2: float) -> float:
    """Return the exponent under which the step never raises the objective."""
    if beta > 2:
        return 1 / (beta - 1)
    if l2:
        return 1 / (3 - beta)
    return 1 / (2 - beta) if beta < 1 else 1.0


class Floors(NamedTuple):
    """What positive entries of W, H and WH are at least; the first two as in `fastcone.nmf`."""

    W: float
    H: float
    product: float

    @classmethod
    def of(cls, X: Any, H: np.ndarray, beta: float) -> Floors:
        """Return those of a run that starts at H: 2^-52 units, the unit a power of two."""
        room = FLOOR if X.dtype == np.float32 else 8 * FLOOR
        least = 2.0 ** -min(FLOOR, int(room / max(2 - beta, 1)))
        unit, in_X = (2.0 ** np.floor(np.log2(float(F.max()) or 1)) for F in (H, X))
        return cls(in_X / unit * least, unit * least, in_X * least**2)


def products(X: Any, W: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Return WH where the CSR matrix X has entries."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    found, Ht, step = (
        np.empty(X.nnz, W.dtype),
        np.ascontiguousarray(H.T),
        max(GATHERED // len(H), 1),
    )
    for i in range(0, X.nnz, step):
        at = slice(i, i + step)
        np.einsum("ij,ij->i", W[rows[at]], Ht[X.indices[at]], out=found[at])
    return found


def opened(X: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Give X as dense blocks of rows; a dense X is one block."""
    if not issparse(X):
        yield slice(0, X.shape[0]), X
        return
    X, step = X.tocsr(), max(OPENED // X.shape[1], 1)
    for i in range(0, X.shape[0], step):
        rows = slice(i, min(i + step, X.shape[0]))
        yield rows, X[rows].toarray()


def sums(
    X: Any, W: np.ndarray, H: np.ndarray, beta: float, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numerators (n, k) and the denominators, (n, k) or (1, k), of the step on W."""
    if beta == 2:
        return X @ H.T, W @ (H @ H.T)
    if beta == 1 and issparse(X):
        ratio = X.tocsr().copy()
        ratio.data /= np.maximum(products(ratio, W, H), least)
        return ratio @ H.T, H.sum(axis=1)[None]
    num, den = np.empty_like(W), np.empty_like(W)
    for rows, block in opened(X):
        Y = np.maximum(W[rows] @ H, least)
        if beta == 1:
            num[rows] = (block / Y) @ H.T
        else:
            den[rows] = Y ** (beta - 1) @ H.T
            num[rows] = (block * Y ** (beta - 2)) @ H.T
    return num, H.sum(axis=1)[None] if beta == 1 else den


def step(
    W: np.ndarray, num: np.ndarray, den: np.ndarray, weights: Weights, beta: float, floor: float
) -> np.ndarray:
    """Return W after a step: what is positive at least the floor, what is zero still zero."""
    den = den + weights.l1 + weights.l2 * W
    ratio = np.divide(num, den, out=np.zeros_like(num), where=den > 0)
    g = exponent(beta, weights.l2)
    return above(W * (ratio if g == 1 else ratio**g), floor, W)


def above(F: np.ndarray, floor: float, before: np.ndarray) -> np.ndarray:
    """Return F, at least the floor where it was positive before."""
    return np.where(before > 0, np.maximum(F, F.dtype.type(floor)), 0)


def settled(F: np.ndarray, floor: float) -> np.ndarray:
    """Return F with zeros for what has sunk to the floor."""
    return np.where(floor < F, F, 0)


def divergence(X: Any, W: np.ndarray, H: np.ndarray, beta: float) -> float:
    """Return the beta-divergence of X from WH."""
    if beta == 2 and issparse(X):
        square = float(np.vdot(X.data, X.data)) - 2 * float(np.vdot(X @ H.T, W))
        return max(square + float(np.vdot(W.T @ W, H @ H.T)), 0.0) / 2
    least = Floors.of(X, H, beta).product
    if beta == 1 and issparse(X):
        X = X.tocsr()
        x, y = X.data, np.maximum(products(X, W, H), least)
        seen = x > 0
        known = float(np.sum(x[seen] * np.log(x[seen] / y[seen]), dtype=np.float64))
        total = float(W.sum(axis=0, dtype=np.float64) @ H.sum(axis=1, dtype=np.float64))
        return known - float(x.sum(dtype=np.float64)) + total
    return sum(entries(block, W[rows] @ H, beta, least) for rows, block in opened(X))


def entries(X: np.ndarray, Y: np.ndarray, beta: float, least: float) -> float:
    """Return the beta-divergence of dense X from Y."""
    if beta == 2:
        return float(np.sum(np.square(X - Y), dtype=np.float64)) / 2
    Y = np.maximum(Y, least).astype(np.float64, copy=False)
    if beta == 1:
        seen = X > 0
        return float(np.sum(X[seen] * np.log(X[seen] / Y[seen])) - np.sum(X) + np.sum(Y))
    if beta == 0:
        ratio = X / Y
        return float(np.sum(ratio - np.log(ratio) - 1))
    powers = X**beta + (beta - 1) * Y**beta - beta * X * Y ** (beta - 1)
    return float(np.sum(powers) / (beta * (beta - 1)))
