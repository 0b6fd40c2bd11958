# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least absolute deviations, one problem or many that share their generators.

a) Generators and targets are scaled by powers of two, rows that are zero or have no weight are
   left out, and the targets are cut into blocks. Each problem descends from vertex to vertex in
   the kernel until no edge descends; docs/nnlad.md has the derivation.
b) Each answer, rounded to the caller's dtype, is then proved from A and b in float64: its
   objective against the bound that the dual point of the last vertex gives.
c) Everything a problem meets depends on its own numbers and on A alone: no neighbour, no batch
   and no number of threads changes a bit of its answer.
d) A kernel call takes a limited number of steps and can be resumed, and set-up is cut into parts,
   so the clock and Ctrl-C are looked at every few milliseconds, within a problem too.
"""

from __future__ import annotations

from typing import Any

from fastcone._nnlad.arguments import checked_problems
from fastcone._nnlad.solve import Batch
from fastcone._nnls.result import ConvergenceError, Solution
from fastcone._runtime import threads
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import choice, integer, number


@may_underflow
def solve_nnlad(
    A: Any,
    B: Any,
    *,
    l1: Any = 0.0,
    weights: Any = None,
    x0: Any = None,
    tol: float = 1e-6,
    max_epochs: int | None = None,
    n_threads: int | None = None,
    time_limit: float | None = None,
    on_fail: str = "return",
) -> Solution:
    """Solve non-negative least absolute deviations for one target or many, each with a certificate.

    For each column b of B::

        minimise  sum_i w_i |A x - b|_i + l1 sum(x)   over x >= 0,     w = 1 by default

    Parameters
    ----------
    A : array_like, (m, n)
        Generators, one a column, of any sign.
    B : array_like, (m, p) or (m,), or sparse matrix, (m, p)
        Targets, one a column; sparse ones are made dense a block at a time. All arithmetic is
        float64; with float32 generators and targets the answer is rounded to float32 before its
        gap is formed.
    l1 : float or array_like (p,), default 0
        Penalty weight >= 0, one for all targets or one for each, in the units of w_i A.
    weights : array_like, (m,) or (m, p), optional
        Row weights w >= 0, for all targets or for each its own; 1 by default. Rows of weight 0
        are not read: dense ones may hold NaN. Targets of equal weights share the set-up of A, so
        weights of its own for each target cost 0.5 ms more a target at 784 x 64.
    x0 : array_like, (n, p) or (n,), optional
        Warm start, >= 0.
    tol : float, default 1e-6
        Relative gap wanted, against sum_i w_i |b_i|, the objective at x = 0. Answers are vertices:
        mostly their gap is rounding, whatever `tol`. Below 1e-9 ties among rows are broken more
        gently.
    max_epochs : int, optional
        Limit of the simplex steps per problem, 50 (m + n) by default.
    n_threads : int, optional
        Threads; default FASTCONE_NUM_THREADS, else the CPUs available, and OMP_NUM_THREADS at
        most. Never changes a result.
    time_limit : float, optional
        Seconds. Problems under way keep their best x and its gap; problems not reached keep x0 (or
        0) with objective and gap `inf`.
    on_fail : {"return", "raise"}
        What to do when a problem does not reach `tol`.

    Returns
    -------
    Solution
        x (n, p) or (n,), >= 0, and per problem: objective; gap, a proved upper bound; violation,
        max_j (a_j'y - l1)^+ / sum_i w_i |A_ij| for the dual point y, |y| <= w, that the gap was
        formed with; epochs, the simplex steps used; converged (gap <= tol).

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted.
    ConvergenceError
        With on_fail="raise", if any problem did not converge.

    Notes
    -----
    Simplex descent with long steps after Barrodale, Roberts, SIAM J. Numer. Anal. 10, 1973, with
    steepest edges after Goldfarb, Reid, Math. Programming 12, 1977. Derivation, dual, certificate:
    docs/nnlad.md. Rounding sets a limit where an optimal x is much larger than the data, as for
    generators of mixed signs that are dependent but for the last digits: such answers have
    converged=False.

    Examples
    --------
    Two outliers in nine do not move the answer:

    >>> import numpy as np
    >>> from fastcone import solve_nnlad
    >>> A = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 4)
    >>> solution = solve_nnlad(A, np.array([2.0, 2.0, 90.0, 2.0, 2.0, 3.0, 3.0, -70.0, 3.0]))
    >>> solution.x
    array([2., 3.])
    >>> solution.objective, solution.converged
    (161.0, True)
    """
    choice("on_fail", on_fail, ("return", "raise"))
    deadline = Deadline.checked(time_limit)
    tol = number("tol", tol, positive=True)
    problems, single = checked_problems(A, B, l1, weights, x0)
    m, n = problems.A.shape
    steps = 50 * (m + n) if max_epochs is None else integer("max_epochs", max_epochs, minimum=1)
    batch = Batch(problems, tol, min(steps, 2**31 - 1), deadline)
    with threads.one_blas_thread():
        solution = batch.solve(threads.thread_count(n_threads))
    if on_fail == "raise" and not solution.converged.all():
        raise ConvergenceError(solution)
    return solution.single() if single else solution
