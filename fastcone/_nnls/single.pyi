# SPDX-License-Identifier: BSD-3-Clause
# Types of single.pyx for mypy; the contracts stand there.
import numpy as np

def nnls_arrays(A: np.ndarray, b: np.ndarray, max_steps: int) -> tuple[np.ndarray, float, bool]: ...
