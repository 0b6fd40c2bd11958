# SPDX-License-Identifier: BSD-3-Clause
"""Copies that keep a class, and the cones of the exemplars nearest to a sample."""

import numpy as np
import pytest
import scipy.optimize
from fields import FIELDS

from fastcone import Cone
from fastcone.operators import Warp
from fastcone.tasks import LocalCones, _exemplars, augment, classify, detect, shifts


def accuracy(model, V, labels):
    return np.mean(classify(V, model).labels == labels)


# --- augment


def test_shifts_move_what_is_seen_and_nothing_else():
    image = np.arange(6.0).reshape(2, 3)
    moved = augment(image.reshape(1, 6), shifts((2, 3), boundary="zero"))
    wanted = [
        [[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 0, 0]], [[1, 2, 0], [4, 5, 0]],
        [[0, 0, 1], [0, 3, 4]], [[0, 0, 0], [0, 1, 2]],
    ]  # fmt: skip
    np.testing.assert_array_equal(moved.reshape(5, 2, 3), wanted)
    corners = augment(image.reshape(1, 6), shifts((2, 3), corners=True, boundary="zero"))
    assert len(np.unique(corners, axis=0)) == 9


def test_shifts_agree_with_the_operator_that_shifts(rng):
    X = rng.random((4, 35))
    for boundary in ("reflect", "zero"):
        down = Warp((5, 7), np.eye(2), (2, 0), boundary).forward(X)
        found = augment(X, shifts((5, 7), (2, 0), boundary=boundary))
        np.testing.assert_array_equal(found[16:20], down)


def test_shifts_leave_an_axis_of_reach_0(rng):
    X = rng.random((2, 24))
    for moved in augment(X, shifts((4, 2, 3), (1, 0, 0))).reshape(3, 2, 4, 2, 3):
        assert {tuple(p) for p in moved.reshape(-1, 3)} <= {tuple(p) for p in X.reshape(-1, 3)}


def test_augment_keeps_samples_first_and_the_dtype(rng):
    X = rng.random((3, 5)).astype(np.float32)
    X.setflags(write=False)

    def greedy(A):
        A *= 2  # a function may write to what it is given
        return A

    found = augment(X, [greedy, lambda A: A.astype(int).tolist()])
    assert found.dtype == np.float32 and found.shape == (9, 5)
    np.testing.assert_array_equal(found[:3], X)
    np.testing.assert_array_equal(found[3:6], 2 * X)
    assert augment(X, []).shape == (3, 5)


# --- local cones


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS.keys())
def test_distances_are_those_of_scipy_to_the_nearest_exemplars(field, rng):
    X, y = field(rng, 40)
    V = field(rng, 12)[0] * 10.0 ** rng.integers(-3, 4, (12, 1))
    found = LocalCones(X, y, neighbours=6).distances(V)
    unit = X / np.linalg.norm(X, axis=1)[:, None]
    for v, distances in zip(V, found, strict=True):
        for label, distance in zip(np.unique(y), distances, strict=True):
            known = unit[y == label]
            near = known[np.argsort(known @ v)[-6:]]
            wanted = scipy.optimize.nnls(near.T, v)[1]
            assert abs(distance - wanted) <= 3e-6 * np.linalg.norm(v)


def test_signed_data_zero_rows_and_equal_exemplars(rng):
    """Derivatives of spectra have signs; a dead pixel is zero; the same sample may come twice."""
    X = rng.standard_normal((6, 9))
    X[3], X[5] = 0, X[4]
    model = LocalCones(X, np.zeros(6), neighbours=6)
    for v in (*X, -X[0], np.zeros(9), rng.standard_normal(9)):
        wanted = scipy.optimize.nnls(X.T, v)[1]
        assert abs(model.distances(v).item() - wanted) <= 3e-6


def test_many_exemplars_are_searched_as_few_are(rng, monkeypatch):
    """More entries than the sketch has: what is found there is compared in full."""
    X = np.abs(rng.standard_normal((200, 4)) @ rng.standard_normal((4, 150)))
    V, labels = np.abs(rng.standard_normal((7, 4)) @ rng.standard_normal((4, 150))), np.zeros(200)
    fast = LocalCones(X, labels, neighbours=5).distances(V)
    monkeypatch.setattr(_exemplars, "SKETCH", 150)
    monkeypatch.setattr(_exemplars, "GROUP", 10**6)
    np.testing.assert_allclose(fast, LocalCones(X, labels, neighbours=5).distances(V), rtol=1e-5)


@pytest.mark.parametrize("n, k", [(5, 5), (40, 1), (63, 3), (64, 3), (1000, 20)])
def test_the_largest_are_found(n, k, rng):
    rows = rng.integers(-50, 50, (8, n)).astype(np.float32)
    found = np.take_along_axis(rows, _exemplars.largest(rows, k), axis=1)
    np.testing.assert_array_equal(np.sort(found), np.sort(rows)[:, -k:])


