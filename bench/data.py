# SPDX-License-Identifier: BSD-3-Clause
"""The problem all benchmarks share: digits, and a dictionary trained on other digits."""

import numpy as np

import fastcone


def digits(path):
    """Training and test digits in [0, 1], rows = samples; scikit-learn's without a file."""
    if path is None:
        from sklearn.datasets import load_digits

        X = load_digits().data / 16
        return X[:1000], X[1000:], "scikit-learn digits, 8x8"
    with np.load(path) as data:
        return data["x_train"] / 255, data["x_test"] / 255, f"{path.stem}, 28x28"


def dictionary(X, rank, *, n_iter=100):
    """A rank-`rank` NMF dictionary of the rows of X, unit columns."""
    W = fastcone.nmf(X.T, rank, max_iter=n_iter, tol=1e-12, random_state=0).W
    return np.ascontiguousarray(W / np.linalg.norm(W, axis=0))
