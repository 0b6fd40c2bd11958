# SPDX-License-Identifier: BSD-3-Clause
# Types of kernels.pyx for mypy; the contracts stand there.
import numpy as np

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
def columns_epoch(
    start: np.ndarray,
    index: np.ndarray,
    value: np.ndarray,
    curvature: np.ndarray,
    l1: np.ndarray,
    l2: np.ndarray,
    which: np.ndarray,
    x: np.ndarray,
    r: np.ndarray,
) -> float: ...
def support_work(n: int) -> int: ...
def support_bounded(
    G: np.ndarray,
    C: np.ndarray,
    rootinv: np.ndarray,
    norm: np.ndarray,
    upper: np.ndarray | None,
    weight: np.ndarray | None,
    total: np.ndarray | None,
    penalty: np.ndarray | None,
    slack: np.ndarray,
    X: np.ndarray,
    g: np.ndarray,
    max_steps: int,
    steps: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    ridge: np.ndarray,
    residual: np.ndarray,
    change: np.ndarray,
    work: np.ndarray,
    index: np.ndarray,
) -> None: ...
def support(
    G: np.ndarray,
    C: np.ndarray,
    rootinv: np.ndarray,
    norm: np.ndarray,
    slack: np.ndarray,
    X: np.ndarray,
    g: np.ndarray,
    max_steps: int,
    steps: np.ndarray,
    work: np.ndarray,
    index: np.ndarray,
) -> None: ...
def polish(
    G: np.ndarray,
    rootinv: np.ndarray,
    X: np.ndarray,
    g: np.ndarray,
    work: np.ndarray,
    index: np.ndarray,
) -> None: ...
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
def householder_work(m: int, n: int) -> int: ...
def triangle_reduce(
    T: np.ndarray,
    m: int,
    dependence_tol: float,
    head: np.ndarray,
    scale: np.ndarray,
    swap: np.ndarray,
    order: np.ndarray,
    first: int,
    last: int,
    row_size: np.ndarray,
) -> int: ...
def triangle_apply(
    rank: int,
    T: np.ndarray,
    head: np.ndarray,
    scale: np.ndarray,
    swap: np.ndarray,
    order: np.ndarray,
    D: np.ndarray,
) -> None: ...
def householder_solve(
    m: int,
    A: np.ndarray,
    B: np.ndarray,
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
