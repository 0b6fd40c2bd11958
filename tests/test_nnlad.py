# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least absolute deviations: against HiGHS, exact rationals, its own certificate."""

import math
import os
import signal
import time

import exact
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from problems import NNLAD, plus_and_minus, row_scales, salt_and_pepper

from fastcone import ConvergenceError
from fastcone._nmf.api import nmf
from fastcone._nnlad.api import solve_nnlad
from fastcone._nnlad.dual_bound import _hull, _inverse, _lattice, weights
from fastcone._nnlad.prepare import Generators

instances = pytest.mark.parametrize("make", NNLAD, ids=lambda make: make.__name__)


def forever():
    return math.inf


LONG = bool(os.environ.get("FASTCONE_LONG"))


def objective(A, b, x, l1=0.0):
    A, b, x = (np.asarray(a, dtype=np.longdouble) for a in (A, b, x))
    return float(np.abs(A @ x - b).sum() + l1 * x.sum())


def witness(A, b, l1=0.0):
    """The best objective HiGHS finds, on the dual form with unit columns and target."""
    size, norm = np.abs(b).sum(), np.abs(A).sum(axis=0)
    if size == 0 or not norm.any():
        return size
    kept = norm > 0
    scaled, l1 = A[:, kept] / norm[kept], l1 / norm[kept]
    best = size
    for method in ("highs-ds", "highs-ipm"):
        run = scipy.optimize.linprog(
            -b / size, A_ub=scaled.T, b_ub=l1, bounds=[(-1, 1)] * len(b), method=method,
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )  # fmt: skip
        if run.status == 0:
            x = np.maximum(-run.ineqlin.marginals, 0)
            best = min(best, (np.abs(scaled @ x - b / size).sum() + l1 @ x) * size)
            if best <= -run.fun * size + 1e-9 * size:
                return best
    return best


# --- certificates against outside witnesses --------------------------------------------------


@instances
@pytest.mark.parametrize("l1", [0.0, 0.05, 2.0])
def test_answers_are_as_good_as_highs_and_gaps_are_never_too_small(make, l1):
    unknown = ("row_scales", "row_weights", "column_scales", "integer_ties", "tall")
    for seed in range(7):
        A, b = make(np.random.default_rng(seed))
        solution = solve_nnlad(A, b, l1=l1, tol=1e-9)
        size = np.abs(b).sum()
        excess = (objective(A, b, solution.x, l1) - witness(A, b, l1)) / size
        assert np.all(solution.x >= 0)
        assert excess <= 1e-9
        assert excess <= solution.gap + 1e-13
        rounding = 1e-14 * (size + np.abs(A).sum(axis=0) @ solution.x)
        assert solution.objective == pytest.approx(objective(A, b, solution.x, l1), abs=rounding)
        assert solution.converged == (solution.gap <= 1e-9)
        # nothing is known of the mass of x where generators of both signs differ only in scale
        if make.__name__ not in unknown:
            assert solution.converged, (make.__name__, seed, solution.gap)


def test_fifty_corrupted_digits(mnist):
    W = nmf(mnist["x_train"][:2000].T / 255.0, 64, max_iter=60, random_state=0).W
    B = mnist["x_test"][:50].T / 255.0
    rng = np.random.default_rng(1)
    hit = rng.random(B.shape) < 0.3
    B[hit] = rng.integers(0, 2, hit.sum())
    solution = solve_nnlad(W, B, tol=1e-9)
    assert solution.converged.all()
    for r in range(50):
        excess = solution.objective[r] - witness(W, B[:, r])
        assert -1e-9 <= excess / np.abs(B[:, r]).sum() <= min(1e-9, solution.gap[r] + 1e-13)


def test_long_small_integer_problems_against_exact_rationals():
    rng = np.random.default_rng(2)
    unproved = 0
    count = 100_000 if LONG else 4000
    for _ in range(count):
        m, n = rng.integers(1, 5, 2)
        A = rng.integers(-3, 4, (m, n)).astype(float)
        b = rng.integers(-3, 4, m).astype(float)
        solution = solve_nnlad(A, b, n_threads=1)
        size = np.abs(b).sum()
        excess = exact.absolute_deviation(A, b, solution.x) - exact.nnlad(A.tolist(), b.tolist())
        assert 0 <= excess <= 1e-9 * size, (A, b)
        assert excess <= exact.Fraction(solution.gap) * exact.Fraction(size), (A, b)
        unproved += not solution.converged
    assert unproved == 0


