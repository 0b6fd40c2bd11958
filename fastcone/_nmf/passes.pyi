# SPDX-License-Identifier: BSD-3-Clause
# Types of passes.pyx for mypy; the contracts stand there.
import numpy as np

def total(values: np.ndarray) -> float: ...
def add_rows(H: np.ndarray, sums: np.ndarray) -> None: ...
def look(
    entry: str,
    beta: float,
    kind: str,
    gamma: float,
    X: np.ndarray,
    weight: np.ndarray,
    V: np.ndarray,
    A: np.ndarray,
    H: np.ndarray,
    Z: np.ndarray,
    num: np.ndarray | None,
    den: np.ndarray | None,
    stages: int,
    l1: float,
    l2: float,
    floor: float,
    least: float,
    loss: np.ndarray,
    work: np.ndarray,
) -> None: ...
def look_work(n: int, itemsize: int) -> int: ...
