# SPDX-License-Identifier: BSD-3-Clause
"""Row weights, a penalty for each target and sparse targets of `solve_nnlad`."""

import os

import exact
import numpy as np
import pytest
import scipy.sparse
from problems import NNLAD
from test_nnlad import objective, witness

from fastcone._nnlad.api import solve_nnlad

LONG = bool(os.environ.get("FASTCONE_LONG"))
FIELDS = ("x", "objective", "gap", "violation", "epochs")


def assert_same_bits(one, two, picked=slice(None)):
    for name in FIELDS:
        assert np.array_equal(getattr(one, name), getattr(two, name)[..., picked]), name


@pytest.fixture
def data(rng):
    """A (40, 7), B (40, 90)."""
    return rng.random((40, 7)), rng.standard_normal((40, 90)) + 0.3


# --- against outside witnesses ---------------------------------------------------------------


@pytest.mark.parametrize("make", NNLAD, ids=lambda make: make.__name__)
def test_weighted_answers_are_as_good_as_highs(make):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        A, b = make(rng)
        w = rng.integers(0, 4, len(b)) * 2.0 ** rng.integers(-2, 3, len(b))
        for l1 in (0.0, 0.3):
            solution = solve_nnlad(A, b, l1=l1, weights=w, tol=1e-9)
            size = (w * np.abs(b)).sum()
            value = objective(A * w[:, None], b * w, solution.x, l1)
            excess = (value - witness(A * w[:, None], b * w, l1)) / max(size, 1e-300)
            assert excess <= 1e-9
            assert excess <= solution.gap + 1e-13
            mass = (w[:, None] * np.abs(A)).sum(axis=0) @ solution.x
            assert solution.objective == pytest.approx(value, abs=1e-14 * (size + mass))


def test_long_weights_and_penalties_against_exact_rationals():
    rng = np.random.default_rng(3)
    for _ in range(50_000 if LONG else 1000):
        m, n = rng.integers(1, 5, 2)
        A = rng.integers(-3, 4, (m, n)).astype(float)
        B = rng.integers(-3, 4, (m, 2)).astype(float)
        w, l1 = rng.integers(0, 4, (m, 2)).astype(float), rng.integers(0, 3, 2).astype(float)
        solution = solve_nnlad(A, B, l1=l1, weights=w, n_threads=1)
        for c in range(2):  # l1 sum(x) is a row of its own
            rows = np.vstack([w[:, [c]] * A, np.full(n, l1[c])])
            b = np.append(w[:, c] * B[:, c], 0)
            best = exact.nnlad(rows.tolist(), b.tolist())
            excess = exact.absolute_deviation(rows, b, solution.x[:, c]) - best
            size = np.abs(b).sum()
            assert 0 <= excess <= 1e-9 * size, (A, B, w, l1)
            assert excess <= exact.Fraction(solution.gap[c]) * exact.Fraction(size)
            assert solution.converged[c]


# --- what must change no bit -----------------------------------------------------------------


def test_each_target_can_have_its_own_l1(data, rng):
    A, B = data
    l1 = np.where(np.arange(90) % 3 == 0, 0.0, A.sum(axis=0).max() * 1.2 * rng.random(90))
    together = solve_nnlad(A, B, l1=l1, n_threads=2)
    assert together.converged.all()
    for c in range(0, 90, 7):
        alone = solve_nnlad(A, B[:, c], l1=l1[c])
        assert np.array_equal(alone.x, together.x[:, c]) and alone.gap == together.gap[c]
    assert_same_bits(solve_nnlad(A, B, l1=np.full(90, 0.2)), solve_nnlad(A, B, l1=0.2))


def test_unit_weights_are_no_weights(data):
    want = solve_nnlad(*data)
    assert_same_bits(solve_nnlad(*data, weights=np.ones(40)), want)
    assert_same_bits(solve_nnlad(*data, weights=np.ones((40, 90))), want)


