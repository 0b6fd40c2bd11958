# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least squares: the functions that users call.

`solve_nnls` is `Projector(A).solve(B)`: one problem or millions that share their generators, each
answer with its certificate. `nnls` stands in like_scipy.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nnls.arguments import (
    checked_options,
    checked_pair,
    columns,
    penalties,
    start_from,
    weighted_rows,
)
from fastcone._nnls.block import Job
from fastcone._nnls.bounded import Constraints
from fastcone._nnls.hurried import no_time_to_prepare, solve_in_time
from fastcone._nnls.plan import Plan
from fastcone._nnls.prepare import Gram
from fastcone._nnls.projector import Projector, answer
from fastcone._nnls.result import Solution
from fastcone._nnls.solve import solve
from fastcone._nnls.stacked import solve_stack
from fastcone._nnls.targets import GramTargets
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import F64, may_underflow
from fastcone._runtime.validation import (
    axes,
    check_finite,
    check_shape,
    nonnegative,
    real_array,
    weights,
)


@may_underflow
def solve_nnls(
    A: Any,
    B: Any,
    *,
    l1: Any = 0.0,
    l2: float = 0.0,
    upper: Any = None,
    sum_to: Any = None,
    row_weights: Any = None,
    x0: Any = None,
    tol: float | None = None,
    max_epochs: int | None = None,
    method: str = "auto",
    n_threads: int | None = None,
    time_limit: float | None = None,
    certify: bool = True,
    on_fail: str = "return",
) -> Solution:
    """Solve sparse non-negative least squares for one target or many, each with a certificate.

    For one target `nnls` is faster, for batch after batch `Projector`.

    For each column b of B::

        minimise  1/2 ||A x - b||_2^2 + l1 sum(x) + l2/2 ||x||_2^2   over x >= 0

    Parameters
    ----------
    A : array_like or sparse matrix, (m, n)
        Generators, one a column. float32 with float32 targets is solved in float32. Or a stack of
        p small matrices, (p, m, n), for B of (p, m): problem r is that of A[r] and B[r], solved
        exactly in float64; l1, l2, upper, sum_to, row_weights and x0 are not for stacks.
    B : array_like, (m, p) or (m,), or sparse matrix, (m, p)
        Targets, one a column. Fortran order (each target contiguous) is read without a copy; a
        sparse A or B is never made dense.
    l1 : float or array_like (p,), default 0
        Penalty weight >= 0, one for all targets or one for each; not scaled by any size.
    l2 : float, default 0
        Penalty weight >= 0.
    upper : array_like, scalar, (n,) or (n, p), optional
        Upper bounds of the coefficients, >= 0; infinity for none; float32 answers keep them to a
        rounding. Dense data only.
    sum_to : float or array_like (p,), optional
        What the coefficients of a problem add up to, >= 0. Dense data only. The gap is then
        relative to the objective at x = 0 or at x, the larger.
    row_weights : array_like, (m,), optional
        Weights >= 0 of the squares of the rows, 1 / variance for noise of unlike size (of counts
        1 / max(count, 1)): A and B are multiplied by their roots.
    x0 : array_like, (n, p) or, for one target, (n,), optional
        Warm start, >= 0; not used with bounds and sums.
    tol : float, optional
        Relative duality gap wanted, against the objective at x = 0. By default the answer is
        the solution to full accuracy, and a gap of 1e-10 (float32: 1e-6) is to be proved of it.
        Descent alone stops early at it; the other solvers go to the end.
    max_epochs : int, optional
        Limit of the passes over the coordinates (of the steps, for the exact solver) per problem.
    method : {"auto", "cd", "active_set"}
        Coordinate descent; the exact solver; or ("auto") what A calls for, and the exact solver for
        what that does not finish. Bounds, sums and more than 1,500 sparse generators have one
        method of their own.
    n_threads : int, optional
        Threads; default FASTCONE_NUM_THREADS, else the CPUs available, and OMP_NUM_THREADS at
        most. Never changes a result.
    time_limit : float, optional
        Seconds. Problems not reached keep x0 (with bounds and sums, which take none, 0 or what has
        its sum), objective and gap `inf`.
    certify : bool, default True
        Whether to go back to A and B in float64 for what the working precision cannot prove.
        Without it the gap of a float32 problem is an estimate.
    on_fail : {"return", "raise"}
        What to do when a problem does not reach `tol`.

    Returns
    -------
    Solution
        x (n, p) or (n,), >= 0, and per problem: objective, gap (a proved upper bound), violation,
        epochs, converged (the gap wanted is proved).

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted.
    ConvergenceError
        With on_fail="raise", if any problem did not converge.

    Notes
    -----
    Coordinate descent: Franc, Hlavac, Navara, CAIP 2005. Support and exact solvers: Lawson, Hanson,
    Solving Least Squares Problems, 1974. Certificates: docs/nnls.md.

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> solution = fastcone.solve_nnls(A, np.array([2.0, 1.0, -1.0]))
    >>> solution.x
    array([1.5, 0. ])
    >>> bool(solution.gap <= 1e-12), solution.converged
    (True, True)
    """
    options = checked_options(tol, max_epochs, method, time_limit, certify, on_fail)
    if axes("A", A) == 3:
        given = (upper, sum_to, row_weights, x0)
        if any(option is not None for option in given) or np.any(l1) or np.any(l2):
            raise ValueError(
                "a stack A (p, m, n) takes no l1, l2, upper, sum_to, row_weights or x0"
            )
        return answer(solve_stack(A, B, options, n_threads), False, on_fail)
    A, B, l2 = checked_pair(A, B, l2)
    if row_weights is not None:
        A, B = weighted_rows(A, B, row_weights)
    m, n = A.shape
    if not issparse(A) and no_time_to_prepare(m, n, options.deadline.left()):
        check_finite("B", B)
        wide, many = columns(B), penalties(l1, columns(B).shape[1])
        start = start_from(x0, (n, *B.shape[1:]), np.dtype(F64))
        start, constraints = np.zeros((n, wide.shape[1])) if start is None else start, None
        if upper is not None or sum_to is not None:
            constraints = Constraints.checked(upper, sum_to, n, wide.shape[1])
            start = constraints.start()
        found = solve_in_time(A, wide, many, l2, start, options, constraints)
        return answer(found, B.ndim == 1, on_fail, many, l2)
    return Projector.checked(A, l2).solve(
        B, l1=l1, upper=upper, sum_to=sum_to, x0=x0, tol=tol, max_epochs=max_epochs,
        method=method, n_threads=n_threads, time_limit=options.deadline.left(), certify=certify,
        on_fail=on_fail,
    )  # fmt: skip