def test_the_exact_reference_by_hand():
    assert exact.nnlad([[1.0], [1.0], [1.0]], [1.0, 2.0, 9.0]) == 8
    assert exact.nnlad([[1.0, -1.0]], [-2.0]) == 0
    assert exact.nnlad([[0.5]], [-1.0]) == 1
    assert exact.absolute_deviation([[0.5]], [1.0], [3.0]) == exact.Fraction(1, 2)


@pytest.mark.parametrize("m, n", [(1, 5), (30, 3), (200, 20), (8, 40)])
@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_every_level_and_dtype(level, dtype, rng, m, n, l1):
    A = rng.random((m, n)).astype(dtype)
    B = rng.standard_normal((m, 6)).astype(dtype) + dtype.type(0.5)
    tol = 1e-6 if dtype == np.float32 else 1e-9
    solution = solve_nnlad(A, B, l1=l1, tol=tol)
    assert solution.x.dtype == dtype and solution.converged.all()
    for r in range(6):
        b = B[:, r].astype(float)
        excess = objective(A, b, solution.x[:, r], l1) - witness(A.astype(float), b, l1)
        assert excess <= (solution.gap[r] + 1e-13) * np.abs(b).sum()
        assert solution.objective[r] == pytest.approx(objective(A, b, solution.x[:, r], l1))
        assert solution.violation[r] <= 1e-12


@pytest.mark.parametrize("source", [_hull, _inverse, _lattice])
def test_the_mass_of_an_optimum_is_bounded(source):
    known = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        m, n = rng.integers(1, 9, 2)
        A = rng.integers(-2, 3, (m, n)).astype(float)
        A = A[:, A.any(axis=0)]
        if A.size == 0:
            continue
        g = Generators(A, None, forever)
        columns = g.R[:, : g.n]
        w = source(columns, g.norm, g.given(g.norm > 0), forever)
        known += w.min() > 0
        b = rng.standard_normal(g.m)
        x = solve_nnlad(columns, b).x  # a vertex
        assert w @ x <= (np.abs(b).sum() + objective(columns, b, x)) * (1 + 1e-9)
    assert known >= {"_hull": 10, "_inverse": 10, "_lattice": 55}[source.__name__]


def test_weights_of_non_negative_generators_are_their_norms(rng):
    g = Generators(rng.random((9, 4)), None, forever)
    w = weights(g.R[:, :4], g.norm, g.given(g.norm > 0), forever)
    np.testing.assert_allclose(w, g.norm, rtol=1e-12)


def test_generators_with_their_negatives_are_proved(rng):
    A, b = plus_and_minus(rng)
    g = Generators(A, None, forever)
    columns, given = g.R[:, : g.n], g.given(g.norm > 0)
    assert _hull(columns, g.norm, given, forever).max() == 0
    assert weights(columns, g.norm, given, forever).min() > 0
    assert solve_nnlad(A, b, tol=1e-9).converged


# --- invariances -----------------------------------------------------------------------------


@instances
@pytest.mark.parametrize("power", [-300, -31, 17, 300])
def test_powers_of_two_change_no_bit(make, power):
    A, b = make(np.random.default_rng(5))
    columns = np.arange(A.shape[1]) % 3 * 7 - 5
    one, two = solve_nnlad(A, b), solve_nnlad(np.ldexp(A, columns), np.ldexp(b, power))
    assert np.array_equal(np.ldexp(one.x, power - columns), two.x)
    assert (one.gap, one.violation, one.epochs) == (two.gap, two.violation, two.epochs)


def test_batch_order_layout_and_threads_change_no_bit(level, dtype, rng):
    A = rng.random((90, 21)).astype(dtype)
    B = rng.standard_normal((90, 300)).astype(dtype) + dtype.type(0.3)
    whole = solve_nnlad(A, B, n_threads=1)
    order = rng.permutation(300)
    others = [
        *((solve_nnlad(A, B, n_threads=n), slice(None)) for n in (2, 3, 5, 8, 16)),
        (solve_nnlad(np.asfortranarray(A), np.asfortranarray(B), n_threads=5), slice(None)),
        (solve_nnlad(A[:, ::-1][:, ::-1], B[:, order]), order),
        (solve_nnlad(A, B[:, 70:100]), slice(70, 100)),
    ]
    for other, picked in others:
        for field in ("x", "gap", "objective", "violation", "epochs"):
            assert np.array_equal(getattr(other, field), getattr(whole, field)[..., picked]), field
    alone = solve_nnlad(A, B[:, 123])
    assert np.array_equal(alone.x, whole.x[:, 123]) and alone.gap == whole.gap[123]


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e200, 1e300])
def test_extreme_units(scale, rng):
    A, B = rng.random((10, 4)), rng.random((10, 6))
    want = solve_nnlad(A, B).x
    with np.errstate(over="ignore"):
        got = solve_nnlad(A, B * scale)
    assert got.converged.all()
    np.testing.assert_allclose(got.x / scale, want, rtol=1e-9)
    np.testing.assert_allclose(solve_nnlad(A * scale, B).x * scale, want, rtol=1e-9)


