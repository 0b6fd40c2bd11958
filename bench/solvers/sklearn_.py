# SPDX-License-Identifier: BSD-3-Clause
import warnings

import numpy as np
import sklearn
from sklearn.decomposition import non_negative_factorization

NAME = "scikit-learn cd"
VERSION = sklearn.__version__
SLOW = False
FRAGILE = True
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10)


def solve(A, B, l1, tol=TOLERANCES[-1]):
    """scikit-learn's letters: X ~ W H with H fixed; its l1 is n_features * alpha_W."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        W, _, _ = non_negative_factorization(
            B.T, H=np.ascontiguousarray(A.T), n_components=A.shape[1], update_H=False, solver="cd",
            tol=tol, max_iter=1000, alpha_W=l1 / len(A), alpha_H=0.0, l1_ratio=1.0,
        )  # fmt: skip
    return W.T
