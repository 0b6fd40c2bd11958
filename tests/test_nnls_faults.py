# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least squares: what once went wrong, each fault with its instance."""

import numpy as np
import pytest
import scipy.sparse as sp
from test_nnls import objective, witness

import fastcone
from fastcone import solve_nnls, solve_nnls_gram


def test_a_limit_of_epochs_holds_for_all_ways_together(rng):
    A, b = rng.standard_normal((120, 80)), rng.standard_normal(120)
    for method in ("auto", "cd", "active_set"):
        for most in (1, 7, 30):
            assert solve_nnls(A, b, max_epochs=most, method=method, tol=1e-15).epochs <= most


def test_only_the_symmetric_part_of_a_gram_matrix_counts():
    G, c = np.array([[1e8, 60.0], [-40.0, 1.0]]), np.array([1e4, 2.0])
    for method in ("auto", "cd", "active_set"):
        solution = solve_nnls_gram(G, c, b_norm2=10.0, method=method)
        symmetric = solve_nnls_gram((G + G.T) / 2, c, b_norm2=10.0, method=method)
        assert solution.converged and np.array_equal(solution.x, symmetric.x)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("l1", [0.0, 1e30, 1e120])
@pytest.mark.parametrize("l2", [0.0, 1e30, 1e120])
def test_penalties_beyond_the_range_of_the_first_epochs(rng, l1, l2):
    A, B = rng.random((20, 6)), rng.random((20, 5))
    solution = solve_nnls(A, B, l1=l1, l2=l2)
    assert solution.converged.all()
    if l1:
        assert not solution.x.any()
    elif l2:
        np.testing.assert_allclose(solution.x, A.T @ B / l2, rtol=1e-4)


def test_gram_says_nothing_it_cannot_know(rng):
    A, b = rng.random((6, 3)), rng.random(6)
    G, c = A.T @ A, A.T @ b
    far = solve_nnls_gram(G, c, x0=np.full(3, 1e3))
    near = solve_nnls_gram(G, c)
    assert far.converged and 0 <= far.gap <= 1e-9
    np.testing.assert_allclose(far.x, near.x, atol=1e-6)
    with pytest.raises(ValueError, match="negative eigenvalue"):
        solve_nnls_gram(np.array([[1.0, -2.0], [-2.0, 1.0]]), np.ones(2))
    with pytest.raises(ValueError, match=r"C exceeds l1 at \(1, 0\) where G_jj = 0"):
        solve_nnls_gram(np.diag([1.0, 0.0]), np.ones(2), b_norm2=5.0)
    assert solve_nnls_gram(np.eye(2), -np.ones(2)).converged


@pytest.mark.parametrize("start", [1e3, 1e300, 1.7e308])
def test_a_senseless_start_does_no_harm(rng, dtype, start):
    A, B = rng.random((20, 5)).astype(dtype), rng.random((20, 9)).astype(dtype)
    tol = 1e-6 if dtype == np.float32 else 1e-9
    start = min(start, float(np.finfo(dtype).max))
    solution = solve_nnls(A, B, x0=np.full((5, 9), start), tol=tol)
    assert solution.converged.all() and np.isfinite(solution.x).all()
    with pytest.raises(ValueError, match="x0 holds inf"):
        solve_nnls(A.astype("f4"), B.astype("f4"), x0=np.full((5, 9), 1e300))


@pytest.mark.parametrize("l1", [0.1, 1e300])
@pytest.mark.parametrize("scale", [1e-160, 1e-250])
@pytest.mark.parametrize("method", ["auto", "cd"])
def test_a_start_does_not_hide_in_a_penalty_beyond_the_scaled_range(rng, l1, scale, method):
    A, b = rng.random((5, 3)) * scale, rng.random(5)
    solution = solve_nnls(A, b, l1=l1, x0=np.full(3, 60.0), method=method)
    assert solution.converged and np.all(solution.x == 0)
    assert solution.objective == pytest.approx(b @ b / 2)


