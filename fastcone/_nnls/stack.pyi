# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

def nnls_stack(
    A: np.ndarray,
    B: np.ndarray,
    X: np.ndarray,
    known: np.ndarray,
    steps: np.ndarray,
    first: int,
    last: int,
    max_steps: int,
) -> None: ...
