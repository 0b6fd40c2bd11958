# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least squares: every answer against its own certificate and outside witnesses."""

import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from naming import naming
from problems import NNLS

import fastcone
from fastcone import ConvergenceError, solve_nnls, solve_nnls_gram

instances = pytest.mark.parametrize("make", NNLS, ids=lambda make: make.__name__)


def objective(A, b, x, l1=0.0, l2=0.0):
    A, b, x = (np.asarray(a, dtype=np.longdouble) for a in (A, b, x))
    value = ((A @ x - b) ** 2).sum(axis=0) / 2 + l1 * x.sum(axis=0) + l2 / 2 * (x**2).sum(axis=0)
    return value.astype(float)


def witness(A, b, l1=0.0, l2=0.0):
    """The optimum by scipy: the penalties as more rows, 1/2 ||.||^2 + l1'x up to a constant."""
    n = A.shape[1]
    if l1 == 0:
        A = np.vstack([A, np.sqrt(l2) * np.eye(n)])
        x, _ = scipy.optimize.nnls(A, np.r_[b, np.zeros(n)], maxiter=100 * n)
    else:
        L = np.linalg.cholesky(A.T @ A + l2 * np.eye(n))
        x, _ = scipy.optimize.nnls(L.T, np.linalg.solve(L, A.T @ b - l1), maxiter=100 * n)
    return x


# --- nnls: scipy's contract ------------------------------------------------------------------


@instances
def test_nnls_is_as_good_as_scipy(make):
    compared = 0
    for seed in range(160):
        with naming(seed=seed):
            A, b = make(np.random.default_rng(seed))
            x, rnorm = fastcone.nnls(A, b, maxiter=100 * A.shape[1])
            assert x.shape == (A.shape[1],) and np.all(x >= 0)
            try:
                best, _ = scipy.optimize.nnls(A, b, maxiter=100 * A.shape[1])
            except RuntimeError:  # scipy reached its iteration limit
                continue
            assert objective(A, b, x) <= objective(A, b, best) + 1e-10 * (b @ b / 2)
            assert rnorm == pytest.approx(np.sqrt(2 * objective(A, b, x)), rel=1e-9, abs=1e-13)
            compared += 1
    assert compared > 0


