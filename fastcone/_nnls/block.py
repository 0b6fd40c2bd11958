# SPDX-License-Identifier: BSD-3-Clause
"""A block of problems between the stages of solve.py: what is known, and how it is proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.certificate import Proof, from_report
from fastcone._nnls.plan import Options, Plan, provable_in_float32
from fastcone._nnls.result import Solution
from fastcone._nnls.targets import DataTargets, LinearTerms, Penalty, Targets
from fastcone._runtime.scaling import F32, F64, largest_penalty, rescale
from fastcone._runtime.threads import Scratch

ROOM = {F32: 60, F64: 500}  # powers of two between units that lose no digit


@dataclass
class Job:
    """What all blocks share: the problems, and how they are to be solved.

    dtype: of the answers.  working: of descent and its reports.  narrow: whether the first rung is
    in float32 all the same, and proves what it finds in float64.
    """

    targets: Targets
    penalty: Penalty
    options: Options
    plan: Plan
    dtype: np.dtype
    working: np.dtype
    narrow: bool
    started: bool

    @classmethod
    def of(
        cls,
        targets: Targets,
        l1: np.ndarray | None,
        options: Options,
        dtype: np.dtype,
        plan: Plan,
        started: bool,
    ) -> Job:
        """Return a batch; `started`: the caller gave coefficients."""
        working, gram = F64 if options.certify else dtype, targets.gram
        narrow = (
            dtype == F32 != working
            and plan.rung == "descent"
            and provable_in_float32(gram, gram.terms, options.proved(dtype))
        )
        penalty = Penalty(l1, gram)
        return cls(targets, penalty, options, plan, dtype, working, narrow, started)

    def late(self, scratch: Scratch) -> bool:
        """Return whether to stop: the time is up, or another thread has stopped the job."""
        return self.options.deadline.passed() or scratch.stopped()


@dataclass
class Answers:
    """The arrays of p problems that the caller gets, or a block of them.

    X: (p, n).  known: (3, p) objective, gap and violation.  epochs: (p,).
    """

    X: np.ndarray
    known: np.ndarray
    epochs: np.ndarray

    @classmethod
    def of(cls, p: int, n: int, dtype: np.dtype) -> Answers:
        """Return zeros with nothing known of them."""
        known = np.empty((3, p))
        known.fill(np.inf)
        return cls(np.zeros((p, n), dtype), known, np.zeros(p, dtype=np.intp))

    def part(self, which: Any) -> Answers:
        """Return a block; a slice gives views."""
        return Answers(self.X[which], self.known[:, which], self.epochs[which])

    def solution(self, options: Options) -> Solution:
        """Return what the caller gets; converged: the gap is as small as it is to be."""
        objective, gap, violation = self.known
        converged = gap <= options.proved(self.X.dtype)
        return Solution(self.X.T, objective, gap, violation, self.epochs, converged)


@dataclass
class Block:
    """Problems on the ladder, scaled: their linear terms, and the best that is known of each."""

    which: np.ndarray
    linear: LinearTerms
    X: np.ndarray
    proof: Proof
    epochs: np.ndarray


def load(job: Job, which: np.ndarray, answers: Answers, scratch: Scratch) -> Block:
    """Return some problems with the coefficients and certificates that they have so far."""
    gram = job.targets.gram
    linear = job.penalty.subtract(which, job.targets.products(which, job.working, scratch))
    X = scratch.take(f"X{job.working.itemsize}", linear.C.shape, job.working)
    X[...] = 0
    known = answers.part(which)
    if job.started or job.plan.rung:  # else they are all 0
        X[:, : gram.n] = rescale(
            known.X.astype(job.working, copy=False), -gram.exponent, -linear.exponent
        )
        if job.targets.known:
            X[linear.b_norm == 0] = 0  # whose objective may underflow
    if job.penalty.l1 is not None:  # a clipped penalty forbids what the whole one does
        X[linear.C + largest_penalty(job.working) / 2 < 0] = 0
    e = linear.exponent
    with np.errstate(over="ignore", under="ignore"):
        objective, gap, violation = known.known
        proof = Proof(np.ldexp(objective, -2 * e), gap, np.ldexp(violation, -e))
    block = Block(which, linear, X, proof, known.epochs)
    if job.started:
        _prove_start(job, block, scratch)
    return block


def _prove_start(job: Job, block: Block, scratch: Scratch) -> None:
    """Prove the caller's start; one that is worse than 0, or not even finite, becomes 0."""
    every = np.arange(len(block.X))
    with np.errstate(over="ignore", invalid="ignore"):
        block.proof = report(job, block, every, block.X, scratch)
    at_zero = block.linear.b_norm.astype(F64) ** 2 / 2 if job.targets.known else 0.0
    bad = np.flatnonzero(~(block.proof.objective <= at_zero * (1 + 1e-6)))
    if bad.size:
        block.X[bad] = 0
        block.proof.put(bad, report(job, block, bad, block.X[bad], scratch))