def test_what_is_proved_is_what_the_caller_gets(rng):
    A, b = rng.random((6, 3)), rng.random(6)
    for scale_A, scale_b, kind in (
        (1e22, 1e-22, "f4"),
        (1e300, 1e-20, "f8"),
        (1e-300, 1e300, "f8"),
    ):
        M, c = (A * scale_A).astype(kind), (b * scale_b).astype(kind)
        solution = solve_nnls(M, c, tol=1e-6)
        assert np.isfinite(solution.x).all()
        M, c, x = (a.astype(np.longdouble) for a in (M, c, solution.x))
        M, c, x = M / scale_A, c / scale_b, x * scale_A / scale_b
        excess = objective(M, c, x) - objective(M, c, witness(A, b))
        assert excess <= (solution.gap + 1e-6) * (b @ b) / 2
        assert solution.converged or solution.gap > 1e-6
    with pytest.raises(OverflowError, match="x is beyond the range"):
        fastcone.nnls(A * 1e-300, b * 1e300)


def test_no_generators_at_all():
    solution = solve_nnls(np.zeros((3, 0)), np.ones((3, 2)))
    np.testing.assert_allclose(solution.objective, 1.5, rtol=1e-15)
    assert solution.epochs.tolist() == [0, 0]


def test_a_hard_column_does_not_feel_its_neighbours(rng):
    A, B = rng.random((100, 30)), rng.random((100, 9000))
    order = rng.permutation(9000)
    whole = solve_nnls(A, B)
    assert np.array_equal(solve_nnls(A, B[:, order]).x, whole.x[:, order])
    assert np.array_equal(solve_nnls(A, B[:, :777]).x, whole.x[:, :777])


def test_packed_structs_and_big_endian_float32_are_read_right(rng):
    A, b = rng.random((6, 3)), rng.random(6)
    packed = np.zeros((6, 3), dtype=[("a", "f8"), ("z", "f4")])
    packed["a"] = A
    assert np.array_equal(fastcone.nnls(packed["a"], b)[0], fastcone.nnls(A, b)[0])
    assert np.array_equal(solve_nnls(packed["a"], b).x, solve_nnls(A, b).x)
    big = solve_nnls(A.astype(">f4"), b.astype(">f4"), tol=1e-6).x
    assert big.dtype == np.float32
    assert np.array_equal(big, solve_nnls(A.astype("f4"), b.astype("f4"), tol=1e-6).x)


def test_limits_beyond_a_c_integer(rng):
    A, b = rng.random((6, 3)), rng.random(6)
    for method in ("auto", "active_set"):
        assert solve_nnls(A, b, method=method, max_epochs=10**20).converged
    fastcone.nnls(A, b, maxiter=10**20)
    with pytest.raises(ValueError, match="l2 must be at most"):
        solve_nnls(A * 1e-160, b, l2=1e150)
    with pytest.raises(ValueError, match="B holds inf"):
        solve_nnls(A, b.astype(np.longdouble) * np.longdouble("1e4000"))


