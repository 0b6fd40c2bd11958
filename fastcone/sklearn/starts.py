# SPDX-License-Identifier: BSD-3-Clause
"""Where training starts: scikit-learn's starts, drawn from `random_state` in its order.

With the same seed both packages go down from the same point, so that their results can be compared.

    random     |N(0, 1)| sqrt(mean(X) / k), the components before the coefficients
    nndsvd     of each pair s u v' of a randomized SVD the larger of s u+ v+' and s u- v-',
               its length split evenly between the factors; what is below 1e-6 is zero
    nndsvda    the zeros filled with mean(X)
    nndsvdar   the zeros filled with |N(0, 1)| mean(X) / 100, the coefficients first

Reference: Boutsidis, Gallopoulos, Pattern Recognition 41, 2008.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd

from fastcone._runtime import threads

LEAST = 1e-6  # what is below counts as zero in nndsvd


def drawn(rng: np.random.RandomState, size: float, like: np.ndarray) -> np.ndarray:
    """Return |N(0, 1)| * size in the shape and dtype of an array."""
    return np.abs(size * rng.standard_normal(like.shape)).astype(like.dtype, copy=False)


def start(X: Any, k: int, init: str | None, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (n, k) and components (k, p) to start from; of X no entry is negative."""
    n, p = X.shape
    possible = k <= min(n, p)
    if init is not None and init != "random" and not possible:
        raise ValueError(
            f"init = '{init}' can only be used when n_components <= min(n_samples, n_features)"
        )
    init = init or ("nndsvda" if possible else "random")
    rng, mean = check_random_state(random_state), float(X.mean())
    if init == "random":
        W, H = np.empty((n, k), X.dtype), np.empty((k, p), X.dtype)
        size = np.sqrt(mean / k)
        H = drawn(rng, size, H)
        return drawn(rng, size, W), H
    W, H = nndsvd(X, k, random_state)
    if init == "nndsvda":
        W[W == 0], H[H == 0] = mean, mean
    elif init == "nndsvdar":
        for F in (W, H):
            zero = F == 0
            F[zero] = drawn(rng, mean / 100, F[zero])
    return W, H


def proportionate(X: Any, W: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Return W, over a power of two where WH is beyond all proportion to X.

    `mean(X)` in either factor makes a product of about mean(X)^2: power spectra in float32, 1e12
    and more, begin so far above X that its digits are lost. The first step finds the length of W.
    """
    excess = math.log2(W.max()) + math.log2(H.max()) - math.log2(X.max())
    return np.ldexp(W, -int(excess)) if excess > np.finfo(W.dtype).maxexp // 5 else W


def nndsvd(X: Any, k: int, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the dominant signed parts of the leading singular pairs."""
    with threads.one_blas_thread():  # the same bits for any number of threads
        U, s, Vt = randomized_svd(X, k, random_state=random_state)
    W, H = np.zeros((X.shape[0], k), X.dtype), np.zeros((k, X.shape[1]), X.dtype)
    for j in range(k):
        u, v = U[:, j], Vt[j]
        if j == 0:  # that of a non-negative matrix has one sign
            parts = [(np.abs(u), np.abs(v))]
        else:
            parts = [(np.maximum(sign * u, 0), np.maximum(sign * v, 0)) for sign in (1, -1)]
        lengths = [(np.linalg.norm(a), np.linalg.norm(b)) for a, b in parts]
        best = 1 if len(parts) > 1 and np.prod(lengths[1]) >= np.prod(lengths[0]) else 0
        (a, b), (length_a, length_b) = parts[best], lengths[best]
        if length_a and length_b:
            root = np.sqrt(s[j] * length_a * length_b)
            W[:, j], H[j] = root / length_a * a, root / length_b * b
    W[LEAST > W], H[LEAST > H] = 0, 0
    return W, H
