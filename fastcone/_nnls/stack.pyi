# SPDX-License-Identifier: BSD-3-Clause
# Types of stack.pyx for mypy; the contracts stand there.
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
