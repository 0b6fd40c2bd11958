# SPDX-License-Identifier: BSD-3-Clause
"""Samples drawn from a cone, and the audit that catches generators which copy or collapse."""

import numpy as np
import pytest
import scipy.stats
from fields import FIELDS

from fastcone import Cone
from fastcone.tasks import audit, interpolate, sample
from fastcone.tasks.audit import birthday

LINE = Cone(np.eye(2))


def codes_with_zeros(rng, n=4000):
    """Two dependent coefficients, a third of the first ones zero."""
    z = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], n)
    u = scipy.stats.norm.cdf(z)
    first = scipy.stats.gamma(2, scale=3).ppf(np.maximum(u[:, 0] - 1 / 3, 0) * 1.5)
    return np.column_stack([first, scipy.stats.gamma(5, scale=0.1).ppf(u[:, 1])])


def test_a_sample_has_the_margins_and_the_dependence_of_the_codes(rng):
    codes = codes_with_zeros(rng)
    drawn = sample(LINE, codes, 4000, random_state=1)
    assert np.mean(drawn[:, 0] == 0) == pytest.approx(1 / 3, abs=0.03)
    for j in range(2):
        got, want = drawn[drawn[:, j] > 0, j], codes[codes[:, j] > 0, j]
        assert scipy.stats.ks_2samp(got, want).statistic < 0.05
    rank = [scipy.stats.spearmanr(*pair.T).statistic for pair in (drawn, codes)]
    assert rank[0] == pytest.approx(rank[1], abs=0.05)


def test_generators_out_of_use_stay_so_and_constants_stay_constant(rng):
    codes = np.column_stack([np.zeros(50), np.full(50, 2.0), np.eye(50)[0], rng.random(50)])
    drawn = sample(Cone(np.eye(4)), codes, 300, random_state=0)
    assert not drawn[:, 0].any() and np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn[:, 1], 2, rtol=0.01)
    assert np.mean(drawn[:, 2] > 0) < 0.1


def test_a_seed_draws_the_same_and_float32_stays(rng):
    codes = rng.random((20, 2)).astype(np.float32)
    one, two, other = (sample(LINE, codes, 5, random_state=k) for k in (0, 0, 1))
    assert one.dtype == np.float32 and np.array_equal(one, two) and not np.array_equal(one, other)
    assert sample(LINE, codes, 0).shape == (0, 2)


def test_interpolation_is_straight_and_stays_in_the_cone(rng):
    cone = Cone(rng.random((9, 3)))
    a, b = rng.random((2, 9))
    way = interpolate(a, b, cone, 5)
    np.testing.assert_allclose(way[[0, -1]], cone.project(np.stack([a, b])).signal, atol=1e-10)
    np.testing.assert_allclose(np.diff(way, axis=0), np.tile(way[1] - way[0], (4, 1)), atol=1e-10)
    assert np.all(cone.distance(way) < 1e-7)


# --- audit


def test_nearest_are_those_of_plain_distances(rng):
    made, train, real = rng.random((7, 6)), rng.random((40, 6)), rng.random((20, 6))
    found = audit(made, 3 * train, real)
    unit = [A / np.linalg.norm(A, axis=1)[:, None] for A in (made, train)]
    distances = np.linalg.norm(unit[0][:, None] - unit[1], axis=2)
    np.testing.assert_array_equal(found.nearest, np.argsort(distances, axis=1)[:, :3])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :3], atol=1e-12)


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS.keys())
def test_real_samples_pass_and_copies_and_few_kinds_do_not(field, rng):
    train, real, new = (field(rng, 300)[0] for _ in range(3))
    fair = audit(new, train, real)
    assert fair.memorised < 0.06 and fair.p_distance > 0.001 and fair.p_told_apart > 0.001
    assert 0.4 < fair.told_apart < 0.6
    copied = audit(1.7 * train[rng.permutation(300)], train, real)
    assert copied.memorised == 1 and copied.p_distance < 1e-9
    few = audit(new[rng.integers(0, 40, 300)], train, real)
    assert few.support < 60 and few.support < 0.5 * fair.support
    strange = audit(rng.permuted(new, axis=1), train, real)
    assert strange.told_apart > 0.8 and strange.p_told_apart < 1e-9


def test_a_cone_draws_new_spectra(rng):
    """Of one material: the copula of its coefficients makes pixels, and copies none."""
    train, real = (X[y == 1] for X, y in (FIELDS["pixels"](rng, 900), FIELDS["pixels"](rng, 900)))
    cone = Cone.fit(train, 3, random_state=0)
    clean = cone.project(train).signal, cone.project(real).signal
    found = audit(sample(cone, cone.encode(train), 300, random_state=0), *clean)
    assert found.memorised < 0.05 and found.support > 1500
    assert found.told_apart < 0.7  # shares of materials are bounded, gammas are not
    raw = audit(sample(cone, cone.encode(train), 300, random_state=0), train, real)
    assert raw.memorised > 0.3  # without noise nearer to all: like was not compared with like


def test_birthdays(rng):
    """23 people: more than one chance in two; 494 others: 74 %; the estimate finds the year."""
    days = rng.integers(0, 365, (4000, 494))
    assert np.mean([len(set(some)) < 23 for some in days[:, :23].tolist()]) > 0.5 - 0.02
    assert np.mean((days == 0).any(axis=1)) == pytest.approx(1 - (364 / 365) ** 494, abs=0.02)
    counts = np.bincount(days[:, :23].ravel()[:3000])
    pairs = int((counts * (counts - 1) // 2).sum())
    assert birthday(3000, pairs) == pytest.approx(365, rel=0.05)
    assert birthday(10, 0) == np.inf


A = np.eye(3)
BAD_INPUT = {
    "no cone": (lambda: sample(A, A, 1), TypeError, "cone"),
    "codes of another rank": (lambda: sample(LINE, A, 1), ValueError, "codes"),
    "one code": (lambda: sample(LINE, [[1.0, 2.0]], 1), ValueError, "codes"),
    "negative codes": (lambda: sample(LINE, [[1.0, -2.0]] * 3, 1), ValueError, "codes"),
    "n negative": (lambda: sample(LINE, A[:, :2], -1), ValueError, "n"),
    "one step": (lambda: interpolate([1, 2], [2, 1], LINE, 1), ValueError, "n"),
    "b NaN": (lambda: interpolate([1, 2], [2, np.nan], LINE, 2), ValueError, "b"),
    "a matrix": (lambda: interpolate(A, [2, 1], LINE, 2), ValueError, "a"),
    "one sample": (lambda: audit(A[:1], A, A), ValueError, "samples"),
    "train of two": (lambda: audit(A, A[:2], A), ValueError, "train"),
    "real of other length": (lambda: audit(A, A, A[:, :2]), ValueError, "real"),
    "level 1": (lambda: audit(A, A, A, level=1), ValueError, "level"),
    "level 0": (lambda: audit(A, A, A, level=0), ValueError, "level"),
    "one person": (lambda: birthday(1, 0), ValueError, "n"),
}


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}\b"):
        call()
