# SPDX-License-Identifier: BSD-3-Clause
"""The prior of a cone, learned from its training samples: one projection of some of them.

Moments  mean and covariance S of the codes h, in units of ||w_j|| h_j
Shrink   S <- (1 - a) S + a diag(S), a chosen by the likelihood of codes held out
Residual E = X' - W H: its covariance by its largest eigenvectors, the rest on the diagonal

Cost: at most SAMPLES rows are projected, however many there are, read in blocks of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from scipy.sparse import csr_array, issparse

from fastcone._nnls.projector import Projector
from fastcone._runtime.rows import Array
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.threads import one_blas_thread
from fastcone.cone.prior import Prior

SAMPLES = 4096  # rows that are projected
BLOCK = 1 << 21  # entries of a block of rows
EXACT = 1024  # entries of a sample up to which the residual's covariance is formed
RANK = 256  # columns of the residual's factor, of samples of up to EXACT entries
SKETCH = 64  # columns of it for longer samples
SHARE = 0.05  # of the residual's covariance that is spread evenly
FLOOR = 1e-3  # of the mean variance, added to each variance
SHRINKAGES = np.array([0.003, 0.01, 0.03, 0.1, 0.3, 1.0])


@may_underflow
def learn(X: Any, W: Array, known: Any = None) -> Prior | None:
    """Return the prior of the cone of `W`, learned from samples X (N, m).

    With `known` (N, m), only samples that are known as a whole are looked at. None where the
    samples do not tell: fewer than two, all codes alike, or beyond the range of float64.
    """
    whole = np.arange(X.shape[0]) if known is None else np.flatnonzero(known.all(axis=1))
    if len(whole) > SAMPLES:
        whole = whole[np.linspace(0, len(whole) - 1, SAMPLES).astype(int)]
    if len(whole) < 2:
        return None
    wide = np.asarray(W, np.float64)
    length = np.linalg.norm(wide, axis=0)
    length[length == 0] = 1
    with np.errstate(all="ignore"), one_blas_thread():
        codes, moments = _projected(csr_array(X) if issparse(X) else X, wide, whole)
        scaled = codes * length
        if not (moments.finite() and np.isfinite((scaled**2).sum())):
            return None
        covariance = shrunk(scaled) / np.outer(length, length)
        if not np.all(np.diag(covariance) > np.finfo(float).tiny):
            return None
        arrays = codes.mean(axis=0), covariance, *moments.covariance(len(whole))
        if not all(np.isfinite(array).all() for array in arrays):
            return None
        return Prior(*arrays)


def _projected(X: Any, W: Array, index: Array) -> tuple[Array, Moments]:
    """Return the codes of the samples, and the second moments of what they leave."""
    m, rank = W.shape
    projector, moments = Projector.checked(W, 0.0), Moments(m)
    codes = np.empty((len(index), rank))
    step = max(1, BLOCK // m)
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        rows = X[index[part]]
        rows = np.asarray(rows.toarray() if issparse(rows) else rows, np.float64)
        codes[part] = projector.solve(rows.T, certify=False).x.T
        moments.add(rows - codes[part] @ W.T)
    return codes, moments


class Moments:
    """Second moments of residuals: whole, or on random directions where samples are long."""

    def __init__(self, m: int) -> None:
        self._directions = None
        if m > EXACT:
            self._directions = np.random.default_rng(0).standard_normal((m, 2 * SKETCH))
        self._sum = np.zeros((m, m if self._directions is None else 2 * SKETCH))
        self._squares = np.zeros(m)

    def add(self, rows: Array) -> None:
        """Add residuals, one a row."""
        seen = rows if self._directions is None else rows @ self._directions
        self._sum += rows.T @ seen
        self._squares += np.einsum("ij,ij->j", rows, rows)

    def finite(self) -> bool:
        """Return whether no sum has left the range."""
        return bool(np.isfinite(self._sum).all() and np.isfinite(self._squares).all())

    def covariance(self, count: int) -> tuple[Array, Array]:
        """Return factor and diagonal of the covariance, `SHARE` of it spread evenly."""
        variances = self._squares / count
        factor = np.sqrt((1 - SHARE) / count) * self._root()
        left = (1 - SHARE) * variances - np.einsum("ij,ij->i", factor, factor)
        return factor, np.maximum(left, 0) + SHARE * variances.mean()

    def _root(self) -> Array:
        """Return F (m, k) of least rank-k error, exact or by Nystroem's method, of the sums."""
        m, total = len(self._sum), self._sum
        if self._directions is not None:
            # C ~ Y (Omega'Y)^+ Y' with Y = C Omega
            values, vectors = np.linalg.eigh(self._directions.T @ total)
            kept = values > 1e-12 * values[-1]
            total = total @ (vectors[:, kept] / np.sqrt(values[kept]))
            left, sizes, _ = np.linalg.svd(total, full_matrices=False)
            return np.asarray(left[:, :SKETCH] * sizes[:SKETCH]) if kept.any() else np.zeros((m, 1))
        values, vectors = scipy.linalg.eigh(total, subset_by_index=(max(0, m - RANK), m - 1))
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def shrunk(codes: Array) -> Array:
    """Return the covariance of codes (N, d), shrunk to its diagonal as codes held out like best.

    Each half of the codes is judged by the Gaussian of the other half: with Z = (h - mean) / s in
    the eigenvectors of the correlations, the eigenvalues are (1 - a) e + a for every a.
    """
    score = np.zeros(len(SHRINKAGES))
    for here, there in ((codes[::2], codes[1::2]), (codes[1::2], codes[::2])):
        covariance = _covariance(here)
        scale = np.sqrt(np.diag(covariance))
        if len(here) < 2 or not np.all(scale > 0):
            continue
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        power = np.mean((((there - here.mean(axis=0)) / scale) @ vectors) ** 2, axis=0)
        spread = (1 - SHRINKAGES[:, None]) * values + SHRINKAGES[:, None]
        score += (np.log(spread) + power / spread).sum(axis=1)
    share = SHRINKAGES[np.argmin(score)] if score.any() else 1.0
    covariance = _covariance(codes)
    return np.asarray((1 - share) * covariance + share * np.diag(np.diag(covariance)))


def _covariance(codes: Array) -> Array:
    centred = codes - codes.mean(axis=0)
    covariance = centred.T @ centred / len(codes)
    floor = FLOOR * np.trace(covariance) / len(covariance)
    return np.asarray(covariance + floor * np.eye(len(covariance)))
