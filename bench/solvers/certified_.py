# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

import fastcone

NAME = "fastcone, float32, certified"
VERSION = fastcone.__version__
SLOW = False
DTYPES = (np.dtype(np.float32),)  # in float64 every answer is certified


def solve(A, B, l1):
    return fastcone.solve_nnls(A, B, l1=l1, tol=1e-6, n_threads=1).x
