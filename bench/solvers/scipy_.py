# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import scipy
from scipy.optimize import nnls

NAME = "scipy.optimize.nnls, loop"
VERSION = scipy.__version__
SLOW = True


def solve(A, B, l1):
    """With l1 > 0 on the Cholesky factor: the same minimiser, n x n, set-up included."""
    if l1:
        L = np.linalg.cholesky(A.T @ A)
        A, B = L.T, np.linalg.solve(L, A.T @ B - l1)
    return np.stack([nnls(A, b)[0] for b in B.T], axis=1)
