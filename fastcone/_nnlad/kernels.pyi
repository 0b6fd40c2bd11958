# SPDX-License-Identifier: BSD-3-Clause
# Types of kernels.pyx for mypy; the contracts stand there.
import numpy as np

def nnlad_room(m: int, n: int) -> tuple[int, int]: ...
def nnlad(
    A: np.ndarray,
    R: np.ndarray,
    G: np.ndarray,
    size: np.ndarray,
    length: np.ndarray,
    perturbation: np.ndarray,
    B: np.ndarray,
    l1: np.ndarray,
    X: np.ndarray,
    Y: np.ndarray,
    steps: np.ndarray,
    most: int,
    budget: int,
    work: np.ndarray,
    index: np.ndarray,
) -> int: ...
def nnlad_proof(
    A: np.ndarray,
    norm: np.ndarray,
    weight: np.ndarray,
    l1: np.ndarray,
    B: np.ndarray,
    rest: np.ndarray,
    X: np.ndarray,
    Y: np.ndarray,
    facts: np.ndarray,
    work: np.ndarray,
    index: np.ndarray,
) -> None: ...
