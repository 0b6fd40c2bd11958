# SPDX-License-Identifier: BSD-3-Clause
"""What a cone knows of its signals beyond its generators: how they are mixed, what they leave.

u = W h + r,        h ~ N(mean, covariance) on h >= 0,        r ~ N(0, F F' + diag(diagonal))
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag, solve_triangular

from fastcone._runtime.rows import Array
from fastcone._runtime.validation import check_shape, real_array

ARRAYS = ("mean", "covariance", "factor", "diagonal")


@dataclass(frozen=True, eq=False)
class Prior:
    """Mean and covariance of a cone's coefficients, and the covariance of what it leaves.

    `Cone.fit` learns it; ``Cone(W, prior=Prior(...))`` takes one that is known. It occupies
    ``8 (d^2 + (k + 1) m)`` bytes, in memory and in the model file.

    Parameters
    ----------
    mean : array_like, shape (d,)
        Of the coefficients.
    covariance : array_like, shape (d, d)
        Of the coefficients, symmetric and positive definite.
    factor : array_like, shape (m, k)
        ``F``: the residual's covariance is ``F F' + diag(diagonal)``.
    diagonal : array_like, shape (m,)
        Variances >= 0.

    Raises
    ------
    ValueError, TypeError
        Arrays that are not finite or do not fit together, a covariance that is not positive
        definite, a negative variance.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.cone import Prior
    >>> Prior([1.0], [[0.5]], np.zeros((3, 1)), np.full(3, 0.1)).residual
    array([[0.1, 0. , 0. ],
           [0. , 0.1, 0. ],
           [0. , 0. , 0.1]])
    """

    mean: Array
    covariance: Array
    factor: Array
    diagonal: Array

    def __post_init__(self) -> None:
        for name, ndim in zip(ARRAYS, (1, 2, 2, 1), strict=True):
            given = getattr(self, name)
            array = np.array(real_array(name, given, ndim=(ndim,), dtype=np.float64, min_size=1))
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        rank, m = len(self.mean), len(self.factor)
        check_shape("covariance", self.covariance, (rank, rank))
        check_shape("diagonal", self.diagonal, (m,))
        if self.diagonal.min() < 0:
            raise ValueError(f"diagonal must hold variances >= 0, found {self.diagonal.min():.3g}")
        skew = np.abs(self.covariance - self.covariance.T).max()
        if skew > 1e-8 * np.abs(self.covariance).max():
            raise ValueError(
                f"covariance must be symmetric, found entries that differ by {skew:.3g}"
            )
        self.rows  # noqa: B018  made now: a covariance that has no inverse is refused here

    def __getstate__(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in ARRAYS}

    def __setstate__(self, state: dict[str, Array]) -> None:
        for name in ARRAYS:  # an unpickled array may be written to
            state[name].setflags(write=False)
            object.__setattr__(self, name, state[name])

    @functools.cached_property
    def _triangle(self) -> Array:
        try:
            return np.asarray(np.linalg.cholesky(self.covariance))
        except np.linalg.LinAlgError:
            raise ValueError(
                "covariance must be positive definite, found one that is not"
            ) from None

    @functools.cached_property
    def rows(self) -> Array:
        """L, shape (d, d), with ``L'L`` the inverse of the covariance."""
        identity = np.eye(len(self.mean))
        return np.asarray(solve_triangular(self._triangle, identity, lower=True))

    @property
    def log_det(self) -> float:
        """Logarithm of the determinant of the covariance."""
        return float(2 * np.log(np.diag(self._triangle)).sum())

    @property
    def residual(self) -> Array:
        """Covariance of the residual, shape (m, m): formed anew each time."""
        return np.asarray(self.factor @ self.factor.T + np.diag(self.diagonal))

    @property
    def root(self) -> Array:
        """C, shape (m, m), with ``C C'`` the residual's covariance: formed anew each time."""
        columns = np.hstack([self.factor, np.diag(np.sqrt(self.diagonal))])
        return np.asarray(np.linalg.qr(columns.T, mode="r")).T

    def rescaled(self, length: Array) -> Prior:
        """Return the prior of the generators ``w_j / length_j``; those of length 0 are left out."""
        kept = length > 0
        scale = length[kept]
        covariance = self.covariance[np.ix_(kept, kept)] * np.outer(scale, scale)
        return Prior(self.mean[kept] * scale, covariance, self.factor, self.diagonal)

    @classmethod
    def of_sum(cls, priors: Sequence[Prior]) -> Prior:
        """Return the prior of a sum of independent signals, their generators side by side."""
        return cls(
            np.concatenate([p.mean for p in priors]),
            block_diag(*(p.covariance for p in priors)),
            np.hstack([p.factor for p in priors]),
            np.sum([p.diagonal for p in priors], axis=0),
        )

    def check(self, shape: tuple[int, ...]) -> Prior:
        """Return the prior if it is that of generators of this shape (m, d)."""
        found = len(self.factor), len(self.mean)
        if found != shape:
            raise ValueError(f"prior must be of a dictionary of shape {shape}, found {found}")
        return self


def checked_prior(prior: Any, shape: tuple[int, ...]) -> Prior | None:
    """Return `prior` if it is one of generators of this shape, or None."""
    if prior is None or isinstance(prior, Prior):
        return prior and prior.check(shape)
    raise TypeError(f"prior must be a fastcone.cone.Prior, found {type(prior).__name__}")
