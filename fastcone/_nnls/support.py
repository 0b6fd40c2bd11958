# SPDX-License-Identifier: BSD-3-Clause
"""The support solver on G, problem by problem: for what the compiled first rung leaves."""

from __future__ import annotations

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.block import Block, Job
from fastcone._runtime.scaling import F64
from fastcone._runtime.threads import Scratch, aligned

STEPS = 64  # of one kernel call, between two looks at the clock


def solve_on_support(
    job: Job, block: Block, todo: np.ndarray, scratch: Scratch
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients of some problems from the support solver, and its steps."""
    gram, n = job.targets.gram, job.targets.gram.n
    G = gram.padded
    C, X, g = (aligned((1, G.shape[1]), F64) for _ in range(3))
    work, index = np.empty(kernels.support_work(n)), np.empty(n, dtype=np.intp)
    answers, used = block.X[todo], np.zeros(len(todo), dtype=np.intp)
    limit = min(30 * n, job.options.max_epochs or 30 * n)
    for i, r in enumerate(todo):
        C[...], X[...] = 0, 0
        C[0, :n], X[0, :n] = block.linear.C[r, :n], block.X[r, :n]
        slack = np.full(1, gram.rounding * float(block.linear.delta_scale[r]))
        steps = np.full(1, -1, dtype=np.intp)
        while steps[0] < 0 and used[i] < limit and not job.late(scratch):
            most = min(STEPS, limit - used[i])
            kernels.support(G, C, gram.rootinv, gram.norm, slack, X, g, most, steps, work, index)
            used[i] += max(1, steps[0] if steps[0] >= 0 else -1 - steps[0])
        answers[i, :n] = X[0, :n]
    return answers, used