@may_underflow
def solve_nnls_gram(
    G: Any,
    C: Any,
    *,
    b_norm2: Any = None,
    l1: Any = 0.0,
    l2: float = 0.0,
    x0: Any = None,
    tol: float | None = None,
    max_epochs: int | None = None,
    method: str = "auto",
    n_threads: int | None = None,
    time_limit: float | None = None,
    certify: bool = True,
    on_fail: str = "return",
) -> Solution:
    """Solve sparse non-negative least squares from the Gram matrix and the products alone.

    For each column c of C, with G = A'A and c = A'b::

        minimise  1/2 x'Gx - c'x + 1/2 ||b||^2 + l1 sum(x) + l2/2 ||x||_2^2   over x >= 0

    Parameters
    ----------
    G : array_like, (n, n)
        Gram matrix, symmetric positive semidefinite, taken as exact.
    C : array_like, (n, p) or (n,)
        Products A'b, taken as exact.
    b_norm2 : array_like, (p,) or scalar, optional
        Squared norms ||b||^2. Without them the objective leaves the constant out, and the gap is
        relative to a lower bound of the objective at x = 0: the larger of its decrease and of
        max_j c_j^2 / (2 G_jj).
    l1, l2, x0, tol, max_epochs, method, n_threads, time_limit, certify, on_fail
        As in `solve_nnls`.

    Returns
    -------
    Solution
        As in `solve_nnls`.

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted.
    ConvergenceError
        With on_fail="raise", if any problem did not converge.

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> G = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> fastcone.solve_nnls_gram(G, np.array([3.0, 0.0]), b_norm2=6.0).x
    array([1.5, 0. ])
    """
    options = checked_options(tol, max_epochs, method, time_limit, certify, on_fail)
    l2 = nonnegative("l2", l2)
    G = real_array("G", G, ndim=(2,))
    C = real_array("C", C, ndim=(1, 2))
    n = len(G)
    check_shape("G", G, (n, n))
    if len(C) != n:
        raise ValueError(f"C has {len(C)} rows, want {n} as G has")
    if (G.diagonal() < 0).any() or np.abs(G - G.T).max(initial=0) > 1e-6 * np.abs(G).max(initial=0):
        raise ValueError("G is not symmetric with a non-negative diagonal, want G = A'A")
    dtype = np.result_type(G.dtype, C.dtype)
    single = C.ndim == 1
    if b_norm2 is not None:
        b_norm2 = real_array("b_norm2", b_norm2, ndim=(0, 1), dtype=F64, nonnegative=True)
        b_norm2 = np.atleast_1d(b_norm2)
        check_shape("b_norm2", b_norm2, columns(C).shape[1:])
    gram = Gram.of_matrix(G.astype(F64), l2)
    if _indefinite(gram, dtype) or np.any(G[~(G.diagonal() > 0)]):
        raise ValueError("G has a negative eigenvalue, want G = A'A")
    l1 = weights("l1", l1, columns(C).shape[1])
    free = np.argwhere((columns(C) > l1) & ~(gram.diagonal > 0)[:, None])
    if free.size:
        j, r = free[0]
        raise ValueError(f"C exceeds l1 at ({j}, {r}) where G_jj = 0: there is no minimum")
    x0 = start_from(x0, (n, *C.shape[1:]), dtype)
    C = columns(C)
    targets = GramTargets(C, b_norm2, gram)
    job = Job.of(
        targets,
        l1,
        options,
        dtype,
        Plan.of(gram, 0, False, options, x0 is not None, options.aim(dtype)),
        x0 is not None,
    )
    found = solve(job, x0, n_threads)
    if b_norm2 is None:
        found = replace(found, norm=None)
    return answer(found, single, on_fail, l1 if l1.any() else None, l2)


