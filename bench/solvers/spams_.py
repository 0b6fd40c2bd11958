# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import spams

NAME = "SPAMS lasso (LARS)"
VERSION = getattr(spams, "__version__", "unknown")
SLOW = False
FRAGILE = True


def solve(A, B, l1):
    A, B = np.asfortranarray(A), np.asfortranarray(B)
    return spams.lasso(B, D=A, lambda1=l1, mode=2, pos=True, numThreads=1).toarray()