@pytest.mark.parametrize("power", [-1000, -300, 17, 900])
def test_powers_of_two_of_the_weights_change_no_bit(power, data, rng):
    A, B = data
    w = rng.random(40)
    one, two = solve_nnlad(A, B, weights=w), solve_nnlad(A, B, weights=np.ldexp(w, power))
    for name in ("x", "gap", "violation", "epochs"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    rows = rng.integers(-9, 9, 40)
    folded = solve_nnlad(np.ldexp(A, rows[:, None]), np.ldexp(B, rows[:, None]))
    assert_same_bits(solve_nnlad(A, B, weights=np.ldexp(1.0, rows)), folded)


def test_weights_of_each_target_are_those_of_its_own_problem(level, dtype, data, rng):
    A, B = (part.astype(dtype) for part in data)
    kinds = rng.random((40, 5)) * (rng.random((40, 5)) < 0.8)
    w = kinds[:, rng.integers(0, 5, 90)]
    whole = solve_nnlad(A, B, weights=w, l1=0.1, n_threads=1)
    assert whole.converged.all() and whole.x.dtype == dtype
    for n_threads in (2, 3, 5, 8, 16):
        assert_same_bits(solve_nnlad(A, B, weights=w, l1=0.1, n_threads=n_threads), whole)
    some = rng.permutation(90)[:30]
    assert_same_bits(solve_nnlad(A, B[:, some], weights=w[:, some], l1=0.1), whole, some)
    for c in (0, 41):
        alone = solve_nnlad(A, B[:, c], weights=w[:, c], l1=0.1)
        assert np.array_equal(alone.x, whole.x[:, c]) and alone.gap == whole.gap[c]


def test_rows_without_weight_are_not_read(data):
    A, B = data
    w = np.ones(40)
    w[[3, 17]] = 0
    want = solve_nnlad(A, B, weights=w)
    A, B = A.copy(), B.copy()
    A[3], B[[3, 17]] = np.nan, np.inf
    assert_same_bits(solve_nnlad(A, B, weights=w), want)
    assert_same_bits(solve_nnlad(A, B, weights=np.repeat(w[:, None], 90, axis=1)), want)
    without = solve_nnlad(A[w > 0], B[w > 0])
    np.testing.assert_allclose(without.objective, want.objective, rtol=1e-12)
    nothing = solve_nnlad(A, B, weights=np.zeros(40))
    assert nothing.converged.all() and not nothing.x.any() and not nothing.objective.any()


def test_weights_and_data_at_both_ends_of_the_range(data):
    A, B = data
    want = solve_nnlad(A, B)
    high, low = np.full(40, 2.0**1000), np.full(40, 2.0**-1000)
    with np.errstate(over="ignore"):
        up = solve_nnlad(np.ldexp(A, 900), np.ldexp(B, 900), weights=high)
    down = solve_nnlad(np.ldexp(A, -900), np.ldexp(B, -900), weights=low)
    assert np.array_equal(up.x, want.x) and np.array_equal(down.x, want.x)
    assert np.array_equal(up.gap, want.gap) and np.array_equal(down.gap, want.gap)
    apart = np.where(np.arange(40) < 20, 1e-300, 1e300)  # the light rows do not count
    got = solve_nnlad(A, B, weights=apart)
    np.testing.assert_allclose(got.x, solve_nnlad(A[20:], B[20:]).x, rtol=1e-9)
    assert got.converged.all()


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_targets_give_the_bits_of_dense_ones(form, data, dtype, rng):
    A, B = data[0].astype(dtype), (data[1] * (data[1] > 1)).astype(dtype)
    w = rng.random(40)
    assert_same_bits(solve_nnlad(A, form(B)), solve_nnlad(A, B))
    assert_same_bits(solve_nnlad(A, form(B), weights=w), solve_nnlad(A, B, weights=w))


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"weights": np.ones(4)}, ValueError, r"weights has shape \(4,\), want \(3,\)"),
        ({"weights": np.ones((3, 3))}, ValueError, r"has shape \(3, 3\), want \(3, 4\)"),
        ({"weights": [1.0, -1, 0]}, ValueError, r"weights holds -1.0 at \(1,\)"),
        ({"weights": [1.0, np.nan, 0]}, ValueError, r"weights holds nan at \(1,\)"),
        ({"weights": 2.0}, ValueError, "weights is 0-D"),
        ({"weights": np.ones((3, 1)), "B": np.ones(3)}, ValueError, r"\(3, 1\), want 1-D$"),
        ({"weights": ["a", "b", "c"]}, TypeError, "weights has dtype"),
        ({"weights": [1.0, 1, 0], "A": np.full((3, 2), np.inf)}, ValueError, "A holds inf at"),
        ({"weights": [1.0, 1, 0], "B": np.full((3, 2), np.inf)}, ValueError, "B holds inf at"),
        ({"l1": np.ones(3)}, ValueError, r"l1 has shape \(3,\), want \(4,\)"),
        ({"l1": [1.0, -1, 0, 0]}, ValueError, r"l1 holds -1.0 at \(1,\)"),
        ({"l1": np.ones((4, 1))}, ValueError, "l1 is 2-D"),
        ({"A": scipy.sparse.csc_array(np.ones((3, 2)))}, TypeError, "A is a sparse csc_array"),
        ({"B": scipy.sparse.csc_array(np.ones((4, 2)))}, ValueError, "B has 4 rows, want 3"),
        ({"B": scipy.sparse.csc_array([[np.nan]] * 3)}, ValueError, "B holds NaN"),
    ],
)
def test_bad_input_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        solve_nnlad(**{"A": np.ones((3, 2)), "B": np.ones((3, 4)), **wrong})
