# SPDX-License-Identifier: BSD-3-Clause
"""A batch of problems cut into blocks, each taken from the fastest way to the last resort."""

from __future__ import annotations

import functools

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.active_set import Exact
from fastcone._nnls.descent import Descent
from fastcone._nnls.plan import Options, Plan
from fastcone._nnls.prepare import Gram
from fastcone._nnls.sparse import SparseTargets
from fastcone._nnls.targets import DataTargets, GramTargets
from fastcone._runtime import threads
from fastcone._runtime.scaling import F32, F64, largest_penalty, rescale
from fastcone._runtime.threads import Scratch
from fastcone.result import Solution

ROOM = {np.dtype(np.float32): 60, F64: 500}  # powers of two that lose nothing


class Batch:
    """All p problems: where their targets come from, and their answers."""

    def __init__(
        self,
        targets: DataTargets | GramTargets | SparseTargets,
        gram: Gram,
        dtype: np.dtype,
        options: Options,
        x0: np.ndarray | None,
    ) -> None:
        self.targets, self.gram, self.dtype, self.options = targets, gram, dtype, options
        p, n = targets.p, gram.n
        self.working = gram if dtype == F64 or options.certify else gram.narrow(F32)
        self.plan = Plan.of(gram, targets.terms, options, self.working.dtype, x0 is not None)
        self.gram32 = gram.narrow(F32) if self.plan.float32_first else None
        self.X = np.zeros((p, n), dtype=dtype)
        self.started = x0 is not None
        if x0 is not None:
            self.X[:, gram.used] = x0.T[:, gram.used]
        self.objective, self.gap, self.violation = (np.full(p, np.inf) for _ in range(3))
        self.epochs = np.zeros(p, dtype=np.intp)

    def _late(self, scratch: Scratch) -> bool:
        """Return whether to stop: the time is up, or another thread has stopped the job."""
        return self.options.deadline.passed() or scratch.stopped()

    def solve(self, n_threads: int) -> Solution:
        """Work through the blocks and gather the answers."""
        p, size = self.targets.p, self.plan.block_size

        def block(k: int, scratch: Scratch) -> None:
            if not self._late(scratch):
                self._block(slice(k * size, min((k + 1) * size, p)), scratch)

        threads.run(-(-p // size), block, n_threads)
        converged = self.gap <= self.options.tol
        return Solution(self.X.T, self.objective, self.gap, self.violation, self.epochs, converged)

    def _block(self, which: slice, scratch: Scratch) -> None:
        """Solve one block of problems, from the fastest way to the last resort."""
        block = self._start(which, scratch)
        if not self.plan.exact_first:
            self._descend(block, scratch)
        if self.plan.exact:
            self._solve_exactly(which, block, scratch)
        else:
            self._prove_from_data(which, block, self._unproved(block))
        self._fit_units(which, block, scratch)
        self._keep(which, block)

    def _start(self, which: slice, scratch: Scratch) -> Descent:
        """Return a block with the coefficients that the caller starts from."""
        gram = self.gram if self.plan.exact_first else self.working
        linear = self.targets.linear(which, gram.dtype, scratch)
        X = scratch.take(f"X{gram.dtype.itemsize}", linear.C.shape, gram.dtype)
        X[...] = 0
        if self.started:
            held = self.X[which].astype(gram.dtype, copy=False)
            X[:, : gram.n] = rescale(held, -gram.exponent, -linear.exponent)
            if self.targets.penalised:  # a clipped penalty forbids what the whole one does
                X[linear.C + largest_penalty(gram.dtype) / 2 < 0] = 0
        return Descent(gram, linear, X, self.targets, self.dtype, self.plan.block_size)

    def _descend(self, block: Descent, scratch: Scratch) -> None:
        options = self.options
        block.run(
            options.tol,
            self.plan.epochs,
            functools.partial(self._late, scratch),
            scratch,
            gram32=self.gram32,
            pivot_gram=self.gram if self.plan.pivots else None,
            started=self.started,
            persist=options.method == "cd",
        )

    def _unproved(self, block: Descent) -> np.ndarray:
        return np.flatnonzero(~(block.proof.gap <= self.options.tol))

    def _left(self, block: Descent) -> tuple[np.ndarray, np.ndarray]:
        """Return the problems without a proof: those with epochs left, and those without."""
        unproved = self._unproved(block)
        spent = block.epochs[unproved] >= (self.options.max_epochs or np.inf)
        return unproved[~spent], unproved[spent]

    def _solve_exactly(self, which: slice, block: Descent, scratch: Scratch) -> None:
        """Give the problems without a proof to the exact solver, in each form that A has."""
        left, spent = self._left(block)
        self._prove_from_data(which, block, spent)
        if not left.size:
            return
        for form in self.targets.exact_forms:
            left, _ = self._left(block)
            if left.size and not self._late(scratch):
                self._improve(which, block, left, form, scratch)
                self._prove_from_data(which, block, left)

    def _improve(
        self, which: slice, block: Descent, left: np.ndarray, form: Exact, scratch: Scratch
    ) -> None:
        """Solve some problems exactly, and keep what is not worse than before."""
        proof, n = block.proof, self.gram.n
        e = block.linear.exponent[left]
        before = block.held(left)
        start = block.X[left, :n].astype(F64)
        if not self.started:  # a large support that descent was lost in tells too little to pay
            start[np.count_nonzero(start, axis=1) > form.m / 2] = 0
        X, used = form.solve(
            self.targets.exact_rows(which.start + left, e),
            self.targets.penalty(which.start + left, e),
            self.options.max_epochs - block.epochs[left] if self.options.max_epochs else 30 * n,
            start,
            functools.partial(self._late, scratch),
        )
        block.X[left, :n] = X
        block.prove(left, scratch)
        block.epochs[left] += np.where(used < 0, -1 - used, used)
        gap, objective = before[:2]
        worse = proof.gap[left] > gap
        worse |= (proof.gap[left] == gap) & (proof.objective[left] > objective)  # no bound: inf
        block.take_back(left, before, worse)

    def _prove_from_data(self, which: slice, block: Descent, left: np.ndarray) -> None:
        """Form the certificates that the Gram matrix could not give from A and b themselves."""
        left = left[~(block.proof.gap[left] <= self.options.tol)]
        if not self.options.certify or isinstance(self.targets, GramTargets) or not left.size:
            return
        X = block.X[left, : self.gram.n].astype(F64)
        proof = self.targets.prove(which.start + left, block.linear.exponent[left], X)
        block.proof.objective[left] = proof.objective
        block.proof.gap[left] = np.minimum(proof.gap, block.proof.gap[left])
        block.proof.violation[left] = proof.violation

    def _units(self, block: Descent, out: np.ndarray) -> None:
        """Write a block's coefficients in the caller's units and dtype, cut to its range."""
        e, E, largest = self.gram.exponent, block.linear.exponent, np.finfo(self.dtype).max
        if self._farthest(E) > ROOM[self.dtype] or block.X.dtype != self.dtype:
            X = rescale(block.X[:, : self.gram.n], e, E)
            with np.errstate(over="ignore"):
                out[...] = np.minimum(X, largest)
        else:
            scale = np.empty(self.gram.n, dtype=self.dtype)
            kernels.units_out(block.X, e, E, largest, out, scale)

    def _farthest(self, E: np.ndarray) -> int:
        """Return the largest power of two between the scaled coefficients and the caller's."""
        return int(np.abs(self.gram.exponent).max(initial=0) + np.abs(E).max(initial=0))

    def _fit_units(self, which: slice, block: Descent, scratch: Scratch) -> None:
        """Prove what the caller gets, where coefficients over- or underflow in those units."""
        e, n = block.linear.exponent, self.gram.n
        if self._farthest(e) <= ROOM[self.dtype]:
            return
        held = np.empty((len(e), n), dtype=self.dtype)
        self._units(block, held)
        back = rescale(held.astype(block.gram.dtype), -self.gram.exponent, -e)
        lost = np.flatnonzero((back != block.X[:, :n]).any(axis=1))
        if lost.size:
            block.X[lost, :n] = back[lost]
            block.prove(lost, scratch)
            self._prove_from_data(which, block, lost)

    def _keep(self, which: slice, block: Descent) -> None:
        """Store a block's answers in the caller's units."""
        e = block.linear.exponent
        self._units(block, self.X[which])
        with np.errstate(over="ignore", under="ignore"):
            self.objective[which] = np.ldexp(block.proof.objective, 2 * e)
            self.violation[which] = np.ldexp(block.proof.violation, e)
        self.gap[which] = block.proof.gap
        self.epochs[which] += block.epochs