def test_scipy_own_tests_pass(tmp_path):
    source = Path(scipy.optimize.__file__).parent / "tests" / "test_nnls.py"
    if not source.exists():
        pytest.skip("this scipy was installed without its tests")
    text = source.read_text()
    assert "from scipy.optimize import nnls\n" in text
    (tmp_path / "test_theirs.py").write_text(
        text.replace("from scipy.optimize import nnls\n", "from fastcone import nnls\n")
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    command += ["test_theirs.py", "--deselect"]
    command += ["test_theirs.py::TestNNLS::test_atol_deprecation_warning"]
    environment = {"PYTHONPATH": str(Path(fastcone.__file__).parents[1]), "PATH": ""}
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_nnls_accepts_what_scipy_accepts():
    x, rnorm = fastcone.nnls([[1, 0], [0, 1]], [[2], [-3]])
    assert x.tolist() == [2, 0] and rnorm == 3
    for A, b in ((np.zeros((3, 0)), np.ones(3)), (np.zeros((0, 3)), np.zeros(0))):
        x, rnorm = fastcone.nnls(A, b)
        assert x.tolist() == [0] * A.shape[1]
        assert rnorm == pytest.approx(np.linalg.norm(b))


@pytest.mark.parametrize(
    "A, b, message",
    [
        (np.ones(3), np.ones(3), "Expected a 2D array"),
        (np.ones((3, 2)), np.ones((3, 2)), "Expected a 1D array"),
        (np.ones((3, 2)), np.ones(4), "b has 4 entries, want 3"),
        (np.array([[np.nan]]), np.ones(1), "A holds nan"),
        (np.ones((1, 1)), np.array([np.inf]), "b holds inf"),
    ],
)
def test_nnls_refuses_what_scipy_refuses(A, b, message):
    with pytest.raises(ValueError, match=message):
        fastcone.nnls(A, b)


def test_nnls_says_when_maxiter_came_first(rng):
    with pytest.raises(RuntimeError, match="Maximum number of iterations reached"):
        fastcone.nnls(rng.random((20, 10)), rng.random(20), maxiter=1)


# --- solve_nnls: certificates ----------------------------------------------------------------


@instances
@pytest.mark.parametrize("method", ["auto", "cd", "active_set"])
def test_a_gap_is_never_smaller_than_the_truth(make, method):
    compared = 0
    for seed in range(12):
        with naming(seed=seed):
            A, b = make(np.random.default_rng(seed))
            solution = solve_nnls(A, b, method=method, max_epochs=200 if method == "cd" else None)
            try:
                best = witness(A, b)
            except RuntimeError:  # scipy reached its iteration limit
                continue
            value = objective(A, b, solution.x)
            excess = (value - objective(A, b, best)) / (b @ b / 2)
            assert np.all(solution.x >= 0)
            assert excess <= solution.gap + 1e-15
            assert solution.converged == (solution.gap <= 1e-10)
            assert solution.objective == pytest.approx(value, abs=1e-11 * (b @ b))
            if method != "cd":
                assert excess <= 1e-9
            compared += 1
    assert compared > 0


@instances
def test_auto_proves_its_answers(make):
    A, _ = make(np.random.default_rng(0))
    B = np.stack([make(np.random.default_rng(seed))[1] for seed in range(40)], axis=1)
    solution = solve_nnls(A, B)
    assert solution.converged.all(), solution.gap.max()


@pytest.mark.parametrize("l1, l2", [(0.3, 0.0), (0.0, 0.2), (0.1, 0.1), (1e3, 0.0)])
@pytest.mark.parametrize("method", ["auto", "cd", "active_set"])
def test_penalties(rng, dtype, l1, l2, method):
    A, B = rng.random((30, 8)).astype(dtype), rng.standard_normal((30, 20)).astype(dtype)
    tol = 1e-6 if dtype == np.float32 else 1e-9
    solution = solve_nnls(A, B, l1=l1, l2=l2, tol=tol, method=method)
    assert solution.converged.all() and solution.x.dtype == dtype
    A, B = A.astype(float), B.astype(float)
    for r in range(20):
        best = objective(A, B[:, r], witness(A, B[:, r], l1, l2), l1, l2)
        ours = objective(A, B[:, r], solution.x[:, r].astype(float), l1, l2)
        at_zero = B[:, r] @ B[:, r] / 2
        assert ours - best <= (solution.gap[r] + 1e-14) * at_zero
        assert solution.objective[r] == pytest.approx(ours, abs=tol * at_zero)
        g = A.T @ (A @ solution.x[:, r] - B[:, r]) + l1 + l2 * solution.x[:, r]
        violation = np.abs(np.minimum(solution.x[:, r], g)).max()
        rounding = 1e-10 + 1e-4 * tol**0.5
        if dtype == np.float32:
            rounding = 1e-6 * np.linalg.norm(A, axis=0).max() * np.linalg.norm(B[:, r])
        assert solution.violation[r] == pytest.approx(violation, abs=rounding)


@settings(max_examples=150, deadline=None)
@given(
    A=arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 6)),
             elements=st.integers(-3, 3).map(float)),
    data=st.data(),
)  # fmt: skip
def test_integer_problems_of_every_shape(A, data):
    b = data.draw(arrays(float, len(A), elements=st.integers(-3, 3).map(float)))
    x, _ = fastcone.nnls(A, b, maxiter=1000)
    best = scipy.optimize.nnls(A, b, maxiter=1000)[0]
    assert objective(A, b, x) <= objective(A, b, best) + 1e-12 * (1 + b @ b)
    solution = solve_nnls(A, b)
    assert objective(A, b, solution.x) <= objective(A, b, best) + 1e-9 * (b @ b) + 1e-15
    assert objective(A, b, solution.x) - objective(A, b, best) <= (
        solution.gap * (b @ b / 2) + 1e-14
    )


def test_the_gram_matrix_alone_gives_the_same_answers(rng, dtype):
    A, B = rng.random((40, 9)).astype(dtype), rng.standard_normal((40, 30)).astype(dtype)
    G, C, b_norm2 = A.T @ A, A.T @ B, (B.astype(float) ** 2).sum(axis=0)
    tol = 1e-5 if dtype == np.float32 else 1e-9
    direct = solve_nnls(A, B, l1=0.1, l2=0.01, tol=tol)
    gram = solve_nnls_gram(G, C, b_norm2=b_norm2, l1=0.1, l2=0.01, tol=tol)
    assert gram.converged.all()
    np.testing.assert_allclose(gram.objective, direct.objective, rtol=30 * tol)
    blind = solve_nnls_gram(G, C, l1=0.1, l2=0.01, tol=tol)
    np.testing.assert_allclose(blind.objective + b_norm2 / 2, gram.objective, rtol=30 * tol)
    exactly = solve_nnls_gram(G, C, b_norm2=b_norm2, l1=0.1, l2=0.01, method="active_set", tol=tol)
    np.testing.assert_allclose(exactly.objective, direct.objective, rtol=30 * tol)


