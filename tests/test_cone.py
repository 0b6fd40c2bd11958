# SPDX-License-Identifier: BSD-3-Clause
"""The cone: its projection against scipy and against the conditions that define it."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize

from fastcone import Cone
from fastcone.operators import Blur, Compose, Dense, Downsample, Mask

RNG = np.random.default_rng(19)


def near_copies(m, d):
    """Generators that differ by one part in a thousand."""
    return RNG.random((m, 1)) + 1e-3 * RNG.random((m, d))


DICTIONARIES = {
    "orthant": np.eye(6),
    "one ray": RNG.random((9, 1)),
    "tall": RNG.random((40, 7)),
    "tall, sparse": RNG.random((40, 12)) * (RNG.random((40, 12)) < 0.3),
    "square": RNG.random((12, 12)),
    "more generators than entries": RNG.random((8, 20)),
    "a generator twice": np.repeat(RNG.random((20, 3)), 2, axis=1),
    "a zero generator": np.hstack([RNG.random((15, 3)), np.zeros((15, 1))]),
    "nothing but zeros": np.zeros((5, 2)),
    "near copies": near_copies(30, 4),
    "generators of very different lengths": RNG.random((20, 6)) * 10.0 ** np.arange(-6, 6, 2),
}

each_cone = pytest.mark.parametrize(
    "cone", [Cone(W) for W in DICTIONARIES.values()], ids=DICTIONARIES.keys()
)


def samples(cone, rng, n=12):
    """Samples with signs, around the cone, and far from it."""
    m, d = cone.W.shape
    inside = rng.random((n, d)) @ cone.W.T
    return np.vstack([inside + 0.3 * rng.normal(size=(n, m)), rng.normal(size=(n, m))])


def norms(V):
    return np.linalg.norm(V, axis=-1)


# --- the projection


@each_cone
def test_distance_is_that_of_scipy(cone, rng):
    V = samples(cone, rng)
    wanted = [scipy.optimize.nnls(cone.W, v)[1] for v in V]
    np.testing.assert_allclose(cone.distance(V), wanted, rtol=0, atol=1e-8 * norms(V).max())


@each_cone
def test_signal_is_that_of_scipy(cone, rng):
    V = samples(cone, rng)
    wanted = [cone.W @ scipy.optimize.nnls(cone.W, v)[0] for v in V]
    np.testing.assert_allclose(cone.project(V).signal, wanted, rtol=0, atol=1e-8 * norms(V).max())


@each_cone
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_exact_projection_lies_within_the_gap(cone, rng, dtype):
    V = samples(cone, rng).astype(dtype)
    exact = [cone.W @ scipy.optimize.nnls(cone.W, v)[0] for v in V.astype(float)]
    found = Cone(cone.W.astype(dtype)).project(V)
    bound = (np.sqrt(found.gap) + 100 * np.finfo(dtype).eps) * norms(V)
    assert np.all(norms(found.signal - exact) <= bound)
    assert np.all(found.gap <= (1e-12 if dtype == np.float64 else 1e-6))


@each_cone
@pytest.mark.parametrize("l1", [0.0, 0.2])
def test_optimality_conditions(cone, rng, l1):
    # With unit generators: g = W'(W h - v) + l1 >= 0, h >= 0, g_j h_j = 0.
    lengths = norms(cone.W.T)
    unit = Cone(cone.W / np.where(lengths > 0, lengths, 1))
    V = samples(unit, rng)
    found = unit.project(V, l1=l1)
    gradient = (found.signal - V) @ unit.W + l1
    size = norms(V).max()
    assert found.coef.min() >= 0 and found.gap.max() <= 1e-12
    assert gradient.min() >= -1e-6 * size
    assert np.abs(np.minimum(found.coef, gradient)).max() <= 1e-6 * size
    np.testing.assert_allclose(found.signal, found.coef @ unit.W.T, rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(found.distance, norms(found.signal - V), rtol=1e-12)


@each_cone
def test_projecting_twice_changes_nothing(cone, rng):
    V = samples(cone, rng)
    once = cone.project(V)
    again = cone.project(once.signal)
    size = norms(V).max()
    np.testing.assert_allclose(again.signal, once.signal, rtol=0, atol=1e-7 * size)
    np.testing.assert_allclose(again.distance, 0, atol=1e-7 * size)


@each_cone
@pytest.mark.parametrize("c", [0.0, 1e-12, 3.7, 1e9])
def test_projection_is_positively_homogeneous(cone, rng, c):
    V = samples(cone, rng)
    plain, scaled = cone.project(V), cone.project(c * V)
    atol = 1e-8 * c * norms(V).max()
    np.testing.assert_allclose(scaled.signal, c * plain.signal, rtol=0, atol=atol)
    np.testing.assert_allclose(scaled.distance, c * plain.distance, rtol=0, atol=atol)


@each_cone
def test_distance_is_1_lipschitz_and_convex(cone, rng):
    V = samples(cone, rng)
    first, second = V[:12], V[12:]
    a, b = cone.distance(first), cone.distance(second)
    rounding = 1e-9 * norms(V).max()
    assert np.all(np.abs(a - b) <= norms(first - second) + rounding)
    assert np.all(cone.distance((first + 2 * second) / 3) <= (a + 2 * b) / 3 + rounding)


@each_cone
def test_what_is_in_the_cone_stays(cone, rng):
    inside = rng.random((5, cone.W.shape[1])) @ cone.W.T
    inside = np.vstack([inside, cone.W.T, np.zeros((1, cone.W.shape[0]))])
    size = norms(inside)[:, None]
    np.testing.assert_allclose(cone.project(inside).signal, inside, rtol=0, atol=1e-7 * size.max())
    assert np.all(cone.distance(inside) <= 1e-7 * size.max())


def test_a_point_of_the_polar_cone_goes_to_zero():
    cone = Cone(DICTIONARIES["tall"])
    found = cone.project(-np.ones(40))
    assert not found.coef.any() and not found.signal.any()
    assert found.distance == pytest.approx(np.sqrt(40), rel=1e-15)


def test_l1_shrinks_the_sum_of_the_coefficients(rng):
    cone = Cone(DICTIONARIES["tall"])
    V = samples(cone, rng)
    sums = [cone.encode(V, l1=l1).sum(axis=1) for l1 in (0.0, 0.1, 1.0, 10.0)]
    assert all(np.all(larger >= smaller) for larger, smaller in pairwise(sums))
    v = np.array([3.0, 1.0])
    np.testing.assert_allclose(Cone(np.eye(2)).encode(v, l1=2.0), [1.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("name", ["tall", "more generators than entries", "a generator twice"])
@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_l1_loss_is_the_optimum_of_the_linear_program(name, rng, l1):
    cone = Cone(DICTIONARIES[name])
    m, d = cone.W.shape
    V = samples(cone, rng, n=3)
    found = cone.project(V, loss="l1", l1=l1)
    np.testing.assert_allclose(found.distance, np.abs(found.signal - V).sum(axis=1), rtol=1e-12)
    cost = np.r_[np.full(d, l1), np.ones(2 * m)]
    balance = np.hstack([cone.W, np.eye(m), -np.eye(m)])
    wanted = [scipy.optimize.linprog(cost, A_eq=balance, b_eq=v).fun for v in V]
    error = found.distance + l1 * found.coef.sum(axis=1) - wanted
    assert np.all(np.abs(error) <= 1e-6 * np.abs(V).sum(axis=1))


# --- forward operators and masks


FORWARD = {
    "mask": Mask(np.arange(48) % 3 > 0),
    "blur": Blur((6, 8), np.full((3, 3), 1 / 9)),
    "downsample": Downsample((6, 8), 2),
    "signed": Dense(RNG.normal(size=(30, 48))),
    "blur, then downsample": Compose(Downsample((6, 8), 2), Blur((6, 8), np.ones((3, 3)) / 9)),
}


@pytest.mark.parametrize("A", FORWARD.values(), ids=FORWARD.keys())
def test_forward_projects_on_the_cone_as_the_operator_sees_it(A, rng):
    cone = Cone(RNG.random((48, 5)))
    V = A.forward(samples(cone, rng))
    found = cone.project(V, forward=A)
    seen = A.apply_to(cone.W)
    wanted = [scipy.optimize.nnls(seen, v)[0] for v in V]
    size = norms(V).max()
    np.testing.assert_allclose(found.coef, wanted, rtol=0, atol=1e-6 * size)
    np.testing.assert_allclose(found.signal, found.coef @ cone.W.T, rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(found.distance, norms(A.forward(found.signal) - V), rtol=1e-10)


def test_a_mask_drops_entries_as_the_operator_does(rng):
    cone, known = Cone(DICTIONARIES["tall"]), np.arange(40) % 4 > 0
    V = samples(cone, rng)
    found = cone.project(V, mask=known)
    wanted = cone.project(V[:, known], forward=Mask(known))
    np.testing.assert_allclose(found.signal, wanted.signal, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.distance, wanted.distance, rtol=1e-12)
    np.testing.assert_allclose(found.distance, norms((found.signal - V)[:, known]), rtol=1e-12)


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_masks_per_sample_are_those_samples_alone(rng, loss):
    cone = Cone(DICTIONARIES["tall"])
    V = samples(cone, rng, n=4)
    patterns = rng.random((3, 40)) < 0.7
    known = patterns[[0, 1, 0, 2, 2, 0, 1, 0]]
    known[7] = True
    found = cone.project(V, mask=known, loss=loss)
    for k, v in enumerate(V):
        alone = cone.project(v, mask=known[k], loss=loss)
        np.testing.assert_allclose(found.signal[k], alone.signal, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.distance[k], alone.distance, rtol=1e-12)
        assert found.gap[k] == alone.gap


@pytest.mark.parametrize("loss", ["l2", "l1"])
@pytest.mark.parametrize("per_sample", [True, False])
@pytest.mark.parametrize("junk", [np.nan, 1e300, -7.0])
def test_unknown_entries_do_not_matter(rng, loss, per_sample, junk):
    cone = Cone(DICTIONARIES["tall"])
    V = samples(cone, rng, n=2)
    known = rng.random(V.shape if per_sample else 40) < 0.7
    spoiled = np.where(known, V, junk)
    plain, found = (cone.project(X, mask=known, loss=loss) for X in (V, spoiled))
    np.testing.assert_array_equal(found.signal, plain.signal)
    np.testing.assert_array_equal(found.distance, plain.distance)


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_a_sample_without_known_entries_is_zero(rng, loss):
    cone = Cone(DICTIONARIES["tall"])
    V = samples(cone, rng, n=1)
    known = np.ones(V.shape, bool)
    known[1] = False
    found = cone.project(V, mask=known, loss=loss)
    assert not found.signal[1].any() and found.distance[1] == found.gap[1] == 0
    wanted = cone.project(V[0], loss=loss).signal
    np.testing.assert_allclose(found.signal[0], wanted, rtol=0, atol=1e-12)


def test_a_mask_acts_on_the_data_of_the_operator(rng):
    cone, A = Cone(RNG.random((48, 5))), FORWARD["downsample"]
    V = A.forward(samples(cone, rng))
    known = np.arange(12) % 3 > 0
    found = cone.project(V, forward=A, mask=known)
    wanted = cone.project(V[:, known], forward=Compose(Mask(known), A))
    np.testing.assert_allclose(found.signal, wanted.signal, rtol=0, atol=1e-9)
