# SPDX-License-Identifier: BSD-3-Clause
"""Data that are not what they say: saturation, gross errors, nuisance; and arguments refused."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from fastcone import Cone
from fastcone.cone import Prior
from fastcone.cone.em import Spoilt, below, trust, unclipped
from fastcone.cone.whitened import Whitened
from fastcone.operators import Blur

M, RANK = 40, 4
EDGES = np.linspace(0, 1, M)


def bumps():
    """Smooth generators: signals that a few entries determine."""
    centres = np.linspace(0.1, 0.9, RANK)
    return np.exp(-(((EDGES[:, None] - centres) / 0.15) ** 2))


def made(rng, n=300, residual=0.02):
    """A cone whose prior is the truth, and signals drawn from it."""
    W = bumps()
    mean, covariance = np.full(RANK, 1.0), 0.1 * np.eye(RANK)
    prior = Prior(mean, covariance, np.zeros((M, 1)), np.full(M, residual**2))
    H = np.maximum(rng.multivariate_normal(mean, covariance, n), 0)
    return Cone(W, prior=prior), H @ W.T + residual * rng.normal(size=(n, M))


def error(found, U):
    return float(np.sqrt(np.mean((found - U) ** 2)))


# --- saturated entries


@pytest.mark.parametrize("mean", [-40.0, -3.0, 0.0, 0.5, 8.0, 60.0])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 7.0])
def test_the_mean_beyond_a_bound_is_that_of_a_truncated_normal(mean, sigma):
    a = (0.3 - mean) / sigma
    found = below(0.3, np.array([mean]), sigma)[0]
    if a > -30:  # scipy's own loses its digits beyond
        assert found == pytest.approx(truncnorm(-np.inf, a, mean, sigma).mean(), rel=1e-7, abs=1e-9)
    else:  # E[x | x <= bound] ~ bound - sigma / |a|, to the next term
        assert found == pytest.approx(0.3 + sigma / a, abs=2.1 * sigma / abs(a) ** 3)
    rows = np.array([[0.3, 5.0]])
    seen = np.array([[mean, 10.0 - mean]])
    both = unclipped(rows, seen, rows <= 0.3, rows >= 5.0, (0.3, 5.0), sigma)
    assert both[0, 0] == found
    upper = -below(-5.0, np.array([mean - 10.0]), sigma)[0]
    assert both[0, 1] == upper >= 5.0


def test_rounds_of_em_never_make_the_data_less_likely(rng):
    cone, U = made(rng, 20)
    sigma = 0.1
    V = np.clip(U + sigma * rng.normal(size=U.shape), None, 1.0)
    view, high = Whitened(cone.W, cone.prior, None, None, sigma, None), V >= 1.0
    R, S = cone.prior.residual, cone.prior.covariance

    def unlikely(found):
        # -2 log p(v, h, r): values where they are values, mass beyond the bound elsewhere
        r = found.signal - found.coef @ cone.W.T
        odd = found.coef - cone.prior.mean
        miss = np.where(high, 0, (V - found.signal) / sigma) ** 2
        mass = np.where(high, norm.logsf((1.0 - found.signal) / sigma), 0)
        prior = np.einsum("ni,ni->n", odd @ np.linalg.inv(S), odd)
        return miss.sum(1) - 2 * mass.sum(1) + prior + ((r @ np.linalg.inv(R)) * r).sum(1)

    found = view.fit(V)
    values = [unlikely(found)]
    for _ in range(12):
        found = view.fit(unclipped(V, found.seen, V <= -9, high, (-9, 1.0), sigma))
        values.append(unlikely(found))
    for before, after in pairwise(values):
        assert np.all(after <= before + 1e-8)
    assert np.all(values[-1] < values[0])


def test_saturated_peaks_come_back(rng):
    cone, U = made(rng)
    V = np.clip(U + 0.03 * rng.normal(size=U.shape), None, 0.8)
    assert (V >= 0.8).mean() > 0.3
    plain, bounds = (cone.project(V, noise=0.03, clip=c) for c in (None, (-10.0, 0.8)))
    assert error(bounds.signal, U) < 0.5 * error(plain.signal, U)
    np.testing.assert_array_equal(bounds.trust, V < 0.8)


def test_bounds_that_no_entry_reaches_change_nothing(rng):
    cone, U = made(rng, 9)
    one, two = (cone.project(U, noise=0.1, clip=c) for c in (None, (-50.0, 50.0)))
    np.testing.assert_array_equal(one.signal, two.signal)


def test_a_sample_does_not_depend_on_its_neighbours(rng):
    cone, U = made(rng, 30)
    V = np.clip(U, 0.2, 1.0)
    for options in ({"clip": (0.2, 1.0)}, {"outliers": 0.1}):
        together = cone.project(V, noise=0.1, **options)
        alone = cone.project(V[7], noise=0.1, **options)
        np.testing.assert_array_equal(alone.signal, together.signal[7])


# --- gross errors


def test_the_posterior_is_bayes(rng):
    v, p = rng.normal(size=(2, 5, 3))
    width = np.full((5, 1), 2.0)
    good, gross = 0.8 * norm.pdf(v, p, 0.5), 0.2 / width
    np.testing.assert_allclose(trust(v, p, 0.5, 0.2, width), good / (good + gross))


def test_gross_errors_are_found_and_forgiven(rng):
    cone, U = made(rng)
    hit = rng.random(U.shape) < 0.15
    V = np.where(hit, rng.uniform(-3, 3, U.shape), U + 0.05 * rng.normal(size=U.shape))
    plain, robust = (cone.project(V, noise=0.05, outliers=s) for s in (0.0, 0.15))
    assert error(robust.signal, U) < 0.25 * error(plain.signal, U)
    assert robust.trust[~hit].mean() > 0.95 and robust.trust[hit].mean() < 0.2
    assert np.all(plain.trust == 1)


def test_with_bounds_only_entries_at_the_bounds_are_suspects(rng):
    cone, U = made(rng)
    U = np.clip(U, 0.01, 1.99)
    hit = rng.random(U.shape) < 0.2
    V = np.where(hit, 2.0 * rng.integers(0, 2, U.shape), U)
    found = cone.project(V, noise=0.1, clip=(0.0, 2.0), outliers=0.2, keep="data")
    assert np.all(found.trust[~hit] == 1)
    np.testing.assert_array_equal(found.signal[~hit], U[~hit])
    assert error(found.signal, U) < 0.1 * error(V, U)


# --- nuisance


def wave(phase):
    return 0.5 + 0.3 * np.sin(9 * EDGES + phase[:, None])


WAVES = np.stack([np.ones(M), np.sin(9 * EDGES), np.cos(9 * EDGES)], axis=1)


def test_nuisance_is_the_limit_of_a_wide_covariance(rng):
    cone, U = made(rng, 8)
    V = U + wave(rng.uniform(0, 6, 8)) + 0.05 * rng.normal(size=U.shape)
    found = cone.project(V, noise=0.05, nuisance=WAVES)
    wide = np.hstack([cone.prior.factor, 1e3 * WAVES])
    prior = Prior(cone.prior.mean, cone.prior.covariance, wide, cone.prior.diagonal)
    limit = Cone(cone.W, prior=prior).project(V, noise=0.05)
    np.testing.assert_allclose(found.coef, limit.coef, atol=1e-5)
    # the wide answer holds the nuisance as part of the signal
    np.testing.assert_allclose(found.signal + found.nuisance, limit.signal, atol=1e-4)


def test_any_amount_of_nuisance_leaves_the_signal_alone(rng):
    cone, U = made(rng, 8)
    V = U + 0.05 * rng.normal(size=U.shape)
    amounts = rng.normal(size=(8, 3))
    one = cone.project(V, noise=0.05, nuisance=WAVES)
    two = cone.project(V + amounts @ WAVES.T, noise=0.05, nuisance=WAVES)
    np.testing.assert_allclose(two.signal, one.signal, atol=1e-9)
    np.testing.assert_allclose(two.nuisance - one.nuisance, amounts @ WAVES.T, atol=1e-9)
    np.testing.assert_allclose(two.energy, one.energy, atol=1e-6)
    twice = cone.project(V, noise=0.05, nuisance=np.hstack([WAVES, WAVES]))  # dependent columns
    np.testing.assert_allclose(twice.signal, one.signal, atol=1e-9)
    np.testing.assert_allclose(twice.nuisance, one.nuisance, atol=1e-9)


def test_subtraction_keeps_what_the_cone_does_not_know(rng):
    cone, U = made(rng, residual=0.1)
    V = U + wave(rng.uniform(0, 6, len(U)))
    found = cone.project(V, noise=0.05, nuisance=WAVES)
    data = cone.project(V, noise=0.05, nuisance=WAVES, keep="data")
    np.testing.assert_allclose(data.signal, V - found.nuisance, atol=1e-12)
    cut = cone.project(np.minimum(V, 1.2), noise=0.05, nuisance=WAVES, keep="data", clip=(-9, 1.2))
    assert error(data.signal, U) < error(found.signal, U)
    assert np.all(cut.signal[V < 1.2] == (np.minimum(V, 1.2) - cut.nuisance)[V < 1.2])


def test_nuisance_is_told_for_unknown_entries_too(rng):
    cone, U = made(rng, 8)
    phase = rng.uniform(0, 6, 8)
    known = np.arange(M) % 3 > 0
    found = cone.project(U + wave(phase), noise=0.02, mask=known, nuisance=WAVES)
    assert error(found.nuisance, wave(phase)) < 0.1


# --- refused by name

CONE, SAMPLES = made(np.random.default_rng(5), 3)
BLUR = Blur((M,), [0.25, 0.5, 0.25])

REFUSED = {
    "noise zero": ({"noise": 0.0}, ValueError, "noise"),
    "noise negative": ({"noise": -1.0}, ValueError, "noise"),
    "noise infinite": ({"noise": np.inf}, ValueError, "noise"),
    "noise an array": ({"noise": np.ones(3)}, TypeError, "noise"),
    "noise a word": ({"noise": "guess"}, ValueError, "noise"),
    "clip reversed": ({"noise": 1.0, "clip": (1.0, 0.0)}, ValueError, "clip"),
    "clip a number": ({"noise": 1.0, "clip": 1.0}, TypeError, "clip"),
    "clip of three": ({"noise": 1.0, "clip": (0, 1, 2)}, ValueError, "clip"),
    "clip NaN": ({"noise": 1.0, "clip": (0, np.nan)}, ValueError, "clip"),
    "outliers negative": ({"noise": 1.0, "outliers": -0.1}, ValueError, "outliers"),
    "outliers all": ({"noise": 1.0, "outliers": 1.0}, ValueError, "outliers"),
    "nuisance a vector": ({"noise": 1.0, "nuisance": np.ones(M)}, ValueError, "nuisance"),
    "nuisance too short": ({"noise": 1.0, "nuisance": np.ones((3, 1))}, ValueError, "nuisance"),
    "nuisance with NaN": (
        {"noise": 1.0, "nuisance": np.full((M, 1), np.nan)},
        ValueError,
        "nuisance",
    ),
    "keep a word": ({"noise": 1.0, "keep": "both"}, ValueError, "keep"),
    "keep through an operator": (
        {"noise": 1.0, "keep": "data", "forward": BLUR},
        ValueError,
        "keep",
    ),
    "clip without noise": ({"clip": (0.0, 1.0)}, ValueError, "clip wants noise"),
    "outliers without noise": ({"outliers": 0.1}, ValueError, "outliers wants noise"),
    "nuisance without noise": ({"nuisance": WAVES}, ValueError, "nuisance wants noise"),
    "keep without noise": ({"keep": "data"}, ValueError, "keep wants noise"),
    "l1 with noise": ({"noise": 1.0, "l1": 0.1}, ValueError, "noise wants .* l1=0"),
    "1-norm with noise": ({"noise": 1.0, "loss": "l1"}, ValueError, "noise wants loss='l2'"),
    "estimate with clip": ({"noise": "estimate", "clip": (0, 1)}, ValueError, "noise='estimate'"),
    "estimate with a mask each": (
        {"noise": "estimate", "mask": np.ones(SAMPLES.shape, bool)},
        ValueError,
        "noise='estimate'",
    ),
}


@pytest.mark.parametrize("options, error, message", REFUSED.values(), ids=REFUSED.keys())
def test_bad_options_are_refused_by_name(options, error, message):
    for call in (CONE.project, CONE.encode, CONE.distance):
        with pytest.raises(error, match=message):
            call(SAMPLES, **options)


def test_samples_that_tell_no_level_are_refused():
    for V in (np.zeros((3, M)), np.zeros((0, M))):
        with pytest.raises(ValueError, match="noise='estimate' wants samples"):
            CONE.project(V, noise="estimate")


def test_energy_wants_noise():
    with pytest.raises(ValueError, match="noise must be"):
        CONE.energy(SAMPLES)


PRIORS = {
    "mean with NaN": (([np.nan], [[1.0]], np.zeros((2, 1)), np.zeros(2)), "mean"),
    "covariance of another rank": (([1.0], np.eye(2), np.zeros((2, 1)), np.zeros(2)), "covariance"),
    "covariance not symmetric": (
        ([1.0, 1.0], [[1.0, 0.5], [0.0, 1.0]], np.zeros((2, 1)), np.zeros(2)),
        "covariance must be symmetric",
    ),
    "covariance with no inverse": (
        ([1.0, 1.0], np.ones((2, 2)), np.zeros((2, 1)), np.zeros(2)),
        "covariance must be positive definite",
    ),
    "diagonal negative": (([1.0], [[1.0]], np.zeros((2, 1)), [-1.0, 0.0]), "diagonal"),
    "diagonal too long": (([1.0], [[1.0]], np.zeros((2, 1)), np.zeros(3)), "diagonal"),
    "factor a vector": (([1.0], [[1.0]], np.zeros(2), np.zeros(2)), "factor"),
}


@pytest.mark.parametrize("arrays, name", PRIORS.values(), ids=PRIORS.keys())
def test_bad_priors_are_refused_by_name(arrays, name):
    with pytest.raises(ValueError, match=name):
        Prior(*arrays)


def test_a_prior_of_another_cone_is_refused():
    with pytest.raises(ValueError, match="prior must be of a dictionary of shape"):
        Cone(np.eye(3), prior=CONE.prior)
    with pytest.raises(TypeError, match=r"prior must be a fastcone\.cone\.Prior"):
        Cone(np.eye(3), prior=np.eye(3))


def test_spoilt_says_what_was_asked():
    assert Spoilt.checked((0, 1), 0.25) == Spoilt((0.0, 1.0), 0.25)
