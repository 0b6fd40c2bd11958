# SPDX-License-Identifier: BSD-3-Clause
"""Stacks of small problems, each with generators of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone._nnls.block import Answers
from fastcone._nnls.plan import Options
from fastcone._nnls.result import Solution
from fastcone._nnls.stack import nnls_stack
from fastcone._runtime import threads
from fastcone._runtime.scaling import F64
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import check_finite, check_shape, real_array

WORK = 2e7  # flops of a block, reckoned as 6 m n^2 a problem: some milliseconds


def solve_stack(A: Any, B: Any, options: Options, n_threads: int | None) -> Solution:
    """Solve min ||A_r x - b_r|| over x >= 0 for A (p, m, n) and B (p, m); x is (n, p)."""
    A = real_array("A", A, ndim=(3,), dtype=F64)
    B = real_array("B", B, ndim=(2,), dtype=F64)
    p, m, n = A.shape
    check_shape("B", B, (p, m))
    answers = Answers.of(p, n, np.dtype(F64))
    if m == 0 or n == 0:
        check_finite("B", B)
        answers.known[...] = 0
        answers.known[0] = np.einsum("ij,ij->i", B, B) / 2
    else:
        if any(step % 8 for step in (*A.strides, *B.strides)):
            A, B = A.copy(), B.copy()
        size = max(1, int(WORK / (6 * m * n * n + 100)))
        most = min(options.max_epochs or 30 * n, 2**31 - 1)

        def block(k: int, scratch: Scratch) -> None:
            if not (options.deadline.passed() or scratch.stopped()):
                last = min((k + 1) * size, p)
                nnls_stack(A, B, answers.X, answers.known, answers.epochs, k * size, last, most)

        threads.run(-(-p // size), block, n_threads)
    left = answers.epochs < 0
    answers.known[1, left] = np.inf
    answers.epochs[left] = -1 - answers.epochs[left]
    return answers.solution(options)
