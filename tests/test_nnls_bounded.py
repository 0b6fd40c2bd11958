# SPDX-License-Identifier: BSD-3-Clause
"""Upper bounds and sums: the optimum, feasible to rounding, and refused where there is none."""

import numpy as np
import problems
import pytest
import scipy.optimize

import fastcone
from fastcone import solve_nnls
from fastcone._nnls.dense import DenseGenerators


def bounded(rng, kind):
    m, n = int(rng.integers(2, 20)), int(rng.integers(1, 9))
    A, b, upper = rng.standard_normal((m, n)), 3 * rng.standard_normal(m), 2 * rng.random(n)
    if kind == "some":
        upper[rng.random(n) < 0.5] = np.inf
    if kind == "zero":
        upper[rng.random(n) < 0.3] = 0
    return A, b, upper


@pytest.mark.parametrize("kind", ["all", "some", "zero"])
def test_bounds_are_as_good_as_bvls(level, kind):
    for seed in range(120):
        A, b, upper = bounded(np.random.default_rng(seed), kind)
        x = solve_nnls(A, b, upper=upper).x
        assert np.all(x >= 0) and np.all(x <= upper)
        wide = np.where(upper > 0, upper, 1e-300)  # it wants bounds that differ
        best = scipy.optimize.lsq_linear(A, b, (0, wide), method="bvls", tol=1e-14).x
        ours, theirs = (np.sum((A @ y - b) ** 2) for y in (x, best))
        assert ours <= theirs + 1e-10 * (b @ b), seed


def test_sums_hold_and_are_optimal(level):
    """Optimal: the gradient is one number on the support, and no less off it."""
    for seed in range(120):
        rng = np.random.default_rng(seed)
        A, b, _ = bounded(rng, "all")
        total = 3 * rng.random()
        solution = solve_nnls(A, b, sum_to=total)
        x = solution.x
        assert abs(x.sum() - total) <= 1e-12 * max(total, 1) and np.all(x >= 0)
        g = A.T @ (A @ x - b)
        nu, size = g[x > 0].mean(), np.abs(A.T @ A).sum() * total + np.abs(A.T @ b).max()
        assert np.all(np.abs(g[x > 0] - nu) <= 1e-10 * size), seed
        assert np.all(g >= nu - 1e-10 * size), seed
        assert solution.converged


def test_named_instances():
    eye = np.eye(3)
    np.testing.assert_allclose(solve_nnls(eye, [1.0, 2.0, 3.0], upper=1.5).x, [1, 1.5, 1.5])
    np.testing.assert_allclose(solve_nnls(eye, [1.0, 2.0, 3.0], sum_to=3.0).x, [0, 1, 2])
    both = solve_nnls(eye, [1.0, 2.0, 3.0], sum_to=3.0, upper=[1.0, 1.0, 1.5])
    np.testing.assert_allclose(both.x, [0.5, 1, 1.5], atol=1e-12)
    assert both.converged
    corner = solve_nnls(eye, [9.0, 9.0, 0.0], sum_to=2.0, upper=1.0)  # nothing is free
    np.testing.assert_allclose(corner.x, [1, 1, 0], atol=1e-12)
    assert corner.converged
    assert not solve_nnls(eye, [1.0, 2.0, 3.0], sum_to=0.0).x.any()
    assert not solve_nnls(eye, [1.0, 2.0, 3.0], upper=0.0).x.any()


def test_a_bound_that_binds_nobody_changes_nothing(level, rng):
    A, B = rng.random((40, 8)), rng.random((40, 30))
    plain = solve_nnls(A, B)
    np.testing.assert_allclose(solve_nnls(A, B, upper=100.0).x, plain.x, atol=1e-12)
    np.testing.assert_allclose(solve_nnls(A, B, upper=np.inf).x, plain.x, atol=1e-12)
    same = solve_nnls(A, B, sum_to=plain.x.sum(axis=0))
    np.testing.assert_allclose(same.x, plain.x, atol=1e-9)


