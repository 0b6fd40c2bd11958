# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

import fastcone

NAME = "fastcone"
VERSION = fastcone.__version__
SLOW = False
TOL = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-6}


def solve(A, B, l1):
    certify = A.dtype == np.float64
    return fastcone.solve_nnls(A, B, l1=l1, tol=TOL[A.dtype], n_threads=1, certify=certify).x
