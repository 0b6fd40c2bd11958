# SPDX-License-Identifier: BSD-3-Clause
# Types of cycles.pyx for mypy; the contracts stand there.
import numpy as np

Limits = tuple[float, float, float]

def inner(A: np.ndarray, B: np.ndarray) -> float: ...
def room(m: int, n: int, edges: np.ndarray, itemsize: int) -> int: ...
def rounds(
    X: np.ndarray,
    edges: np.ndarray,
    group: np.ndarray,
    limits_H: Limits,
    edges_W: np.ndarray,
    group_W: np.ndarray,
    limits_W: Limits,
    fixed: int,
    update_W: bool,
    W: np.ndarray,
    H: np.ndarray,
    G: np.ndarray,
    W_new: np.ndarray,
    H_new: np.ndarray,
    W_spare: np.ndarray,
    H_spare: np.ndarray,
    half_norm: float,
    near: float,
    noise: float,
    first: float,
    previous: float,
    tol: float,
    values: np.ndarray,
    work: np.ndarray,
) -> int: ...
