# SPDX-License-Identifier: BSD-3-Clause
"""The covariance of data around the cone, Q = A R A' + sigma^2 I: its root, formed or not.

    R = F F' + diag(D),        B'B = Q^-1

`Formed` is for signals of up to DENSE entries: B and R A' B' are matrices; where rounding leaves Q
no root, B comes from the singular values of A C, R = C C'.  `Split` wants A diag(D) A' diagonal, as
it is for masks and block means; data of more entries than such a signal has take it with F = C,
D = 0. With E = A diag(D) A' + sigma^2 I and the singular values of E^-1/2 A F = U s V',

    B = (I - U diag(1 - 1 / sqrt(1 + s^2)) U') E^-1/2,      F'A' B' = V diag(s / sqrt(1 + s^2)) U'

so that R A' B', which takes what is left of whitened data to signals, is formed without Q^-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import diags_array, issparse

from fastcone._runtime.layout import pack, product
from fastcone._runtime.rows import Array
from fastcone._runtime.threads import Scratch
from fastcone.cone.prior import Prior
from fastcone.operators.base import Operator

DENSE = 2048  # entries of signals up to which Q is formed

Known = npt.NDArray[np.bool_] | None


class Linear:
    """A matrix M (p, q) prepared to be applied to rows; a row's bits do not depend on others."""

    def __init__(self, matrix: Array) -> None:
        self._panels, self._size = pack(np.ascontiguousarray(matrix.T)), len(matrix)
        self.nbytes = self._panels.nbytes

    def __call__(self, rows: Array, scratch: Scratch) -> Array:
        """Return rows @ M', a new array."""
        found = product(self._panels, np.ascontiguousarray(rows), scratch, "linear")
        return found[:, : self._size].copy()


def seen(matrix: Array, forward: Operator | None, known: Known) -> Array:
    """Return what data show of signals that stand in columns."""
    matrix = matrix if forward is None else forward.apply_to(matrix)
    return matrix if known is None else matrix[known]


class Formed:
    """Q of data of no more entries than the signal has, and that of up to DENSE."""

    def __init__(self, prior: Prior, forward: Operator | None, known: Known, sigma: float) -> None:
        shown = seen(prior.residual, forward, known)  # A R
        Q = seen(shown.T, forward, known)
        try:
            low = cholesky((Q + Q.T) / 2 + sigma**2 * np.eye(len(Q)), lower=True)
            root = solve_triangular(low, np.eye(len(Q)), lower=True)
            self.log_det = float(2 * np.log(np.diag(low)).sum())
            answer = shown.T @ root.T
        except np.linalg.LinAlgError:  # sigma is below the rounding of Q, which is singular
            factor = prior.root
            left, sizes, right = np.linalg.svd(seen(factor, forward, known), full_matrices=False)
            spread = np.hypot(sizes, sigma)
            root = left.T / spread[:, None]
            self.log_det = float(2 * np.log(spread).sum())
            answer = factor @ (right.T * (sizes / spread))
        self.whiten, self.unwhiten = Linear(root), Linear(root.T)
        self.answer = Linear(answer)
        self.nbytes = 2 * self.whiten.nbytes + self.answer.nbytes


class Split:
    """Q as a diagonal and a factor."""

    def __init__(
        self, factor: Array, diagonal: Array, forward: Operator | None, known: Known, sigma: float
    ) -> None:
        self._forward, self._known, self._diagonal = forward, known, diagonal
        variances = _variances(diagonal, forward)
        size = len(variances)
        self._scale = 1 / np.sqrt((variances if known is None else variances[known]) + sigma**2)
        shown = seen(factor, forward, known)
        left, sizes, right = np.linalg.svd(shown * self._scale[:, None], full_matrices=False)
        root = np.sqrt(1 + sizes**2)
        self.log_det = float(np.log1p(sizes**2).sum() - 2 * np.log(self._scale).sum())
        self._inner = Linear(left.T)
        self._basis, self._outer = Linear(left), Linear(left / root)
        self._to_signal = Linear(factor @ (right.T * (sizes / root)))
        self._size = size
        self.nbytes = 5 * shown.nbytes

    def whiten(self, rows: Array, scratch: Scratch) -> Array:
        """Return rows @ B'."""
        return self._damped(rows * self._scale, scratch)

    def unwhiten(self, rows: Array, scratch: Scratch) -> Array:
        """Return rows @ B."""
        return self._damped(rows, scratch) * self._scale

    def _damped(self, rows: Array, scratch: Scratch) -> Array:
        """Return rows, what U spans of them divided by sqrt(1 + s^2)."""
        inside = self._inner(rows, scratch)
        beside = rows - self._basis(inside, scratch)
        beside -= self._basis(self._inner(beside, scratch), scratch)  # what rounding left of U
        return beside + self._outer(inside, scratch)

    def answer(self, rows: Array, scratch: Scratch) -> Array:
        """Return rows @ B A R."""
        signals = self._to_signal(self._inner(rows, scratch), scratch)
        if not self._diagonal.any():
            return signals
        rows = self.unwhiten(rows, scratch)
        if self._known is not None:
            whole = np.zeros((len(rows), self._size))
            whole[:, self._known] = rows
            rows = whole
        if self._forward is not None:
            rows = self._forward.adjoint(rows)
        return signals + rows * self._diagonal


Noise = Formed | Split


def noise_of(prior: Prior, forward: Operator | None, known: Known, sigma: float) -> Noise:
    """Return Q of data with noise of deviation `sigma`."""
    m = len(prior.diagonal)
    if m > DENSE:
        return Split(prior.factor, prior.diagonal, forward, known, sigma)
    count = m if forward is None else forward.size_out
    if (count if known is None else known.sum()) > m:
        return Split(prior.root, np.zeros(m), forward, known, sigma)
    return Formed(prior, forward, known, sigma)


def _variances(diagonal: Array, forward: Operator | None) -> Array:
    """Return the diagonal of A diag(D) A', if nothing stands beside it."""
    if forward is None:
        return diagonal
    if not diagonal.any():
        return np.zeros(forward.size_out)
    matrix: Any = getattr(forward, "_matrix", None)
    if issparse(matrix):
        covariance = (matrix @ diags_array(diagonal) @ matrix.T).tocoo()
        if np.all(covariance.coords[0] == covariance.coords[1]):
            return np.asarray(covariance.diagonal())
    raise ValueError(
        f"noise wants a forward operator that mixes no entries, as masks and block means do, for "
        f"signals of more than {DENSE} entries; found {forward!r} on {len(diagonal)}"
    )
