# SPDX-License-Identifier: BSD-3-Clause
"""Class cones, features, clusters and self-training, on samples of three fields."""

import numpy as np
import pytest
from fields import FIELDS

from fastcone import Cone
from fastcone.tasks import (
    LocalCones,
    class_cones,
    classify,
    cluster,
    features,
    self_train,
    shifts,
)


def unit(X):
    return X / np.linalg.norm(X, axis=1)[:, None]


def agreement(found, labels):
    """Share of samples in clusters whose most frequent label is their own."""
    table = np.zeros((found.max() + 1, labels.max() + 1))
    np.add.at(table, (found, labels), 1)
    return table.max(axis=1).sum() / len(labels)


# --- class cones and features


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS.keys())
def test_class_cones_have_unit_generators_and_learn_their_class(field, rng):
    X, y = field(rng, 240)
    V, labels = field(rng, 240)
    X[0] = 0  # a dead pixel
    cones = class_cones(X, y, 12, l1_H=0.05, init="exemplars", max_iter=20, tol=0, random_state=0)
    for cone in cones.values():
        length = np.linalg.norm(cone.W, axis=0)
        np.testing.assert_allclose(length[length > 0], 1, rtol=1e-12)
    assert list(cones) == sorted(set(y.tolist()))
    priced = np.mean(classify(unit(V), cones, l1=0.1).labels == labels)
    plain = {k: Cone.fit(X[y == k], 12, max_iter=20, tol=0, random_state=0) for k in cones}
    assert priced > np.mean(classify(V, plain).labels == labels) - 0.02


def test_brightness_of_training_samples_plays_no_part(rng):
    X, y = FIELDS["pixels"](rng, 60)
    options = {"l1_H": 0.1, "init": "exemplars", "max_iter": 5, "tol": 0, "random_state": 0}
    one = class_cones(X, y, 2, **options)
    two = class_cones(X * 10.0 ** rng.integers(-2, 3, (60, 1)), y, 2, **options)
    for label in one:
        np.testing.assert_allclose(one[label].W, two[label].W, rtol=1e-6, atol=1e-8)


def test_shifted_copies_teach_instruments_at_other_pitches(rng):
    X, y = FIELDS["tones"](rng, 60)
    V, labels = FIELDS["tones"](rng, 300)
    options = {"l1_H": 0.04, "init": "exemplars", "max_iter": 10, "tol": 0, "random_state": 0}
    plain = class_cones(X, y, 20, **options)
    copied = class_cones(X, y, 60, copies=shifts((96,), 4, boundary="zero"), **options)
    right = [np.mean(classify(unit(V), c, l1=0.1).labels == labels) for c in (plain, copied)]
    assert right[1] > right[0] + 0.1


def test_features_are_distances_and_coefficients_in_the_cones_order(rng):
    cones = {k: Cone(rng.random((8, d))) for k, d in ((2, 3), (1, 2))}
    V = rng.random((2, 5, 8))
    found = features(V, cones, l1=0.1)
    assert found.shape == (2, 5, 7)
    parts = [cones[k].project(V, l1=0.1) for k in (2, 1)]
    np.testing.assert_array_equal(found[..., 0], parts[0].distance)
    np.testing.assert_array_equal(found[..., 5:], parts[1].coef)
    np.testing.assert_array_equal(features(V, cones[1], ["coef"]), cones[1].encode(V))
    assert features(V.astype(np.float32), cones).dtype == np.float32


# --- clusters


@pytest.mark.parametrize("name, rank", [("pixels", 1), ("cells", 1), ("pixels", 2)])
def test_classes_that_differ_in_direction_are_found(name, rank, rng):
    X, y = FIELDS[name](rng, 200)
    found = cluster(X, y.max() + 1, rank=rank, random_state=0)
    assert agreement(found.labels, y) > 0.9


def test_a_cluster_may_be_a_cone_that_no_centre_stands_for(rng):
    """Two fans of spectra with ends alike, two and two: k-means takes the pairs of ends."""
    ends = np.zeros((2, 2, 30))
    ends[0, 0, :8] = ends[1, 0, 4:12] = ends[0, 1, 18:26] = ends[1, 1, 22:] = 1
    labels = np.arange(400) % 2
    share = rng.random((400, 2, 1)) ** 3
    X = (share * ends[labels]).sum(axis=1) + 0.02 * rng.random((400, 30))
    assert agreement(cluster(X, 2, rank=2, n_init=10, random_state=0).labels, labels) > 0.95
    assert agreement(cluster(X, 2, rank=1, n_init=10, random_state=0).labels, labels) < 0.9


def test_the_objective_is_that_of_the_cones_and_labels_are_of_the_nearest(rng):
    X, _ = FIELDS["cells"](rng, 120)
    X[7] = 0
    found = cluster(X, 4, rank=3, n_init=2, random_state=3)
    distances = classify(X, found.cones, relative=True).distances
    assert found.labels[7] == 0
    if found.n_iter < 30:
        np.testing.assert_array_equal(found.labels, distances.argmin(axis=1))
    assert found.objective == pytest.approx(0.5 * np.sum(distances.min(axis=1) ** 2), rel=1e-6)
    again = cluster(X, 4, rank=3, n_init=2, random_state=3)
    np.testing.assert_array_equal(found.labels, again.labels)


