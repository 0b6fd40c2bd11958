# SPDX-License-Identifier: BSD-3-Clause
"""The prior: the most probable projection against scipy, its limits, its energy, what it learns."""

import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from scipy.stats import multivariate_normal

from fastcone import Cone
from fastcone.cone import Prior, learn
from fastcone.cone.noise import Formed, Split
from fastcone.operators import Blur, Compose, Dense, Downsample, Mask

M, RANK = 24, 5


def random_prior(rng, m=M, rank=RANK, residual=0.1):
    root = rng.normal(size=(rank, rank)) / 2
    covariance = root @ root.T + 0.05 * np.eye(rank)
    factor = residual * rng.normal(size=(m, 4))
    return Prior(rng.random(rank), covariance, factor, residual**2 * rng.random(m))


def random_cone(rng, m=M, rank=RANK, residual=0.1):
    return Cone(rng.random((m, rank)), prior=random_prior(rng, m, rank, residual))


def samples(cone, rng, n=9):
    m, rank = cone.W.shape
    return rng.random((n, rank)) @ cone.W.T + 0.3 * rng.normal(size=(n, m))


def parts(cone, forward, known, sigma):
    """A W, A R and Q of what is known, by plain matrix products."""
    A = np.eye(M) if forward is None else forward.apply_to(np.eye(M))
    A = A if known is None else A[known]
    R = cone.prior.residual
    return A, A @ cone.W, A @ R @ A.T + sigma**2 * np.eye(len(A))


FORWARD = {
    "none": None,
    "blur": Blur((4, 6), np.full((3, 3), 1 / 9)),
    "downsample": Downsample((4, 6), 2),
    "mask": Mask(np.arange(M) % 3 > 0),
    "signed": Dense(np.random.default_rng(3).normal(size=(10, M))),
    "two": Compose(Downsample((4, 6), 2), Blur((4, 6), np.ones((3, 3)) / 9)),
}
each_forward = pytest.mark.parametrize("forward", FORWARD.values(), ids=FORWARD.keys())


# --- the projection


@each_forward
@pytest.mark.parametrize("sigma", [0.01, 0.3, 10.0])
def test_coefficients_are_those_of_scipy_on_stacked_rows(forward, sigma, rng):
    cone = random_cone(rng)
    V = samples(cone, rng) if forward is None else forward.forward(samples(cone, rng))
    A, seen, Q = parts(cone, forward, None, sigma)
    root = np.linalg.inv(np.linalg.cholesky(Q))
    L = np.linalg.inv(np.linalg.cholesky(cone.prior.covariance))
    stacked = np.vstack([root @ seen, L])
    found = cone.project(V, forward=forward, noise=sigma)
    for v, h, u in zip(V, found.coef, found.signal, strict=True):
        wanted = scipy.optimize.nnls(stacked, np.r_[root @ v, L @ cone.prior.mean])[0]
        np.testing.assert_allclose(h, wanted, rtol=0, atol=1e-8)
        step = cone.prior.residual @ A.T @ np.linalg.solve(Q, v - seen @ wanted)
        np.testing.assert_allclose(u, cone.W @ wanted + step, rtol=0, atol=1e-7)
    assert found.gap.max() <= 1e-10


