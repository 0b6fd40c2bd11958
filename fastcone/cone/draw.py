# SPDX-License-Identifier: BSD-3-Clause
"""Coefficients drawn at random: gamma margins, coupled by a Gaussian copula.

h_j = F_j^-1(Phi(z_j)),        z ~ N(0, C)

F_j is 0 with a share of zeros, else the gamma distribution of a mean and a variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaincinv, ndtr

from fastcone._runtime.rows import Array
from fastcone._runtime.threads import one_blas_thread
from fastcone._runtime.validation import generator, integer
from fastcone.cone.prior import Prior

LARGEST = 1 - 1e-6  # probability of a draw, at most: a gamma's tail has no end


def coupled(rng: np.random.Generator, n: int, correlations: Array) -> Array:
    """Return n draws of Phi(z), z ~ N(0, C), as rows."""
    with one_blas_thread():
        factor = np.linalg.cholesky(correlations)
        return np.asarray(ndtr(rng.standard_normal((n, len(factor))) @ factor.T))


def quantiles(uniform: Array, mean: Array, variance: Array, zeros: Any = 0.0) -> Array:
    """Return what the margins have at probabilities (n, d), 0 where their mean is not positive."""
    above = (np.minimum(uniform, LARGEST) - zeros) / np.maximum(1 - zeros, np.finfo(float).tiny)
    alive = (mean > 0) & (variance > 0)
    deviation = np.sqrt(variance, out=np.ones_like(mean), where=alive)
    shape = np.divide(mean, deviation, out=np.ones_like(mean), where=alive) ** 2
    scale = np.divide(mean, shape, out=np.zeros_like(mean), where=alive)
    drawn = gammaincinv(shape, np.clip(above, 0, LARGEST)) * scale
    return np.asarray(np.where(above > 0, drawn, 0))


def by_prior(prior: Prior | None, n: Any, random_state: Any) -> Array:
    """Return n coefficients drawn from a prior, see `Cone.sample`."""
    n, rng = integer("n", n, minimum=0), generator(random_state)
    if prior is None:
        raise ValueError(
            "sample wants a cone with a prior, found none: Cone.fit learns it, Cone(W, prior=...) "
            "takes it; fastcone.tasks.sample draws from the coefficients of training samples"
        )
    variance = np.diag(prior.covariance)
    deviation = np.sqrt(variance)
    uniform = coupled(rng, n, prior.covariance / np.outer(deviation, deviation))
    return quantiles(uniform, prior.mean, variance)
