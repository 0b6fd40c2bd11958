# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

COORDINATE_WIDTH: int
COORDINATE: dict[str, int]
REPORT: dict[str, int]

def nnls_work(n: int, dtype: np.dtype) -> int: ...
def units_in(
    C: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    l1: np.ndarray | None,
    e: np.ndarray,
    rootinv: np.ndarray,
    allow: np.ndarray,
    largest: float,
    scale: np.ndarray,
) -> None: ...
def units_out(
    X: np.ndarray,
    e: np.ndarray,
    E: np.ndarray,
    largest: float,
    Y: np.ndarray,
    scale: np.ndarray,
) -> None: ...
def nnls_cd(
    G: np.ndarray,
    inv: np.ndarray,
    weight: np.ndarray,
    C: np.ndarray,
    X: np.ndarray,
    stop: np.ndarray,
    schedule: np.ndarray,
    last: np.ndarray,
    most: np.ndarray,
    epochs: np.ndarray,
    work: np.ndarray,
) -> int: ...
def nnls_report(
    G: np.ndarray,
    coord: np.ndarray,
    C: np.ndarray,
    X: np.ndarray,
    delta_scale: np.ndarray,
    rounding: float,
    out: np.ndarray,
    work: np.ndarray,
) -> None: ...
def pivot_work(n: int) -> int: ...
def pivot(
    G: np.ndarray,
    slack: np.ndarray,
    C: np.ndarray,
    X: np.ndarray,
    most: np.ndarray,
    steps: np.ndarray,
    work: np.ndarray,
) -> int: ...
def active_set_work(m: int, n: int) -> int: ...
def active_set(
    rows: np.ndarray,
    columns: np.ndarray,
    fetched: np.ndarray,
    B: np.ndarray,
    norm: np.ndarray,
    entry_weight: np.ndarray,
    l1: np.ndarray,
    dependence_tol: float,
    X: np.ndarray,
    most: np.ndarray,
    steps: np.ndarray,
    first: int,
    budget: int,
    work: np.ndarray,
    index: np.ndarray,
) -> int: ...
