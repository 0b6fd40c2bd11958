# SPDX-License-Identifier: BSD-3-Clause
"""Compressed sensing, and restorations of images larger than the cone."""

import importlib

import numpy as np
import pytest
from fields import FIELDS

from fastcone import Cone
from fastcone.operators import Dense, Sensing
from fastcone.tasks import Restoration, denoise, in_patches, inpaint, patches, sense

# --- sense


@pytest.mark.parametrize("signed", [True, False])
def test_signals_of_the_cone_come_back_from_as_many_measurements_as_generators(signed, rng):
    cone = Cone(rng.random((200, 12)))
    truth = cone.decode(rng.random((5, 12)))
    few = Sensing.random(12, 200, nonnegative=not signed, random_state=0)
    np.testing.assert_allclose(sense(few.forward(truth), cone, few).signal, truth, rtol=1e-6)


def test_sparse_codes_need_fewer(rng):
    cone = Cone(rng.random((200, 30)))
    H = np.zeros((5, 30))
    H[np.arange(5)[:, None], rng.permutation(30)[:10].reshape(5, 2)] = 1 + rng.random((5, 2))
    few = Sensing.random(15, 200, random_state=0)
    found = sense(few.forward(cone.decode(H)), cone, few, l1=1e-6)
    np.testing.assert_allclose(found.signal, cone.decode(H), rtol=1e-3)


def test_a_filter_array_in_place_of_a_spectrometer(rng):
    """Eight broad filters see 60 bands; the materials are known from elsewhere."""
    X, _ = FIELDS["pixels"](rng, 300)
    V, _ = FIELDS["pixels"](rng, 50)
    cone = Cone.fit(X, 3, random_state=0)
    band = np.arange(60)
    filters = Dense(np.exp(-0.5 * ((band - np.linspace(0, 59, 8)[:, None]) / 5) ** 2))
    found = sense(filters.forward(V), cone, filters)
    error = np.linalg.norm(found.signal - V, axis=1) / np.linalg.norm(V, axis=1)
    assert np.median(error) < 0.03


def test_the_cone_whose_measurements_fit_is_taken(rng):
    cones = {k: Cone(rng.random((80, 4))) for k in "ab"}
    few = Sensing.random(9, 80, random_state=1)
    truth = np.vstack([cones[k].decode(rng.random((3, 4))) for k in "ab"])
    assert list(sense(few.forward(truth), cones, few).labels) == list("aaabbb")


# --- patches


def test_patches_are_cut_in_the_order_of_places(rng):
    cube = rng.random((5, 6, 3))
    found = patches(cube, (2, 4, 3), step=(3, 2, 1))
    wanted = [cube[i : i + 2, j : j + 4].ravel() for i in (0, 3) for j in (0, 2)]
    np.testing.assert_array_equal(found, wanted)
    drawn = patches(cube, (2, 4, 3), 50, random_state=0)
    every = {tuple(p) for p in patches(cube, (2, 4, 3))}
    assert drawn.shape == (50, 24) and {tuple(p) for p in drawn} == every


@pytest.mark.parametrize("size, shape, step", [
    ((17, 23), (8, 8), None), ((17, 23), (8, 8), 8), ((9, 8, 3), (4, 4, 3), (3, 1, 1)),
    ((50,), (7,), 3), ((4, 4), (4, 4), 1),
])  # fmt: skip
def test_what_restores_nothing_returns_the_image(size, shape, step, rng):
    image = rng.random(size)
    np.testing.assert_allclose(in_patches(lambda P: P, image, shape, step=step), image, rtol=1e-14)
    found = in_patches(lambda P: P, image.astype(np.float32), shape, step=step)
    assert found.dtype == np.float32


def test_each_pixel_is_the_mean_of_the_patches_over_it(rng):
    count = iter(range(100))
    found = in_patches(lambda P: P * 0 + [[next(count)] for _ in P], np.zeros(5), (3,), step=1)
    np.testing.assert_allclose(found, [0, 0.5, 1, 1.5, 2])


def test_what_is_known_is_cut_like_the_image(rng):
    """A gradient with a scratch, which may be NaN; a cone of planes fills it."""
    i, j = np.mgrid[:40, :30]
    truth, known = 1.0 + 0.1 * i + 0.2 * j, np.ones((40, 30), bool)
    known[10:13], known[:, 17] = False, False
    image = np.where(known, truth, np.nan)
    planes = Cone(np.stack([np.ones(64), *(k.ravel() for k in np.mgrid[:8, :8])], axis=1))
    found = in_patches(lambda P, K: inpaint(P, planes, K), image, (8, 8), known)
    np.testing.assert_allclose(found, truth, rtol=1e-6)


