# SPDX-License-Identifier: BSD-3-Clause
"""Every beta-divergence, masks and weights: equal to their twins, and bounds that do descend."""

import warnings

import numpy as np
import pytest
from factorisations import BETA, KL, LOSSES, NAMES, PENALTIES, SQUARE, instance, objective, twin
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

from fastcone import Cone, nmf

losses = pytest.mark.parametrize("loss", LOSSES, ids=str)

# --- divergences -----------------------------------------------------------------------------


@losses
@pytest.mark.parametrize("penalties", PENALTIES)
def test_an_iteration_is_its_twin(level, dtype, rng, loss, penalties):
    X, W, H = instance(rng, dtype=dtype, loss=loss)
    want = [a.astype(float) for a in (W, H)]
    for _ in range(3):
        want = twin(loss, "mu", X.astype(float), *want, penalties=penalties)
    weights = dict(zip(NAMES, penalties, strict=True))
    fit = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, max_iter=3, tol=0, **weights)
    tolerance = 1e-3 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(fit.W, want[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fit.H, want[1], rtol=tolerance, atol=tolerance)
    ends = [objective(loss, X, *f, penalties=penalties) for f in ((W, H), (fit.W, fit.H))]
    np.testing.assert_allclose(fit.history[[0, -1]], ends, rtol=50 * np.finfo(dtype).eps)


@losses
@pytest.mark.parametrize("penalties", PENALTIES)
def test_the_bounds_descend_without_the_guard(rng, loss, penalties):
    """Every iteration of the twin lowers the objective: the steps are minimisers of true bounds."""
    X, W, H = instance(rng, 9, 14, 3, loss=loss)
    H *= 30  # far from the data
    before = objective(loss, X, W, H, penalties=penalties)
    for _ in range(60):
        W, H = twin(loss, "mu", X, W, H, penalties=penalties)
        after = objective(loss, X, W, H, penalties=penalties)
        assert after <= before * (1 + 1e-12)
        before = after


@losses
def test_history_is_the_objective_and_never_rises(dtype, rng, loss):
    X, W, H = instance(rng, dtype=dtype, loss=loss)
    fit = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, tol=0, max_iter=300)
    assert np.all(np.diff(fit.history) <= 0)
    assert fit.n_iter == 300 or dtype == np.float32  # the guard has nothing to do in float64
    eps = float(np.finfo(dtype).eps)
    true = objective(loss, X, fit.W, fit.H)
    scale = np.sum(X.astype(float) ** max(BETA.get(loss, loss), 0))
    assert fit.objective == pytest.approx(true, rel=50 * eps, abs=eps * scale)


@pytest.mark.parametrize("loss", [KL, "itakura-saito", 0.5, 1.5, 3.0, -1.0], ids=str)
def test_mu_is_scikit_learns(rng, loss):
    X, W, H = instance(rng, loss=loss)
    X += 0.01
    ours = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, max_iter=20, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        Ht, Wt, _ = non_negative_factorization(
            X.T, H.T.copy(), W.T.copy(), n_components=4, init="custom", solver="mu", tol=0,
            beta_loss=loss, max_iter=20,
        )  # fmt: skip
    assert ours.objective == pytest.approx(objective(loss, X, Wt.T, Ht.T), rel=1e-9)


@pytest.mark.parametrize("name, beta", BETA.items())
def test_a_name_stands_for_its_exponent(rng, name, beta):
    X, W, H = instance(rng, loss=name)
    named, counted = (
        nmf(X, 4, loss=loss, solver="mu", W=W, H=H, max_iter=5, tol=0) for loss in (name, beta)
    )
    assert np.array_equal(named.W, counted.W) and named.objective == counted.objective


@losses
def test_threads_change_no_bit(dtype, rng, loss):
    X = (rng.random((60, 1300)) + 0.1).astype(dtype)
    fits = [
        nmf(X, 6, loss=loss, solver="mu", random_state=0, max_iter=3, n_threads=n) for n in (1, 3)
    ]
    assert np.array_equal(fits[0].W, fits[1].W) and np.array_equal(fits[0].H, fits[1].H)
    assert np.array_equal(fits[0].history, fits[1].history)


@pytest.mark.parametrize("loss", [1.0, 0.5, 1.5, 0.0], ids=str)
def test_penalties_follow_the_scale(rng, loss):
    """Scaled data with penalties scaled alike have the same digits, whatever beta."""
    X, W, H = instance(rng, loss=loss)
    fits = []
    for p in (40, 80):  # both beyond the comfortable range
        up = 2.0 ** (loss * p)
        fits.append(
            nmf(np.ldexp(X, p), 4, loss=loss, solver="mu", W=np.ldexp(W, p), H=H, max_iter=20,
                l1_H=0.1 * up, l2_W=0.2 * up / 4.0**p, tol=0)
        )  # fmt: skip
    np.testing.assert_allclose(fits[0].H, fits[1].H, rtol=1e-9)
    assert fits[1].objective == pytest.approx(fits[0].objective * 2.0 ** (40 * loss), rel=1e-9)


