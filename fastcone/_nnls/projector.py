# SPDX-License-Identifier: BSD-3-Clause
"""Generators prepared once, for any number of batches of targets."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nnls import bounded
from fastcone._nnls.arguments import (
    checked_options,
    checked_targets,
    columns,
    penalties,
    start_from,
)
from fastcone._nnls.block import Answers, Job
from fastcone._nnls.columns import ColumnGenerators, ColumnTargets
from fastcone._nnls.dense import DenseGenerators, DenseTargets
from fastcone._nnls.plan import Options, Plan, column_by_column
from fastcone._nnls.result import ConvergenceError, Solution
from fastcone._nnls.solve import solve
from fastcone._nnls.sparse import SparseGenerators, SparseTargets
from fastcone._runtime.deadline import Deadline, Expired
from fastcone._runtime.scaling import F64, may_underflow
from fastcone._runtime.validation import nonnegative, real_array, sparse_array


def answer(
    solution: Solution,
    single: bool,
    on_fail: str,
    l1: np.ndarray | None = None,
    l2: float = 0.0,
) -> Solution:
    """Return what the caller gets, or raise what he asked for."""
    if l1 is not None or l2:
        solution = solution.with_penalty(l1, l2)
    if on_fail == "raise" and not solution.converged.all():
        raise ConvergenceError(solution)
    return solution.single() if single else solution


class Projector:
    """The cone of some generators, prepared once: targets after targets at the cost of a product.

    For each column b of B, `solve` finds::

        minimise  1/2 ||A x - b||_2^2 + l1 sum(x) + l2/2 ||x||_2^2   over x >= 0

    Everything that depends on A alone - scaling, packing, its Gram matrix and spectrum, the exact
    solver's triangle - is formed once, on first need. An object may be used from several threads.

    Parameters
    ----------
    A : array_like or sparse matrix, (m, n)
        Generators, one a column.
    l2 : float, default 0
        Penalty weight >= 0.

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted.

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> projector = fastcone.Projector(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    >>> projector.solve(np.array([2.0, 1.0, -1.0])).x
    array([1.5, 0. ])
    """

    @may_underflow
    def __init__(self, A: Any, *, l2: float = 0.0) -> None:
        A = sparse_array("A", A) if issparse(A) else real_array("A", A, ndim=(2,))
        self._take(A, nonnegative("l2", l2))

    @classmethod
    def checked(cls, A: Any, l2: float) -> Projector:
        """Return a projector of generators that have been checked."""
        projector = cls.__new__(cls)
        projector._take(A, l2)
        return projector

    def _take(self, A: Any, l2: float) -> None:
        self._sparse, self._l2, self.dtype, self.shape = issparse(A), l2, A.dtype, A.shape
        self._made: dict[tuple[type, np.dtype], Any] = {}
        self._lock = threading.Lock()
        self._A = A if self._sparse else None  # prepared on first need: it depends on the targets
        if not self._sparse:
            self._made[DenseGenerators, A.dtype] = DenseGenerators(A, l2)

    def _given(self) -> Any:
        """Return A in the caller's units."""
        return self._A if self._sparse else self._made[DenseGenerators, self.dtype].given()

    def __reduce__(self) -> tuple[Any, ...]:
        return Projector.checked, (self._given(), self._l2)

    def __repr__(self) -> str:
        m, n = self.shape
        return f"Projector(m={m}, n={n}, dtype={self.dtype}, l2={self._l2:g})"

    def _generators(self, kind: type, dtype: np.dtype, *until: Deadline) -> Any:
        """Return the generators of this kind and dtype, prepared on first need."""
        made = self._made.get((kind, dtype))
        if made is None:
            A = self._given().astype(dtype, copy=False)
            made = self._made.setdefault((kind, dtype), kind(A, self._l2, *until))
        return made

    def targets(self, B: Any, until: Deadline | None = None) -> tuple[Any, np.dtype, bool]:
        """Check B; return the targets, the dtype of the answers, and whether B is one vector."""
        until = until or Deadline()
        B = checked_targets(B, self.shape[0], self._sparse)
        sparse = self._sparse or issparse(B)
        dtype = B.dtype if B.dtype == self.dtype else np.result_type(self.dtype, B.dtype)
        single, B = B.ndim == 1, columns(B)
        if not sparse:
            return DenseTargets(self._generators(DenseGenerators, dtype), B), dtype, single
        entries = self._A.nnz if self._A is not None else self.shape[0] * self.shape[1]
        if column_by_column(self.shape[1], entries):
            return ColumnTargets(self._generators(ColumnGenerators, dtype, until), B), dtype, single
        return SparseTargets(self._generators(SparseGenerators, dtype, until), B), dtype, single

    def embedded(self) -> Any:
        """Return what `fastcone.cy.cone` hands out of dense generators, in float64."""
        if self._sparse:
            raise TypeError("fastcone.cy wants dense generators, found sparse ones")
        with self._lock:  # one address for all threads, for as long as this object lives
            return self._generators(DenseGenerators, F64).embedded

    @may_underflow
    def solve(
        self,
        B: Any,
        *,
        l1: Any = 0.0,
        upper: Any = None,
        sum_to: Any = None,
        x0: Any = None,
        tol: float | None = None,
        max_epochs: int | None = None,
        method: str = "auto",
        n_threads: int | None = None,
        time_limit: float | None = None,
        certify: bool = True,
        on_fail: str = "return",
    ) -> Solution:
        """Solve for the targets B; the arguments and the answer are those of `solve_nnls`."""
        options = checked_options(tol, max_epochs, method, time_limit, certify, on_fail)
        try:
            targets, dtype, single = self.targets(B, options.deadline)
        except Expired:
            return self._unreached(B, l1, x0, upper, sum_to, options, on_fail)
        l1 = penalties(l1, targets.p)
        if x0 is not None:
            x0 = start_from(x0, (self.shape[1], *(() if single else (targets.p,))), dtype)
        if upper is not None or sum_to is not None:
            if not isinstance(targets, DenseTargets):
                raise ValueError("upper and sum_to are for dense A and B, found sparse ones")
            constraints = bounded.Constraints.checked(upper, sum_to, self.shape[1], targets.p)
            job = self.job(targets, l1, options, dtype, False)
            return answer(bounded.solve(job, constraints, n_threads), single, on_fail, l1, self._l2)
        if isinstance(targets, ColumnTargets):
            found = targets.solve(l1, x0, options, dtype, n_threads)
            return answer(found, single, on_fail, l1, self._l2)
        job = self.job(targets, l1, options, dtype, x0 is not None)
        return answer(solve(job, x0, n_threads), single, on_fail, l1, self._l2)

    def _unreached(
        self, B: Any, l1: Any, x0: Any, upper: Any, sum_to: Any, options: Options, on_fail: str
    ) -> Solution:
        """Return the starts: the time was up before the generators were prepared."""
        B = checked_targets(B, self.shape[0], self._sparse)
        if upper is not None or sum_to is not None:
            raise ValueError("upper and sum_to are for dense A and B, found sparse ones")
        dtype, wide = np.result_type(self.dtype, B.dtype), columns(B)
        answers = Answers.of(wide.shape[1], self.shape[1], dtype)
        start = start_from(x0, (self.shape[1], *B.shape[1:]), dtype)
        if start is not None:
            answers.X[...] = start.T
        l1 = penalties(l1, wide.shape[1])
        return answer(answers.solution(options), B.ndim == 1, on_fail, l1, self._l2)

    @staticmethod
    def job(
        targets: Any, l1: np.ndarray | None, options: Options, dtype: np.dtype, started: bool
    ) -> Job:
        """Return a batch with its plan."""
        aim, made = options.aim(dtype), targets.generators
        key = options.method, options.max_epochs, started, aim
        plan = made.plans.get(key)
        if plan is None:
            plan = made.plans[key] = Plan.of(
                made.gram, made.terms, made.unlike, options, started, aim
            )
        return Job.of(targets, l1, options, dtype, plan, started)
