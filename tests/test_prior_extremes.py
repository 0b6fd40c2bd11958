# SPDX-License-Identifier: BSD-3-Clause
"""The prior where numbers end: tiny noise, tall operators, flat samples, copies, draws."""

import copy
import pickle

import numpy as np
import pytest

from fastcone import Cone, tasks
from fastcone.cone import Prior
from fastcone.cone.noise import Formed, Split

M, RANK = 24, 3


def made(residual):
    """A cone with a prior of a given residual, and 5 of its signals."""
    rng = np.random.default_rng(0)
    W, H = rng.random((M, RANK)), rng.gamma(4.0, 0.5, (5, RANK))
    factor, diagonal = residual(rng)
    return Cone(W, prior=Prior(np.full(RANK, 2.0), np.eye(RANK), factor, diagonal)), H @ W.T


def nothing(rng):
    return np.zeros((M, 1)), np.zeros(M)


def low_rank(rng):
    return rng.random((M, 2)), np.zeros(M)


def full(rng):
    return 0.1 * rng.random((M, 2)), np.full(M, 0.01)


@pytest.mark.parametrize("noise", [1e-140, 1e-30, 1e-12, 1e-9, 1e-6])
@pytest.mark.parametrize("residual", [nothing, low_rank, full])
def test_noise_below_the_rounding_of_the_covariance_is_still_noise(residual, noise):
    """Optics without noise, a residual of few directions: Q had no Cholesky factor."""
    cone, U = made(residual)
    found = cone.project(U, noise=noise)
    assert np.isfinite(found.energy).all()
    np.testing.assert_allclose(found.signal, U, rtol=1e-6)


@pytest.mark.parametrize("noise", [1e-6, 0.1, 10.0])
def test_data_of_more_entries_than_the_signal_need_no_covariance_of_their_size(noise):
    """Tomography: more rays than pixels. The thin root gives what the formed one gives."""
    cone, U = made(full)
    A = np.random.default_rng(1).random((5 * M, M))
    found = cone.project(U @ A.T, forward=A, noise=noise)
    # by hand: the normal equations of h and r together, where no sign is at work
    L = np.linalg.cholesky(np.linalg.inv(cone.prior.covariance)).T
    R = np.linalg.cholesky(np.linalg.inv(cone.prior.residual)).T
    rows = [[A @ cone.W / noise, A / noise], [L, np.zeros((RANK, M))], [np.zeros((M, RANK)), R]]
    for v, signal in zip(U @ A.T, found.signal, strict=True):
        right = np.concatenate([v / noise, L @ cone.prior.mean, np.zeros(M)])
        x = np.linalg.lstsq(np.block(rows), right, rcond=None)[0]
        if (x[:RANK] > 0).all():
            np.testing.assert_allclose(signal, cone.W @ x[:RANK] + x[RANK:], rtol=1e-5)
    exact = cone.project(U @ A.T, forward=A, noise=1e-8)
    assert np.isfinite(exact.energy).all()
    np.testing.assert_allclose(exact.signal, U, rtol=1e-6)


def test_thin_and_formed_covariances_have_one_determinant():
    cone, _ = made(full)
    thin = Split(cone.prior.root, np.zeros(M), None, None, 0.3)
    assert thin.log_det == pytest.approx(Formed(cone.prior, None, None, 0.3).log_det, rel=1e-12)


@pytest.mark.parametrize("noise", [1e-200, 1e200])
def test_noise_whose_square_is_no_number_is_refused(noise):
    cone, U = made(full)
    with pytest.raises(ValueError, match="noise must lie within"):
        cone.project(U, noise=noise)


def test_a_flat_sample_is_not_all_outliers():
    """A range of 0 made every entry gross, a density without bounds; so did a single entry."""
    cone = Cone(np.ones((M, 1)), prior=Prior([2.0], [[1.0]], np.zeros((M, 1)), np.full(M, 1e-4)))
    found = cone.project(np.full(M, 3.0), noise=0.1, outliers=0.05)
    assert found.trust.min() > 0.5
    np.testing.assert_allclose(found.signal, 3.0, atol=0.05)
    one = cone.project(np.full(M, 3.0), mask=np.arange(M) == 2, noise=0.1, outliers=0.05)
    assert one.trust[2] > 0.5 and abs(one.signal[2] - 3) < 0.1


