# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least absolute deviations, one problem or many that share their generators.

a) `solve_nnlad` scales generators and targets by powers of two, leaves out the rows of A that
   are zero, and cuts the targets into blocks. Each problem descends from vertex to vertex in
   the kernel until no edge descends; docs/nnlad.md has the derivation.
b) Each answer, rounded to the caller's dtype, is then proved from A and b in float64: its
   objective against the bound that the dual point of the last vertex gives.
c) Everything a problem meets depends on its own numbers and on A alone: no neighbour, no batch
   and no number of threads changes a bit of its answer.
d) A kernel call takes a limited number of steps and can be resumed, so the clock and Ctrl-C are
   looked at every few milliseconds, within a problem too.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcone import _dispatch, _threads
from fastcone._nnlad.generators import Generators, exponent
from fastcone._threads import Scratch
from fastcone._validation import check_shape, choice, integer, nonnegative, number, real_array
from fastcone.result import ConvergenceError, Solution

F64 = np.dtype(np.float64)
CALL_SECONDS = 0.005  # of one kernel call, roughly
BLOCK_NUMBERS = 2**16  # entries of B in a block
TILT = (1e-14, 1e-10)  # bounds of what is taken off b, relative; tol / 16 between them


@dataclass(frozen=True)
class _Options:
    """What the caller asked for, checked."""

    tol: float
    max_steps: int
    deadline: float

    def late(self) -> bool:
        """Return whether the time limit has passed."""
        return time.monotonic() > self.deadline