def _indefinite(gram: Gram, dtype: np.dtype) -> bool:
    """Return whether a Gram matrix has a negative eigenvalue beyond the roundings of a dtype."""
    if gram.lam > 0 or not gram.used.any():
        return False
    return bool(np.linalg.eigvalsh(gram.unit)[0] < -64 * gram.n * np.finfo(dtype).eps)


@may_underflow
def nnls_path(
    A: Any,
    B: Any,
    l1: Any,
    *,
    l2: float = 0.0,
    tol: float | None = None,
    max_epochs: int | None = None,
    method: str = "auto",
    n_threads: int | None = None,
    time_limit: float | None = None,
    certify: bool = True,
) -> list[Solution]:
    """Solve the problems of `solve_nnls` for a sequence of penalties, each from its neighbour.

    Parameters
    ----------
    A, B, l2, tol, max_epochs, method, n_threads, time_limit, certify
        As in `solve_nnls`; the time limit is for the whole path.
    l1 : array_like, (k,)
        Penalty weights >= 0 in any order. They are solved from the largest to the smallest, each
        from the answer before, with A prepared once.

    Returns
    -------
    list of Solution
        One for each entry of `l1`, in the order given.

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted.

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> path = fastcone.nnls_path(np.eye(2), np.array([3.0, 1.0]), [0.0, 2.0, 4.0])
    >>> [solution.x.tolist() for solution in path]
    [[3.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    """
    deadline = Deadline.checked(time_limit)
    steps = real_array("l1", l1, ndim=(1,), dtype=F64, nonnegative=True)
    A, B, l2 = checked_pair(A, B, l2)
    projector, x0 = Projector.checked(A, l2), None
    solutions: dict[int, Solution] = {}
    for k in np.argsort(-steps, kind="stable"):
        found = projector.solve(
            B, l1=float(steps[k]), x0=x0, tol=tol, max_epochs=max_epochs, method=method,
            n_threads=n_threads, time_limit=deadline.left(), certify=certify,
        )  # fmt: skip
        solutions[int(k)], x0 = found, found.x
    return [solutions[k] for k in range(len(steps))]
