# SPDX-License-Identifier: BSD-3-Clause
"""The exact solver on shared generators: reduce once, then one support search per problem.

a) With more rows than its rank A = Q R is formed once; every step on Q'b and R costs rank x n in
   place of m n. R equals A only to rounding, so near-dependent generators are taken as
   dependent there (`dependence_tol`) and resolved by the second pass, on A.
b) The ridge l2 is n more rows, sqrt(l2) on the diagonal.
c) From a Gram matrix alone, G = V L V' gives generators L^1/2 V' and targets L^-1/2 V'c.
d) `entry_weight` orders the entries: the steepest edge, whatever the caller's units, by default;
   scipy's rule, the largest gradient in the caller's units, decides which of many optima an
   underdetermined problem gets.
e) The same solver finds whether a cone is pointed: the point of least norm in the convex hull
   of the unit generators has a positive inner product with every one of them, or is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from fastcone._nnls import kernels
from fastcone._nnls.prepare import Generators, Gram, Packed
from fastcone._runtime.threads import Scratch, aligned

RANK_WORK = 1e8  # flops of a QR factorisation up to which the rank is looked at
CALL_WORK = 1e8  # flops of one kernel call: at most some 20 ms between looks at the clock
DEPENDENCE_TOL = (
    32.0  # roundings, per generator in the support, within which a generator is dependent
)


def triangle(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A = Q R, thin; where A is small, R holds as many rows as A has rank within rounding.

    R is a triangle in some order of its columns.
    """
    m, n = A.shape
    if m * n * min(m, n) > RANK_WORK:
        return np.linalg.qr(A)
    Q, R, order = scipy.linalg.qr(A, mode="economic", pivoting=True)
    size = np.abs(R.diagonal())
    rank = np.count_nonzero(size > np.finfo(float).eps * size.max(initial=0))
    whole = np.empty((rank, n))
    whole[:, order] = R[:rank]
    return Q[:, :rank], whole


class Exact:
    """Solves min 1/2 ||A x - b||^2 + l1'x + l2/2 ||x||^2 over x >= 0, target after target."""

    def __init__(
        self,
        A: np.ndarray,
        reduce: np.ndarray | None = None,
        dependence_tol: float = DEPENDENCE_TOL,
    ) -> None:
        self.m, self.n = A.shape
        self.rows = np.ascontiguousarray(A)
        self.norms = np.sqrt(np.einsum("ij,ij->j", self.rows, self.rows))
        self.reduce = None if reduce is None else Packed(reduce)
        self.entry_weight = np.divide(1, self.norms, out=np.zeros(self.n), where=self.norms > 0)
        self.dependence_tol = dependence_tol

    @classmethod
    def of_generators(cls, A: np.ndarray, m: int, *, reduced: bool, independent: bool) -> Exact:
        """Prepare A, as it is or reduced to a triangle; targets reach its first m rows only."""
        if reduced:
            Q, R = np.linalg.qr(A) if independent else triangle(A)
            if len(R) < len(A):
                return cls(R, Q[:m], dependence_tol=DEPENDENCE_TOL + 4 * np.sqrt(len(A)))
        return cls(A, np.eye(len(A), m).T if m < len(A) else None)

    @classmethod
    def of_gram(cls, G: np.ndarray) -> Exact:
        """Prepare a scaled Gram matrix; targets are then rows of c."""
        values, vectors = np.linalg.eigh(G)
        keep = values > len(G) * np.finfo(float).eps * values.max(initial=0)
        root = np.sqrt(values[keep])
        vectors[~(G.diagonal() > 0)] = 0  # else rounding makes generators of zero ones
        rows = root[:, None] * vectors[:, keep].T
        return cls(rows, vectors[:, keep] / root, dependence_tol=DEPENDENCE_TOL + 4 * len(G))

    def solve(
        self,
        B: np.ndarray,
        l1: np.ndarray,
        max_steps: int | np.ndarray,
        start: np.ndarray | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x (p, n) and the steps used (p,), negative where `max_steps` were too few.

        The support of `start` (p, n), if given, is taken over: few steps from a good one.
        """
        if self.reduce is not None:
            B = self.reduce.product(np.ascontiguousarray(B), Scratch(), "Q'b")[0]
            B = np.ascontiguousarray(B[:, : self.m])
        X = np.zeros((len(B), self.n)) if start is None else start
        work = np.empty(kernels.active_set_work(self.m, self.n))
        index = np.empty(2 * self.n + 2, dtype=np.intp)
        columns = aligned((self.n, -(-self.m // 8) * 8), np.float64)
        fetched = np.zeros(self.n, dtype=np.intp)
        call = (self.rows, columns, fetched, B, self.norms, self.entry_weight)
        l1 = np.ascontiguousarray(l1)
        steps = run_in_pieces(
            lambda most, steps, done, budget: kernels.active_set(
                *call, l1, self.dependence_tol, X, most, steps, done, budget, work, index
            ),
            len(B), max_steps, 10 * self.m * self.n, late,
        )  # fmt: skip
        return X, steps


def run_in_pieces(
    call: Callable[[np.ndarray, np.ndarray, int, int], int],
    count: int,
    max_steps: int | np.ndarray,
    step_work: float,
    late: Callable[[], bool],
) -> np.ndarray:
    """Run an exact kernel over `count` problems, some steps at a time; returns the steps used.

    Steps are negative where `max_steps` were too few, or the time was up.
    """
    steps = np.full(count, -1, dtype=np.intp)
    most = np.full(count, max_steps, dtype=np.intp)
    budget, done = max(1, int(CALL_WORK / (step_work + 1))), 0
    while done < count and not late():
        done = call(most, steps, done, budget)
    return steps


def hull_point(generators: Generators, gram: Gram) -> np.ndarray:
    """Return z of the point A z of least norm in the hull of the unit generators."""
    unit_rows = generators.rows * gram.rootinv[:, None]
    hull = Exact(np.vstack([unit_rows.T, gram.used]))
    target = np.zeros((1, generators.m + 1))
    target[0, -1] = 1
    z, _ = hull.solve(target, np.zeros((1, gram.n)), 30 * gram.n)
    return z[0] * gram.rootinv