# --- masks -----------------------------------------------------------------------------------

MASKED = [(SQUARE, "cd"), *((loss, "mu") for loss in (SQUARE, KL, "itakura-saito", 0.5, 3.0))]
masked_losses = pytest.mark.parametrize("loss, solver", MASKED, ids=str)


@masked_losses
def test_masked_iterations_are_their_twin(level, dtype, rng, loss, solver):
    X, W, H = instance(rng, dtype=dtype, loss=loss)
    known = rng.random(X.shape) < 0.6
    known[3], known[:, 7] = False, False
    want = [a.astype(float) for a in (W, H)]
    want = twin(loss, solver, X.astype(float), *want, known=known, iterations=3)
    fit = nmf(X, 4, loss=loss, solver=solver, W=W, H=H, mask=known, max_iter=3, tol=0)
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    for ours, theirs in zip((fit.W, fit.H), want, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    true = objective(loss, X, fit.W, fit.H, known)
    assert fit.objective == pytest.approx(true, rel=20 * float(np.finfo(dtype).eps))


@masked_losses
def test_a_mask_of_all_entries_changes_nothing(rng, loss, solver):
    X, W, H = instance(rng, loss=loss)
    options = {"loss": loss, "solver": solver, "W": W, "H": H, "max_iter": 20, "tol": 0}
    plain, masked = nmf(X, 4, **options), nmf(X, 4, mask=np.ones(X.shape, bool), **options)
    np.testing.assert_allclose(masked.W, plain.W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(masked.history, plain.history, rtol=1e-12)


@masked_losses
@pytest.mark.parametrize("junk", [np.nan, np.inf, -1.0, 1e300])
def test_masked_entries_are_never_read(rng, loss, solver, junk):
    X = instance(rng, loss=loss)[0]
    known = rng.random(X.shape) < 0.6
    options = {"loss": loss, "solver": solver, "mask": known, "random_state": 0, "max_iter": 10}
    clean, dirty = (nmf(np.where(known, X, fill), 4, **options) for fill in (0.0, junk))
    assert np.array_equal(clean.W, dirty.W) and np.array_equal(clean.H, dirty.H)
    assert np.array_equal(clean.history, dirty.history)


@masked_losses
def test_missing_entries_are_recovered(rng, loss, solver):
    X = (rng.random((30, 2)) + 0.1) @ (rng.random((2, 50)) + 0.1)
    known = rng.random(X.shape) < 0.7
    fit = nmf(np.where(known, X, np.nan), 2, loss=loss, solver=solver, mask=known, random_state=0,
              tol=0, max_iter=5000)  # fmt: skip
    assert np.max(np.abs(fit.W @ fit.H - X)[~known]) < 1e-2


# --- weights ---------------------------------------------------------------------------------


@masked_losses
def test_weighted_iterations_are_their_twin(level, dtype, rng, loss, solver):
    X, W, H = instance(rng, dtype=dtype, loss=loss)
    weights = (rng.gamma(1, 1, X.shape) * (rng.random(X.shape) < 0.8)).astype(dtype)
    want = [a.astype(float) for a in (W, H)]
    want = twin(loss, solver, X.astype(float), *want, known=weights.astype(float), iterations=3)
    dirty = np.where(weights > 0, X, np.nan)  # entries of no weight are never read
    fit = nmf(dirty, 4, loss=loss, solver=solver, W=W, H=H, weights=weights, max_iter=3, tol=0)
    tolerance = 1e-3 if dtype == np.float32 else 1e-10
    for ours, theirs in zip((fit.W, fit.H), want, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    true = objective(loss, X, fit.W, fit.H, weights.astype(float))
    assert fit.objective == pytest.approx(true, rel=50 * float(np.finfo(dtype).eps))


@masked_losses
def test_weights_of_zero_and_one_are_a_mask(rng, loss, solver):
    X, W, H = instance(rng, loss=loss)
    known = rng.random(X.shape) < 0.7
    options = {"loss": loss, "solver": solver, "W": W, "H": H, "max_iter": 10, "tol": 0}
    masked, weighted, both = (
        nmf(X, 4, **options, **chosen)
        for chosen in (
            {"mask": known},
            {"weights": known.astype(float)},
            {"mask": known, "weights": np.ones(X.shape)},
        )
    )
    for other in (weighted, both):
        if solver == "mu":
            assert np.array_equal(masked.W, other.W) and np.array_equal(masked.H, other.H)
        else:  # filled in by a copy, or by a difference that is rounded
            np.testing.assert_allclose(masked.W, other.W, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [SQUARE, KL, "itakura-saito", 0.5, 3.0], ids=str)
def test_a_whole_weight_is_a_repeated_sample(rng, loss):
    X, W, H = instance(rng, loss=loss)
    times = rng.integers(1, 4, X.shape[1])
    weights = np.broadcast_to(times.astype(float), X.shape)
    options = {"loss": loss, "solver": "mu", "W": W, "max_iter": 10, "tol": 0}
    weighted = nmf(X, 4, H=H, weights=weights, **options)
    repeated = nmf(np.repeat(X, times, axis=1), 4, H=np.repeat(H, times, axis=1), **options)
    np.testing.assert_allclose(weighted.W, repeated.W, rtol=1e-9)
    np.testing.assert_allclose(weighted.history, repeated.history, rtol=1e-11)


@pytest.mark.parametrize("power", [-300, 300])
def test_weights_of_any_size(dtype, rng, power):
    """Also float64 weights beyond float32, of float32 data."""
    X, W, H = instance(rng, dtype=dtype)
    weights = rng.random(X.shape).astype(dtype).astype(float)
    options = {"solver": "mu", "W": W, "H": H, "max_iter": 10, "tol": 0}
    plain = nmf(X, 4, weights=weights, **options)
    sized = nmf(X, 4, weights=np.ldexp(weights, power), **options)
    np.testing.assert_allclose(sized.W, plain.W, rtol=4e-5 if dtype == np.float32 else 1e-12)
    rel = 1e-6 if dtype == np.float32 else 1e-12
    assert sized.objective == pytest.approx(np.ldexp(plain.objective, power), rel=rel)


def test_weights_with_penalties_descend(rng):
    X, W, H = instance(rng)
    weights = rng.random(X.shape)
    for loss in (SQUARE, KL, 1.5):
        fit = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, weights=weights, l1_H=0.3, l2_W=0.2,
                  tol=0, max_iter=100)  # fmt: skip
        assert fit.n_iter == 100 and np.all(np.diff(fit.history) <= 0)


def test_a_cone_of_weighted_samples(rng):
    X, weights = instance(rng)[0], rng.random((23, 41))
    weights[:, :5] = 0
    want = nmf(X, 4, weights=weights, random_state=0, max_iter=5)
    X[:, :5] = np.nan
    cone = Cone.fit(X.T, 4, weights=weights.T, random_state=0, max_iter=5)
    assert np.array_equal(cone.W, want.W)
    with pytest.raises(ValueError, match=r"^weights\b"):
        Cone.fit(X.T, 4, weights=weights)
    X[2, 30] = -1  # of feature 2 in sample 30, told as the caller counts
    with pytest.raises(ValueError, match=r"^X holds -1.0 at \(30, 2\)"):
        Cone.fit(X.T, 4, weights=weights.T)


@pytest.mark.parametrize("junk", [0.0, np.nan])
def test_nan_means_missing(rng, junk):
    X = instance(rng)[0]
    known = rng.random(X.shape) < 0.7
    holes = np.where(known, X, np.nan)
    named = nmf(holes, 4, mask="nan", random_state=0, max_iter=9)
    masked = nmf(np.where(known, X, junk), 4, mask=known, random_state=0, max_iter=9)
    assert np.array_equal(named.W, masked.W) and np.array_equal(named.history, masked.history)
    cone = Cone.fit(holes.T, 4, mask="nan", random_state=0, max_iter=9)
    assert np.array_equal(cone.W, named.W)
    found, want = cone.project(holes.T, mask="nan"), cone.project(holes.T, mask=known.T)
    assert np.array_equal(found.signal, want.signal)
    assert np.array_equal(cone.distance(holes.T, mask="nan"), want.distance)
    for call in (nmf, lambda X, k, **o: Cone.fit(X.T, k, **o)):
        with pytest.raises(ValueError, match=r"^mask must be one of 'nan'"):
            call(X, 4, mask="missing")
    with pytest.raises(ValueError, match=r"^mask must be one of 'nan'"):
        cone.project(X.T, mask="missing")


def test_coordinate_descent_with_holes_is_far_ahead(rng):
    """Of the objective that mu has after 300 iterations cd needs a twentieth of them."""
    X = rng.random((60, 5)) @ rng.random((5, 300)) + 0.02 * rng.random((60, 300))
    options = {
        "mask": rng.random(X.shape) < 0.8,
        "W": rng.random((60, 5)),
        "H": rng.random((5, 300)),
    }
    mu = nmf(X, 5, solver="mu", max_iter=300, tol=0, **options)
    cd = nmf(X, 5, max_iter=300, tol=0, **options)
    assert np.all(np.diff(cd.history) <= 0)
    assert np.argmax(cd.history <= mu.objective) <= 30


def test_short_names_and_the_solver_that_serves_a_loss(rng):
    X = rng.random((12, 30)) + 0.1
    options = {"random_state": 0, "max_iter": 5}
    for short, name in (("kl", KL), ("is", "itakura-saito")):
        fits = [nmf(X, 3, loss=loss, **options) for loss in (short, name)]
        assert np.array_equal(fits[0].W, fits[1].W)
    plain, named = nmf(X, 3, **options), nmf(X, 3, solver="cd", **options)
    assert np.array_equal(plain.W, named.W)
    seeded = [nmf(X, 3, random_state=np.random.RandomState(5), init="random") for _ in range(2)]
    assert np.array_equal(seeded[0].W, seeded[1].W)