@pytest.mark.parametrize("method", ["auto", "active_set"])
def test_each_target_can_have_its_own_l1(rng, method):
    A, B, l1 = rng.random((30, 8)), rng.standard_normal((30, 20)), rng.random(20)
    together = solve_nnls(A, B, l1=l1, method=method)
    assert together.converged.all()
    for r in range(20):
        alone = solve_nnls(A, B[:, r], l1=l1[r], method=method)
        assert np.array_equal(alone.x, together.x[:, r])
    gram = solve_nnls_gram(A.T @ A, A.T @ B, b_norm2=(B**2).sum(axis=0), l1=l1, method=method)
    np.testing.assert_allclose(gram.objective, together.objective, rtol=1e-7)


def test_a_path_is_its_points_and_warm_starts_pay(rng):
    A = rng.random((60, 25)) * (rng.random((60, 25)) < 0.2)  # epochs alone solve it
    B, l1 = rng.random((60, 200)), np.array([0.1, 3.0, 0.0, 1.0, 0.3])
    path = fastcone.nnls_path(A, B, l1)
    for weight, point in zip(l1, path, strict=True):
        alone = solve_nnls(A, B, l1=weight)
        assert point.converged.all()
        np.testing.assert_allclose(point.objective, alone.objective, rtol=1e-8)
    cold = [solve_nnls(A, B, l1=weight).epochs.sum() for weight in l1]
    assert sum(point.epochs.sum() for point in path) < sum(cold)
    assert fastcone.nnls_path(A, B[:, 0], [0.5])[0].x.shape == (25,)
    assert fastcone.nnls_path(A, B, []) == []


# --- invariances -----------------------------------------------------------------------------


@instances
@pytest.mark.parametrize("power", [-300, -31, 17, 300])
def test_powers_of_two_change_no_bit(make, power):
    A, b = make(np.random.default_rng(5))
    columns = np.arange(A.shape[1]) % 3 * 7 - 5
    scaled_A, scaled_b = np.ldexp(A, columns), np.ldexp(b, power)
    for method in ("auto", "active_set"):
        one, two = solve_nnls(A, b, method=method), solve_nnls(scaled_A, scaled_b, method=method)
        assert np.array_equal(np.ldexp(one.x, power - columns), two.x)
        assert one.gap == two.gap
    x, y = (fastcone.nnls(M, c, maxiter=10**4)[0] for M, c in ((A, b), (A, scaled_b)))
    assert np.array_equal(np.ldexp(x, power), y)


def test_batch_order_layout_and_threads_change_no_bit(level, dtype, rng):
    A = rng.random((60, 21)).astype(dtype)
    B = rng.standard_normal((60, 5000)).astype(dtype) + dtype.type(0.3)
    whole = solve_nnls(A, B, tol=1e-6, n_threads=1)
    order = rng.permutation(5000)
    for other in (
        *(solve_nnls(A, B, tol=1e-6, n_threads=k) for k in (2, 3, 8, 16)),
        solve_nnls(np.asfortranarray(A), np.asfortranarray(B), tol=1e-6, n_threads=5),
        solve_nnls(A[:, ::-1][:, ::-1], B[:, order], tol=1e-6),
    ):
        picked = order if not np.array_equal(other.x, whole.x) else slice(None)
        assert np.array_equal(other.x, whole.x[:, picked])
        assert np.array_equal(other.gap, whole.gap[picked])
        assert np.array_equal(other.objective, whole.objective[picked])
    for r in (0, 1234, 4999):
        alone = solve_nnls(A, B[:, r], tol=1e-6)
        assert np.array_equal(alone.x, whole.x[:, r]) and alone.gap == whole.gap[r]


