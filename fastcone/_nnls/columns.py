# SPDX-License-Identifier: BSD-3-Clause
"""Many sparse generators: coordinate descent on their columns, with no product of two of them.

a) Epochs go over the generators that matter: the support, and those whose gradient is about to let
   them in. Every few of them all are looked at.
b) The certificate is formed from A, b and x: the shift of docs/nnls.md is A'A z by two products.
c) What is known so far is always feasible: the time may be up at any moment.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.block import Answers
from fastcone._nnls.certificate import DataProof, Maps, Proof
from fastcone._nnls.plan import Options
from fastcone._nnls.prepare import POINTED, Shift, ridge
from fastcone._nnls.result import Solution
from fastcone._nnls.sparse import dense, scaled_columns
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import F64, exponent, largest_penalty, rescale, roundoff
from fastcone._runtime.threads import Scratch, run

EPOCHS = 10  # on the generators that matter, between two looks at all
MOST_EPOCHS = 20_000  # as many as pay: each gains a constant factor
ENTRIES = 5_000_000  # of a kernel call: some 20 ms between two looks at the clock
STALLED = 20  # looks at all generators that gained nothing before the end
GAIN = 1e-7  # of the objective: what counts as a gain between two looks


class ColumnGenerators:
    """Sparse generators A (m, n), scaled by powers of two, and the constants of a certificate."""

    def __init__(self, A: Any, l2: float, deadline: Deadline) -> None:
        self.dtype = A.dtype
        scaled, self.exponent = scaled_columns(A)
        deadline.check()
        self.A = scaled.astype(F64)
        self.m, self.n = self.A.shape
        self.start = self.A.indptr.astype(np.intp)
        self.index = self.A.indices.astype(np.intc)
        self.ridge = ridge(l2, self.exponent, A.dtype)
        norm2 = np.asarray(self.A.multiply(self.A).sum(axis=0)).ravel()
        self.diagonal = norm2 + self.ridge
        self.used = self.diagonal > 0
        # the ridge's share of the diagonal: no eigenvalue is less
        self.lam = float((self.ridge / np.where(self.used, self.diagonal, 1)).min(initial=1))
        self.terms = int(np.diff(self.A.indptr).max(initial=0))
        self.rounding = 1.01 * (self.terms + self.n + 8) * roundoff(F64)

    @functools.cached_property
    def shift(self) -> Shift:
        """The shift y0 = A z, z_j = 1 / ||a_j||, with bounds of A'y0."""
        root = np.sqrt(self.diagonal)
        z = np.divide(1, root, out=np.zeros(self.n), where=self.used)
        a = self.A.T @ (self.A @ z) + self.ridge * z
        slack = self.rounding * root * (root @ z)
        pointed = bool(np.all(a - slack > POINTED * root, where=self.used))
        return Shift(a - slack, a + slack, float(z @ a + slack @ z), pointed)

    @functools.cached_property
    def proof(self) -> DataProof:
        """Certificates from A and b."""
        A, size = self.A, abs(self.A)
        maps = Maps(*(lambda rows, M=M: rows @ M for M in (A.T, A, size.T, size)))
        return DataProof(maps, self.terms, self.n, self)