class _Batch:
    """All p problems and their answers."""

    def __init__(
        self, generators: Generators, B: np.ndarray, x0: np.ndarray | None, options: _Options
    ) -> None:
        self.generators, self.B, self.options = generators, B, options
        n, ld, ldn, p = generators.n, generators.ld, generators.ldn, B.shape[1]
        self.x = np.zeros((p, n), dtype=B.dtype)
        if x0 is not None:
            self.x[...] = x0.T
        self.facts = np.full((p, 3), np.inf)
        self.steps = np.zeros(p, dtype=np.intp)
        self.tilt = generators.tilt(min(max(options.tol / 16, TILT[0]), TILT[1]))
        self.work = 5 * ld + ld // 8 + (10 + ldn) * ldn
        self.index = 12 + 7 * n + _dispatch.NNLAD_PASSES
        self.budget = max(1, int(CALL_SECONDS / (2e-6 + 1e-9 * n * (ld + n))))
        self.stop = threading.Event()

    def solve(self, n_threads: int) -> Solution:
        """Work through the blocks and gather the answers."""
        if not self.generators.used.any():
            return self._zero()
        p = len(self.x)
        size = int(np.clip(BLOCK_NUMBERS // self.generators.ld, 1, 64))

        def block(k: int, scratch: Scratch) -> None:
            try:
                if not self.options.late():
                    self._block(slice(k * size, min((k + 1) * size, p)), scratch)
            except BaseException:
                self.stop.set()
                raise

        try:
            _threads.run(-(-p // size), block, n_threads)
        finally:
            self.stop.set()
        objective, gap, violation = self.facts.T.copy()
        steps = np.where(self.steps < 0, -1 - self.steps, self.steps)
        return Solution(self.x.T, objective, gap, violation, steps, gap <= self.options.tol)

    def _zero(self) -> Solution:
        """Return x = 0, the answer where no generator is worth its penalty."""
        p = len(self.x)
        objective = np.abs(np.ascontiguousarray(self.B.T, dtype=F64)).sum(axis=1)
        self.x[...] = 0
        zero = np.zeros(p)
        return Solution(self.x.T, objective, zero, zero.copy(), self.steps, np.ones(p, dtype=bool))

    def _block(self, which: slice, scratch: Scratch) -> None:
        """Solve one block of problems and prove its answers."""
        g = self.generators
        targets = np.ascontiguousarray(self.B[:, which].T, dtype=F64)
        p = len(targets)
        kept = targets[:, g.rows]
        e = exponent(kept)
        B = scratch.take("B", (p, g.ld), F64)
        B[:, g.m :] = 0
        with np.errstate(over="ignore", under="ignore"):
            B[:, : g.m] = np.ldexp(kept, -e[:, None])
            rest = np.abs(targets[:, ~g.rows]).sum(axis=1)
            scaled_rest = np.ldexp(rest, -e)
        X = scratch.take("X", (p, g.n), F64)
        X[...] = self._scaled(which, e)
        X[:, ~g.used] = 0
        Y = scratch.take("Y", (p, g.ld), F64)
        work = scratch.take("work", (self.work,), F64)
        index = scratch.take("index", (self.index,), np.dtype(np.intp))
        if not self._descend(B, X, Y, self.steps[which], work, index):
            return
        with np.errstate(over="ignore", under="ignore"):
            answer = np.ldexp(X, e[:, None] - g.exponent)
            self.x[which] = np.minimum(answer, np.finfo(self.x.dtype).max)
        facts = self.facts[which]
        for _ in range(2):
            X[...] = self._scaled(which, e)
            _dispatch.nnlad_proof(
                g.A, g.norm, g.weight, g.l1, B, scaled_rest, X, Y, facts, work, index
            )
            worse = facts[:, 0] > np.abs(B).sum(axis=1) * (1 + 1e-13)
            if not worse.any():
                break
            self.x[which][worse] = 0  # rounded to float32 they are worse than nothing
        with np.errstate(over="ignore", under="ignore"):
            facts[:, 0] = np.ldexp(facts[:, 0], e) + rest

    def _scaled(self, which: slice, e: np.ndarray) -> np.ndarray:
        """Return the coefficients held so far, in scaled units."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.x[which].astype(F64), self.generators.exponent - e[:, None])

    def _descend(
        self,
        B: np.ndarray,
        X: np.ndarray,
        Y: np.ndarray,
        steps: np.ndarray,
        work: np.ndarray,
        index: np.ndarray,
    ) -> bool:
        """Run the kernel until the block is done or the time is up; False if the job was stopped.

        When the time is up the problem under way ends where it stands, the others where they start.
        """
        g, done = self.generators, 0
        index[:3] = 0, 0, -1
        while done < len(B):
            if self.stop.is_set():
                return False
            most = 0 if self.options.late() else self.options.max_steps
            done = _dispatch.nnlad(
                g.A, g.R, g.G, g.size, g.enters, g.l1, self.tilt, B, X, Y, steps, most, self.budget,
                work, index,
            )  # fmt: skip
        return True


def solve_nnlad(
    A: Any,
    B: Any,
    *,
    l1: float = 0.0,
    x0: Any = None,
    tol: float = 1e-6,
    max_epochs: int | None = None,
    n_threads: int | None = None,
    time_limit: float | None = None,
    on_fail: str = "return",
) -> Solution:
    """Solve non-negative least absolute deviations for one target or many, each with a certificate.

    For each column b of B::

        minimise  ||A x - b||_1 + l1 sum(x)   over x >= 0

    Parameters
    ----------
    A : array_like, (m, n)
        Generators, one a column, of any sign.
    B : array_like, (m, p) or (m,)
        Targets, one a column. All arithmetic is float64; with float32 generators and targets the
        answer is rounded to float32 before its gap is formed.
    l1 : float, default 0
        Penalty weight >= 0, in the units of A.
    x0 : array_like, (n, p) or (n,), optional
        Warm start, >= 0.
    tol : float, default 1e-6
        Relative gap wanted, against ||b||_1, the objective at x = 0. Answers are vertices: mostly
        their gap is rounding, whatever `tol`. Below 1e-9 ties among rows are broken more gently.
    max_epochs : int, optional
        Limit of the simplex steps per problem, 50 (m + n) by default.
    n_threads : int, optional
        Threads; default FASTCONE_NUM_THREADS, else the CPUs available. Never changes a result.
    time_limit : float, optional
        Seconds. Problems under way keep their best x and its gap; problems not reached keep x0 (or
        0) with objective and gap `inf`.
    on_fail : {"return", "raise"}
        What to do when a problem does not reach `tol`.

    Returns
    -------
    Solution
        x (n, p) or (n,), >= 0, and per problem: objective; gap, a proved upper bound; violation,
        max_j (a_j'y - l1)^+ / ||a_j||_1 for the dual point y, |y| <= 1, that the gap was formed
        with; epochs, the simplex steps used; converged (gap <= tol).

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
    >>> from fastcone.nnlad import solve_nnlad
    >>> A = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 4)
    >>> solution = solve_nnlad(A, np.array([2.0, 2.0, 90.0, 2.0, 2.0, 3.0, 3.0, -70.0, 3.0]))
    >>> solution.x
    array([2., 3.])
    >>> solution.objective, solution.converged
    (161.0, True)
    """
    choice("on_fail", on_fail, ("return", "raise"))
    limit = math.inf if time_limit is None else number("time_limit", time_limit, positive=True)
    deadline = time.monotonic() + limit
    l1 = nonnegative("l1", l1)
    tol = number("tol", tol, positive=True)
    A = real_array("A", A, ndim=(2,))
    B = real_array("B", B, ndim=(1, 2))
    if B.shape[0] != A.shape[0]:
        raise ValueError(f"B has {B.shape[0]} rows, want {A.shape[0]} as A has")
    dtype = np.result_type(A.dtype, B.dtype)
    (m, n), single = A.shape, B.ndim == 1
    if x0 is not None:
        x0 = real_array("x0", x0, ndim=(B.ndim,), dtype=dtype, nonnegative=True)
        check_shape("x0", x0, (n, *B.shape[1:]))
        x0 = x0[:, None] if single else x0
    steps = 50 * (m + n) if max_epochs is None else integer("max_epochs", max_epochs, minimum=1)
    steps = min(steps, 2**31 - 1)
    B = (B[:, None] if single else B).astype(dtype, copy=False)
    with _threads.one_blas_thread():
        generators = Generators(A, l1)
    batch = _Batch(generators, B, x0, _Options(tol, steps, deadline))
    solution = batch.solve(_threads.thread_count(n_threads))
    if on_fail == "raise" and not solution.converged.all():
        raise ConvergenceError(solution)
    return solution.single() if single else solution
