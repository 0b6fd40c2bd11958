# SPDX-License-Identifier: BSD-3-Clause
"""Training batch by batch: never uphill on what it minimises, near to training on everything."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastcone import OnlineNMF, nmf, solve_nnls


def cone(rng, m=40, k=5):
    return rng.random((m, k)) * (rng.random((m, k)) < 0.4)


def batches(rng, W, count=40, n=80, noise=0.02):
    for _ in range(count):
        X = W @ rng.standard_exponential((W.shape[1], n))
        yield np.maximum(X + noise * rng.standard_normal(X.shape), 0)


def loss_of(W, X):
    return solve_nnls(W, X, tol=1e-8).objective.sum()


@pytest.mark.parametrize("forget", [1.0, 0.95])
def test_near_to_training_on_everything(rng, forget):
    truth = cone(rng)
    seen = list(batches(rng, truth))
    online = OnlineNMF(5, forget=forget, random_state=0)
    for X in seen:
        online.partial_fit(X)
    X = np.hstack(seen)
    assert online.n_samples == X.shape[1] and np.all(online.W >= 0)
    assert loss_of(online.W, X) <= 1.3 * nmf(X, 5, max_iter=500, tol=1e-8).objective


@pytest.mark.parametrize("l1, l2", [(0, 0), (0.5, 0.3)])
def test_no_step_on_w_raises_the_sum_it_minimises(rng, l1, l2):
    online = OnlineNMF(5, l1_W=l1, l2_W=l2, l1_H=0.01, random_state=0)
    first, *others = batches(rng, cone(rng), count=8)
    online.partial_fit(first)

    def value(W):
        fit = np.sum(W.T @ W * online._G) / 2 - np.sum(W * online._C)
        return fit + l1 * W.sum() + l2 / 2 * np.sum(W**2)

    for X in others:
        before = online.W
        online.partial_fit(X)
        assert value(online.W) < value(before)


def test_the_loss_is_that_of_the_coefficients_found(rng):
    online, W, residual = OnlineNMF(5, random_state=0), cone(rng), []
    first, *others = batches(rng, W, count=5)
    online.partial_fit(first)
    online._G, online._C, online._square, online._weight = 0 * online._G, 0 * online._C, 0, 0
    for X in others:
        residual.append((X, online.encode(X)))
        online.partial_fit(X)
    true = sum(np.sum((X - online.W @ H) ** 2) / 2 for X, H in residual)
    assert online.loss == pytest.approx(true / sum(X.shape[1] for X in others), rel=1e-8)


def test_it_follows_data_that_change(rng):
    old, new = cone(rng), cone(rng)
    keeps, forgets = OnlineNMF(5, random_state=0), OnlineNMF(5, forget=0.7, random_state=0)
    for W in (old, new):
        for X in batches(rng, W, count=20):
            keeps.partial_fit(X)
            forgets.partial_fit(X)
    X = np.hstack(list(batches(rng, new, count=2)))
    assert loss_of(forgets.W, X) < 0.5 * loss_of(keeps.W, X)


@pytest.mark.parametrize("form", [sp.csc_array, sp.csr_array])
def test_sparse_batches_are_dense_ones(rng, form):
    fits = [OnlineNMF(3, random_state=0) for _ in range(2)]
    for _ in range(5):
        X = rng.poisson(0.5, (20, 50)).astype(float)
        fits[0].partial_fit(X)
        fits[1].partial_fit(form(X))
    np.testing.assert_allclose(fits[0].W, fits[1].W, rtol=1e-6, atol=1e-9)
    assert fits[0].loss == pytest.approx(fits[1].loss, rel=1e-6)


def test_threads_change_no_bit(dtype, rng):
    seen = [X.astype(dtype) for X in batches(rng, cone(rng), count=3, n=2000)]
    found = []
    for n_threads in (1, 2, 3):
        online = OnlineNMF(5, random_state=0, n_threads=n_threads)
        for X in seen:
            online.partial_fit(X)
        found.append(online.W)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_batches_of_zeros_and_single_samples(rng):
    online = OnlineNMF(3, random_state=0)
    online.partial_fit(np.zeros((6, 4)))
    assert online.W is None and online.n_samples == 4 and online.loss == 0
    for _ in range(30):
        online.partial_fit(rng.random((6, 1)))
    online.partial_fit(np.zeros((6, 2)))
    assert online.n_samples == 36 and np.all(np.isfinite(online.W)) and np.all(online.W >= 0)


def known(online):
    """Everything that a batch changes."""
    return [np.array(a) for a in (online.W, online._G, online._C, online.n_samples, online.loss)]


def test_parts_of_a_batch_are_the_batch(rng):
    X = rng.random((6, 9))
    whole, parts = OnlineNMF(2, random_state=0), OnlineNMF(2, random_state=0)
    for _ in range(2):
        whole.partial_fit(X)
        parts.partial_fit([X[:, :4], X[:, 4:]])
    assert all(map(np.array_equal, known(whole), known(parts)))


@pytest.mark.parametrize("kind", [np.uint8, np.float32, float])
def test_entries_of_a_sparse_batch_are_counted_once(rng, kind):
    """Duplicates are summed, stored zeros are none, and integers do not overflow."""
    X = rng.integers(0, 120, (6, 9)).astype(kind)
    row, column = np.indices(X.shape).reshape(2, -1)
    twice = [np.concatenate([a, a]) for a in (X.ravel(), row, column)]
    double = sp.coo_array((twice[0], (twice[1], twice[2])), shape=X.shape)
    fits = [OnlineNMF(2, random_state=0) for _ in range(2)]
    fits[0].partial_fit(2 * X.astype(float))
    fits[1].partial_fit(double)
    assert fits[1].loss == pytest.approx(fits[0].loss, rel=1e-5)
    assert fits[1]._square == np.sum((2 * X.astype(float)) ** 2)


@pytest.mark.parametrize("place", ["_begin", "_encoded", "_improved"])
@pytest.mark.parametrize("batches_before", [0, 1])
def test_a_batch_that_is_interrupted_has_not_come(rng, monkeypatch, place, batches_before):
    X, online = rng.random((6, 20)), OnlineNMF(2, random_state=0)
    for _ in range(batches_before):
        online.partial_fit(X)
    if place == "_begin" and batches_before:
        pytest.skip("only the first batch begins")
    before, plain = known(online), getattr(OnlineNMF, place)

    def interrupted(*arguments):
        plain(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(OnlineNMF, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        online.partial_fit(X)
    assert all(map(np.array_equal, known(online), before))


@pytest.mark.parametrize("size", [1e-140, 1e149])
def test_units_of_a_batch_do_not_matter(rng, size):
    truth, online = cone(rng, 8, 2), OnlineNMF(2, random_state=0)
    for X in batches(rng, truth, count=20, n=30, noise=0):
        online.partial_fit(size * X)
    assert np.isfinite(online.loss) and loss_of(online.W / size, X) < 1e-3 * np.sum(X**2)


def test_samples_of_zeros_weigh_as_much_as_others(rng):
    X = rng.random((6, 20))
    online, alone = OnlineNMF(2, random_state=0), OnlineNMF(2, random_state=0)
    online.partial_fit(np.zeros((6, 20)))
    for each in (online, alone):
        each.partial_fit(X)
    assert online.loss == pytest.approx(alone.loss / 2, rel=1e-12)


BAD = [
    ("rank", {"rank": 0}, ValueError), ("forget", {"forget": 0}, ValueError),
    ("forget", {"forget": 1.5}, ValueError), ("l1_W", {"l1_W": -1}, ValueError),
    ("l2_H", {"l2_H": "1"}, TypeError), ("n_threads", {"n_threads": 0}, ValueError),
    ("random_state", {"random_state": "seed"}, TypeError),
]  # fmt: skip


@pytest.mark.parametrize("name, change, error", BAD, ids=str)
def test_bad_arguments_are_named(name, change, error):
    with pytest.raises(error, match=rf"^{name}\b"):
        OnlineNMF(**({"rank": 2} | change))


def test_a_bad_batch_changes_nothing(rng):
    online = OnlineNMF(2, random_state=0)
    with pytest.raises(ValueError, match=r"^W\b"):
        online.encode(np.ones((4, 3)))
    online.partial_fit(rng.random((4, 30)))
    W, count = online.W.copy(), online.n_samples
    huge = np.full((4, 2), 1e151)
    for X in (np.full((4, 2), np.nan), -np.ones((4, 2)), np.ones((5, 2)), huge, sp.csc_array(huge)):
        with pytest.raises(ValueError, match=r"^[XW]\b"):
            online.partial_fit(X)
    assert np.array_equal(online.W, W) and online.n_samples == count
