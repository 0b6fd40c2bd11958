# SPDX-License-Identifier: BSD-3-Clause
"""The solvers of one problem after another, on G and on rows of any size, at every SIMD level."""

import numpy as np
import pytest
import scipy.optimize
from exact import lawson_hanson, normal_equations
from exact import nnls as exact_nnls
from exact import objective as exact_objective
from problems import spectra

import fastcone
from fastcone import solve_nnls
from fastcone._kernels import reference
from fastcone._nnls import kernels as nnls_kernels
from fastcone._nnls.householder import RowStable
from fastcone._runtime.threads import aligned


def padded(rows, ld):
    out = aligned((len(rows), ld), float)
    out[...] = 0
    out[:, : rows.shape[1]] = rows
    return out


def on_support(A, B, start=None, max_steps=1000, slack=1e-13):
    """x (n, p), gradients and steps of the support kernel."""
    (_, n), p = A.shape, B.shape[1]
    ld = -(-n // 8) * 8
    G, C = padded(A.T @ A, ld), padded(B.T @ A, ld)
    X, g = padded(np.zeros((p, n)) if start is None else start.T, ld), padded(np.zeros((p, n)), ld)
    norm = np.linalg.norm(A, axis=0)
    inverse = np.divide(1, norm, out=np.zeros(n), where=norm > 0)
    work = np.full(nnls_kernels.support_work(n), np.nan)  # nothing is to be expected of it
    steps, index = np.empty(p, dtype=np.intp), np.empty(n, dtype=np.intp)
    slacks = slack * np.linalg.norm(B, axis=0)
    nnls_kernels.support(G, C, inverse, norm, slacks, X, g, max_steps, steps, work, index)
    return X[:, :n].T, g[:, :n].T, steps


@pytest.mark.parametrize("m, n, p", [(1, 1, 3), (9, 4, 5), (40, 7, 20), (60, 33, 20), (150, 90, 5)])
def test_the_support_solver_is_its_twin(level, rng, m, n, p):
    for A, B in (spectra(rng, m, n, p), (rng.standard_normal((m, n)), rng.standard_normal((m, p)))):
        X, g, steps = on_support(A, B)
        assert np.all(steps >= 0) and np.all(X >= 0)
        np.testing.assert_allclose(g, A.T @ (A @ X - B), atol=1e-9 * np.abs(A.T @ B).max())
        for r in range(p):
            want = reference.nnls_support(A.T @ A, A.T @ B[:, r])
            ours, best = (np.sum((A @ x - B[:, r]) ** 2) for x in (X[:, r], want))
            assert ours <= best + 1e-12 * (B[:, r] @ B[:, r])


def test_a_right_start_takes_no_step(level, rng):
    A, B = spectra(rng, 100, 30, 20)
    cold, _, many = on_support(A, B)
    warm, _, none = on_support(A, B, cold, slack=1e-12)
    assert np.all(many > 0) and not none.any()
    np.testing.assert_allclose(warm, cold, rtol=1e-7)
    wrong, _, _ = on_support(A, B, rng.random((30, 20)))
    np.testing.assert_allclose(wrong, cold, rtol=1e-7, atol=1e-10)


def test_a_limit_of_steps_leaves_a_feasible_answer(level, rng):
    A, B = spectra(rng, 100, 30, 20)
    for most in (1, 2, 5):
        X, _, steps = on_support(A, B, max_steps=most)
        assert np.all(X >= 0) and np.all(np.where(steps < 0, -1 - steps, steps) <= most)
        assert np.all(np.sum((A @ X - B) ** 2, axis=0) <= np.sum(B**2, axis=0))


def test_dependent_generators_stay_outside(level):
    A = np.ones((4, 3))
    A[:, 2] = 0
    X, _, steps = on_support(A, np.array([[1.0], [2.0], [3.0], [4.0]]))
    assert steps[0] >= 0 and np.count_nonzero(X) == 1 and X.sum() == pytest.approx(2.5)


def test_a_polished_answer_is_exact_to_rounding(level, rng):
    A, b = spectra(rng, 200, 40, 1)
    n, ld = 40, 40
    X, _, _ = on_support(A, b)
    off = padded((X * (1 + 1e-5 * rng.standard_normal(X.shape))).T, ld)
    g = padded(((A.T @ (A @ off[:, :n].T - b)).T), ld)
    norm = np.linalg.norm(A, axis=0)
    work, index = np.empty(nnls_kernels.support_work(n)), np.empty(n, dtype=np.intp)
    nnls_kernels.polish(padded(A.T @ A, ld), 1 / norm, off, g, work, index)
    want, _ = scipy.optimize.nnls(A, b[:, 0])
    np.testing.assert_allclose(off[0, :n], want, rtol=1e-8)


def heavy(rng, kind, m, n):
    """Rows of unlike size: one to three heavy rows, rows scaled apart, Lauchli."""
    A, x = rng.integers(1, 9, (m, n)).astype(float), rng.integers(0, 3, n).astype(float)
    b = A @ x + rng.integers(-2, 3, m)
    if kind == "apart":
        scale = 10.0 ** rng.integers(-10, 11, m)
        return A * scale[:, None], b * scale
    if kind == "lauchli":
        A = np.vstack([np.ones(n), 10.0 ** -rng.integers(1, 16) * np.eye(n)])
        return A, A @ x
    weight = 10.0 ** rng.integers(1, 17)
    rows = rng.choice([0, 1], (rng.integers(1, 4), n)) if kind == "several" else np.ones((1, n))
    return np.vstack([A, weight * rows]), np.r_[b, weight * (rows @ x)]


@pytest.mark.parametrize("kind", ["one", "several", "apart", "lauchli"])
def test_rows_of_any_size_are_solved_exactly(level, kind):
    """The optimum is that of exact rationals; an objective as small as its own rounding is one."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        A, b = heavy(rng, kind, int(rng.integers(3, 9)), int(rng.integers(1, 5)))
        best = exact_nnls(A.tolist(), b.tolist())
        batch = solve_nnls(A, b).x
        e = np.frexp(np.abs(A).max(axis=0))[1]
        form, _ = RowStable(np.ldexp(A, -e)).solve(b[None], np.zeros((1, A.shape[1])), 1000)
        for x in (fastcone.nnls(A, b)[0], batch, np.ldexp(form[0], -e)):
            assert np.all(x >= 0)
            excess = float(exact_objective(A.tolist(), b.tolist(), x.tolist()) - best)
            of_x = 8 * A.shape[1] * np.abs(A) @ x * np.finfo(float).eps  # of A x, row by row
            assert excess <= 1e-9 * float(best) + float(of_x @ of_x), (seed, kind)


# In these a generator has no share in a heavy row, or a second heavy row says what the first says.
HEAVY = [28, 51, 56, 66, 100, 144, 153, 197, 216, 315, 340, 405, 422, 462, 561, 613, 778, 838,
         15396, 21432, 21851, 22468]  # fmt: skip


@pytest.mark.parametrize("seed", HEAVY)
def test_light_rows_keep_their_digits_beside_heavy_ones(seed):
    """Rows of up to 1e16 beside rows of 1: lengths and triangles of all rows lost x to them."""
    rng = np.random.default_rng(seed)
    A, b = heavy(rng, "several", int(rng.integers(3, 9)), int(rng.integers(1, 5)))
    G, c, _, _ = normal_equations(A.tolist(), b.tolist())
    best = np.array([float(v) for v in lawson_hanson(G, c)])
    for x in (fastcone.nnls(A, b)[0], solve_nnls(A, b).x, solve_nnls(A, b[:, None]).x[:, 0]):
        assert np.abs(x - best).max() <= 1e-13 * best.max()


@pytest.mark.parametrize("seed", [1122, 1234, 15314, 15487])
def test_a_gap_of_a_heavy_row_does_not_hide_what_light_rows_say(seed):
    """Rows of 1e3 and 1e4, G well conditioned: descent ended at a gap of 1e-22, x off by 3e-9."""
    rng = np.random.default_rng(seed)
    A, b = heavy(rng, "several", int(rng.integers(3, 9)), int(rng.integers(1, 5)))
    G, c, _, _ = normal_equations(A.tolist(), b.tolist())
    best = np.array([float(v) for v in lawson_hanson(G, c)])
    for x in (solve_nnls(A, b).x, solve_nnls(A, np.outer(b, np.ones(70))).x[:, 69]):
        assert np.abs(x - best).max() <= 1e-12 * best.max()


def test_coefficients_far_below_the_target_are_corrected_in_their_own_units():
    """x of 1e-8 ||b|| / ||a_j||: a correction that ended in units of ||b|| left 4e-8 of it."""
    A = np.array([[5, 8], [2, 8], [7, 8], [2, 5], [1, 5], [0, 1e9], [0, 0], [1e9, 1e9]])
    x = solve_nnls(A, [2, 0, 2, -1, 1, 0, 0, 0]).x
    np.testing.assert_allclose(x, [1.4e-17, 9e-18], rtol=1e-12)


def within_bounds(A, B, upper=None, total=None, max_steps=1000):
    """x (n, p), reduced gradients, steps and changes of the kernel with bounds and sums."""
    (m, n), p = A.shape, B.shape[1]
    ld, ldm = -(-n // 8) * 8, -(-m // 8) * 8
    G, C, rows = padded(A.T @ A, ld), padded(B.T @ A, ld), padded(A.T, ldm)
    X, g, norm = (
        padded(np.zeros((p, n)), ld),
        padded(np.zeros((p, n)), ld),
        np.linalg.norm(A, axis=0),
    )
    work = np.full(nnls_kernels.support_work(n), np.nan)
    steps, index = np.empty(p, dtype=np.intp), np.empty(n, dtype=np.intp)
    residual, change = np.empty(p), np.empty(p)
    slack = 1e-13 * np.linalg.norm(B, axis=0) + (0 if total is None else 1e-13 * total * norm.max())
    nnls_kernels.support_bounded(
        G, C, 1 / norm, norm, upper, None if total is None else np.ones(n), total, None, slack, X,
        g, max_steps, steps, rows, np.ascontiguousarray(B.T), np.zeros(n), residual, change, work,
        index,
    )  # fmt: skip
    return X[:, :n].T, g[:, :n].T, steps, change


@pytest.mark.parametrize("m, n", [(3, 1), (6, 3), (9, 5)])
@pytest.mark.parametrize("kind", ["upper", "sum", "both"])
def test_bounds_and_sums_are_the_twins(level, rng, m, n, kind):
    A, B, p = rng.standard_normal((m, n)) + 0.5, 2 * rng.standard_normal((m, 40)), 40
    upper = rng.choice([0.0, 0.1, 0.5, 2.0, np.inf], (p, n)) if kind != "sum" else None
    if upper is not None:
        upper[:, 0] = 3.0
    total = 3 * rng.random(p) if kind != "upper" else None
    X, g, steps, change = within_bounds(A, B, upper, total)
    assert np.all(steps >= 0) and np.all((change >= 0) & (change < 1e-9))
    for r in range(p):
        most = np.full(n, np.inf) if upper is None else upper[r]
        want = reference.nnls_bounded(
            A.T @ A, A.T @ B[:, r], most, None if total is None else total[r]
        )
        np.testing.assert_allclose(X[:, r], want, rtol=1e-9, atol=1e-10)
        assert np.all(X[:, r] >= 0) and np.all(X[:, r] <= most)
        inner = (X[:, r] > 0) & (X[:, r] < most)
        size = 1e-12 * (1 + np.abs(A.T @ A).sum() * X[:, r].max() + np.abs(A.T @ B[:, r]).max())
        assert np.all(np.abs(g[inner, r]) <= size)
        assert np.all(g[(X[:, r] == 0) & (most > 0), r] >= -size)
        assert np.all(g[(X[:, r] > 0) & (X[:, r] >= most), r] <= size)


def test_nothing_between_the_bounds_is_told(level):
    """Two generators at bounds that make up the sum: no support, and the caller goes elsewhere."""
    for n in (2, 3):
        upper, b = np.ones((1, n)), np.array([[9.0], [9.0], [0.0]])
        X, _, steps, change = within_bounds(np.eye(3)[:, :n], b, upper, np.array([2.0]))
        assert change[0] == -1 and (steps[0] < 0) == (n == 2)
        np.testing.assert_array_equal(X[:, 0], [1, 1, 0][:n])


def test_a_limit_of_steps_leaves_bounds_and_sums_kept(level, rng):
    A, B = spectra(rng, 60, 20, 20)
    upper, total = np.full((20, 20), 0.2), np.full(20, 1.0)
    for most in (1, 2, 5):
        X, _, steps, change = within_bounds(A, B, upper, total, max_steps=most)
        assert np.all(steps <= most) and np.all(change[steps < 0] == -1)
        assert np.all(X >= 0) and np.all(X <= 0.2)
        np.testing.assert_allclose(X.sum(axis=0), 1, rtol=1e-12)