def test_the_bits_do_not_depend_on_threads_and_blocks_are_whole(rng):
    X, y = FIELDS["tones"](rng, 90)
    V = FIELDS["tones"](rng, 300)[0]
    model = LocalCones(X, y, neighbours=4)
    one = model.distances(V, n_threads=1)
    np.testing.assert_array_equal(one, model.distances(V, n_threads=3))
    np.testing.assert_allclose(one[130:135], model.distances(V[130:135]), rtol=1e-5, atol=1e-6)


def test_copies_of_the_users_own_tell_instruments_apart_that_are_heard_at_other_pitches(rng):
    """Twenty notes an instrument: what was heard at one pitch is not known at the next."""
    X, y = FIELDS["tones"](rng, 60)
    V, labels = FIELDS["tones"](rng, 300)
    transposed = [lambda A, by=by: np.roll(A, by, axis=1) for by in (-4, -3, -2, -1, 1, 2, 3, 4)]
    plain = accuracy(LocalCones(X, y, neighbours=10), V, labels)
    assert accuracy(LocalCones(X, y, neighbours=10, copies=transposed), V, labels) > plain + 0.1


@pytest.mark.parametrize("name", ["pixels", "cells"])
def test_local_cones_do_as_well_as_trained_ones_in_other_fields(name, rng):
    X, y = FIELDS[name](rng, 60)
    V, labels = FIELDS[name](rng, 300)
    cones = {k: Cone.fit(X[y == k], 2, random_state=0) for k in np.unique(y)}
    assert accuracy(LocalCones(X, y, neighbours=10), V, labels) >= accuracy(cones, V, labels) - 0.01


def test_classify_and_detect_take_local_cones(rng):
    X, y = FIELDS["pixels"](rng, 30)
    V = FIELDS["pixels"](rng, 12)[0].reshape(3, 4, 60)
    names = np.array(["sand", "reed", "loam"])[y]
    model = LocalCones(X.astype(np.float32), names, neighbours=5)
    found = classify(V, model, relative=True)
    assert found.labels.shape == (3, 4) and list(model.labels) == ["loam", "reed", "sand"]
    np.testing.assert_array_equal(found.distances.min(-1), detect(V, model, relative=True))
    size = np.linalg.norm(V, axis=-1)
    np.testing.assert_allclose(found.distances * size[..., None], model.distances(V), rtol=1e-12)
    assert model.distances(V.astype(np.float32)).dtype == np.float32
    assert model.distances(V[:0]).shape == (0, 4, 3)
    assert model.nbytes == 30 * (60 + 60) * 4


ROWS, TWO = np.eye(4)[:3], [1, 1, 2]
BAD_INPUT = {
    "copies a function": (lambda: augment(ROWS, len), TypeError, "copies"),
    "copies of numbers": (lambda: LocalCones(ROWS, TWO, copies=[1]), TypeError, "copies"),
    "a copy of other shape": (lambda: augment(ROWS, [lambda X: X[:1]]), ValueError, r"copies\[0\]"),
    "a copy with NaN": (
        lambda: LocalCones(ROWS, TWO, copies=[np.copy, lambda X: X * np.nan]),
        ValueError,
        r"copies\[1\]",
    ),
    "a vector to augment": (lambda: augment(ROWS[0], []), ValueError, "X"),
    "reach of another shape": (lambda: shifts((3, 3), (1,)), ValueError, "reach"),
    "negative reach": (lambda: shifts((3, 3), -1), ValueError, "reach"),
    "shape 0": (lambda: shifts((0,)), ValueError, "shape"),
    "wrapping shifts": (lambda: shifts((3,), boundary="wrap"), ValueError, "boundary"),
    "no exemplars": (lambda: LocalCones(ROWS[:0], []), ValueError, "X"),
    "exemplars NaN": (lambda: LocalCones(ROWS * np.nan, TWO), ValueError, "X"),
    "too few labels": (lambda: LocalCones(ROWS, [1]), ValueError, "labels"),
    "labels NaN": (lambda: LocalCones(ROWS, [1, np.nan, 2]), ValueError, "labels"),
    "shape a number": (lambda: shifts(3), TypeError, "shape"),
    "labels None": (lambda: LocalCones(ROWS, [None] * 3), TypeError, "labels"),
    "no neighbours": (lambda: LocalCones(ROWS, TWO, neighbours=0), ValueError, "neighbours"),
    "V too short": (lambda: LocalCones(ROWS, TWO).distances([1.0]), ValueError, "V"),
    "V infinite": (lambda: classify([np.inf] * 4, LocalCones(ROWS, TWO)), ValueError, "V"),
    "a loss": (lambda: classify(ROWS, LocalCones(ROWS, TWO), loss="l1"), ValueError, "loss"),
    "an l1": (lambda: detect(ROWS, LocalCones(ROWS, TWO), l1=1.0), ValueError, "l1"),
}


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}"):
        call()