def test_batches_threads_and_units_change_nothing(level, rng):
    A, B = rng.random((30, 6)), rng.random((30, 600))
    upper, total = rng.random((6, 600)), rng.random(600)
    upper[rng.random((6, 600)) < 0.3] = np.inf
    whole = solve_nnls(A, B, upper=upper, sum_to=np.minimum(total, upper.sum(axis=0)))
    assert np.all(whole.x <= upper)
    for r in (0, 255, 256, 599):
        alone = solve_nnls(
            A, B[:, r], upper=upper[:, r], sum_to=min(total[r], upper[:, r].sum()), n_threads=2
        )
        assert np.array_equal(alone.x, whole.x[:, r]) and alone.gap == whole.gap[r]
    scaled = solve_nnls(A * 2.0**20, B * 2.0**-30, upper=upper * 2.0**-50)
    assert np.array_equal(scaled.x, solve_nnls(A, B, upper=upper).x * 2.0**-50)


def test_penalties_and_float32(level, rng):
    A, b = rng.random((20, 5)), rng.random(20)
    x = solve_nnls(A, b, upper=0.3, l1=0.1, l2=0.5).x
    ridge = np.vstack([A, np.sqrt(0.5) * np.eye(5)])
    g = ridge.T @ (ridge @ x - np.r_[b, np.zeros(5)]) + 0.1
    inside = (x > 0) & (x < 0.3)
    assert np.all(np.abs(g[inside]) < 1e-12)
    assert np.all(g[x == 0] >= 0) and np.all(g[x == 0.3] <= 0)
    narrow = solve_nnls(A.astype("f"), b.astype("f"), sum_to=1.0)
    assert narrow.x.dtype == np.float32 and abs(narrow.x.sum() - 1) < 1e-6


@pytest.mark.parametrize(
    "bad, said",
    [
        ({"upper": -1.0}, "upper"),
        ({"upper": np.nan}, "upper"),
        ({"upper": np.ones(3)}, "upper has shape"),
        ({"sum_to": -1.0}, "sum_to"),
        ({"sum_to": np.inf}, "sum_to"),
        ({"sum_to": np.ones(5)}, "sum_to has shape"),
        ({"sum_to": 3.0, "upper": 0.1}, "sum_to is 3"),
    ],
)
def test_what_cannot_be_met_is_refused_by_name(bad, said, rng):
    with pytest.raises(ValueError, match=said):
        solve_nnls(rng.random((6, 4)), rng.random((6, 2)), **bad)


def test_sparse_data_is_refused(rng):
    import scipy.sparse

    A = scipy.sparse.csc_array(rng.random((6, 4)))
    with pytest.raises(ValueError, match="dense"):
        fastcone.Projector(A).solve(rng.random(6), upper=1.0)


def test_sums_hold_whatever_else_is_large(rng):
    """A ridge of 1e18, one generator of 1e-20, a penalty of 1e18: sums were off by half."""
    A, b = rng.random((20, 5)), rng.random(20)
    cases = [
        (np.eye(6), np.ones(6), {"l2": 1e18}),
        (A * [1e-20, 1, 1, 1, 1], b, {}),
        (A, b, {"l1": 1e18}),
        (A, np.zeros(20), {}),
    ]
    for generators, target, options in cases:
        solution = solve_nnls(generators, target, sum_to=1.0, **options)
        assert abs(solution.x.sum() - 1) < 1e-12 and solution.converged