def test_rows_of_very_different_size_beside_each_other(rng):
    A, b = rng.random((20, 4)), rng.random(20)
    A[7:] = 0
    b[7:] *= 1e300
    solution = solve_nnlad(A, b)
    assert solution.converged and np.array_equal(solution.x, solve_nnlad(A[:7], b[:7]).x)


def test_a_warm_start_needs_few_steps_and_gives_the_same(rng):
    A, B = salt_and_pepper(rng)
    B = B[:, None] + 0.01 * rng.random((60, 40))
    cold = solve_nnlad(A, B)
    warm = solve_nnlad(A, B, x0=cold.x)
    np.testing.assert_allclose(warm.x, cold.x, atol=1e-9)
    assert warm.epochs.sum() <= np.count_nonzero(cold.x) + 20
    for scale in (1e6, 1e300):
        far = solve_nnlad(A, B, x0=scale * rng.random(cold.x.shape), tol=1e-9)
        assert far.converged.all()
        np.testing.assert_allclose(far.objective, cold.objective, rtol=1e-9)


def test_rounding_to_float32_never_makes_it_worse_than_nothing():
    for seed in range(40):  # dependent but for rounding: optimal x of 1e7 and more
        rng = np.random.default_rng(seed)
        A = (rng.standard_normal((4, 1)) @ rng.standard_normal((1, 4))).astype(np.float32)
        b = rng.standard_normal(4).astype(np.float32)
        solution = solve_nnlad(A, b)
        assert solution.gap <= 1 + 1e-12
        assert solution.objective <= np.abs(b.astype(float)).sum() * (1 + 1e-12)


def test_nothing_to_gain_means_zero(rng):
    A = rng.random((10, 4))
    for b, l1 in ((np.zeros(10), 0.0), (-rng.random(10), 0.0), (rng.random(10), 11.0)):
        solution = solve_nnlad(A, b, l1=l1, x0=np.ones(4))
        assert not solution.x.any() and solution.converged and solution.gap < 1e-12
        assert solution.objective == pytest.approx(np.abs(b).sum(), rel=1e-14)
    assert solve_nnlad(np.zeros((3, 2)), np.ones(3)).objective == 3


# --- what does not converge, time, interruption ----------------------------------------------


def test_not_converging_is_a_value_or_an_exception_if_asked(rng):
    A, B = rng.random((30, 20)), rng.random((30, 4))
    solution = solve_nnlad(A, B, max_epochs=1)
    assert not solution.converged.any() and np.all(solution.epochs == 1)
    best = [witness(A, b) for b in B.T]
    size = np.abs(B).sum(axis=0)
    assert np.all((solution.objective - best) / size <= solution.gap)
    assert np.all(solution.gap <= 1) and np.all(solution.objective < size)
    with pytest.raises(ConvergenceError, match="4 of 4 problems did not reach tol") as caught:
        solve_nnlad(A, B, max_epochs=1, on_fail="raise")
    assert np.array_equal(caught.value.solution.x, solution.x)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_time_limit_is_kept(n_threads, rng):
    A, B = rng.standard_normal((2000, 300)), rng.standard_normal((2000, 400))
    start = time.monotonic()
    solution = solve_nnlad(A, B, time_limit=0.2, n_threads=n_threads)
    assert time.monotonic() - start < 0.2 + 0.3  # 0.1, and the noise of a shared machine
    assert not solution.converged.all() and np.all(solution.x >= 0)
    left = ~np.isfinite(solution.gap)
    assert left.any() and not solution.x[:, left].any() and np.isinf(solution.objective[left]).all()


def test_when_time_is_up_the_problem_under_way_keeps_its_best_answer(rng, monkeypatch):
    A, B = rng.standard_normal((60, 20)), rng.standard_normal((60, 3))
    whole = solve_nnlad(A, B, max_epochs=11)
    looks = iter([False] * 11)
    monkeypatch.setattr("fastcone._nnlad.solve.CALL_SECONDS", 0)  # one step a call
    monkeypatch.setattr("fastcone._nnlad.solve.Deadline.passed", lambda clock: next(looks, True))
    monkeypatch.setattr("fastcone._nnlad.solve.Deadline.check", lambda clock: math.inf)
    cut = solve_nnlad(A, B, n_threads=1)
    assert cut.epochs.tolist() == [11, 0, 0] and not cut.converged.any()
    assert cut.objective[0] == whole.objective[0] < np.abs(B[:, 0]).sum()
    assert cut.gap[0] == whole.gap[0] and not cut.x[:, 1:].any()
    assert np.isinf(cut.gap[1:]).all() and np.isinf(cut.objective[1:]).all()