@pytest.mark.parametrize("kind", ["dense", "sparse A", "sparse B", "both"])
def test_a_gap_proved_from_the_data_does_not_feel_its_neighbours(rng, kind):
    A, B = rng.random((21, 38)), rng.random((21, 300))
    A, B = A * (A < 0.4), B * (B < 0.6)
    A = scipy.sparse.csr_array(A) if kind in ("sparse A", "both") else A
    B = scipy.sparse.csc_array(B) if kind in ("sparse B", "both") else B
    whole = solve_nnls(A, B, tol=1e-16)
    assert not whole.converged.any()
    for which in (slice(0, 1), slice(7, 20), slice(100, 300)):
        some = solve_nnls(A, B[:, which], tol=1e-16)
        assert np.array_equal(some.x, whole.x[:, which])
        assert np.array_equal(some.gap, whole.gap[which])


def test_a_warm_start_pays(rng):
    A, B = rng.random((80, 30)), rng.random((80, 500))
    cold = solve_nnls(A, B, method="cd")
    warm = solve_nnls(A, B, method="cd", x0=cold.x)
    assert warm.converged.all()
    assert warm.epochs.mean() < 0.25 * cold.epochs.mean()


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e200])
def test_extreme_units(scale, rng):
    A, B = rng.random((10, 4)), rng.random((10, 6))
    exactly = {"method": "active_set"}
    want = solve_nnls(A, B, **exactly).x
    np.testing.assert_allclose(solve_nnls(A, B * scale, **exactly).x / scale, want, rtol=1e-9)
    np.testing.assert_allclose(solve_nnls(A * scale, B, **exactly).x * scale, want, rtol=1e-9)
    for x in (solve_nnls(A, B * scale).x / scale, solve_nnls(A * scale, B).x * scale):
        excess = objective(A, B, x) - objective(A, B, want)
        assert np.all(excess <= 1e-9 * (B * B).sum(axis=0) / 2)


# --- what does not converge, and what is refused ---------------------------------------------


def test_not_converging_is_a_value_or_an_exception_if_asked(rng):
    A, B = rng.random((30, 20)), rng.random((30, 4))
    solution = solve_nnls(A, B, method="cd", max_epochs=1)
    assert not solution.converged.any() and np.all(solution.gap > 1e-9)
    assert np.all(solution.objective <= (B**2).sum(axis=0) / 2)
    with pytest.raises(ConvergenceError, match="4 of 4 problems did not reach tol") as caught:
        solve_nnls(A, B, method="cd", max_epochs=1, on_fail="raise")
    assert np.array_equal(caught.value.solution.x, solution.x)


def test_a_time_limit_is_kept(rng):
    A, B = rng.random((300, 200)), rng.standard_normal((300, 20_000))
    start = time.monotonic()
    solution = solve_nnls(A, B, tol=1e-15, method="cd", time_limit=0.2)
    assert time.monotonic() - start < 0.2 + 1.0
    assert not solution.converged.all()
    assert np.all(np.isfinite(solution.x)) and np.all(solution.x >= 0)


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0)])
def test_empty_problems(shape):
    m, n, p = shape
    solution = solve_nnls(np.zeros((m, n)), np.zeros((m, p)))
    assert solution.x.shape == (n, p) and solution.converged.all()
    assert np.all(solution.x == 0) and np.all(solution.objective == 0)


good = {"A": np.ones((3, 2)), "B": np.ones((3, 4))}


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"A": np.ones(3)}, ValueError, r"A is 1-D with shape \(3,\), want 2-D"),
        ({"B": np.ones((4, 2))}, ValueError, "B has 4 rows, want 3 as A has"),
        ({"B": np.ones((3, 2, 2))}, ValueError, "B is 3-D"),
        ({"A": np.array([[1.0, np.nan]] * 3)}, ValueError, r"A holds nan at \(0, 1\)"),
        ({"B": np.array([1.0, np.inf, 0.0])}, ValueError, "B holds inf at"),
        ({"A": np.ones((3, 2), dtype=object)}, TypeError, "A has dtype object"),
        ({"B": np.ones((3, 2), dtype=complex)}, TypeError, "B has dtype complex128"),
        ({"A": np.ma.masked_array(np.ones((3, 2)))}, TypeError, "A is a masked array"),
        ({"x0": scipy.sparse.csr_array(np.ones((2, 4)))}, TypeError, "x0 is a sparse"),
        ({"l1": np.ones(3)}, ValueError, r"l1 has shape \(3,\), want \(4,\)"),
        ({"l1": -1}, ValueError, "l1 must be a finite number >= 0, found -1"),
        ({"l2": np.nan}, ValueError, "l2 must be a finite number >= 0, found nan"),
        ({"tol": 0}, ValueError, "tol must be a finite number > 0, found 0"),
        ({"tol": "small"}, TypeError, "tol must be a finite number > 0, found 'small'"),
        ({"max_epochs": 0}, ValueError, "max_epochs must be an integer >= 1, found 0"),
        ({"max_epochs": 2.5}, TypeError, "max_epochs must be an integer >= 1, found 2.5"),
        ({"method": "magic"}, ValueError, "method must be one of 'auto', 'cd', 'active_set'"),
        ({"n_threads": 0}, ValueError, "n_threads must be an integer >= 1, found 0"),
        ({"time_limit": -1}, ValueError, "time_limit must be a finite number > 0"),
        ({"on_fail": "cry"}, ValueError, "on_fail must be one of 'return', 'raise'"),
        ({"x0": -np.ones((2, 4))}, ValueError, r"x0 holds -1.0 at \(0, 0\)"),
        ({"x0": np.ones((2, 3))}, ValueError, r"x0 has shape \(2, 3\), want \(2, 4\)"),
    ],
)
def test_bad_input_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        solve_nnls(**{**good, **wrong})


