# SPDX-License-Identifier: BSD-3-Clause
"""New signals: coefficients drawn like those of training, and what lies between two signals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from fastcone._runtime import threads
from fastcone._runtime.validation import generator, integer, real_array
from fastcone.cone.draw import coupled, quantiles
from fastcone.cone.model import Cone
from fastcone.tasks._restore import Array, check_cone

LARGEST_C = 0.99  # correlation
FEWEST = 0.05  # variance of a score that is mostly ties: with less nothing is known of it
LEAST = 1e-3  # eigenvalue of the correlations


def sample(
    cone: Cone,
    codes: npt.ArrayLike,
    n: int,
    *,
    random_state: int | np.random.Generator | None = None,
) -> Array:
    """Draw new signals from a cone whose coefficients on training samples are known.

        u = W h,        h_j = F_j^-1(Phi(z_j)),        z ~ N(0, C)

    ``F_j`` is 0 with the share of zeros that generator j has in `codes`, else a gamma distribution
    with the mean and variance of its positive coefficients; C holds the correlations of their
    normal scores (a Gaussian copula). It keeps d (d + 7) / 2 numbers and none of the codes: unlike
    a mixture of neighbours it has no sample to repeat; see `audit`.

    Parameters
    ----------
    cone : Cone
        One class is drawn far better than many at once: a copula has one centre.
    codes : array_like, shape (N, d)
        Coefficients of training samples, as ``cone.encode(X)`` returns them, at least two.
    n : int
        Signals to draw.
    random_state : int, Generator or None
        Seed or generator, as for ``numpy.random.default_rng``.

    Returns
    -------
    ndarray, shape (n, m)

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone import Cone
    >>> from fastcone.tasks import sample
    >>> cone = Cone([[1.0], [2.0]])
    >>> codes = np.random.default_rng(0).gamma(4.0, 0.5, (1000, 1))
    >>> U = sample(cone, codes, 500, random_state=0)
    >>> U.shape, bool(abs(U[:, 0].mean() - 2) < 0.1), bool(np.allclose(U[:, 1], 2 * U[:, 0]))
    ((500, 2), True, True)
    """
    rank = check_cone("cone", cone).W.shape[1]
    H = real_array("codes", codes, ndim=(2,), nonnegative=True)
    if H.shape[1] != rank or len(H) < 2:
        raise ValueError(f"codes must have shape (N, {rank}), N >= 2, found {H.shape}")
    n = integer("n", n, minimum=0)
    rng = generator(random_state)
    wide = H.astype(np.float64)
    with threads.one_blas_thread():
        correlations = _correlations(wide)
    return cone.decode(_drawn(wide, coupled(rng, n, correlations)).astype(H.dtype))


def interpolate(
    a: npt.ArrayLike, b: npt.ArrayLike, cone: Cone, n: int, *, l1: float = 0.0
) -> Array:
    """Return n signals on the way from one to another, within the cone.

        u_t = W ((1 - t) h_a + t h_b),        t = 0, 1/(n-1), ..., 1

    Parameters
    ----------
    a, b : array_like, shape (m,)
        Two signals; the ends of the way are their projections.
    cone : Cone
        As the cone is convex and its map linear, all between lies in it, on a straight line.
    n : int
        At least 2.
    l1 : float
        Weight of the sum of the coefficients in the projections, >= 0.

    Returns
    -------
    ndarray, shape (n, m)

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.tasks import interpolate
    >>> interpolate([2.0, 0.0], [0.0, 2.0], Cone([[1.0, 0.0], [0.0, 1.0]]), 3)
    array([[2., 0.],
           [1., 1.],
           [0., 2.]])
    """
    check_cone("cone", cone)
    steps = np.linspace(0, 1, integer("n", n, minimum=2))[:, None]
    ends = [
        cone.encode(real_array(name, signal, ndim=(1,)), l1=l1)
        for name, signal in (("a", a), ("b", b))
    ]
    return cone.decode(((1 - steps) * ends[0] + steps * ends[1]).astype(np.result_type(*ends)))


def _correlations(H: Array) -> Array:
    """Return the correlations of the normal scores behind coefficients (N, d), positive definite.

    Equal coefficients, the zeros above all, share their mean score. That takes from a covariance
    the factor var(s_i) var(s_j) of its first term in the correlation, which is given back.
    """
    rank = rankdata(H, axis=0)
    scores = ndtri(rank / (len(H) + 1))
    scores -= scores.mean(axis=0)
    size = np.mean(ndtri(np.arange(1, len(H) + 1) / (len(H) + 1)) ** 2)
    scores /= np.sqrt(size)
    kept = np.maximum(np.mean(scores**2, axis=0), FEWEST)
    C = np.clip((scores.T @ scores / len(H)) / np.outer(kept, kept), -LARGEST_C, LARGEST_C)
    np.fill_diagonal(C, 1)
    values, vectors = np.linalg.eigh(C)
    C = (vectors * np.maximum(values, LEAST)) @ vectors.T
    length = np.sqrt(np.diag(C))
    return np.asarray(C / np.outer(length, length))


def _drawn(H: Array, uniform: Array) -> Array:
    """Return what the margins of coefficients H (N, d) have at probabilities (n, d)."""
    count = (H > 0).sum(axis=0)
    mean = H.sum(axis=0) / np.maximum(count, 1)
    spread = np.where(H > 0, (H - mean) ** 2, 0).sum(axis=0) / np.maximum(count - 1, 1)
    spread = np.maximum(spread, 1e-6 * mean**2)  # one positive coefficient, or all alike
    return quantiles(uniform, mean, spread, 1 - count / len(H))