def test_time_can_be_up_before_the_set_up_is_done(rng):
    A, B = rng.standard_normal((3000, 1500)), rng.standard_normal((3000, 2))
    start = time.monotonic()
    solution = solve_nnlad(A, B, x0=np.ones((1500, 2)), time_limit=0.05)
    assert time.monotonic() - start < 0.05 + 0.3
    assert np.all(solution.x == 1) and np.isinf(solution.gap).all()
    assert not solution.converged.any()


def test_renewing_a_basis_can_be_cut_short(monkeypatch):
    """Once did not end where a call had room for one step, as with 1,700 generators."""
    A, b = row_scales(np.random.default_rng(1))
    whole = solve_nnlad(A, b)
    monkeypatch.setattr("fastcone._nnlad.solve.CALL_SECONDS", 0)  # one step or one column a call
    pieces = solve_nnlad(A, b, time_limit=60)
    assert np.array_equal(whole.x, pieces.x) and whole.epochs == pieces.epochs
    assert whole.gap == pieces.gap


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("shape", [(2000, 300), (3000, 1500)], ids=["descent", "set-up"])
def test_an_interrupt_is_seen_within_a_large_problem(n_threads, shape, rng):
    def interrupt(*_):
        raise KeyboardInterrupt

    A, B = rng.standard_normal(shape), rng.standard_normal((shape[0], 70))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            solve_nnlad(A, B, n_threads=n_threads)
        assert time.monotonic() - start < 0.2 + 0.3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert solve_nnlad(A[:50, :5], B[:50]).converged.all()


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0)])
def test_empty_problems(shape):
    m, n, p = shape
    solution = solve_nnlad(np.zeros((m, n)), np.ones((m, p)))
    assert solution.x.shape == (n, p) and solution.converged.all()
    assert np.all(solution.x == 0) and np.all(solution.objective == m)


good = {"A": np.ones((3, 2)), "B": np.ones((3, 4))}


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"A": np.ones(3)}, ValueError, r"A is 1-D with shape \(3,\), want 2-D"),
        ({"B": np.ones((4, 2))}, ValueError, "B has 4 rows, want 3 as A has"),
        ({"B": np.ones((3, 2, 2))}, ValueError, "B is 3-D"),
        ({"A": np.array([[1.0, np.nan]] * 3)}, ValueError, r"A holds nan at \(0, 1\)"),
        ({"B": np.array([1.0, np.inf, 0.0])}, ValueError, r"B holds inf at \(1,\)"),
        ({"A": np.ones((3, 2), dtype=object)}, TypeError, "A has dtype object"),
        ({"B": np.ones((3, 2), dtype=complex)}, TypeError, "B has dtype complex128"),
        ({"A": np.ma.masked_array(np.ones((3, 2)))}, TypeError, "A is a masked array"),
        ({"A": scipy.sparse.csr_array(np.ones((3, 2)))}, TypeError, "A is a sparse"),
        ({"l1": -1}, ValueError, "l1 must be a finite number >= 0, found -1"),
        ({"l1": "much"}, TypeError, "l1 must be a finite number >= 0, found 'much'"),
        ({"tol": 0}, ValueError, "tol must be a finite number > 0, found 0"),
        ({"max_epochs": 0}, ValueError, "max_epochs must be an integer >= 1, found 0"),
        ({"max_epochs": 2.5}, TypeError, "max_epochs must be an integer >= 1, found 2.5"),
        ({"n_threads": 0}, ValueError, "n_threads must be an integer >= 1, found 0"),
        ({"time_limit": -1}, ValueError, "time_limit must be a finite number > 0"),
        ({"on_fail": "cry"}, ValueError, "on_fail must be one of 'return', 'raise'"),
        ({"x0": -np.ones((2, 4))}, ValueError, r"x0 holds -1.0 at \(0, 0\)"),
        ({"x0": np.ones((2, 3))}, ValueError, r"x0 has shape \(2, 3\), want \(2, 4\)"),
    ],
)
def test_bad_input_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        solve_nnlad(**{**good, **wrong})
