# SPDX-License-Identifier: BSD-3-Clause
# Types of constants.pyx for mypy; the contracts stand there.
import numpy as np

POWER_STEPS: int
SHARES: tuple[float, ...]

def scaled_generators(A: np.ndarray, rows: np.ndarray) -> np.ndarray: ...
def evened(columns: np.ndarray, m: int, exponent: np.ndarray) -> np.ndarray: ...
def gram_constants(
    G: np.ndarray, ridge: np.ndarray, exponent: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, int]: ...
def inverse_of(G: np.ndarray, ld: int) -> np.ndarray: ...
def small_spectrum(
    G: np.ndarray, rootinv: np.ndarray, singular: bool
) -> tuple[float, float, float]: ...
def shift_bounds(
    G: np.ndarray, z: np.ndarray, root: np.ndarray, rounding: float, pointed_from: float
) -> tuple[np.ndarray, np.ndarray, float, bool]: ...
def coordinates(
    padded: int,
    root: np.ndarray,
    rootinv: np.ndarray,
    exponent: np.ndarray,
    lam: float,
    low: np.ndarray,
    high: np.ndarray,
    pointed: bool,
) -> np.ndarray: ...
