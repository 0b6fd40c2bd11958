# SPDX-License-Identifier: BSD-3-Clause
"""Tasks: exact where the cone determines the answer, and true to their formulas elsewhere."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastcone import Cone
from fastcone.operators import Blur, Downsample, Mask
from fastcone.tasks import (
    classify,
    compress,
    deblur,
    denoise,
    detect,
    inpaint,
    separate,
    super_resolve,
)

SHAPE = (8, 8)
LABELS = ("a", "b", "c")
BLUR = Blur(SHAPE, np.full((3, 3), 1 / 9))
HALF = Downsample(SHAPE, 2)


def sparse_cone(seed):
    """Six random generators on 8 x 8 pixels, half of the entries zero."""
    rng = np.random.default_rng(seed)
    return Cone(rng.random((64, 6)) * (rng.random((64, 6)) < 0.5))


CONES = {label: sparse_cone(seed) for seed, label in enumerate(LABELS)}


@pytest.fixture
def clean(rng):
    """Ten signals from inside each cone, in the order of the labels, and their labels."""
    signals = np.vstack([rng.random((10, 6)) @ cone.W.T for cone in CONES.values()])
    return signals, np.repeat(LABELS, 10)


def norms(V):
    return np.linalg.norm(V, axis=-1)


# --- classify, detect


def test_classify_takes_the_nearest_cone(clean, rng):
    V, labels = clean
    noisy = V + 0.05 * rng.normal(size=V.shape)
    found = classify(noisy, CONES)
    np.testing.assert_array_equal(found.labels, labels)
    wanted = np.stack([cone.distance(noisy) for cone in CONES.values()], axis=1)
    np.testing.assert_array_equal(found.distances, wanted)


def test_classify_relative_divides_and_keeps_the_labels(clean):
    V = np.vstack([clean[0] + 0.1, np.zeros((1, 64))])
    for loss, order in (("l2", 2), ("l1", 1)):
        plain, relative = (classify(V, CONES, relative=r, loss=loss) for r in (False, True))
        np.testing.assert_array_equal(relative.labels, plain.labels)
        size = np.linalg.norm(V[:-1], ord=order, axis=1)[:, None]
        np.testing.assert_allclose(relative.distances[:-1], plain.distances[:-1] / size)
        assert not relative.distances[-1].any()


def test_the_first_among_equals_is_taken():
    cones = {"second": CONES["a"], "first": CONES["a"]}
    assert classify(np.ones(64), cones).labels == "second"
    assert denoise(np.ones(64), cones).labels == "second"


@pytest.mark.parametrize(
    "labels, kind",
    [
        ([3, 5], "i"),
        (["x", "yy"], "U"),
        ([np.int64(3), np.int64(5)], "i"),
        ([(0, 1), (2, 3)], "O"),
        (["x", 5], "O"),
        ([None, 0.5], "O"),
    ],
)
def test_labels_come_back_as_they_were_given(clean, labels, kind):
    V = clean[0][:20]
    cones = dict(zip(labels, (CONES["a"], CONES["b"]), strict=True))
    wanted = [labels[0]] * 10 + [labels[1]] * 10
    for found in (classify(V, cones).labels, denoise(V, cones).labels):
        assert list(found) == wanted and found.dtype.kind == kind


def test_detect_is_the_distance_to_the_nearest_cone(clean, rng):
    V = clean[0]
    strange = rng.random((5, 64))
    np.testing.assert_allclose(detect(V, CONES), 0, atol=1e-7 * norms(V).max())
    distances = classify(strange, CONES).distances
    np.testing.assert_array_equal(detect(strange, CONES), distances.min(axis=1))
    np.testing.assert_array_equal(detect(strange, CONES["b"]), distances[:, 1])
    assert detect(strange, CONES).min() > detect(V, CONES).max()


def test_detect_relative_lies_in_0_1_and_forgets_the_brightness(rng):
    V = rng.normal(size=(8, 64))
    found = detect(V, CONES, relative=True)
    assert np.all((found >= 0) & (found <= 1 + 1e-12))
    np.testing.assert_allclose(detect(1e6 * V, CONES, relative=True), found, rtol=1e-8)
    np.testing.assert_allclose(found, detect(V, CONES) / norms(V), rtol=1e-14)
    assert detect(np.zeros(64), CONES, relative=True) == 0
    assert detect(-np.ones(64), CONES, relative=True) == pytest.approx(1)


# --- restorations


def test_denoise_is_the_projection_on_the_nearest_cone(clean, rng):
    V, labels = clean
    noisy = V + 0.1 * rng.normal(size=V.shape)
    found = denoise(noisy, CONES)
    np.testing.assert_array_equal(found.labels, labels)
    for label, v, signal, distance in zip(labels, noisy, found.signal, found.distance, strict=True):
        alone = CONES[label].project(v)
        np.testing.assert_allclose(signal, alone.signal, rtol=0, atol=1e-12)
        assert distance == pytest.approx(alone.distance, rel=1e-12)
    assert np.all(norms(found.signal - V) < 0.6 * norms(noisy - V))


def test_denoise_with_one_cone_has_no_labels(clean):
    found, wanted = denoise(clean[0], CONES["a"], l1=0.3), CONES["a"].project(clean[0], l1=0.3)
    assert found.labels is None
    np.testing.assert_array_equal(found.signal, wanted.signal)
    np.testing.assert_array_equal(found.distance, wanted.distance)


def test_denoise_in_the_1_norm_forgives_gross_errors(clean, rng):
    V, labels = clean
    hit = rng.random(V.shape) < 0.1
    spoiled = np.where(hit, rng.choice([0.0, 3.0], size=V.shape), V)
    robust, plain = (denoise(spoiled, CONES, loss=loss) for loss in ("l1", "l2"))
    np.testing.assert_array_equal(robust.labels, labels)
    assert np.median(norms(robust.signal - V) / norms(V)) < 1e-4
    assert np.median(norms(plain.signal - V) / norms(V)) > 0.1


@pytest.mark.parametrize("per_sample", [True, False])
def test_inpaint_finds_what_the_known_entries_determine(clean, rng, per_sample):
    V, labels = clean
    known = rng.random(V.shape if per_sample else 64) < 0.6
    holes = np.where(known, V, np.nan)
    for copy_back in (True, False):
        found = inpaint(holes, CONES, known, copy_back=copy_back)
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_allclose(found.signal, V, rtol=0, atol=1e-6)


def test_inpaint_copies_the_known_entries_back(rng):
    V, known = rng.random((4, 64)), np.arange(64) % 5 > 0
    copied, pure = (inpaint(V, CONES["a"], known, copy_back=c) for c in (True, False))
    np.testing.assert_array_equal(copied.signal[:, known], V[:, known])
    np.testing.assert_array_equal(copied.signal[:, ~known], pure.signal[:, ~known])
    np.testing.assert_array_equal(pure.signal, CONES["a"].project(V, mask=known).signal)
    np.testing.assert_array_equal(copied.distance, pure.distance)


def test_deblur_and_super_resolve_undo_the_operator(clean):
    V, labels = clean
    for restore, A in ((deblur, BLUR), (super_resolve, HALF)):
        found = restore(A.forward(V), CONES, A)
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_allclose(found.signal, V, rtol=0, atol=1e-5)


def test_deblur_and_super_resolve_are_projections_through_the_operator(rng):
    for restore, A in ((deblur, BLUR), (super_resolve, HALF)):
        V = rng.random((4, A.size_out))
        found = restore(V, CONES["b"], A, l1=0.1)
        wanted = CONES["b"].project(V, forward=A, l1=0.1)
        np.testing.assert_array_equal(found.signal, wanted.signal)
        np.testing.assert_array_equal(found.distance, wanted.distance)


# --- separate


def test_separate_finds_the_parts_of_a_mixture(rng):
    parts = {label: rng.random((6, 6)) @ cone.W.T for label, cone in CONES.items()}
    for wiener in (True, False):
        found = separate(sum(parts.values()), CONES, wiener=wiener)
        assert list(found.signals) == list(LABELS)
        for label in LABELS:
            np.testing.assert_allclose(found.signals[label], parts[label], rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.distance, 0, atol=1e-6)


def test_separate_shares_out_every_entry(rng):
    V = rng.random((6, 64))
    V[2], V[3, :9] = 0, 0
    found = separate(V, CONES)
    np.testing.assert_allclose(sum(found.signals.values()), V, rtol=1e-14)
    pure = separate(V, CONES, wiener=False)
    total = sum(pure.signals.values())
    np.testing.assert_allclose(found.distance, norms(total - V), rtol=1e-9, atol=1e-12)
    for label, cone in CONES.items():
        np.testing.assert_allclose(cone.distance(pure.signals[label]), 0, atol=1e-7)
        assert found.signals[label].min() >= 0
        np.testing.assert_allclose(
            found.signals[label] * total, pure.signals[label] * V, rtol=0, atol=1e-12
        )


def test_separate_shares_equally_what_no_cone_explains():
    cones = {"left": Cone([[1.0], [0.0], [0.0]]), "right": Cone([[0.0], [1.0], [0.0]])}
    found = separate([4.0, 2.0, 6.0], cones).signals
    np.testing.assert_allclose(found["left"], [4.0, 0.0, 3.0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["right"], [0.0, 2.0, 3.0], rtol=0, atol=1e-12)


# --- compress


@pytest.mark.parametrize("bits, dtype", [(8, np.uint8), (16, np.uint16)])
def test_compress_is_the_projection_up_to_half_a_step_per_generator(rng, bits, dtype):
    V = rng.random((7, 64))
    packed = compress(V, CONES["a"], bits=bits)
    assert packed.codes.dtype == dtype and packed.codes.shape == (7, 6)
    np.testing.assert_array_equal(packed.codes.max(axis=1), 2**bits - 1)
    assert packed.nbytes == 7 * 6 * bits // 8 + 7 * 8
    error = norms(packed.decompress(CONES["a"]) - CONES["a"].project(V).signal)
    assert np.all(error <= 0.5 * 6 * packed.scale * (1 + 1e-9))
    assert error.max() > 0


def test_compress_does_not_depend_on_the_lengths_of_the_generators(rng):
    V, cone = rng.random((7, 64)), CONES["a"]
    other = Cone(cone.W * 2.0 ** np.array([-9, 0, 3, 1, 20, -4]))
    packed, same = compress(V, cone), compress(V, other)
    np.testing.assert_array_equal(packed.codes, same.codes)
    np.testing.assert_allclose(packed.decompress(cone), same.decompress(other), rtol=1e-9)


@pytest.mark.filterwarnings("error")
def test_compress_zero_and_next_to_zero():
    smallest = np.finfo(float).smallest_subnormal
    for v in (np.zeros(2), np.array([382 * smallest, smallest])):
        packed = compress(v, Cone(np.eye(2)))
        assert list(packed.codes) == [255 * (v[0] > 0), v[1] > 0]


def test_compress_zero_generator_and_one_sample_alone(rng):
    cone = Cone(np.hstack([CONES["a"].W, np.zeros((64, 1))]))
    packed = compress(np.zeros((2, 64)), cone)
    assert not packed.codes.any() and not packed.decompress(cone).any()
    v = rng.random(64)
    alone, rows = compress(v, cone), compress(v[None], cone)
    assert alone.codes.shape == (7,) and alone.scale.shape == ()
    np.testing.assert_array_equal(alone.codes, rows.codes[0])
    np.testing.assert_allclose(alone.decompress(cone), rows.decompress(cone)[0], rtol=1e-14)


def test_no_cone_of_rank_d_beats_the_singular_vectors(rng):
    # Eckart-Young: the best subspace of dimension d is never farther from the data.
    X = rng.random((40, 30))
    singular = np.linalg.svd(X, compute_uv=False)
    for d in (1, 3, 8, 20):
        cone = Cone.fit(X, d, random_state=0)
        assert np.sum(cone.distance(X) ** 2) >= np.sum(singular[d:] ** 2) * (1 - 1e-9)


# --- all tasks alike


KNOWN = np.arange(64) % 4 > 0
EVERY_TASK = {
    "classify": (lambda V, cones: classify(V, cones).distances, (3,)),
    "detect": (detect, ()),
    "detect, relative": (lambda V, cones: detect(V, cones, relative=True), ()),
    "denoise": (lambda V, cones: denoise(V, cones).signal, (64,)),
    "denoise, 1-norm": (lambda V, cones: denoise(V, cones, loss="l1").signal, (64,)),
    "inpaint": (lambda V, cones: inpaint(V, cones, KNOWN).signal, (64,)),
    "deblur": (lambda V, cones: deblur(V, cones, BLUR).signal, (64,)),
    "super_resolve": (lambda V, cones: super_resolve(V[..., :16], cones, HALF).signal, (64,)),
    "separate": (lambda V, cones: separate(V, cones).signals["b"], (64,)),
    "compress": (lambda V, cones: compress(V, cones["a"]).decompress(cones["a"]), (64,)),
}


@pytest.mark.parametrize("task, shape", EVERY_TASK.values(), ids=EVERY_TASK.keys())
def test_the_pixels_of_a_cube_are_samples(task, shape, rng):
    V = rng.random((6, 64))
    rows, cube = task(V, CONES), task(V.reshape(2, 3, 64), CONES)
    assert cube.shape == (2, 3, *shape)
    np.testing.assert_allclose(cube.reshape(rows.shape), rows, rtol=0, atol=1e-13)


@pytest.mark.parametrize("relative", [False, True])
def test_sparse_samples_are_those_of_the_dense_ones(rng, relative):
    V = rng.random((9, 64)) * (rng.random((9, 64)) < 0.2)
    V[4] = 0
    found, dense = (classify(X, CONES, relative=relative) for X in (csr_array(V), V))
    np.testing.assert_array_equal(found.labels, dense.labels)
    np.testing.assert_allclose(found.distances, dense.distances, atol=1e-12)
    scores = [detect(X, CONES, relative=relative) for X in (csr_array(V), V)]
    np.testing.assert_allclose(*scores, atol=1e-12)
    np.testing.assert_allclose(*(denoise(X, CONES).signal for X in (csr_array(V), V)), atol=1e-12)
    codes = [compress(X, CONES["a"]).codes.astype(int) for X in (csr_array(V), V)]
    assert np.abs(codes[0] - codes[1]).max() <= 1


@pytest.mark.parametrize("task, shape", EVERY_TASK.values(), ids=EVERY_TASK.keys())
def test_shapes_dtypes_and_inputs(task, shape, rng):
    V = rng.random((5, 64))
    V.setflags(write=False)
    before = V.copy()
    rows = task(V, CONES)
    assert rows.shape == (5, *shape) and rows.dtype == np.float64
    np.testing.assert_array_equal(V, before)
    np.testing.assert_allclose(task(V[2], CONES), rows[2], rtol=0, atol=1e-9)
    alone = task(V[2], CONES)
    assert alone.shape == shape and isinstance(alone, np.ndarray if shape else np.floating)
    assert task(V[:0], CONES).shape == (0, *shape)
    single = task(V.astype(np.float32), CONES)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, rows, rtol=0, atol=0.02)
    bright = (255 * V).astype(np.uint8)
    np.testing.assert_array_equal(task(bright, CONES), task(bright.astype(float), CONES))


@pytest.mark.parametrize(
    "task",
    [
        lambda V, l1: denoise(V, CONES, l1=l1).signal,
        lambda V, l1: denoise(V, CONES, loss="l1", l1=l1).signal,
        lambda V, l1: inpaint(V, CONES, KNOWN, l1=l1, copy_back=False).signal,
        lambda V, l1: deblur(V, CONES, BLUR, l1=l1).signal,
        lambda V, l1: super_resolve(V[:, :16], CONES, HALF, l1=l1).signal,
        lambda V, l1: separate(V, CONES, l1=l1, wiener=False).signals["a"],
        lambda V, l1: compress(V, CONES["a"], l1=l1).codes,
        lambda V, l1: classify(V, CONES, l1=l1).distances - norms(V)[:, None],
        lambda V, l1: detect(V, CONES, l1=l1) - norms(V),
    ],
)
def test_l1_reaches_the_projection(task, rng):
    # Above max_j w_j'v (or, in the 1-norm, max_j sum |w_j|) no generator is worth its price.
    V = rng.random((4, 64))
    assert task(V, 0.0).any()
    np.testing.assert_allclose(task(V, 1e3), 0, atol=1e-14)


CONE = CONES["a"]
V2 = np.ones((2, 64))
BAD_INPUT = {
    "classify with one cone": (lambda: classify(V2, CONE), TypeError, "cones"),
    "separate with one cone": (lambda: separate(V2, CONE), TypeError, "cones"),
    "cones a list": (lambda: denoise(V2, [CONE]), TypeError, "cones"),
    "no cones": (lambda: classify(V2, {}), ValueError, "cones"),
    "no sources": (lambda: separate(V2, {}), ValueError, "cones"),
    "a matrix among the cones": (lambda: detect(V2, {"x": CONE.W}), TypeError, "cones"),
    "cones that differ": (lambda: detect(V2, {0: CONE, 1: Cone([[1.0]])}), ValueError, "cones"),
    "compress with two cones": (lambda: compress(V2, CONES), TypeError, "cone"),
    "V too short": (lambda: denoise([1.0], CONE), ValueError, "V"),
    "V to separate too short": (lambda: separate([1.0], CONES), ValueError, "V"),
    "V NaN": (lambda: detect(V2 * np.nan, CONE, relative=True), ValueError, "V"),
    "V NaN to separate": (lambda: separate(V2 * np.nan, CONES), ValueError, "V"),
    "known of numbers": (lambda: inpaint(V2, CONE, np.ones(64)), TypeError, "known"),
    "known too short": (lambda: inpaint(V2, CONE, [True]), ValueError, "known"),
    "blur a vector": (lambda: deblur(V2, CONE, np.ones(64)), TypeError, "blur"),
    "blur a matrix of other size": (lambda: deblur(V2, CONE, np.eye(3)), ValueError, "blur"),
    "blur of other size": (lambda: deblur(V2, CONE, Mask([True])), ValueError, "blur"),
    "downsample a number": (lambda: super_resolve(V2, CONE, 2), TypeError, "downsample"),
    "unknown loss": (lambda: denoise(V2, CONE, loss="huber"), ValueError, "loss"),
    "negative l1": (lambda: separate(V2, CONES, l1=-1), ValueError, "l1"),
    "seven bits": (lambda: compress(V2, CONE, bits=7), ValueError, "bits"),
    "other cone": (lambda: compress(V2, CONE).decompress(Cone([[1.0]])), ValueError, "cone"),
    "matrix as cone": (lambda: compress(V2, CONE).decompress(CONE.W), TypeError, "cone"),
}


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}\b"):
        call()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_compression_does_not_depend_on_the_units_of_the_generators(scale):
    W = np.array([[1.0, 0.0], [1.0, 2.0], [0.0, 1.0]])
    want = compress([1.0, 3.0, 1.0], Cone(W))
    got = compress([1.0, 3.0, 1.0], Cone(W * scale))
    assert np.array_equal(got.codes, want.codes)
    np.testing.assert_allclose(got.decompress(Cone(W * scale)), want.decompress(Cone(W)))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.float32])
@pytest.mark.parametrize("scale", [1, 1e-200, 1e200])
def test_relative_distances_of_sparse_samples_of_every_kind(rng, kind, scale):
    """Norms were squared in the samples' own dtype, and a matrix was changed on the way."""
    V = (rng.integers(0, 100, (6, 64)) * (rng.random((6, 64)) < 0.3)).astype(kind)
    V = V.astype(float) * scale if kind is np.float32 and scale != 1 else V
    sparse = csr_array(V)
    sparse.has_sorted_indices = False
    before = sparse.data.copy(), sparse.indices.copy()
    found = detect(sparse, CONES, relative=True)
    np.testing.assert_allclose(found, detect(V, CONES, relative=True), rtol=1e-4)
    assert np.array_equal(before[0], sparse.data) and np.array_equal(before[1], sparse.indices)
    for task in (detect, denoise, lambda V, cones: classify(V, cones, relative=True)):
        task(csr_array((0, 64)), CONES)
