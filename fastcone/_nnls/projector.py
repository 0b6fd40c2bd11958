# SPDX-License-Identifier: BSD-3-Clause
"""Generators prepared once, for any number of batches of targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nnls.arguments import checked_options, columns, start_from
from fastcone._nnls.block import Job
from fastcone._nnls.dense import DenseGenerators, DenseTargets
from fastcone._nnls.plan import Options
from fastcone._nnls.solve import solve
from fastcone._nnls.sparse import SparseGenerators, SparseTargets
from fastcone._runtime import threads
from fastcone._runtime.validation import nonnegative, real_array, sparse_array, weights
from fastcone.result import ConvergenceError, Solution


def answer(solution: Solution, single: bool, on_fail: str) -> Solution:
    """Return what the caller gets, or raise what he asked for."""
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

    def __init__(self, A: Any, *, l2: float = 0.0) -> None:
        self._l2 = nonnegative("l2", l2)
        self._A = sparse_array("A", A) if issparse(A) else real_array("A", A, ndim=(2,))
        self.shape = self._A.shape
        self._prepared: dict[tuple[bool, np.dtype], Any] = {}

    def __repr__(self) -> str:
        m, n = self.shape
        return f"Projector(m={m}, n={n}, dtype={self._A.dtype}, l2={self._l2:g})"

    def _generators(self, sparse: bool, dtype: np.dtype) -> Any:
        """Return the generators in a dtype, prepared on first need."""
        key = sparse, dtype
        if key not in self._prepared:
            A = self._A.astype(dtype, copy=False)
            made = SparseGenerators(A, self._l2) if sparse else DenseGenerators(A, self._l2)
            self._prepared[key] = made
        return self._prepared[key]

    def targets(self, B: Any) -> tuple[Any, np.dtype, bool]:
        """Check B; return the targets, the dtype of the answers, and whether B is one vector."""
        sparse = issparse(B) or issparse(self._A)
        both = {"ndim": (1, 2), "finite": sparse}
        B = sparse_array("B", B) if issparse(B) else real_array("B", B, **both)
        if B.shape[0] != self.shape[0]:
            hint = ": transpose, targets are columns" if B.shape[-1] == self.shape[0] else ""
            raise ValueError(f"B has {B.shape[0]} rows, want {self.shape[0]} as A has{hint}")
        dtype = np.result_type(self._A.dtype, B.dtype)
        generators, single = self._generators(sparse, dtype), B.ndim == 1
        made = SparseTargets if sparse else DenseTargets
        return made(generators, columns(B)), dtype, single

    def solve(
        self,
        B: Any,
        *,
        l1: Any = 0.0,
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
        targets, dtype, single = self.targets(B)
        l1 = weights("l1", l1, targets.p)
        x0 = start_from(x0, (self.shape[1], *(() if single else (targets.p,))), dtype)
        job = self.job(targets, l1, options, dtype, x0 is not None)
        return answer(solve(job, x0, threads.thread_count(n_threads)), single, on_fail)

    @staticmethod
    def job(targets: Any, l1: np.ndarray, options: Options, dtype: np.dtype, started: bool) -> Job:
        """Return the plan of a batch."""
        made = targets.generators
        return Job.of(targets, l1, options, dtype, made.terms, made.unlike, started)