def test_progress_is_told_and_work_ends_on_request(monkeypatch, rng):
    monkeypatch.setattr(importlib.import_module("fastcone.tasks.patches"), "ENTRIES", 160)
    image, calls = rng.random((20, 20)), []
    in_patches(lambda P: P, image, (4, 4), step=4, callback=lambda *at: calls.append(at))
    assert calls == [(10, 25), (20, 25), (25, 25)]
    half = in_patches(lambda P: P * 0, image, (4, 4), step=4, callback=lambda done, _: done == 10)
    assert not half[:8].any() and np.array_equal(half[8:], image[8:])


def test_a_spectrogram_larger_than_the_cone(rng):
    """A long recording: the cone of two seconds cleans one of ten, and no step shows."""
    time = np.arange(200)
    loud = np.abs(np.sin(time / 15))[:, None] * np.exp(-((np.arange(24) - 8) ** 2) / 8)
    other = np.abs(np.cos(time / 22))[:, None] * np.exp(-((np.arange(24) - 16) ** 2) / 6)
    clean = loud + other
    cone = Cone.fit(patches(clean[:60], (6, 24)), 6, random_state=0)
    noisy = np.maximum(clean + 0.3 * rng.standard_normal(clean.shape), 0)
    found = in_patches(lambda P: denoise(P, cone), noisy, (6, 24), step=(1, 1))
    assert np.std(found - clean) < 0.5 * np.std(noisy - clean)
    blocks = in_patches(lambda P: denoise(P, cone), noisy, (6, 24), step=(6, 1))
    assert np.std(found - clean) < np.std(blocks - clean)


IMAGE, FEW = np.ones((6, 6)), Sensing(np.ones((2, 4)))
BAD_INPUT = {
    "sensing a number": (lambda: sense([1.0], Cone(np.eye(4)), 2), TypeError, "sensing"),
    "sensing of other size": (lambda: sense([1.0], Cone(np.eye(3)), FEW), ValueError, "sensing"),
    "sensing twice": (
        lambda: sense([1.0, 1.0], Cone(np.eye(4)), FEW, forward=FEW), TypeError, "forward"
    ),
    "measurements too few": (lambda: sense([1.0], Cone(np.eye(4)), FEW), ValueError, "V"),
    "patch larger than the image": (lambda: patches(IMAGE, (7, 2)), ValueError, "shape"),
    "patch of one axis": (lambda: patches(IMAGE, (2,)), ValueError, "shape"),
    "shape a number": (lambda: patches(IMAGE, 2), TypeError, "shape"),
    "step 0": (lambda: patches(IMAGE, (2, 2), step=0), ValueError, "step"),
    "fewer than no patches": (lambda: patches(IMAGE, (2, 2), -1), ValueError, "n"),
    "image NaN": (lambda: patches(IMAGE * np.nan, (2, 2)), ValueError, "image"),
    "restore no function": (lambda: in_patches(3, IMAGE, (2, 2)), TypeError, "restore"),
    "restore a row less": (
        lambda: in_patches(lambda P: P[1:], IMAGE, (2, 2)), ValueError, "restore"
    ),
    "restore NaN": (
        lambda: in_patches(lambda P: P * np.nan, IMAGE, (2, 2)), ValueError, "restore"
    ),
    "also of other shape": (
        lambda: in_patches(lambda P, Q: P, IMAGE, (2, 2), IMAGE[1:]), ValueError, r"also\[0\]"
    ),
    "step larger than a patch": (
        lambda: in_patches(lambda P: P, IMAGE, (2, 2), step=3), ValueError, "step"
    ),
}  # fmt: skip


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}"):
        call()


def test_restorations_and_arrays_are_taken_alike(rng):
    image, cone = rng.random((9, 9)), Cone(rng.random((9, 4)))
    one = in_patches(lambda P: denoise(P, cone), image, (3, 3))
    two = in_patches(lambda P: denoise(P, cone).signal, image, (3, 3))
    assert isinstance(denoise(image, cone), Restoration) and np.array_equal(one, two)