@pytest.mark.parametrize("seed", [11714, 13041, 13180, 18173, 26382])
def test_several_generators_at_once_do_not_go_round_in_a_circle(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((22, 14)) @ rng.random((14, 20))
    b = A @ (rng.random(20) * (rng.random(20) < 0.5))
    _, rnorm = fastcone.nnls(A, b, maxiter=200)
    assert rnorm <= 1e-12 * np.linalg.norm(b)
    assert solve_nnls(A, b, method="active_set").converged


def test_rnorm_is_that_of_an_x_rounded_to_subnormal_numbers(rng):
    A, b = rng.random((8, 4)), rng.random(8)
    x, rnorm = fastcone.nnls(A * 1e200, b * 1e-123)
    true = np.sqrt(2 * objective(A, b, x * 1e200 * 1e123))
    assert 0 < x.max() < 1e-322
    assert rnorm * 1e123 == pytest.approx(true, rel=1e-12)


def test_generators_of_subnormal_numbers_enter_like_others(rng):
    A, b = rng.integers(0, 30, (8, 4)).astype(float), rng.random(8)
    x, _ = fastcone.nnls(A * 5e-324, b * 1e-300)
    assert np.array_equal(x * 5e-324, fastcone.nnls(A, b * 1e-300)[0])


def test_a_proof_at_the_limit_of_epochs_does_not_feel_its_neighbours(rng):
    U, V = (np.linalg.qr(rng.standard_normal((k, 40)))[0] for k in (85, 40))
    A = (U * np.logspace(0, -5, 40)) @ V.T
    B = np.hstack([A @ rng.random((40, 20)), rng.standard_normal((85, 20))])
    whole = solve_nnls(A, B, max_epochs=30)
    assert np.any(whole.epochs == 30) and np.any(whole.epochs < 30)
    for r in range(40):
        assert solve_nnls(A, B[:, r], max_epochs=30).gap == whole.gap[r]


def test_the_violation_is_that_of_the_answer_kept(rng):
    """The exact solver ran out of steps; the answer of descent is the better one."""
    half = rng.standard_normal((65, 33))
    A = np.hstack([half, -half])
    B = A @ (rng.random((66, 20)) * (rng.random((66, 20)) < 0.4))
    solution = solve_nnls(A, B, tol=1e-15, certify=False, max_epochs=60)
    gradient = A.T @ (A @ solution.x - B)
    violation = np.abs(np.minimum(solution.x, gradient)).max(axis=0)
    np.testing.assert_allclose(solution.violation, violation, atol=1e-9)


def test_an_answer_without_a_bound_is_not_replaced_by_a_worse_one(rng):
    A, B = rng.standard_normal((20, 60)), rng.standard_normal((20, 20))
    given = A.T @ A, A.T @ B
    options = {"b_norm2": np.sum(B**2, axis=0), "x0": np.zeros((60, 20))}
    descent = solve_nnls_gram(*given, max_epochs=24, method="cd", **options)
    options["x0"] = descent.x
    more = solve_nnls_gram(*given, max_epochs=6, **options)
    assert np.isinf(more.gap).any()
    assert np.all(more.objective <= descent.objective + 1e-9)


def test_a_start_better_than_float32_can_tell_is_kept(rng):
    U, V = (np.linalg.qr(rng.standard_normal((k, 20)))[0] for k in (60, 20))
    A = (U * np.logspace(0, -2.5, 20)) @ V.T
    B = A @ rng.random((20, 9)) + 0.01 * rng.standard_normal((60, 9))
    start = solve_nnls(A, B, tol=1e-14)
    assert start.gap.max() < 1e-10
    for most in (1, 5):
        again = solve_nnls(A, B, x0=start.x, tol=1e-30, max_epochs=most)
        assert np.all(again.gap <= start.gap + 1e-14)


def test_a_zero_generator_stays_zero_on_the_root_of_a_gram_matrix(rng):
    """Eigenvectors hold noise there: x_j of 1e15 once."""
    A = np.array([[4.0, -5, 0, -1, -1], [0, -4, 0, -2, 7]])
    b = np.array([-1.0, -1.0])
    sparse = solve_nnls(sp.csc_array(A), b, method="active_set")
    assert sparse.x[2] == 0 and sparse.objective < 1e-12
    gram = solve_nnls_gram(A.T @ A, A.T @ b, b_norm2=b @ b)
    assert gram.x[2] == 0 and np.sum((A @ gram.x - b) ** 2) < 1e-12


def test_a_target_out_of_range_does_not_move_its_neighbours(level, dtype, rng):
    A, b = rng.normal(size=(30, 10)).astype(dtype), (rng.normal(size=30) + 1).astype(dtype)
    far = dtype.type(1e160 if dtype == np.float64 else 1e25)
    both = solve_nnls(A, np.stack([b, b * far], axis=1))
    assert np.array_equal(both.x[:, 0], solve_nnls(A, b).x)
    assert np.array_equal(both.x[:, 1], solve_nnls(A, b * far).x)


@pytest.mark.filterwarnings("error")
def test_no_time_to_prepare_proves_nothing_that_is_not_so():
    A = np.ones((3, 2))
    nothing = solve_nnls(A, np.zeros(3), x0=[1.0, 1.0], time_limit=1e-10)
    assert not nothing.x.any() and nothing.gap == 0
    small = solve_nnls(A, np.full(3, 1e-200), time_limit=1e-10)
    assert small.gap > 0.5 and not small.converged
    large = solve_nnls(A, np.full(3, 1e200), x0=[1e300, 0.0], time_limit=1e-10)
    assert np.isfinite(large.gap) and not large.converged


@pytest.mark.filterwarnings("error")
def test_penalties_prove_answers_among_generators_that_contain_a_line(rng):
    t = np.linspace(0, 1, 50)
    G = np.exp(-(((t[:, None] - np.linspace(0, 1, 6)) / 0.05) ** 2))
    A = np.c_[G, np.ones(50), -np.ones(50)]  # a baseline of either sign
    b = G @ [1, 0, 2, 0, 0, 1] + 0.3 + 0.01 * rng.standard_normal(50)
    for l1 in (1e-3, 0.01, 1.0):
        assert solve_nnls(A, b, l1=l1).converged


def test_float32_answers_on_columns_are_proved_as_they_are(rng):
    A = sp.random(60, 1600, density=0.05, random_state=1, format="csc", dtype="f4")
    b = A @ np.ones(1600, "f4")
    solution = solve_nnls(A, b, tol=1e-18, time_limit=5)
    r = A.astype(float) @ solution.x.astype(float) - b
    assert solution.gap >= 0.99 * (r @ r) / (b.astype(float) @ b.astype(float))
    assert solution.objective == pytest.approx(r @ r / 2)


def in_the_cone(seed):
    """Exact targets of ill-conditioned generators, condition 3e3 to 1e5, one coefficient tiny."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 25))
    m = n + int(rng.integers(0, 30))
    U, V = (np.linalg.qr(rng.standard_normal((rows, n)))[0] for rows in (m, n))
    A = U @ np.diag(np.logspace(0, -rng.uniform(3.5, 5), n)) @ V
    X = rng.random((n, 10)) * (rng.random((n, 10)) < 0.6)
    X[0] *= 10.0 ** rng.uniform(-10, -6, 10)
    return A, X, A @ X


def test_supports_that_rounding_leaves_open_are_found_by_orthogonal_steps(level):
    """Gradients of G, and of Gram-Schmidt, hide cond(A)^2 roundings: x was off by up to 1e-7."""
    right = problems = 0
    for seed in range(40):
        A, X, B = in_the_cone(seed)
        size = np.maximum(X.max(axis=0), 1e-300)
        found = fastcone.solve_nnls(A, B)
        right += np.count_nonzero(np.abs(found.x - X).max(axis=0) <= 1e-9 * size)
        problems += len(size)
        for b, x, most in zip(B.T, X.T, size, strict=True):
            assert np.abs(fastcone.nnls(A, b)[0] - x).max() <= 1e-9 * most, seed
    assert right >= 0.99 * problems


def test_a_step_that_more_than_doubles_a_tiny_coefficient_is_made(level):
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.standard_normal((32, 16)))
    V, _ = np.linalg.qr(rng.standard_normal((16, 16)))
    A, x = U @ np.diag(np.logspace(0, -4.7, 16)) @ V, rng.random(16)
    x[0] = 8e-9
    np.testing.assert_allclose(fastcone.solve_nnls(A, A @ x).x, x, rtol=1e-4, atol=1e-11)


def test_the_violation_of_a_start_is_its_own(rng):
    A, B = rng.random((30, 5)), rng.standard_normal((30, 4)) + 0.3
    x0 = fastcone.solve_nnls(A, B).x.copy()
    x0[:, 1:], x0[0, 0] = 100.0, x0[0, 0] + 1e-3
    found = fastcone.solve_nnls(A, B, x0=x0, method="active_set", tol=1e-3)
    g = A.T @ (A @ found.x - B)
    want = np.abs(np.minimum(found.x, g)).max(axis=0)
    np.testing.assert_allclose(found.violation, want, atol=1e-12)


def test_penalties_may_lie_apart(rng):
    A, B, l1 = rng.random((9, 3)), rng.random((9, 8)), rng.random(16)
    for strided in (l1[::2], np.broadcast_to(0.2, 8)):
        found = fastcone.solve_nnls(A, B, l1=strided)
        assert np.array_equal(found.x, fastcone.solve_nnls(A, B, l1=strided.copy()).x)


def test_the_residual_of_coefficients_that_vanish_is_that_of_zero():
    """x underflows to 0 in the caller's units: the residual is b's, not that of what x was."""
    x, rnorm = fastcone.nnls(np.full((40, 1), 1e300), np.full(40, 1e-300))
    assert x[0] == 0 and rnorm == pytest.approx(np.sqrt(40) * 1e-300)
    A, b = np.ones((40, 2)), np.arange(40) * 1e-200
    A[:20, 1], A[:, 0] = 0, 1e200
    x, rnorm = fastcone.nnls(A, b)
    assert rnorm == pytest.approx(1e-200 * np.linalg.norm((b - A @ x) * 1e200))


def test_gram_matrices_of_subnormal_numbers_keep_their_last_bit():
    """Halving G dropped it: 6 % above the optimum, or a false G_jj = 0."""
    assert fastcone.solve_nnls_gram([[5e-324]], [5e-324]).x == 1
    rng = np.random.default_rng(0)
    for _ in range(50):
        A = rng.integers(1, 4, (4, 3)).astype(float)
        G, c = A.T @ A, A.T @ rng.integers(-3, 9, 4).astype(float)
        want = fastcone.solve_nnls_gram(G, c)
        tiny = fastcone.solve_nnls_gram(G * 5e-324, c * 5e-324)
        np.testing.assert_allclose(tiny.x, want.x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("x0", [1e-200, 1e-170, 1.0])
@pytest.mark.parametrize("method", ["auto", "cd", "active_set"])
def test_a_target_of_zeros_has_no_coefficients_whatever_the_start(x0, method):
    """The objective of such an x underflows, and the gap with it."""
    for A in (np.eye(3), np.vander([1.0, 2.0, 3.0, 4.0, 5.0], 3)):
        found = fastcone.solve_nnls(A, np.zeros(len(A)), x0=np.full(3, x0), method=method)
        assert not found.x.any() and found.converged


@pytest.mark.parametrize("method", ["auto", "cd", "active_set"])
def test_products_below_the_range_once_scaled_are_not_taken_for_zeros(method):
    """x = 2^-1540 is no float64: 0 is returned, and its gap is all of the objective."""
    G, C = np.full((1, 1), np.ldexp(1.0, 500)), np.full(1, np.ldexp(1.0, -1040))
    lost = solve_nnls_gram(G, C, method=method)
    assert lost.x[0] == 0 and not lost.converged and lost.gap >= 1 - 1e-9
    lost = solve_nnls(np.full((1, 1), 1e200), np.full(1, 1e-200), upper=1.0)
    assert lost.x[0] == 0 and not lost.converged and lost.gap >= 1 - 1e-9


def test_a_tiny_ridge_on_huge_coefficients_has_an_objective():
    """l2 / 2 underflowed and ||x||^2 overflowed: 0 times infinity was not a number."""
    found = solve_nnls(np.full((1, 1), 1e-100), np.full(1, 1e100), l2=5e-324)
    assert found.x[0] == pytest.approx(1e200) and found.penalty == pytest.approx(2.5e76, rel=0.02)


@pytest.mark.parametrize("seed", [2, 4, 5, 39])
def test_rows_three_hundred_orders_apart_give_no_coefficient_that_is_no_number(seed):
    """A pivot all but below the range made x infinite; its certificate warned of 0 times it."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((12, 12)) * 10.0 ** rng.integers(-150, 150, (12, 1))
    with np.errstate(invalid="raise"):
        found = solve_nnls(A, A @ rng.random((12, 5)))
    assert np.isfinite(found.x).all() and np.all(found.x >= 0)
    assert np.all(found.converged == (found.gap <= 1e-10))