def test_signal_is_the_most_probable_one_that_a_general_optimiser_finds(rng):
    # min over h >= 0 and r of |A(W h + r) - v|^2 / sigma^2 + (h-mu)'S^-1(h-mu) + r'R^-1 r
    cone, sigma = random_cone(rng), 0.2
    prior, A = cone.prior, FORWARD["blur"].apply_to(np.eye(M))
    v = FORWARD["blur"].forward(samples(cone, rng, 1))[0]
    inverse_S, inverse_R = np.linalg.inv(prior.covariance), np.linalg.inv(prior.residual)

    def objective(x):
        h, r = x[:RANK], x[RANK:]
        miss, odd = A @ (cone.W @ h + r) - v, h - prior.mean
        value = miss @ miss / sigma**2 + odd @ inverse_S @ odd + r @ inverse_R @ r
        back = 2 * A.T @ miss / sigma**2
        return value, np.r_[cone.W.T @ back + 2 * inverse_S @ odd, back + 2 * inverse_R @ r]

    found = cone.project(v, forward=FORWARD["blur"], noise=sigma)
    start = np.r_[found.coef, found.signal - cone.W @ found.coef]
    value, gradient = objective(start)
    active = found.coef == 0
    assert np.abs(gradient[RANK:]).max() < 1e-6 * value  # no sign on r
    assert np.abs(gradient[:RANK][~active]).max(initial=0) < 1e-6 * value
    assert gradient[:RANK][active].min(initial=0) > -1e-6 * value
    bounds = [(0, None)] * RANK + [(None, None)] * M
    other = scipy.optimize.minimize(
        objective, np.r_[np.ones(RANK), np.zeros(M)], jac=True, bounds=bounds, method="L-BFGS-B",
        options={"maxiter": 20000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    assert value <= other.fun * (1 + 1e-9)
    u = cone.W @ other.x[:RANK] + other.x[RANK:]
    np.testing.assert_allclose(found.signal, u, atol=1e-3)


@each_forward
def test_without_a_sign_at_work_it_is_the_wiener_filter(forward, rng):
    cone, sigma = random_cone(rng), 0.3
    far = Prior(np.full(RANK, 50.0), cone.prior.covariance, cone.prior.factor, cone.prior.diagonal)
    cone = Cone(cone.W, prior=far)
    U = far.mean @ cone.W.T + rng.normal(size=(6, M))
    V = U if forward is None else forward.forward(U)
    A, _, _ = parts(cone, forward, None, sigma)
    C = cone.W @ far.covariance @ cone.W.T + far.residual
    total = A @ C @ A.T + sigma**2 * np.eye(len(A))
    mean = cone.W @ far.mean
    wiener = mean + (V - A @ mean) @ np.linalg.solve(total, A @ C)
    found = cone.project(V, forward=forward, noise=sigma)
    assert found.coef.min() > 0
    np.testing.assert_allclose(found.signal, wiener, atol=1e-8)
    wanted = -2 * multivariate_normal(A @ mean, total).logpdf(V)
    np.testing.assert_allclose(found.energy, wanted, rtol=1e-9)


def test_without_residual_and_noise_it_is_the_plain_projection(rng):
    W = rng.random((M, RANK))
    plain = Prior(np.zeros(RANK), np.eye(RANK), np.zeros((M, 1)), np.zeros(M))
    cone = Cone(W, prior=plain)
    V = samples(cone, rng)
    found = cone.project(V, noise=1e-5)
    np.testing.assert_allclose(found.signal, cone.project(V).signal, atol=1e-7)


def test_a_prior_that_knows_nothing_leaves_nnls_on_whitened_rows(rng):
    W = rng.random((M, RANK))
    vague = Prior(np.ones(RANK), 1e8 * np.eye(RANK), np.zeros((M, 1)), np.zeros(M))
    cone = Cone(W, prior=vague)
    V = samples(cone, rng)
    found = cone.project(V, noise=0.5)
    np.testing.assert_allclose(found.coef, cone.encode(V), atol=1e-6)


def test_lengths_of_the_generators_do_not_matter(rng):
    cone = random_cone(rng)
    length = 10.0 ** rng.uniform(-3, 3, RANK)
    other = Cone(cone.W * length, prior=cone.prior.rescaled(1 / length))
    V = samples(cone, rng)
    one, two = (c.project(V, noise=0.2) for c in (cone, other))
    np.testing.assert_allclose(two.signal, one.signal, atol=1e-9)
    np.testing.assert_allclose(two.energy, one.energy, atol=1e-7)
    unit = other.unit()
    np.testing.assert_allclose(np.linalg.norm(unit.W, axis=0), 1)
    np.testing.assert_allclose(unit.project(V, noise=0.2).signal, one.signal, atol=1e-9)


@pytest.mark.parametrize("known", [np.arange(M) % 4 > 0, None], ids=["one mask", "a mask each"])
def test_masks_are_operators(known, rng):
    cone = random_cone(rng)
    V = samples(cone, rng)
    if known is None:
        known = rng.random(V.shape) < 0.7
        known[2] = known[0]
    found = cone.project(np.where(known, V, np.nan), mask=known, noise=0.2)
    for i, seen in enumerate(np.broadcast_to(known, V.shape)):
        wanted = cone.project(V[i, seen], forward=Mask(seen), noise=0.2)
        np.testing.assert_allclose(found.signal[i], wanted.signal, atol=1e-9)
        np.testing.assert_allclose(found.energy[i], wanted.energy, rtol=1e-9)
        np.testing.assert_array_equal(found.trust[i], seen)


def test_where_nothing_is_known_the_mean_is_returned(rng):
    cone = random_cone(rng)
    found = cone.project(np.full((2, M), np.nan), mask="nan", noise=1.0)
    np.testing.assert_allclose(found.signal, np.tile(cone.W @ cone.prior.mean, (2, 1)))


@pytest.mark.parametrize("name", ["none", "downsample", "mask"])
@pytest.mark.parametrize("masked", [False, True])
def test_the_split_covariance_is_the_formed_one(name, masked, rng, monkeypatch):
    cone, forward = random_cone(rng), FORWARD[name]
    V = samples(cone, rng) if forward is None else forward.forward(samples(cone, rng))
    options = {"forward": forward, "mask": np.arange(V.shape[1]) % 3 > 0 if masked else None}
    formed = cone.project(V, noise=0.1, nuisance=np.ones((V.shape[1], 1)), **options)
    monkeypatch.setattr("fastcone.cone.noise.DENSE", 1)
    split = Cone(cone.W, prior=cone.prior).project(
        V, noise=0.1, nuisance=np.ones((V.shape[1], 1)), **options
    )
    for field in ("signal", "coef", "energy", "nuisance"):
        np.testing.assert_allclose(getattr(split, field), getattr(formed, field), atol=1e-8)
    assert Formed is not Split


def test_long_signals_through_a_mixing_operator_are_refused(rng, monkeypatch):
    monkeypatch.setattr("fastcone.cone.noise.DENSE", 1)
    cone = random_cone(rng)
    with pytest.raises(ValueError, match="noise wants a forward operator that mixes no entries"):
        cone.project(np.ones(M), forward=FORWARD["blur"], noise=0.1)


def test_float32_cubes_views_and_single_samples(rng):
    cone = random_cone(rng)
    V = samples(cone, rng, 12)
    found = cone.project(V, noise=0.2)
    small = cone.project(V.astype(np.float32).reshape(3, 4, M), noise=0.2)
    assert small.signal.dtype == np.float32 and small.signal.shape == (3, 4, M)
    assert small.energy.shape == (3, 4)
    np.testing.assert_allclose(small.signal.reshape(12, M), found.signal, atol=1e-5)
    one = cone.project(V[3], noise=0.2)
    np.testing.assert_array_equal(one.signal, found.signal[3])
    assert one.energy.shape == ()
    view = cone.through(FORWARD["blur"])
    seen = FORWARD["blur"].forward(V)
    wanted = cone.project(seen, forward=FORWARD["blur"], noise=0.2)
    np.testing.assert_array_equal(view.project(seen, noise=0.2).signal, wanted.signal)
    np.testing.assert_array_equal(view.energy(seen, noise=0.2), wanted.energy)
    np.testing.assert_array_equal(cone.encode(V, noise=0.2), found.coef)
    np.testing.assert_array_equal(cone.distance(V, noise=0.2), found.distance)
    miss = np.linalg.norm(found.coef @ cone.W.T - V, axis=1)
    np.testing.assert_allclose(found.distance, miss)


def test_same_bits_for_any_number_of_threads(rng, monkeypatch):
    cone = random_cone(rng, 60, 12)
    V = samples(cone, rng, 700)
    found = []
    for count in ("1", "2"):
        monkeypatch.setenv("FASTCONE_NUM_THREADS", count)
        fresh = Cone(cone.W, prior=cone.prior)
        found.append(fresh.project(V, noise=0.1, clip=(0.0, 1.0), nuisance=np.ones((60, 1))))
    for field in ("signal", "coef", "energy", "nuisance", "trust"):
        np.testing.assert_array_equal(getattr(found[0], field), getattr(found[1], field))


# --- noise="estimate"


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("name", ["none", "blur"])
def test_the_noise_is_found_where_the_model_holds(sigma, name, rng):
    cone, forward = random_cone(rng, residual=0.02), FORWARD[name]
    prior = cone.prior
    H = np.maximum(rng.multivariate_normal(prior.mean + 3, prior.covariance, 400), 0)
    prior = Prior(prior.mean + 3, prior.covariance, prior.factor, prior.diagonal)
    cone = Cone(cone.W, prior=prior)
    U = H @ cone.W.T + rng.multivariate_normal(np.zeros(M), prior.residual, 400)
    V = (U if forward is None else forward.forward(U)) + sigma * rng.normal(size=(400, M))
    found = cone.project(V, forward=forward, noise="estimate")
    assert found.noise == pytest.approx(sigma, rel=0.1)
    np.testing.assert_array_equal(
        found.signal, cone.project(V, forward=forward, noise=found.noise).signal
    )


# --- what fit learns


def mixtures(rng, n=400, m=30, rank=4):
    W = rng.random((m, rank))
    return np.maximum(rng.gamma(2.0, 1.0, (n, rank)) @ W.T + 0.05 * rng.normal(size=(n, m)), 0)


def test_fit_keeps_the_moments_of_its_codes(rng):
    X = mixtures(rng)
    cone = Cone.fit(X, 4, random_state=0)
    codes = cone.encode(X)
    np.testing.assert_allclose(cone.prior.mean, codes.mean(axis=0), rtol=1e-5)
    spread = np.sqrt(np.diag(cone.prior.covariance))
    np.testing.assert_allclose(spread, codes.std(axis=0), rtol=2e-2)
    left = X - codes @ cone.W.T
    R = cone.prior.residual
    assert np.trace(R) == pytest.approx((left**2).sum() / len(X), rel=1e-4)
    np.testing.assert_allclose(R, left.T @ left / len(X), atol=0.1 * np.trace(R) / len(R))


@pytest.mark.parametrize("form", ["sparse", "float32", "memmap", "frame order"])
def test_every_form_of_data_teaches_the_same(form, rng, tmp_path):
    X = mixtures(rng)
    given = {
        "sparse": lambda: sp.csc_array(X),
        "float32": lambda: X.astype(np.float32),
        "frame order": lambda: np.asfortranarray(X),
        "memmap": lambda: np.load(tmp_path / "x.npy", mmap_mode="r"),
    }
    np.save(tmp_path / "x.npy", X)
    one, two = (Cone.fit(x, 4, random_state=0, max_iter=20, tol=0) for x in (X, given[form]()))
    tolerance = 1e-2 if form == "float32" else 1e-6
    for name in ("mean", "covariance", "diagonal"):
        a, b = getattr(one.prior, name), getattr(two.prior, name)
        np.testing.assert_allclose(b, a, atol=tolerance * np.abs(a).max())


def test_only_samples_that_are_known_as_a_whole_teach(rng):
    X = mixtures(rng)
    holes = X.copy()
    holes[::2, 3] = np.nan
    cone = Cone.fit(holes, 4, mask="nan", random_state=0)
    codes = cone.encode(X[1::2])
    np.testing.assert_allclose(cone.prior.mean, codes.mean(axis=0), rtol=1e-5)
    assert Cone.fit(holes[::2], 4, mask="nan", random_state=0, max_iter=3, tol=0).prior is None


@pytest.mark.parametrize("X", [np.ones((5, 4)), np.zeros((3, 4)), np.ones((1, 4))])
def test_samples_that_are_all_alike_teach_nothing(X):
    cone = Cone.fit(X, 1, random_state=0, max_iter=3, tol=0)
    with pytest.raises(ValueError, match="noise wants a cone with a prior, found none"):
        cone.project(np.ones(4), noise=0.1)


def test_many_samples_are_looked_at_in_part(rng, monkeypatch):
    monkeypatch.setattr(learn, "SAMPLES", 100)
    X = mixtures(rng, 1000)
    cone = Cone.fit(X, 4, random_state=0)
    codes = cone.encode(X)
    np.testing.assert_allclose(cone.prior.mean, codes.mean(axis=0), rtol=0.3)
    chosen = np.linspace(0, 999, 100).astype(int)
    np.testing.assert_allclose(cone.prior.mean, codes[chosen].mean(axis=0), rtol=1e-5)


def test_long_samples_keep_the_largest_part_of_the_residual(rng, monkeypatch):
    monkeypatch.setattr(learn, "EXACT", 10)
    monkeypatch.setattr(learn, "SKETCH", 3)
    directions = rng.normal(size=(40, 3))
    moments = learn.Moments(40)
    rows = rng.normal(size=(500, 3)) @ directions.T
    moments.add(rows[:200])
    moments.add(rows[200:])
    factor, diagonal = moments.covariance(500)
    wanted = rows.T @ rows / 500
    shared = learn.SHARE * np.trace(wanted) / 40
    R = factor @ factor.T + np.diag(diagonal)
    np.testing.assert_allclose(R, 0.95 * wanted + shared * np.eye(40), atol=1e-8 * shared)
    assert factor.shape == (40, 3)


def test_shrinkage_is_chosen_by_codes_held_out(rng):
    few = rng.normal(size=(12, 10))
    shared = rng.normal(size=(4000, 1)) + 0.1 * rng.normal(size=(4000, 10))

    def off(covariance):
        scale = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(scale, scale)
        return np.abs(correlation[~np.eye(len(scale), dtype=bool)]).max()

    assert off(learn.shrunk(few)) < 0.3  # chance correlations of twelve codes are not believed
    assert off(learn.shrunk(shared)) > 0.95


# --- the file


def test_the_prior_is_in_the_file_and_in_pickles(rng, tmp_path):
    cone = Cone.fit(mixtures(rng), 4, random_state=0)
    cone.save(tmp_path / "cone")
    V = mixtures(rng, 5)
    for other in (Cone.load(tmp_path / "cone"), pickle.loads(pickle.dumps(cone))):
        wanted = cone.project(V, noise=0.1).signal
        np.testing.assert_array_equal(other.project(V, noise=0.1).signal, wanted)


def test_a_file_without_a_prior_loads_and_says_so_when_asked(tmp_path):
    Cone([[1.0], [2.0]]).save(tmp_path / "old")
    cone = Cone.load(tmp_path / "old")
    assert cone.prior is None
    with pytest.raises(ValueError, match="noise wants a cone with a prior, found none"):
        cone.project([1.0, 2.0], noise=0.1)