def test_a_bad_entry_of_a_late_block_is_found_at_its_place(rng):
    B = rng.random((50, 9000))
    B[17, 8123] = np.nan
    with pytest.raises(ValueError, match=r"B holds nan at \(17, 8123\)"):
        solve_nnls(rng.random((50, 40)), B)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"G": np.ones((2, 3))}, r"G has shape \(2, 3\), want \(2, 2\)"),
        ({"G": np.array([[1.0, 2.0], [0.0, 1.0]])}, "G is not symmetric"),
        ({"G": -np.eye(2)}, "G is not symmetric with a non-negative diagonal"),
        ({"C": np.ones((3, 4))}, "C has 3 rows, want 2"),
        ({"b_norm2": -np.ones(4)}, "b_norm2 holds -1.0"),
        ({"b_norm2": np.ones(3)}, r"b_norm2 has shape \(3,\), want \(4,\)"),
    ],
)
def test_bad_gram_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        solve_nnls_gram(**{"G": np.eye(2), "C": np.ones((2, 4)), **wrong})


def test_calls_of_older_scipy_are_taken_where_scipy_takes_them(rng):
    A, b = rng.random((10, 4)), rng.random(10)
    want = fastcone.nnls(A, b)[0]
    for call in ((20,), (20, 1e-9), (None, 1e-9)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                scipy.optimize.nnls(A, b, *call)
        except TypeError:
            with pytest.raises(TypeError):
                fastcone.nnls(A, b, *call)
        else:
            with pytest.warns(DeprecationWarning):
                np.testing.assert_array_equal(fastcone.nnls(A, b, *call)[0], want)
    for call in ((20, 1e-9, 1), (20,)):
        with pytest.raises(TypeError):
            fastcone.nnls(A, b, *call, maxiter=5)


@pytest.mark.parametrize("kinds", [("f4", "f4"), ("f4", "f8"), ("f8", "f4"), ("i4", "f4")], ids=str)
def test_float32_arguments_become_float64_where_that_is_what_is_computed(rng, kinds):
    """float32 was taken for float64: None compares equal to its dtype."""
    A, b = (a.astype(kind) for a, kind in zip((9 * rng.random((9, 4)), rng.random(9)), kinds,
                                              strict=True))  # fmt: skip
    want = scipy.optimize.nnls(A.astype(float), b.astype(float))[0]
    np.testing.assert_allclose(fastcone.nnls(A, b)[0], want, atol=1e-12)
    strided, half = fastcone.nnls(np.asfortranarray(A)[:, ::2], b)[0], A[:, ::2].astype(float)
    np.testing.assert_allclose(strided, scipy.optimize.nnls(half, b)[0], atol=1e-12)
    stack = solve_nnls(np.stack([A, A]), np.stack([b, b]))
    np.testing.assert_allclose(stack.x, np.stack([want, want], axis=1), atol=1e-12)
    for name in ("l1", "upper", "sum_to", "row_weights"):
        size = 9 if name == "row_weights" else 1
        value = 0.5 * np.ones(size)
        wide, narrow = (
            solve_nnls(A, b[:, None], **{name: value.astype(kind) if size > 1 or name != "upper"
                                         else kind(0.5)}) for kind in (np.float64, np.float32)
        )  # fmt: skip
        np.testing.assert_array_equal(wide.x, narrow.x)
