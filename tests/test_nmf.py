# SPDX-License-Identifier: BSD-3-Clause
"""Training: equal to its twin and to scikit-learn's, never uphill, to a stationary point.

As a call (bits, endings, bad arguments): test_nmf_calls.py; other losses, masks and weights:
test_nmf_losses.py; hard data: test_nmf_hard.py.
"""

import warnings

import numpy as np
import pytest
from factorisations import KL, NAMES, PENALTIES, SQUARE, WAYS, instance, objective, twin
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import non_negative_factorization
from sklearn.decomposition._nmf import _initialize_nmf
from sklearn.exceptions import ConvergenceWarning

import fastcone
from fastcone import nmf
from fastcone._nmf import extrapolation, frobenius

ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: value[:9])


# --- iterations ------------------------------------------------------------------------------


@ways
@pytest.mark.parametrize("penalties", PENALTIES)
def test_an_iteration_is_its_twin(level, dtype, rng, loss, solver, penalties):
    X, W, H = instance(rng, dtype=dtype)
    want = [a.astype(float) for a in (W, H)]
    want = twin(loss, solver, X.astype(float), *want, penalties=penalties, iterations=3)
    weights = dict(zip(NAMES, penalties, strict=True))
    fit = nmf(X, 4, loss=loss, solver=solver, W=W, H=H, max_iter=3, tol=0, **weights)
    assert fit.W.dtype == fit.H.dtype == dtype and fit.n_iter == 3
    tolerance = 2e-3 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(fit.W, want[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fit.H, want[1], rtol=tolerance, atol=tolerance)
    ends = [objective(loss, X, *f, penalties=penalties) for f in ((W, H), (fit.W, fit.H))]
    np.testing.assert_allclose(fit.history[[0, -1]], ends, rtol=20 * np.finfo(dtype).eps)
    assert fit.objective == fit.history[-1]


@ways
def test_many_blocks_are_their_twin(rng, loss, solver):
    """More samples than one block, more features than one block of rows."""
    X, W, H = instance(rng, 1100, 1300, 3)
    want = twin(loss, solver, X, W, H)
    fit = nmf(X, 3, loss=loss, solver=solver, W=W, H=H, max_iter=1)
    np.testing.assert_allclose(fit.W, want[0], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(fit.H, want[1], rtol=1e-10, atol=1e-13)
    assert fit.objective == pytest.approx(objective(loss, X, *want), rel=1e-12)


@pytest.mark.parametrize("penalties", PENALTIES)
def test_extrapolated_descent_is_its_twin(rng, penalties):
    """Long enough for the weight to grow, and for some iterations to be undone."""
    X, W, H = instance(rng)
    want = twin(SQUARE, "cd", X, W, H, penalties=penalties, iterations=25)
    weights = dict(zip(NAMES, penalties, strict=True))
    fit = nmf(X, 4, W=W, H=H, max_iter=25, tol=0, **weights)
    np.testing.assert_allclose(fit.W, want[0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.H, want[1], rtol=1e-7, atol=1e-9)


def test_an_iteration_that_leads_up_is_undone(monkeypatch, rng):
    """A weight far too large: every extrapolation is taken back, plain descent remains."""
    X, W, H = instance(rng)
    monkeypatch.setattr(extrapolation, "FIRST", 0.0)
    plain = nmf(X, 4, W=W, H=H, max_iter=6, tol=0)
    monkeypatch.setattr(extrapolation, "FIRST", 1e6)
    monkeypatch.setattr(extrapolation, "SHRINK", 1.0)
    wild = nmf(X, 4, W=W, H=H, max_iter=6, tol=0)
    assert np.array_equal(wild.W, plain.W) and np.array_equal(wild.history, plain.history)


def test_extrapolation_pays(mnist):
    X = (mnist["x_train"][:1000].reshape(1000, -1) / 255).T
    fits = []
    for first in (extrapolation.FIRST, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(extrapolation, "FIRST", first)
            fits.append(nmf(X, 20, max_iter=60, tol=0))
    reached = np.argmax(fits[0].history <= fits[1].objective)
    assert 0 < reached <= 40


def sklearn_fit(X, W, H, iterations, **options):
    """scikit-learn from the same start: its samples are rows, so its W is our H'."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        Ht, Wt, _ = non_negative_factorization(
            X.T, H.T.copy(), W.T.copy(), n_components=W.shape[1], init="custom", tol=0,
            max_iter=iterations, **options,
        )  # fmt: skip
    return Wt.T, Ht.T


@pytest.mark.parametrize("loss", [SQUARE, KL])
@pytest.mark.parametrize("iterations", [1, 2, 10, 60])
@pytest.mark.parametrize("l1, l2", [(0, 0), (0.3, 0), (0.1, 0.2)])
def test_mu_is_scikit_learns(rng, loss, iterations, l1, l2):
    if loss == KL and l2:
        pytest.skip("scikit-learn's step for KL with l2 is another one, not known to descend")
    X, W, H = instance(rng)
    m, N = X.shape
    ours = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, max_iter=iterations, tol=0,
               l1_W=N * l1, l1_H=m * l1, l2_W=N * l2, l2_H=m * l2)  # fmt: skip
    alpha = l1 + l2
    theirs = sklearn_fit(X, W, H, iterations, solver="mu", beta_loss=loss, alpha_W=alpha,
                         alpha_H=alpha, l1_ratio=l1 / alpha if alpha else 0)  # fmt: skip
    penalties = (N * l1, m * l1, N * l2, m * l2)
    assert ours.objective == pytest.approx(
        objective(loss, X, *theirs, penalties=penalties), rel=1e-9
    )


@pytest.mark.parametrize("iterations", [1, 5, 50])
def test_cd_with_single_epochs_is_scikit_learns(monkeypatch, rng, iterations):
    monkeypatch.setattr(frobenius, "EPOCHS_H", 1)
    monkeypatch.setattr(frobenius, "EPOCHS_W", 1)
    monkeypatch.setattr(extrapolation, "FIRST", 0.0)
    X, W, H = instance(rng)
    ours = nmf(X, 4, W=W, H=H, max_iter=iterations, tol=0)
    theirs = sklearn_fit(X, W, H, iterations, solver="cd")
    assert ours.objective == pytest.approx(objective(SQUARE, X, *theirs), rel=1e-9)


def test_cd_is_ahead_of_scikit_learn_on_digits(mnist, dtype):
    X = (mnist["x_train"][:1000].reshape(1000, -1) / 255).T
    Ht, Wt = _initialize_nmf(X.T, 20, init="nndsvda", random_state=0)
    ours = nmf(X.astype(dtype), 20, W=Wt.T, H=Ht.T, max_iter=20, tol=0)
    theirs = sklearn_fit(X, Wt.T, Ht.T, 20, solver="cd")
    assert objective(SQUARE, X, ours.W, ours.H) <= 1.001 * objective(SQUARE, X, *theirs)


# --- never uphill, and to where no step leads down -------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    way=st.sampled_from(WAYS),
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 14)),
    density=st.sampled_from([0.05, 0.5, 1.0]),
    penalties=st.tuples(*[st.sampled_from([0, 0, 1e-3, 0.3, 5.0])] * 4),
    masked=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_never_uphill(way, sizes, density, penalties, masked, seed):
    (loss, solver), (m, N, k), rng = way, sizes, np.random.default_rng(seed)
    X = rng.gamma(0.3, 10, (m, N)) * (rng.random((m, N)) < density)
    known = rng.random((m, N)) < 0.7 if masked else None
    options = dict(zip(NAMES, penalties, strict=True), loss=loss, solver=solver, mask=known)
    before = np.inf
    for iterations in (1, 2, 3, 8, 30):
        fit = nmf(X, k, random_state=seed, max_iter=iterations, tol=0, **options)
        assert np.all(np.isfinite(fit.W)) and np.all(np.isfinite(fit.H))
        assert np.all(fit.W >= 0) and np.all(fit.H >= 0)
        assert np.all(np.diff(fit.history) <= 0) and len(fit.history) == fit.n_iter + 1
        weight = 1.0 if known is None else known
        true = objective(loss, X, fit.W, fit.H, weight, penalties)
        scale = X.sum() if loss == KL else np.sum(X**2) / 2
        assert fit.objective == pytest.approx(true, rel=1e-10, abs=1e-13 * scale)
        assert true <= before * (1 + 1e-12) + 1e-15 * scale
        before = true


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_float32_goes_on_where_its_sums_end(seed):
    """The sums resolve 1e-7 of 1/2 ||X||^2, here 1e-5 of the objective; the entries 1e-7 of it."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.3, 1, (60, 8)) @ rng.gamma(0.3, 1, (8, 500)) + 0.5 * rng.random((60, 500))
    X = X.astype(np.float32)
    narrow, wide = (
        nmf(X.astype(dtype), 8, init="random", random_state=0, tol=0, max_iter=500)
        for dtype in (np.float32, np.float64)
    )
    assert objective(SQUARE, X, narrow.W, narrow.H) <= wide.objective * (1 + 1e-5)
    assert narrow.objective == pytest.approx(objective(SQUARE, X, narrow.W, narrow.H), rel=1e-6)
    assert np.all(np.diff(narrow.history) <= 0)


@ways
def test_the_end_is_a_stationary_point(rng, loss, solver):
    """Where an entry is positive its derivative is zero, elsewhere it is not negative."""
    X, W, H = instance(rng, 12, 30, 3)
    X += 0.1
    p = (0.2, 0.1, 0.1, 0.2)
    fit = nmf(X, 3, loss=loss, solver=solver, W=W, H=H, tol=0, max_iter=20000,
              **dict(zip(NAMES, p, strict=True)))  # fmt: skip
    Y = fit.W @ fit.H
    R = Y - X if loss == SQUARE else 1 - X / Y
    for F, g in (
        (fit.W, R @ fit.H.T + p[0] + p[2] * fit.W),
        (fit.H, fit.W.T @ R + p[1] + p[3] * fit.H),
    ):
        assert np.max(np.abs(np.minimum(F, g))) < 1e-4
        assert np.max(F * np.abs(g)) < 1e-4


@pytest.mark.parametrize("l1, l2", [(0.0, 0.0), (0.5, 0.1)])
def test_a_kept_dictionary_gives_the_certified_projection(dtype, rng, l1, l2):
    X, W, _ = instance(rng, dtype=dtype)
    fit = nmf(X, 4, W=W, update_W=False, l1_H=l1, l2_H=l2, tol=0, max_iter=500)
    best = fastcone.solve_nnls(W.astype(float), X.astype(float), l1=l1, l2=l2, tol=1e-12)
    assert np.array_equal(fit.W, W)
    assert fit.objective <= best.objective.sum() * (1 + 1e-6) and best.converged.all()


@pytest.mark.parametrize("loss", [SQUARE, KL])
def test_a_kept_dictionary_with_mu_reaches_the_convex_optimum(rng, loss):
    """Two starts agree, and a zero row of W does no harm."""
    X, W, H = instance(rng)
    W[5] = 0
    fits = [
        nmf(X, 4, loss=loss, solver="mu", W=W, H=start, update_W=False, tol=0, max_iter=5000)
        for start in (None, H)
    ]
    assert fits[0].objective == pytest.approx(fits[1].objective, rel=1e-6)
    assert np.array_equal(fits[0].W, W)


def test_a_start_of_zeros_does_not_lock_mu(rng):
    X, W, H = instance(rng)
    W[:, 0], H[1] = 0, 0
    for loss in (SQUARE, KL):
        fit = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, tol=0, max_iter=500)
        assert fit.W[:, 0].max() > 1e-3 and fit.H[1].max() > 1e-3
