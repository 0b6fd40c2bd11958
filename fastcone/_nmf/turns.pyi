# SPDX-License-Identifier: BSD-3-Clause
# Types of turns.pyx for mypy; the contracts stand there.
import numpy as np

Limits = tuple[float, float, float]

def room(m: int, mp: int, k: int, n: int, longest: int, itemsize: int) -> int: ...
def turns(
    kl: bool,
    entry: str,
    beta: float,
    kind_H: str,
    gamma_H: float,
    kind_W: str,
    gamma_W: float,
    X: np.ndarray,
    ones: np.ndarray,
    edges: np.ndarray,
    group: np.ndarray,
    limits_H: Limits,
    limits_W: Limits,
    least: float,
    fixed: int,
    W: np.ndarray,
    H: np.ndarray,
    num: np.ndarray,
    den: np.ndarray,
    first: float,
    previous: float,
    tol: float,
    values: np.ndarray,
    work: np.ndarray,
) -> tuple[int, int, int, int]: ...
