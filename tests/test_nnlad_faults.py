# SPDX-License-Identifier: BSD-3-Clause
"""Instances on which `solve_nnlad` was once wrong, each by its fault."""

import exact
import numpy as np

from fastcone.nnlad import solve_nnlad

LAST = 2.0**-52  # last bit of the numbers in [1, 2)


def excess(A, b, x, w=None, l1=0.0):
    """How far the objective of x is from the optimum, and sum_i w_i |b_i|, both exactly."""
    w = [exact.Fraction(float(v)) for v in (np.ones(len(b)) if w is None else w)]
    rows = [[u * exact.Fraction(float(v)) for v in row] for u, row in zip(w, A, strict=True)]
    rows.append([exact.Fraction(l1)] * len(A[0]))
    target = [*(u * exact.Fraction(float(v)) for u, v in zip(w, b, strict=True)), 0]
    x = [exact.Fraction(float(v)) for v in x]
    value = sum(
        abs(t - sum(a * v for a, v in zip(row, x, strict=True)))
        for row, t in zip(rows, target, strict=True)
    )
    return value - exact.nnlad(rows, target), sum(abs(t) for t in target)


def assert_honest(A, b, solution, w=None, l1=0.0):
    more, size = excess(A, b, solution.x, w, l1)
    assert more <= exact.Fraction(float(solution.gap)) * size
    assert solution.converged == (solution.gap <= 1e-6)


# --- gaps that were too small ----------------------------------------------------------------


def test_row_weights_can_round_a_plane_to_a_line():
    """a and nearly -a reach everything, but their weighted forms are each other's negative."""
    told = 0
    for seed in range(200):
        a, w = np.random.default_rng(seed).uniform(1, 2, 2)
        if a * w != (a + LAST) * w:
            continue
        A, b = np.array([[1.0, -1.0], [a, -(a + LAST)]]), np.array([0.0, -1.0])
        assert exact.nnlad(A.tolist(), b.tolist()) == 0  # at x of some 1e15
        assert_honest(A, b, solve_nnlad(A, b, weights=[1.0, w]), [1.0, w])
        told += 1
    assert told > 10


def test_generators_on_one_line_are_proved_under_any_row_weights(rng):
    half = rng.standard_normal((20, 5))
    A = np.hstack([half, -4 * half, half / 8])
    solution = solve_nnlad(A, rng.standard_normal((20, 9)), weights=rng.random(20))
    assert solution.converged.all()


def test_small_integers_are_proved_under_small_weights(rng):
    A = rng.integers(-1, 2, (6, 9)).astype(float)
    solution = solve_nnlad(A, rng.standard_normal((6, 9)), weights=rng.integers(1, 6, 6))
    assert solution.converged.all()


def test_an_entry_that_underflows_beside_a_large_one_can_matter():
    A, b = np.array([[1.0, -1.0], [5e-324, 0.0]]), np.array([0.0, 1e-20])
    assert excess(A, b, [2e303, 2e303])[0] < excess(A, b, [0, 0])[0]
    assert_honest(A, b, solve_nnlad(A, b))
