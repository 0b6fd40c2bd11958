# SPDX-License-Identifier: BSD-3-Clause
"""The exact solver on shared generators: reduce once, then one support search per problem.

    a) With more rows than generators A = Q R is formed once; Q'b and the n x n triangle R hold the
       problem as well as A and b do, and every step costs n^2 in place of m n.
    b) The ridge l2 is n more rows, sqrt(l2) on the diagonal.
    c) From a Gram matrix alone, G = V L V' gives generators L^1/2 V' and targets L^-1/2 V'c.
    d) The same solver finds whether a cone is pointed: the point of least norm in the convex hull
       of the unit generators has a positive inner product with every one of them, or is 0.
"""

from __future__ import annotations

import numpy as np

from fastcone import _dispatch
from fastcone._nnls.gram import Generators, Gram, Packed
from fastcone._threads import Scratch


class Exact:
    """Solves min 1/2 ||A x - b||^2 + l1'x + l2/2 ||x||^2 over x >= 0, one target after the other."""

    def __init__(self, A: np.ndarray, reduce: np.ndarray | None) -> None:
        self.m, self.n = A.shape
        self.rows = np.ascontiguousarray(A.T)
        self.norms = np.sqrt(np.einsum("ij,ij->i", self.rows, self.rows))
        self.reduce = None if reduce is None else Packed(reduce)

    @classmethod
    def of_generators(cls, generators: Generators, l2: float = 0.0) -> Exact:
        """Prepare the scaled generators."""
        A, m, n = generators.rows.T, generators.m, generators.n
        if l2:
            A = np.vstack([A, np.diag(np.ldexp(np.sqrt(l2), generators.exponent))])
        if len(A) <= n:
            return cls(A, None)
        Q, R = np.linalg.qr(A)
        return cls(R, Q[:m])

    @classmethod
    def of_gram(cls, G: np.ndarray) -> Exact:
        """Prepare a scaled Gram matrix; targets are then rows of c."""
        values, vectors = np.linalg.eigh(G)
        keep = values > len(G) * np.finfo(float).eps * values.max(initial=0)
        root = np.sqrt(values[keep])
        return cls(root[:, None] * vectors[:, keep].T, vectors[:, keep] / root)

    def solve(
        self, B: np.ndarray, l1: np.ndarray, max_steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x (p, n) and the steps used (p,), negative where `max_steps` came first."""
        if self.reduce is not None:
            B = self.reduce.product(np.ascontiguousarray(B), Scratch(), "Q'b")[0]
            B = np.ascontiguousarray(B[:, : self.m])
        X = np.empty((len(B), self.n))
        steps = np.empty(len(B), dtype=np.intp)
        work = np.empty(self.m * self.n + self.n**2 + 4 * self.n + self.m)
        index = np.empty(2 * self.n, dtype=np.intp)
        _dispatch.active_set(
            self.rows, B, self.norms, np.ascontiguousarray(l1), X, max_steps, steps, work, index
        )
        return X, steps


def gram_of(generators: Generators, l2: float) -> Gram:
    """Return the Gram matrix of scaled generators, with a shift wherever one exists."""
    gram = Gram(generators.gram(l2), generators.exponent, np.dtype(np.float64), generators.m)
    if gram.lam > 1e-6 or gram.pointed:
        return gram
    unit_rows = generators.rows * gram.rootinv[:, None]
    hull = Exact(np.vstack([unit_rows.T, np.ones(gram.n)]), None)
    target = np.zeros((1, generators.m + 1))
    target[0, -1] = 1
    z, _ = hull.solve(target, np.zeros((1, gram.n)), 30 * gram.n)
    gram.find_shift(z[0] * gram.rootinv)
    gram.pack()
    return gram