def report(
    job: Job, block: Block, which: np.ndarray, X: np.ndarray, scratch: Scratch
) -> Proof:  # fmt: skip
    """Return certificates of coefficients X of some problems from the Gram matrix."""
    gram, dtype = job.targets.gram, job.working
    packed = gram.packed(dtype)
    C = block.linear.C if len(which) == len(block.X) else block.linear.C[which]
    out = scratch.take("report", (len(which), len(kernels.REPORT)), dtype)
    work = scratch.take("work", (kernels.nnls_work(gram.n_padded, dtype),), dtype)
    rounding = gram.rounding if dtype == F64 else 0.0
    kernels.nnls_report(
        packed.G, gram.coord(dtype), C, X, block.linear.delta_scale[which], rounding, out, work
    )
    size = block.linear.b_norm[which].astype(F64)
    return from_report(out, gram, size, known=job.targets.known, data=job.targets.data)


def prove(job: Job, block: Block, which: np.ndarray, X: np.ndarray, scratch: Scratch) -> Proof:
    """Return certificates from the Gram matrix, or from A and b where that does not prove `tol`."""
    proof = report(job, block, which, X, scratch)
    left = np.flatnonzero(~(proof.gap <= job.options.proved(job.dtype)))
    if job.options.certify and job.targets.data and left.size:
        some, e = block.which[which[left]], block.linear.exponent[which[left]]
        wide = np.ascontiguousarray(X[left, : job.targets.gram.n], dtype=F64)
        found = cast(DataTargets, job.targets).prove(some, e, wide, job.penalty.scaled(some, e))
        found.gap = np.minimum(found.gap, proof.gap[left])
        proof.put(left, found)
    return proof


def accept(
    job: Job, block: Block, which: np.ndarray, X: np.ndarray, used: np.ndarray, tol: float,
    scratch: Scratch,
) -> None:  # fmt: skip
    """Keep what a stage found of some problems where it proves `tol` or is not worse."""
    if job.dtype != X.dtype:
        X = X.astype(job.dtype).astype(X.dtype)
    found = prove(job, block, which, X, scratch)
    block.epochs[which] += used
    old = block.proof
    better = (found.gap <= tol) | (found.gap < old.gap[which])
    better |= (found.gap == old.gap[which]) & (found.objective <= old.objective[which])
    block.X[which[better]] = X[better]
    block.proof.put(which[better], found.part(better))


def store(job: Job, block: Block, answers: Answers, scratch: Scratch) -> None:
    """Write a block's answers in the caller's units and dtype, cut to its range."""
    gram, e = job.targets.gram, block.linear.exponent
    with np.errstate(over="ignore"):
        largest = np.finfo(job.dtype).max
        held = np.minimum(rescale(block.X[:, : gram.n].astype(F64), gram.exponent, e), largest)
        held = held.astype(job.dtype)
    if gram.far + np.abs(e).max(initial=0) > ROOM[job.dtype]:
        back = rescale(held.astype(job.working), -gram.exponent, -e)
        lost = np.flatnonzero((back != block.X[:, : gram.n]).any(axis=1))
        if lost.size:  # what the caller gets is what is proved
            block.X[lost, : gram.n] = back[lost]
            block.proof.put(lost, prove(job, block, lost, block.X[lost], scratch))
    answers.X[block.which] = held
    with np.errstate(over="ignore", under="ignore"):
        objective = np.ldexp(block.proof.objective, 2 * e)
        violation = np.ldexp(block.proof.violation, e)
    answers.known[:, block.which] = objective, block.proof.gap, violation
    answers.epochs[block.which] = block.epochs
