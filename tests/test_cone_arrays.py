# SPDX-License-Identifier: BSD-3-Clause
"""The cone: arrays of every kind in and out, training, and bad input that is named."""

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array

from fastcone import Cone
from fastcone._nmf.api import nmf
from fastcone.cone import projection
from fastcone.operators import Mask

TALL = np.random.default_rng(19).random((40, 7))


def samples(rng):
    """Samples with signs, around the cone and far from it."""
    inside = rng.random((12, 7)) @ TALL.T
    return np.vstack([inside + 0.3 * rng.normal(size=(12, 40)), rng.normal(size=(12, 40))])


def norms(V):
    return np.linalg.norm(V, axis=-1)


@pytest.mark.parametrize("loss", ["l2", "l1"])
@pytest.mark.parametrize("trained_in", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_samples(rng, loss, trained_in, dtype):
    cone = Cone(TALL.astype(trained_in))
    V = samples(rng).astype(dtype)
    found = cone.project(V, loss=loss)
    assert {found.signal.dtype, found.coef.dtype, found.distance.dtype} == {np.dtype(dtype)}
    wanted = Cone(cone.W.astype(float)).project(V.astype(float), loss=loss)
    np.testing.assert_allclose(found.distance, wanted.distance, rtol=1e-4)


def test_one_sample_may_come_alone(rng):
    cone = Cone(TALL)
    V = samples(rng)
    rows, alone = cone.project(V), cone.project(V[3])
    assert alone.signal.shape == (40,) and alone.coef.shape == (7,)
    assert alone.distance.shape == alone.gap.shape == ()
    np.testing.assert_array_equal(alone.coef, rows.coef[3])
    np.testing.assert_allclose(alone.signal, rows.signal[3], rtol=0, atol=1e-13)
    np.testing.assert_allclose(cone.decode(alone.coef), alone.signal, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(cone.encode(V), rows.coef)
    np.testing.assert_array_equal(cone.decode(rows.coef), rows.signal)


@pytest.mark.parametrize("loss", ["l2", "l1"])
@pytest.mark.parametrize("masked", ["no mask", "one mask", "a mask for each"])
def test_the_pixels_of_a_cube_are_samples(rng, loss, masked):
    cone, V = Cone(TALL), samples(rng)
    known = {
        "no mask": None,
        "one mask": rng.random(40) < 0.8,
        "a mask for each": rng.random(V.shape) < 0.8,
    }[masked]
    rows = cone.project(V, mask=known, loss=loss)
    cube = V.reshape(4, 6, 40)
    known = known.reshape(cube.shape) if known is not None and known.ndim == 2 else known
    found = cone.project(cube, mask=known, loss=loss)
    for name, shape in (("signal", (4, 6, 40)), ("coef", (4, 6, 7)), ("distance", (4, 6))):
        assert getattr(found, name).shape == shape
        np.testing.assert_array_equal(getattr(found, name).reshape(getattr(rows, name).shape),
                                      getattr(rows, name))  # fmt: skip
    np.testing.assert_array_equal(cone.encode(cube, mask=known, loss=loss), found.coef)
    np.testing.assert_array_equal(cone.distance(cube, mask=known, loss=loss), found.distance)
    np.testing.assert_array_equal(cone.decode(found.coef), found.signal)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("form", [csr_array, csc_array, coo_array])
def test_sparse_samples_are_those_of_the_dense_ones(rng, dtype, form):
    V = np.rint(9 * samples(rng) * (rng.random((24, 40)) < 0.2)).astype(dtype)
    cone, sparse = Cone(TALL), form(V)
    dense, found = cone.project(V), cone.project(sparse)
    close = {"rtol": 0, "atol": 1e-3 if dtype is np.float32 else 1e-9}
    for name in ("signal", "coef", "distance"):
        assert getattr(found, name).dtype == getattr(dense, name).dtype
        np.testing.assert_allclose(getattr(found, name), getattr(dense, name), **close)
    np.testing.assert_array_equal(cone.encode(sparse), found.coef)
    np.testing.assert_array_equal(cone.distance(sparse), found.distance)


def test_signals_formed_in_pieces_are_those_of_one(rng, monkeypatch):
    cone, V = Cone(TALL), samples(rng)
    whole, known = cone.project(V), rng.random(V.shape) < 0.8
    masked = cone.project(V, mask=known).distance
    monkeypatch.setattr(projection, "PIECE", 5 * 40)
    parts = cone.project(V)
    np.testing.assert_allclose(parts.signal, whole.signal, rtol=1e-13)
    np.testing.assert_allclose(parts.distance, whole.distance, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(cone.distance(V, mask=known), masked, rtol=1e-12)


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_no_samples_give_no_rows(loss):
    cone = Cone(TALL)
    for mask in (None, np.ones(40, bool), np.ones((0, 40), bool)):
        found = cone.project(np.empty((0, 40)), loss=loss, mask=mask)
        assert found.signal.shape == (0, 40) and found.coef.shape == (0, 7)
        assert found.distance.shape == (0,)


def test_distance_survives_extreme_scales(rng):
    cone = Cone(TALL)
    v = samples(rng)[0]
    for exponent in (-600, 600):
        scaled = cone.distance(np.ldexp(v, exponent))
        assert np.ldexp(scaled, -exponent) == pytest.approx(cone.distance(v), rel=1e-8)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "strided": lambda V: np.repeat(V, 2, axis=1)[:, ::2],
    "reversed": lambda V: V[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda V: V.astype(">f8"),
    "list": lambda V: V.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layout_does_not_matter(rng, layout):
    W, V = TALL, samples(rng)
    found, wanted = Cone(layout(W)).project(layout(V)), Cone(W).project(V)
    np.testing.assert_array_equal(found.coef, wanted.coef)


def test_inputs_are_not_written(rng):
    W, V, H = TALL.copy(), rng.random((3, 40)), rng.random((3, 7))
    known = rng.random(V.shape) < 0.8
    before = [array.copy() for array in (W, V, H, known)]
    for array in (W, V, H, known):
        array.setflags(write=False)
    cone = Cone(W)
    for loss in ("l2", "l1"):
        cone.project(V, loss=loss)
        cone.project(V, loss=loss, mask=known)
    cone.decode(H)
    Cone.fit(V, 2, random_state=0)
    for array, copy in zip((W, V, H, known), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_dictionary_is_a_copy_and_read_only():
    W = np.ones((3, 2))
    cone = Cone(W)
    W[0, 0] = 9
    assert cone.W[0, 0] == 1
    with pytest.raises(ValueError):
        cone.W[0, 0] = 9
    with pytest.raises(AttributeError):
        cone.W = W
    assert repr(cone) == "Cone(m=3, rank=2, dtype=float64)"


# --- training


def test_fit_keeps_the_dictionary_of_nmf(rng):
    X = rng.random((30, 4)) @ rng.random((4, 20))
    options = {"max_iter": 50, "random_state": 3}
    cone = Cone.fit(X, 4, **options)
    np.testing.assert_array_equal(cone.W, nmf(X.T, 4, **options).W)
    assert cone.W.shape == (20, 4)
    assert Cone.fit(X.astype(np.float32), 4, **options).W.dtype == np.float32


def test_fit_finds_a_cone_that_holds_its_samples(rng):
    X = rng.random((60, 3)) @ rng.random((3, 20))
    cone = Cone.fit(X, 3, max_iter=2000, tol=1e-10, random_state=0)
    assert np.all(cone.distance(X) <= 1e-2 * norms(X))


def test_fit_looks_at_known_entries_only(rng):
    X = rng.random((40, 2)) @ rng.random((2, 15))
    known = rng.random(X.shape) < 0.8
    options = {"max_iter": 500, "random_state": 0}
    first, second = (
        Cone.fit(np.where(known, X, junk), 2, mask=known, **options) for junk in (np.nan, 50.0)
    )
    np.testing.assert_array_equal(first.W, second.W)
    assert np.median(first.distance(X) / norms(X)) < 0.05


# --- bad input


def test_the_position_of_a_bad_entry_is_that_of_the_argument():
    X = np.ones((2, 3))
    X[1, 2] = -1
    for call in (lambda: Cone.fit(X, 1), lambda: Cone(X), lambda: CONE.decode(X[:, 1:])):
        with pytest.raises(ValueError, match=r"-1\.0 at \(1, [12]\)"):
            call()
    X[1, 2] = np.nan
    for call in (lambda: CONE.project(X), lambda: CONE.project(X, mask=np.ones(3, bool))):
        with pytest.raises(ValueError, match=r"nan at \(1, 2\)"):
            call()


CONE = Cone(np.ones((3, 2)))
V3 = np.ones((2, 3))
BAD_INPUT = {
    "W with a negative entry": (lambda: Cone([[1.0, -1.0]]), ValueError, "W"),
    "W with NaN": (lambda: Cone([[np.nan]]), ValueError, "W"),
    "W with inf": (lambda: Cone([[np.inf]]), ValueError, "W"),
    "W empty": (lambda: Cone(np.empty((3, 0))), ValueError, "W"),
    "W a vector": (lambda: Cone([1.0]), ValueError, "W"),
    "W of objects": (lambda: Cone(np.array([[None]])), TypeError, "W"),
    "W complex": (lambda: Cone([[1j]]), TypeError, "W"),
    "V too short": (lambda: CONE.project([1.0, 2.0]), ValueError, "V"),
    "V with NaN": (lambda: CONE.project([1.0, np.nan, 1.0]), ValueError, "V"),
    "V a number": (lambda: CONE.project(1.0), ValueError, "V"),
    "V a cube of other pixels": (lambda: CONE.project(np.ones((1, 1, 4))), ValueError, "V"),
    "V sparse with a mask": (
        lambda: CONE.project(csr_array(V3), mask=np.ones(3, bool)),
        ValueError,
        "V",
    ),
    "V sparse in the 1-norm": (lambda: CONE.project(csr_array(V3), loss="l1"), ValueError, "V"),
    "V sparse of other size": (lambda: CONE.project(csr_array(V3.T)), ValueError, "V"),
    "mask of another cube": (
        lambda: CONE.project(np.ones((2, 2, 3)), mask=np.ones((4, 3), bool)),
        ValueError,
        "mask",
    ),
    "V of strings": (lambda: CONE.project(["a", "b", "c"]), TypeError, "V"),
    "V with a known NaN": (
        lambda: CONE.project([1.0, np.nan, 1.0], mask=[False, True, True]),
        ValueError,
        "V",
    ),
    "V of the signal's size": (
        lambda: CONE.project(V3, forward=Mask([True, True, False])),
        ValueError,
        "V",
    ),
    "mask of numbers": (lambda: CONE.project(V3, mask=[1, 1, 0]), TypeError, "mask"),
    "mask too short": (lambda: CONE.project(V3, mask=[True]), ValueError, "mask"),
    "mask of other samples": (
        lambda: CONE.project(V3, mask=np.ones((3, 3), bool)),
        ValueError,
        "mask",
    ),
    "unknown loss": (lambda: CONE.project(V3, loss="l3"), ValueError, "loss"),
    "negative l1": (lambda: CONE.project(V3[:0], l1=-1.0), ValueError, "l1"),
    "l1 NaN": (lambda: CONE.project(V3, l1=np.nan), ValueError, "l1"),
    "l1 not a number": (lambda: CONE.project(V3, l1="much"), TypeError, "l1"),
    "forward a list": (lambda: CONE.project(V3, forward=np.eye(3).tolist()), TypeError, "forward"),
    "forward of other size": (
        lambda: CONE.project(V3, forward=Mask([True] * 4)),
        ValueError,
        "forward",
    ),
    "H too long": (lambda: CONE.decode(V3), ValueError, "H"),
    "H negative": (lambda: CONE.decode([-1.0, 1.0]), ValueError, "H"),
    "X negative": (lambda: Cone.fit(-V3, 1), ValueError, "X"),
    "X with NaN": (lambda: Cone.fit(V3 * np.nan, 1), ValueError, "X"),
    "X a vector": (lambda: Cone.fit(V3[0], 1), ValueError, "X"),
    "rank zero": (lambda: Cone.fit(V3, 0), ValueError, "rank"),
    "mask for fit of another shape": (
        lambda: Cone.fit(V3, 1, mask=[True] * 3),
        ValueError,
        "mask",
    ),
    "mask for fit of numbers": (lambda: Cone.fit(V3, 1, mask=V3), TypeError, "mask"),
    "unknown option": (lambda: Cone.fit(V3, 1, speed="high"), TypeError, ".*speed"),
}


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}\b"):
        call()


@pytest.mark.parametrize("scale", [1e-60, 1e200])
def test_samples_too_narrow_for_the_dictionary_are_refused(scale):
    cone = Cone([[scale], [scale]])
    with pytest.raises(ValueError, match="V is float32, too narrow for this cone's W"):
        cone.project(np.ones(2, dtype=np.float32))
    np.testing.assert_allclose(cone.project(np.ones(2)).signal, 1.0)