@pytest.mark.filterwarnings("error")
def test_bounds_that_nobody_reaches_are_none(rng):
    A, b = rng.random((20, 5)), rng.random(20)
    free = solve_nnls(A, b)
    for upper in (1e9, 1e14, 1e20, 1e300):
        solution = solve_nnls(A, b, upper=upper)
        np.testing.assert_allclose(solution.x, free.x, atol=1e-12)
        assert solution.converged
    some = solve_nnls(A, b, upper=[1e14, 0.1, 0.1, 0.1, 0.1])
    want = solve_nnls(A, b, upper=[np.inf, 0.1, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(some.x, want.x, atol=1e-12)
    assert not solve_nnls(A, np.zeros(20), upper=0.6).x.any()


@pytest.mark.parametrize("small", [1e-8, 1e-3, 1e-2])
def test_small_bounds_beside_a_sum_are_proved(small, rng):
    for _ in range(30):
        A = rng.random((40, 8))
        b = A @ rng.dirichlet(np.ones(8)) + 0.01 * rng.normal(size=40)
        upper = np.r_[small, small, np.ones(6)]
        assert solve_nnls(A, b, sum_to=1.0, upper=upper).converged


@pytest.mark.parametrize("n", [6, 8, 10, 12])
def test_correlated_endmembers_are_unmixed(level, n):
    """cond 5e3 to 5e11: sizes of rotated rows took gradients of 1e-8 for rounding."""
    rng = np.random.default_rng(5)
    w = np.linspace(0, 1, 200)[:, None]
    E = 0.3 + np.exp(-(((w - np.linspace(0, 1, n)) / 0.5) ** 2))
    Y = E @ rng.dirichlet(np.ones(n) * 0.5, 300).T
    Y += 1e-3 * rng.standard_normal(Y.shape)
    found = solve_nnls(E, Y, sum_to=1.0)
    heavy = solve_nnls(np.vstack([E, 1e6 * np.ones(n)]), np.vstack([Y, 1e6 * np.ones(300)]))
    assert found.converged.all() and np.abs(found.x - heavy.x).max() < 1e-7


@pytest.mark.parametrize("upper", [None, 0.4])
def test_sums_of_float32_problems_are_proved(rng, upper):
    """x rounded to float32 misses its sum by a rounding, of which the bound knows."""
    A, X = rng.random((200, 8)), rng.dirichlet(np.full(8, 0.5), 300).T
    B = A @ X + 0.01 * rng.standard_normal((200, 300))
    options = {"sum_to": 1.0, "upper": upper}
    A, B = A.astype(np.float32), B.astype(np.float32)
    wide = fastcone.solve_nnls(A.astype(float), B.astype(float), **options)
    found = fastcone.solve_nnls(A, B, **options)
    assert found.converged.all() and wide.converged.all()
    np.testing.assert_allclose(found.x, wide.x, atol=1e-6)
    np.testing.assert_allclose(found.x.sum(axis=0), 1, atol=2e-7)
    excess = (found.objective - wide.objective) / np.maximum((B**2).sum(axis=0) / 2, wide.objective)
    assert np.all(excess <= found.gap + 1e-12)


def test_bounds_that_the_plain_answer_keeps_change_nothing(rng):
    A, B = rng.random((60, 6)), rng.standard_normal((60, 50))
    plain = fastcone.solve_nnls(A, B)
    free = fastcone.solve_nnls(A, B, upper=10 * plain.x.max())
    assert np.array_equal(plain.x, free.x) and np.array_equal(plain.gap, free.gap)
    level = np.median(plain.x[plain.x > 0])
    mixed = fastcone.solve_nnls(A, B, upper=level)
    within = (plain.x <= level).all(axis=0)
    assert 0 < within.sum() < 50 and mixed.converged.all()
    assert np.array_equal(mixed.x[:, within], plain.x[:, within])
    for r in range(50):
        want = scipy.optimize.lsq_linear(A, B[:, r], (0, level), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(mixed.x[:, r], want, atol=1e-8)


@pytest.mark.parametrize("kind", ["upper", "sum", "both"])
def test_heavy_rows_and_the_support_solver_agree(level, rng, kind, monkeypatch):
    """Two ways that share no step; spectra and random data, with a penalty and a ridge."""
    for (m, n), smooth in (((30, 6), False), ((60, 12), True), ((40, 25), False)):
        A = problems.spectra(rng, m, n, 1)[0] if smooth else rng.standard_normal((m, n))
        B = rng.standard_normal((m, 30))
        options = {} if kind == "sum" else {"upper": 0.3 * rng.random((n, 30))}
        if kind != "upper":
            options["sum_to"] = 0.8 if kind == "sum" else 0.9 * options["upper"].sum(axis=0)
        for l1, l2 in ((0.0, 0.0), (0.2, 0.1)):
            projector = fastcone.Projector(A, l2=l2)
            found = projector.solve(B, l1=l1, **options)
            assert projector._made[DenseGenerators, A.dtype].bounds_on_gram
            with monkeypatch.context() as patch:
                patch.setattr(DenseGenerators, "bounds_on_gram", False)
                heavy = solve_nnls(A, B, l1=l1, l2=l2, **options)
            assert found.converged.all() and heavy.converged.all()
            np.testing.assert_allclose(found.x, heavy.x, rtol=1e-8, atol=1e-10)


def test_a_bounded_answer_does_not_depend_on_its_neighbours(level, rng):
    A, B = problems.spectra(rng, 50, 8, 40)
    options = {"upper": 0.4, "sum_to": 1.0}
    whole = solve_nnls(A, B, n_threads=2, **options)
    for r in range(40):
        assert np.array_equal(solve_nnls(A, B[:, r], **options).x, whole.x[:, r])


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e9])
def test_a_sum_is_kept_however_large_the_free_answer(level, rng, size):
    """z = W'(y + mu t) cancels: the refinement has a last step along the sum."""
    A, B, total = rng.random((30, 6)), size * rng.random((30, 50)), 0.5 + rng.random(50)
    found = solve_nnls(A, B, sum_to=total)
    np.testing.assert_allclose(found.x.sum(axis=0), total, rtol=1e-12)
    assert found.converged.all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DenseGenerators, "bounds_on_gram", False)
        heavy = solve_nnls(A, B, sum_to=total)
    np.testing.assert_allclose(found.x, heavy.x, rtol=1e-9, atol=1e-11)