def test_as_many_clusters_as_samples_and_equal_samples(rng):
    assert sorted(cluster(np.eye(5), 5, rank=1, random_state=0).labels) == list(range(5))
    found = cluster(np.ones((6, 3)), 3, rank=1, random_state=0)
    assert found.objective == pytest.approx(0, abs=1e-12)


# --- self-training


def test_self_training_helps_where_classes_hang_together(rng):
    """One labelled cell of each type, a hundred and sixty without a label."""
    X, y = FIELDS["cells"](rng, 4)
    V, labels = FIELDS["cells"](rng, 160)
    for fit in (LocalCones, lambda X, y: class_cones(X, y, 1, max_iter=9, tol=0, random_state=0)):
        run = self_train(X, y, V, fit)
        right = [np.mean(found == labels) for found in run.labels]
        assert right[-1] > right[0] + 0.04
        assert len(run.models) == 6 and len(run.used) == len(run.changed) == 5
        assert [used.sum() for used in run.used] == sorted(used.sum() for used in run.used)
        assert run.used[-1].all() and run.changed[-1] < run.changed[0]


def test_self_training_drifts_from_a_poor_start_and_shows_no_sign_of_it(rng):
    """Ten notes of each instrument, at other pitches than those without a label: 70 % falls."""
    X, y = FIELDS["tones"](rng, 30)
    V, labels = FIELDS["tones"](rng, 240)
    run = self_train(X, y, V, LocalCones)
    right = [np.mean(found == labels) for found in run.labels]
    assert right[-1] < right[0] - 0.02 and run.changed[-1] < run.changed[0]
    transposed = shifts((96,), 4, boundary="zero")
    run = self_train(X, y, V, lambda X, y: LocalCones(X, y, copies=transposed))
    assert np.mean(run.labels[-1] == labels) > right[0] + 0.1  # the remedy is a better start


def test_a_share_uses_the_surest_of_each_label(rng):
    X, y = FIELDS["cells"](rng, 20)
    V, _ = FIELDS["cells"](rng, 100)
    run = self_train(X, y, V, LocalCones, rounds=1, share=0.3)
    found = classify(V, run.models[0])
    first, second = np.sort(found.distances, axis=1)[:, :2].T
    for label in range(4):
        mine = found.labels == label
        assert run.used[0][mine].sum() == round(0.3 * mine.sum())
        assert (first / second)[mine & run.used[0]].max() <= (first / second)[
            mine & ~run.used[0]
        ].min()
    assert len(self_train(X, y, V, LocalCones, rounds=0).models) == 1


X, Y = np.eye(4), [0, 0, 1, 1]
CONE = Cone(X)
BAD_INPUT = {
    "negative samples": (lambda: class_cones(-X, Y, 1), ValueError, "X"),
    "a class of zeros": (lambda: class_cones(np.diag([1, 1, 0, 0]), Y, 1), ValueError, "X"),
    "rank 0": (lambda: class_cones(X, Y, 0), ValueError, "rank"),
    "negative price": (lambda: class_cones(X, Y, 1, l1_H=-1), ValueError, "l1_H"),
    "labels of another length": (lambda: class_cones(X, [0], 1), ValueError, "labels"),
    "copies of None": (lambda: class_cones(X, Y, 1, copies=[None]), TypeError, "copies"),
    "kinds a string": (lambda: features(X, CONE, "coef"), TypeError, "kinds"),
    "unknown kind": (lambda: features(X, CONE, ["energies"]), ValueError, "kinds"),
    "features of no cone": (lambda: features(X, X), TypeError, "cones"),
    "clusters of negatives": (lambda: cluster(-X, 2), ValueError, "X"),
    "more clusters than samples": (lambda: cluster(X, 5), ValueError, "n_clusters"),
    "no clusters": (lambda: cluster(X, 0), ValueError, "n_clusters"),
    "clusters of rank 0": (lambda: cluster(X, 2, rank=0), ValueError, "rank"),
    "no start": (lambda: cluster(X, 2, n_init=0), ValueError, "n_init"),
    "one class": (lambda: self_train(X, [1] * 4, X, LocalCones), ValueError, "labels"),
    "unlabelled short": (lambda: self_train(X, Y, X[:, :2], LocalCones), ValueError, "unlabelled"),
    "no fit": (lambda: self_train(X, Y, X, 7), TypeError, "fit"),
    "share 2": (lambda: self_train(X, Y, X, LocalCones, share=2), ValueError, "share"),
    "rounds -1": (lambda: self_train(X, Y, X, LocalCones, rounds=-1), ValueError, "rounds"),
}


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}\b"):
        call()