class Problem:
    """One target on its way: x and the residual, in scaled units."""

    def __init__(
        self, generators: ColumnGenerators, b: np.ndarray, l1: float, x0: np.ndarray | None
    ) -> None:
        self.generators = generators
        self.e = int(exponent(float(np.abs(b).max(initial=0))))
        self.b = np.ldexp(b, -self.e)
        with np.errstate(over="ignore", under="ignore"):
            penalty = np.ldexp(l1, generators.exponent - self.e)
        self.l1 = np.minimum(penalty, largest_penalty(F64))
        self.x = np.zeros(generators.n)
        if x0 is not None:
            self.x[generators.used] = rescale(x0[None], -generators.exponent, np.array([-self.e]))[
                0, generators.used
            ]
        self.r = self.b - generators.A @ self.x
        self.epochs = 0

    def gradient(self) -> np.ndarray:
        """Return the gradient, from the residual formed anew."""
        A = self.generators.A
        self.r = self.b - A @ self.x
        return np.asarray(self.l1 + self.generators.ridge * self.x - A.T @ self.r)

    def sweep(self, which: np.ndarray, options: Options) -> float:
        """Go through some generators, as far as the time allows; returns how far x moved."""
        made, moved = self.generators, 0.0
        entries = np.cumsum(np.diff(made.start)[which])
        cuts = np.searchsorted(entries, np.arange(ENTRIES, entries[-1:].sum() + 1, ENTRIES))
        for part in np.split(which, cuts):
            if options.deadline.passed():
                break
            moved += kernels.columns_epoch(
                made.start, made.index, made.A.data, made.diagonal, self.l1, made.ridge, part,
                self.x, self.r,
            )  # fmt: skip
        self.epochs += 1
        return moved

    def prove(self) -> Proof:
        """Return the certificate of x."""
        return self.prove_of(self.x)

    def prove_of(self, x: np.ndarray) -> Proof:
        """Return the certificate of any coefficients."""
        return self.generators.proof(x[None], self.b[None], self.l1[None])

    def solve(self, options: Options) -> Proof:
        """Descend until the gap is proved, nothing more can be gained or the time is up."""
        made, tol = self.generators, options.aim(F64)
        limit = min(options.max_epochs or MOST_EPOCHS, MOST_EPOCHS)
        size = float(np.linalg.norm(self.b))
        every, stalled = np.flatnonzero(made.used), 0
        self.sweep(every, options)
        g, proof = self.gradient(), self.prove()
        while not proof.gap[0] <= tol and stalled < STALLED and self.epochs < limit:
            if options.deadline.passed():
                break
            near = (self.x > 0) | (g < 0)
            for _ in range(min(EPOCHS, limit - self.epochs)):
                if self.sweep(np.flatnonzero(near & made.used), options) < (1e-17 * size) ** 2:
                    break
            g, before = self.gradient(), proof
            proof = self.prove()
            gained = proof.objective[0] < (1 - GAIN) * before.objective[0]
            stalled = 0 if gained or proof.gap[0] < 0.9 * before.gap[0] else stalled + 1
        return proof


class ColumnTargets:
    """Targets given as the columns of B, sparse or dense."""

    def __init__(self, generators: ColumnGenerators, B: Any) -> None:
        self.generators, self.B, self.p = generators, B, B.shape[1]

    def solve(
        self, l1: np.ndarray | None, x0: np.ndarray | None, options: Options, dtype: np.dtype,
        n_threads: int | None,
    ) -> Solution:  # fmt: skip
        """Solve one target after the other."""
        answers = Answers.of(self.p, self.generators.n, dtype)
        if x0 is not None:
            answers.X[:, self.generators.used] = x0.T[:, self.generators.used]

        def block(r: int, scratch: Scratch) -> None:
            if options.deadline.passed() or scratch.stopped():
                return
            b = np.asarray(dense(self.B[:, [r]]), dtype=F64).ravel()
            start = None if x0 is None else x0[:, r].astype(F64)
            problem = Problem(self.generators, b, 0.0 if l1 is None else float(l1[r]), start)
            proof, e = problem.solve(options), np.array([problem.e])
            with np.errstate(over="ignore", under="ignore"):
                x = rescale(problem.x[None], self.generators.exponent, e)[0]
                answers.X[r] = np.minimum(x, np.finfo(dtype).max).astype(dtype)
                held = rescale(answers.X[r].astype(F64)[None], -self.generators.exponent, -e)[0]
                if not np.array_equal(held, problem.x):  # what the caller gets is what is proved
                    problem.x, proof = held, problem.prove_of(held)
                objective = np.ldexp(proof.objective, 2 * e)
                violation = np.ldexp(proof.violation, e)
            answers.known[:, r] = objective[0], proof.gap[0], violation[0]
            answers.epochs[r] = problem.epochs

        run(self.p, block, n_threads)
        return answers.solution(options)
