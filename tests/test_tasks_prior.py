# SPDX-License-Identifier: BSD-3-Clause
"""Restorations by the prior: the likeliest cone, blends, curves, data kept, mixtures parted."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from fastcone import Cone
from fastcone.cone import Prior
from fastcone.operators import Blur, Downsample
from fastcone.tasks import Curve, deblur, denoise, inpaint, separate, super_resolve

M = 24
GRID = np.linspace(0, 1, M)
BLUR, DOWN = Blur((M,), [0.25, 0.5, 0.25]), Downsample((M,), 2)
KNOWN = np.arange(M) % 4 > 0


def kind(centres):
    W = np.exp(-(((GRID[:, None] - np.array(centres)) / 0.1) ** 2))
    prior = Prior(np.ones(2), 0.1 * np.eye(2), np.zeros((M, 1)), np.full(M, 1e-4))
    return Cone(W, prior=prior)


CONES = {"low": kind([0.2, 0.4]), "high": kind([0.6, 0.8])}


def drawn(rng, label, n=40):
    return np.maximum(1 + 0.3 * rng.normal(size=(n, 2)), 0) @ CONES[label].W.T


CALLS = {
    "denoise": (lambda U: U, lambda V, c, **o: denoise(V, c, **o)),
    "inpaint": (lambda U: U, lambda V, c, **o: inpaint(V, c, KNOWN, copy_back=False, **o)),
    "deblur": (BLUR.forward, lambda V, c, **o: deblur(V, c, BLUR, **o)),
    "super_resolve": (DOWN.forward, lambda V, c, **o: super_resolve(V, c, DOWN, **o)),
}
each_call = pytest.mark.parametrize("see, call", CALLS.values(), ids=CALLS.keys())


@each_call
def test_a_single_cone_answers_as_project_does(see, call, rng):
    cone, V = CONES["low"], see(drawn(rng, "low"))
    options = {"denoise": {}, "inpaint": {"mask": KNOWN}, "deblur": {"forward": BLUR}}
    name = next(n for n, pair in CALLS.items() if pair[1] is call)
    wanted = cone.project(V, noise=0.1, **options.get(name, {"forward": DOWN}))
    found = call(V, cone, noise=0.1)
    np.testing.assert_array_equal(found.signal, wanted.signal)
    assert found.labels is None


@each_call
def test_the_likeliest_cone_is_taken(see, call, rng):
    for label in CONES:
        U = drawn(rng, label)
        V = see(U) + 0.1 * rng.normal(size=see(U).shape)
        found = call(V, CONES, noise=0.1)
        assert np.mean(found.labels == label) > 0.9
        assert np.sqrt(np.mean((found.signal - U) ** 2)) < 0.1


def test_a_blend_is_the_mean_by_likelihood(rng):
    V = drawn(rng, "low", 6) + drawn(rng, "high", 6)
    each = [cone.project(V, noise=1.0) for cone in CONES.values()]
    E = np.array([p.energy for p in each])
    weight = 1 / (1 + np.exp((E[0] - E[1]) / (2 * 5.0)))  # of the first
    wanted = weight[:, None] * each[0].signal + (1 - weight[:, None]) * each[1].signal
    found = denoise(V, CONES, noise=1.0, blend=5.0)
    np.testing.assert_allclose(found.signal, wanted, atol=1e-12)
    sharp = denoise(V, CONES, noise=1.0, blend=1e-9)
    np.testing.assert_array_equal(sharp.signal, denoise(V, CONES, noise=1.0).signal)


def test_of_several_cones_the_smallest_level_is_the_data_s(rng):
    V = drawn(rng, "low", 300) + 0.1 * rng.normal(size=(300, M))
    found, told = (denoise(V, CONES, noise=n).signal for n in ("estimate", 0.1))
    assert CONES["low"].project(V, noise="estimate").noise == pytest.approx(0.1, rel=0.1)
    assert np.sqrt(np.mean((found - told) ** 2)) < 0.01


def test_a_curve_comes_before_data_are_kept(rng):
    U = drawn(rng, "low")
    curve = Curve(np.array([0.0, 1.0]), np.array([5.0, 6.0]))
    found = inpaint(U, CONES, KNOWN, noise=0.1, curve=curve)
    np.testing.assert_array_equal(found.signal[:, KNOWN], U[:, KNOWN])
    assert found.signal[:, ~KNOWN].min() >= 5
    plain = denoise(U, CONES, curve=curve)
    np.testing.assert_array_equal(plain.signal, curve(denoise(U, CONES).signal))
    V = U + 3.0
    less = denoise(V, CONES, noise=0.1, nuisance=np.ones((M, 1)), keep="data", curve=curve)
    np.testing.assert_allclose(less.signal, V - less.nuisance)


def test_mixtures_are_parted_by_the_priors(rng):
    wide = {k: kind(c) for k, c in (("low", [0.3, 0.5]), ("high", [0.4, 0.7]))}
    parts = {k: np.maximum(1 + 0.3 * rng.normal(size=(60, 2)), 0) @ c.W.T for k, c in wide.items()}
    V = sum(parts.values()) + 0.5 * rng.normal(size=(60, M))

    def error(found):
        return np.sqrt(np.mean([(found.signals[k] - parts[k]) ** 2 for k in wide]))

    known = separate(V, wide, noise=0.5, wiener=False)
    assert error(known) < 0.7 * error(separate(V, wide, wiener=False))
    # with no sign at work the parts are the Gaussian means, given the sum
    each = [(c.W @ c.prior.mean, c.W @ c.prior.covariance @ c.W.T + c.prior.residual) for c in
            wide.values()]  # fmt: skip
    gain = np.linalg.inv(sum(C for _, C in each) + 0.05**2 * np.eye(M))
    together = np.array([1.0, 1.0, 1.0, 1.0]) @ np.hstack([c.W for c in wide.values()]).T
    one = together + 0.02 * rng.normal(size=M)
    found = separate(one, wide, noise=0.05, wiener=False)
    for (mean, C), part in zip(each, found.signals.values(), strict=True):
        wanted = mean + C @ gain @ (one - sum(m for m, _ in each))
        np.testing.assert_allclose(part, wanted, atol=1e-8)
    shared = separate(V, wide, noise=0.5)
    np.testing.assert_allclose(sum(shared.signals.values()), V, atol=1e-12)


def test_a_curve_is_the_isotonic_regression(rng):
    x = rng.normal(size=300)
    y = x**3 + rng.normal(size=300)
    curve = Curve.fit(x.reshape(30, 10), y.reshape(30, 10))
    order = np.argsort(x)
    np.testing.assert_allclose(curve(x[order]), isotonic_regression(y[order]).x, atol=1e-12)
    fine = np.linspace(-9, 9, 1000)
    assert np.all(np.diff(curve(fine)) >= 0)
    assert curve(fine.astype(np.float32)).dtype == np.float32
    many = rng.random(50_000)
    np.testing.assert_allclose(Curve.fit(many, many**2)(fine[500:]), np.clip(fine[500:], 0, 1) ** 2,
                               atol=3e-3)  # fmt: skip


REFUSED = {
    "blend without noise": (
        lambda V: denoise(V, CONES, blend=1.0),
        ValueError,
        "blend wants noise",
    ),
    "blend negative": (lambda V: denoise(V, CONES, noise=1.0, blend=-1.0), ValueError, "blend"),
    "curve a function": (lambda V: denoise(V, CONES, curve=np.sqrt), TypeError, "curve must be"),
    "curve of parts": (lambda V: separate(V, CONES, curve=np.sqrt), TypeError, "curve must be"),
    "keep a word": (lambda V: denoise(V, CONES, noise=1.0, keep="all"), ValueError, "keep"),
    "keep through an operator": (
        lambda V: deblur(V, CONES, BLUR, noise=1.0, keep="data"),
        ValueError,
        "keep='data' wants no forward operator",
    ),
    "a cone without a prior": (
        lambda V: separate(V, {**CONES, "bare": Cone(np.ones((M, 1)))}, noise=1.0),
        ValueError,
        r"found none in cones\['bare'\]",
    ),
    "curve of two shapes": (lambda V: Curve.fit(V, V[:1]), ValueError, "truth"),
    "curve of nothing": (lambda V: Curve.fit([], []), ValueError, "restored"),
}


@pytest.mark.parametrize("call, error, message", REFUSED.values(), ids=REFUSED.keys())
def test_bad_options_are_refused_by_name(call, error, message, rng):
    with pytest.raises(error, match=message):
        call(drawn(rng, "low", 3))
