# SPDX-License-Identifier: BSD-3-Clause
# Types of kernels.pyx for mypy; the contracts stand there.
import numpy as np

def outer(B: np.ndarray, H: np.ndarray, C: np.ndarray, work: np.ndarray) -> None: ...
def outer_work(n: int, itemsize: int) -> int: ...
def unit(itemsize: int) -> int: ...
def vector(dtype: np.dtype) -> int: ...
def times(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> None: ...
def multiply(
    C: np.ndarray,
    G: np.ndarray,
    F: np.ndarray,
    Z: np.ndarray,
    fixed: int,
    l1: float,
    l2: float,
    floor: float,
    GG: np.ndarray,
    work: np.ndarray,
) -> float: ...
def mu_samples(
    X: np.ndarray,
    A: np.ndarray,
    G: np.ndarray,
    F: np.ndarray,
    Z: np.ndarray,
    l1: float,
    l2: float,
    floor: float,
    GG: np.ndarray,
    sums: np.ndarray | None,
    C: np.ndarray,
    work: np.ndarray,
) -> float: ...
def outer_groups(
    B: np.ndarray,
    H: np.ndarray,
    edges: np.ndarray,
    C: np.ndarray,
    part: np.ndarray,
    work: np.ndarray,
) -> None: ...
def multiply_work(n: int, itemsize: int) -> int: ...
def entries(
    loss: str,
    X: np.ndarray,
    Y: np.ndarray,
    weight: np.ndarray,
    least: float,
    beta: float,
    P: np.ndarray,
    Q: np.ndarray,
    value: np.ndarray | None,
) -> None: ...
def mu(
    kind: str,
    n: int,
    H: np.ndarray,
    num: np.ndarray,
    den: np.ndarray,
    l1: float,
    l2: float,
    floor: float,
    gamma: float = ...,
) -> None: ...
def kl(
    k: int,
    X: np.ndarray,
    W: np.ndarray,
    den: np.ndarray,
    H: np.ndarray,
    C: np.ndarray,
    stages: int,
    l1: float,
    l2: float,
    floor: float,
    least: float,
    loss: np.ndarray,
    work: np.ndarray,
    index: np.ndarray,
) -> None: ...
def kl_rows(
    X: np.ndarray,
    V: np.ndarray,
    A: np.ndarray,
    den: np.ndarray,
    H: np.ndarray,
    Z: np.ndarray,
    C: np.ndarray,
    stages: int,
    l1: float,
    l2: float,
    floor: float,
    least: float,
    loss: np.ndarray,
    work: np.ndarray,
) -> None: ...
def kl_rows_work(n: int, itemsize: int) -> int: ...
def kl_work(m: int, n: int, itemsize: int) -> int: ...
def sparse_product(
    start: np.ndarray,
    index: np.ndarray,
    x: np.ndarray,
    n: int,
    A: np.ndarray,
    C: np.ndarray,
) -> None: ...
def sparse_kl(
    start: np.ndarray,
    index: np.ndarray,
    x: np.ndarray,
    n: int,
    A: np.ndarray,
    H: np.ndarray,
    least: float,
    C: np.ndarray,
    loss: np.ndarray | None,
) -> None: ...
def sparse_models(
    start: np.ndarray,
    index: np.ndarray,
    n: int,
    A: np.ndarray,
    H: np.ndarray,
    y: np.ndarray,
) -> None: ...
def sparse_cd(
    start: np.ndarray,
    index: np.ndarray,
    x: np.ndarray,
    n: int,
    A: np.ndarray,
    H: np.ndarray,
    fixed: int,
    epochs: int,
    l1: float,
    l2: float,
    work: np.ndarray,
) -> None: ...
def sparse_cd_work(start: np.ndarray, n: int, ld: int, itemsize: int) -> int: ...