def test_generators_that_are_switched_off_say_nothing_of_the_multiplier(rng):
    A, B = rng.random((40, 8)), rng.random((40, 30))
    upper = np.zeros((8, 30))
    upper[rng.integers(0, 8, 30), np.arange(30)] = 2.0
    found = solve_nnls(A, B, upper=upper, sum_to=1.0)
    assert found.converged.all()
    np.testing.assert_array_equal(found.x, np.where(upper > 0, 1.0, 0.0))
    every = 0.5 * rng.random((8, 30)) * (rng.random((8, 30)) < 0.6)
    assert solve_nnls(A, B, upper=every, sum_to=every.sum(axis=0)).converged.all()


def test_a_huge_bound_does_not_hide_the_others():
    """It was a row that scaled b away: x = 0, said to be proved."""
    rng = np.random.default_rng(3)
    A, b = rng.standard_normal((3, 6)), 10 * rng.standard_normal(3)
    want = solve_nnls(A, b, upper=[np.inf] * 3 + [0.3] * 3)
    for huge in (1e12, 1e20, 1e300):
        found = solve_nnls(A, b, upper=[huge] * 3 + [0.3] * 3)
        assert found.objective == pytest.approx(want.objective, rel=1e-9)
        assert found.gap >= 0 and (not found.converged or want.converged)


@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e-163, 1e-180])
def test_bounds_of_any_unit_are_met(scale):
    """||b||^2 underflowed, and with it what a coefficient can reach."""
    A, b, upper = (
        np.array([[5.0, 7, 6], [-3, 7, -3]]),
        np.array([8.4, -0.74]),
        np.array([0.12, 0, 0.12]),
    )
    found = solve_nnls(A, scale * b, upper=scale * upper)
    np.testing.assert_allclose(found.x / scale, solve_nnls(A, b, upper=upper).x, rtol=1e-9)


def test_sums_out_of_range():
    with pytest.raises(ValueError, match="sum_to is 1e\\+39, beyond the range of float32"):
        solve_nnls(np.eye(2, dtype="f"), np.ones(2, "f"), sum_to=1e39)
    for b, total in (([1.0, 2.0], 5e-324), ([1e192, 2e192], 1e-200)):
        found = solve_nnls(np.eye(2), b, sum_to=total)
        assert found.x.sum() == pytest.approx(total, rel=1e-12) or not found.converged
    assert solve_nnls(np.zeros((2, 0)), [1.0, 2.0], sum_to=0.0).x.shape == (0,)
