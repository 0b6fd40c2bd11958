# SPDX-License-Identifier: BSD-3-Clause
"""Random small integer problems (ties, rank loss) against optima in exact rational arithmetic."""

import os

import exact
import numpy as np
import pytest

import fastcone

COUNT = 1_000_000 if os.environ.get("FASTCONE_LONG") else 10_000


def random_problem(rng):
    m, n = rng.integers(1, 7, 2)
    return rng.integers(-3, 4, (m, n)).astype(float), rng.integers(-3, 4, m).astype(float)


def test_the_reference_solves_what_can_be_solved_by_hand():
    assert exact.bareiss([[2, 1], [1, 3]], [3, 5]) == ([4, 7], 5)
    assert exact.bareiss([[1, 2], [2, 4]], [1, 1]) == (None, 0)
    assert exact.bareiss([[0, 1], [1, 0]], [3, 4])[1] in (1, -1)
    assert exact.nnls([[1.0], [1.0]], [1.0, 2.0]) == exact.Fraction(1, 4)
    assert exact.nnls([[1.0, -1.0]], [-2.0]) == 0
    assert exact.nnls([[0.5]], [-1.0]) == exact.Fraction(1, 2)
    assert exact.objective([[0.5]], [1.0], [1.0]) == exact.Fraction(1, 8)


def test_a_wrong_guess_does_not_mislead_the_reference():
    rng = np.random.default_rng(0)
    for _ in range(50):
        A, b = random_problem(rng)
        guess = np.flatnonzero(rng.random(A.shape[1]) < 0.5)
        assert exact.nnls(A.tolist(), b.tolist(), guess) == exact.nnls(A.tolist(), b.tolist())


@pytest.mark.parametrize("kind", ["nnls", "solve_nnls"])
def test_long_no_answer_is_wrong_and_no_gap_lies(kind):
    rng = np.random.default_rng(1)
    wrong, lies, unproved = [], [], 0
    for k in range(COUNT if kind == "nnls" else COUNT // 10):
        A, b = random_problem(rng)
        gap = None
        if kind == "nnls":
            x, _ = fastcone.nnls(A, b, maxiter=1000)
        else:
            solution = fastcone.solve_nnls(A, b)
            x, gap = solution.x, solution.gap
            unproved += not solution.converged
        best = exact.nnls(A.tolist(), b.tolist(), np.flatnonzero(x))
        excess = exact.objective(A, b, x) - best
        at_zero = exact.Fraction(float(b @ b)) / 2
        if excess > 1e-9 * at_zero:
            wrong.append((k, A, b))
        if gap is not None and np.isfinite(gap) and excess > exact.Fraction(gap) * at_zero:
            lies.append((k, A, b, gap))
    assert not wrong, wrong[:3]
    assert not lies, lies[:3]
    # only generators that contain a line are solved without a proof
    assert unproved <= 0.05 * COUNT
