# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

import fastcone

NAME = "fastcone"
VERSION = fastcone.__version__
SLOW = False


def solve(A, B, l1):
    if A.dtype == np.float64:  # the default: full accuracy, proved
        return fastcone.solve_nnls(A, B, l1=l1, n_threads=1).x
    return fastcone.solve_nnls(A, B, l1=l1, tol=1e-6, n_threads=1, certify=False).x
