# SPDX-License-Identifier: BSD-3-Clause
"""The ladder: blocks of problems, each taken from the fastest way to the last resort.

The first rung is one compiled call over a block (rung.pyx). `climb` is what follows for the
problems that it leaves: every stage improves the coefficients of what is not proved, and what a
stage found is kept where its certificate is not worse.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from fastcone._nnls.block import Answers, Block, Job, accept, load, prove, store
from fastcone._nnls.descent import descend
from fastcone._nnls.plan import AIM_NARROW
from fastcone._nnls.result import Solution
from fastcone._nnls.support import solve_on_support
from fastcone._nnls.targets import Solver
from fastcone._runtime import threads
from fastcone._runtime.scaling import F32, F64
from fastcone._runtime.threads import Scratch

NONE = np.empty(0, dtype=np.intp)
SMALL_BLOCK = 64  # problems of a block whose work space is not worth keeping


def solve(job: Job, x0: np.ndarray | None, n_threads: int | None) -> Solution:
    """Solve a batch; x0 (n, p) or None."""
    return answers_of(job, x0, n_threads).solution(job.options)


def answers_of(job: Job, x0: np.ndarray | None, n_threads: int | None) -> Answers:
    """Work through the blocks and gather the answers."""
    p, size, gram = job.targets.p, job.plan.block_size, job.targets.gram
    answers = Answers.of(p, gram.n, job.dtype)
    if x0 is not None:
        answers.X[:, gram.used] = x0.T[:, gram.used]

    def block(k: int, scratch: Scratch) -> None:
        if not job.late(scratch):
            solve_block(job, k * size, min((k + 1) * size, p), answers, scratch)

    threads.run(-(-p // size), block, n_threads)
    return answers


def solve_block(job: Job, first: int, last: int, answers: Answers, scratch: Scratch) -> None:
    """Solve the problems first..last-1, from the fastest way to the last resort."""
    left = first_rung(job, first, last, answers, scratch)
    if left.size and not job.late(scratch):
        climb(job, left, answers, scratch)


def first_rung(
    job: Job, first: int, last: int, answers: Answers, scratch: Scratch
) -> np.ndarray:  # fmt: skip
    """Take a block through the compiled rung; returns which of its problems are left to do."""
    way, options = job.plan.rung, job.options
    working = F64 if way == "support" else F32 if job.narrow else job.working
    rung = job.targets.rung(working, way, job.plan.rung_epochs, job.narrow) if way else None
    if rung is None:
        return np.arange(first, last)
    wanted = enough = options.proved(job.dtype)
    if job.narrow:
        wanted = max(AIM_NARROW, options.aim(job.dtype) / 10)
    elif way == "descent":
        wanted, enough = options.aim(job.dtype), options.enough(job.dtype)
    which = slice(first, last)
    part = answers if last - first == len(answers.X) else answers.part(which)
    small = last - first < SMALL_BLOCK
    left = rung.run(
        job.targets.B[:, which],  # type: ignore[attr-defined]
        job.penalty.of(which),
        wanted,
        options.max_epochs or 2**31 - 1,
        job.started,
        part.X,
        part.known,
        part.epochs,
        None if small else scratch.take("rung", (rung.work_size(last - first),), np.uint8),
    )
    if left == 0:
        return NONE
    return first + np.flatnonzero(~(part.known[1] <= enough))


def climb(job: Job, which: np.ndarray, answers: Answers, scratch: Scratch) -> None:
    """Take some problems through the stages that follow the first rung, from their `answers`."""
    block = load(job, which, answers, scratch)
    tol = job.options.proved(job.dtype)
    limit = job.options.max_epochs or np.inf
    for stage, wanted in stages(job):
        todo = np.flatnonzero(~(block.proof.gap <= wanted) & (block.epochs < limit))
        if todo.size and not job.late(scratch):
            accept(job, block, todo, *stage(job, block, todo, scratch), tol, scratch)
    left = np.flatnonzero(~(block.proof.gap <= tol))
    if left.size:
        block.proof.put(left, prove(job, block, left, block.X[left], scratch))
    store(job, block, answers, scratch)


def stages(job: Job) -> Iterator[tuple[Callable[..., tuple[np.ndarray, np.ndarray]], float]]:
    """Yield what a problem goes through, and the gap below which it need not.

    Descent may be anywhere below the gap that it has proved, so the default asks much of it; the
    other stages end at the solution, and need only the proof.
    """
    tol = job.options.proved(job.dtype)
    if job.plan.epochs:
        yield descend, job.options.enough(job.dtype)
    stable = job.targets.stable_form if job.plan.rung == "support" else None
    if stable is not None:  # the rung had its say; what it calls open has no gap yet
        yield functools.partial(solve_exactly, stable), np.finfo(float).max
    elif job.plan.support:
        yield solve_on_support, tol
    if job.plan.exact:
        yield from ((functools.partial(solve_exactly, f), tol) for f in job.targets.exact_forms)


def solve_exactly(
    form: Solver, job: Job, block: Block, todo: np.ndarray, scratch: Scratch
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients that an exact solver finds for some problems, and its steps."""
    n, e, which = job.targets.gram.n, block.linear.exponent[todo], block.which[todo]
    start = block.X[todo, :n].astype(F64)
    if not job.started:  # a large support that descent was lost in tells too little to pay,
        start[np.count_nonzero(start, axis=1) > form.m / 2] = 0
        start[np.isinf(block.proof.gap[todo])] = 0  # and one that rounding left open misleads
    limit = job.options.max_epochs
    x, used = form.solve(
        job.targets.exact_rows(which, e),
        job.penalty.scaled(which, e),
        limit - block.epochs[todo] if limit else 30 * n,
        start,
        functools.partial(job.late, scratch),
    )
    X = np.zeros((len(todo), block.X.shape[1]), dtype=job.working)
    sound = np.isfinite(x).all(axis=1)  # pivots 1e300 apart may overflow: no answer
    X[:, :n] = np.where(sound[:, None], x, block.X[todo, :n])
    return X, np.where(used < 0, -1 - used, used)
