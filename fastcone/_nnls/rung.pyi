# SPDX-License-Identifier: BSD-3-Clause
# Types of rung.pyx for mypy; the contracts stand there.
import numpy as np

from fastcone._nnls.prepare import Gram

class Rung:
    def __init__(
        self,
        gram: Gram,
        panels: np.ndarray,
        dtype: np.dtype,
        float32_first: bool,
        epochs: int,
        of_products: float,
        generators: np.ndarray | None,
    ) -> None: ...
    def work_size(self, p: int) -> int: ...
    def run(
        self,
        B: np.ndarray,
        l1: np.ndarray | None,
        tol: float,
        max_epochs: int,
        started: bool,
        X: np.ndarray,
        known: np.ndarray,
        epochs: np.ndarray,
        work: np.ndarray | None,
    ) -> int: ...