@pytest.mark.parametrize(("clip", "both"), [((None, 4.0), (-1e9, 4.0)), ((2.0, None), (2.0, 1e9))])
def test_a_detector_may_saturate_on_one_side_only(clip, both):
    cone, U = made(full)
    V = np.clip(U, 2.0, 4.0)
    one, two = cone.project(V, noise=0.1, clip=clip), cone.project(V, noise=0.1, clip=both)
    np.testing.assert_array_equal(one.signal, two.signal)
    assert 0 < (one.trust == 0).mean() < 1
    spoilt = cone.project(V, noise=0.1, clip=clip, outliers=0.1)
    assert np.isfinite(spoilt.signal).all()


def test_arrays_as_options_are_refused_by_name():
    cone, U = made(full)
    with pytest.raises(TypeError, match="outliers must be"):
        cone.project(U, outliers=np.ones(2))
    with pytest.raises(TypeError, match="noise must be"):
        tasks.denoise(U, {0: cone, 1: cone}, noise=np.ones(2))


def test_numbers_out_of_range_are_not_told_to_the_callers_errstate():
    cone, U = made(full)
    with np.errstate(all="raise"):
        cone.project(1e155 * U, noise=0.1, outliers=0.1)
        tasks.denoise(U, {0: cone, 1: Cone(cone.W[:, :1], prior=Prior([1.0], [[1.0]], *full(
            np.random.default_rng(2))))}, noise=1e-3, blend=1e-320)  # fmt: skip


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_copy_is_as_read_only_as_the_cone(copied):
    """What is prepared is keyed by no content: a writable W would be answered from the old one."""
    cone, U = made(full)
    other = copied(cone)
    for array in (other.W, other.prior.mean, other.prior.covariance, other.prior.diagonal):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    same = [c.project(U, noise=0.1).signal for c in (cone, other)]
    np.testing.assert_array_equal(*same)


class TestSample:
    def test_draws_have_the_moments_of_the_prior(self):
        mean, deviation = np.array([2.0, 1.0, 0.5]), np.array([1.0, 0.5, 0.2])
        C = np.array([[1.0, 0.7, -0.3], [0.7, 1.0, 0.0], [-0.3, 0.0, 1.0]])
        prior = Prior(mean, C * np.outer(deviation, deviation), np.zeros((3, 1)), np.zeros(3))
        H = Cone(np.eye(3), prior=prior).sample(20_000, random_state=0)
        np.testing.assert_allclose(H.mean(axis=0), mean, rtol=0.02)
        np.testing.assert_allclose(H.std(axis=0), deviation, rtol=0.03)
        # a copula's correlations are those of the scores: those of the draws are a little smaller
        np.testing.assert_allclose(np.corrcoef(H.T), C, atol=0.06)

    def test_a_generator_that_is_not_used_stays_unused(self):
        prior = Prior([0.0, -1.0, 1.0], np.eye(3), np.zeros((3, 1)), np.zeros(3))
        H = Cone(np.eye(3), prior=prior).sample(50, random_state=0)
        assert not H[:, :2].any() and (H[:, 2] >= 0).all() and H[:, 2].any()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_fitted_cone_draws_in_its_own_cone_and_dtype(self, dtype):
        X = (np.random.default_rng(0).gamma(2.0, 1.0, (90, 3)) @ made(full)[0].W.T).astype(dtype)
        cone = Cone.fit(X, 3, random_state=0, max_iter=30, tol=0)
        U = cone.sample(40, random_state=1)
        assert U.shape == (40, M) and U.dtype == dtype
        assert cone.distance(U).max() < 1e-3 * np.linalg.norm(U, axis=1).max()
        np.testing.assert_array_equal(U, cone.sample(40, np.random.default_rng(1)))
        assert cone.sample(0).shape == (0, M)

    def test_refusals(self):
        cone, _ = made(full)
        with pytest.raises(ValueError, match="sample wants a cone with a prior, found none"):
            Cone(cone.W).sample(3)
        with pytest.raises(ValueError, match="n must be"):
            cone.sample(-1)
        with pytest.raises(TypeError, match="random_state must be"):
            cone.sample(1, "x")
