# SPDX-License-Identifier: BSD-3-Clause
"""Instances on which `solve_nnlad` was once wrong, each by its fault."""

import exact
import numpy as np
import pytest

from fastcone._nnlad.api import solve_nnlad

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


@pytest.mark.parametrize("weights", [None, np.full(23, 1e200)], ids=["plain", "weighted"])
def test_rows_without_entries_may_sum_to_more_than_the_range(weights, rng):
    A = np.vstack([rng.random((20, 5)), np.zeros((3, 5))])
    b = np.append(rng.random(20) * 1e307, np.full(3, 1.7e308))
    solution = solve_nnlad(A, b, max_epochs=1, weights=weights)
    inner = solve_nnlad(A[:20], b[:20], max_epochs=1)
    size = (b[:20] / 1e308).sum()
    assert solution.gap == pytest.approx(inner.gap * size / (size + 5.1))
    assert not solution.converged


def test_rows_without_entries_keep_their_digits_among_subnormal_numbers():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        A = np.vstack([rng.integers(0, 4, (3, 3)), np.zeros((1, 3))])
        b, w = rng.integers(-3, 4, 4) * 5e-324, rng.random(4)
        assert_honest(A, b, solve_nnlad(A, b, weights=w, max_epochs=1), w)


# --- answers that depended on their neighbours -----------------------------------------------


def test_a_target_alone_is_a_target_among_others_where_rows_have_no_entries(rng):
    for _ in range(40):
        m = int(rng.integers(5, 200))
        A = rng.random((m, 4))
        A[rng.random(m) < 0.5] = 0
        B = np.round(rng.random((m, 5)), 1)
        together = solve_nnlad(A, B)
        for c in range(5):
            alone = solve_nnlad(A, B[:, c])
            assert np.array_equal(alone.x, together.x[:, c])
            for name in ("objective", "gap", "violation", "epochs"):
                assert getattr(alone, name) == getattr(together, name)[c], name
