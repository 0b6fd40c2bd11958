# SPDX-License-Identifier: BSD-3-Clause
"""Tasks on real digits: what the cone must reach there."""

import numpy as np
import pytest
import scipy.optimize

from fastcone import Cone
from fastcone.tasks import LocalCones, audit, classify, denoise, sample, separate, shifts


@pytest.fixture(scope="module")
def digits(mnist):
    """Cones of all zeros and ones of the training images, and the test images of both."""
    train, test = mnist["x_train"] / 255, mnist["x_test"] / 255
    cones = {k: Cone.fit(train[mnist["y_train"] == k], 64, random_state=0) for k in (0, 1)}
    chosen = mnist["y_test"] < 2
    return cones, test[chosen], mnist["y_test"][chosen]


def psnr(found, wanted):
    return np.mean(-10 * np.log10(np.mean((found - wanted) ** 2, axis=1)))


def test_digits_project_as_scipy_does(digits):
    cones, images, _ = digits
    found = cones[0].project(images[:200])
    for v, signal, distance in zip(images, found.signal, found.distance, strict=False):
        h, rnorm = scipy.optimize.nnls(cones[0].W, v)
        assert np.linalg.norm(cones[0].W @ h - signal) <= 1e-8 * np.linalg.norm(v)
        assert abs(distance - rnorm) <= 1e-8


def test_zeros_and_ones_are_told_apart(digits):
    cones, images, labels = digits
    assert len(labels) == 2115
    assert np.mean(classify(images, cones).labels == labels) >= 0.997


def test_salt_and_pepper_asks_for_the_1_norm(digits, rng):
    cones, images, _ = digits
    images = images[:100]
    hit, salt = rng.random((2, *images.shape)) < np.array([0.25, 0.5])[:, None, None]
    spoiled = np.where(hit, salt, images)
    robust, plain = (psnr(denoise(spoiled, cones, loss=k).signal, images) for k in ("l1", "l2"))
    assert robust >= plain + 1.5


def test_overlaid_digits_come_apart(digits):
    cones, images, labels = digits
    zeros, ones = (images[labels == k][:200] for k in (0, 1))
    parts = separate((zeros + ones) / 2, cones).signals
    half = (zeros + ones) / 4  # what one who cannot tell them apart would answer
    assert psnr(2 * parts[0], zeros) > psnr(2 * half, zeros) + 6
    assert psnr(2 * parts[1], ones) > psnr(2 * half, ones) + 6


def test_local_cones_tell_ten_digits_apart_from_200_each(mnist):
    # 98.4 % with all 10,000: python -m bench.tasks local
    rows = np.concatenate([np.flatnonzero(mnist["y_train"] == k)[:200] for k in range(10)])
    X, y = mnist["x_train"][rows] / 255, mnist["y_train"][rows]
    some = slice(None, None, 25)
    V, labels = mnist["x_test"][some] / 255, mnist["y_test"][some]
    plain = LocalCones(X, y)
    moved = LocalCones(X, y, copies=shifts((28, 28)))
    right = [np.mean(classify(V, model).labels == labels) for model in (plain, moved)]
    assert right[0] > 0.92 and right[1] > right[0]


def test_ones_drawn_from_a_cone_are_new_and_those_of_an_exemplar_sampler_are_not(mnist, rng):
    train, test = (mnist[f"x_{k}"][mnist[f"y_{k}"] == 1][:600] / 255 for k in ("train", "test"))
    cone = Cone.fit(train, 32, max_iter=30, tol=0, random_state=0)
    H, real = cone.encode(train), cone.project(test).signal
    drawn = audit(sample(cone, H, 400, random_state=0), cone.decode(H), real)
    copied = audit(cone.decode(H[rng.integers(0, len(H), 400)]), cone.decode(H), real)
    assert drawn.memorised < 0.05 and copied.memorised == 1
