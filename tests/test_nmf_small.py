# SPDX-License-Identifier: BSD-3-Clause
"""Many iterations in one compiled call end with the bits of iterations made one by one."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastcone
from fastcone._nmf import cycles, small, turns

SHAPES = [(30, 10, 3), (38, 700, 5), (600, 90, 4), (183, 1183, 10), (1, 9, 1), (17, 1, 3)]
OTHERS = [(30, 10, 3), (38, 400, 5), (200, 60, 4), (17, 900, 2), (20, 30, 1)]


def table(m, N, k, dtype, seed=0, noise=0.5):
    """Counts-like data: a mixture of k profiles and noise."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.5, size=(m, k)) @ rng.gamma(0.5, size=(k, N)) + noise * rng.random((m, N))
    return np.asfortranarray(X, dtype=dtype)


@pytest.fixture
def calls(monkeypatch):
    """How many iterations each compiled call made."""
    made = []
    plain = cycles.rounds

    def noted(*given):
        made.append(plain(*given))
        return made[-1]

    monkeypatch.setattr(cycles, "rounds", noted)
    return made


def one_by_one(X, k, **options):
    """The twin: a callback is called after each iteration, so each is made by itself."""
    return fastcone.nmf(X, k, solver="mu", callback=lambda *_: False, **options)


def same(a, b):
    assert np.array_equal(a.W, b.W) and np.array_equal(a.H, b.H)
    assert np.array_equal(a.history, b.history)
    assert (a.n_iter, a.converged) == (b.n_iter, b.converged)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "N", "k"), SHAPES)
@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_the_bits_are_those_of_single_iterations(m, N, k, dtype, calls):
    X = table(m, N, k, dtype)
    options = {"init": "random", "random_state": 1, "max_iter": 120}
    for tol in (0.0, 1e-4):
        many = fastcone.nmf(X, k, solver="mu", tol=tol, **options)
        made = sum(calls)
        same(many, one_by_one(X, k, tol=tol, **options))
        assert sum(calls) == made, "the twin made several iterations in a call"
        assert made or min(m, N) == 1 or many.n_iter < 3
        calls.clear()


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 40),
    N=st.integers(1, 60),
    k=st.integers(1, 9),
    fixed=st.integers(0, 3),
    noise=st.sampled_from([0.0, 1e-9, 1e-3, 1.0]),
    tol=st.sampled_from([0.0, 1e-6, 1e-3]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_every_end_is_that_of_single_iterations(m, N, k, fixed, noise, tol, dtype, seed):
    """Exact fits, arrival, no gain: whatever ends a run, ends it at the same moment."""
    X, fixed = table(m, N, k, dtype, seed, noise), min(fixed, k)
    rng = np.random.default_rng(seed)
    W, H = rng.random((m, k)), rng.random((k, N))
    options = {"W": W, "H": H, "max_iter": 60, "tol": tol, "fixed": fixed}
    same(fastcone.nmf(X, k, solver="mu", **options), one_by_one(X, k, **options))


@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_a_kept_dictionary(calls):
    X = table(30, 50, 4, np.float64)
    W = np.random.default_rng(3).random((30, 4))
    options = {"W": W, "update_W": False, "max_iter": 50, "tol": 0.0}
    many = fastcone.nmf(X, 4, solver="mu", **options)
    assert calls and max(calls) > 10
    same(many, one_by_one(X, 4, **options))
    assert np.array_equal(many.W, W)


@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_restarts_have_the_bits_they_have_alone(calls):
    X = table(40, 30, 3, np.float64)
    found = fastcone.nmf(X, 3, solver="mu", n_init=3, init="random", random_state=5, tol=0.0)
    assert max(calls) > 10
    seen = []
    fastcone.nmf(X, 3, solver="mu", n_init=3, init="random", random_state=5, tol=0.0,
                 callback=lambda i, value: seen.append((i, value)) and False)  # fmt: skip
    assert [value for i, value in seen if i == 200] == list(found.restarts)


@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_penalties_masks_and_weights_go_one_by_one(calls):
    X = table(20, 15, 3, np.float64)
    for options in ({"l1_H": 0.1}, {"l2_W": 0.1}, {"mask": X > 0.1}, {"weights": X}):
        fastcone.nmf(X, 3, solver="mu", max_iter=20, **options)
    assert not calls


def test_a_call_ends_within_milliseconds_and_so_does_a_time_limit(monkeypatch):
    X = table(30, 10, 3, np.float64)
    W, H = np.random.default_rng(0).random((30, 3)), np.random.default_rng(1).random((3, 10))
    began = time.perf_counter()
    found = fastcone.nmf(X, 3, solver="mu", W=W, H=H, tol=0.0, max_iter=10**9, time_limit=0.2)
    assert time.perf_counter() - began < 5
    assert found.n_iter > 100 and np.all(np.diff(found.history) <= 0)
    Y = found.W @ found.H
    np.testing.assert_allclose(found.objective, 0.5 * np.sum((X - Y) ** 2), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_ctrl_c_between_calls_leaves_a_whole_iteration(monkeypatch):
    """The factors that are kept belong to the history that is kept."""
    X = table(30, 10, 3, np.float64)
    monkeypatch.setattr(small, "WORK", 1e6)
    left = [3]
    plain = cycles.rounds

    def interrupted(*given):
        left[0] -= 1
        if not left[0]:
            plain(*given)
            raise KeyboardInterrupt
        return plain(*given)

    monkeypatch.setattr(cycles, "rounds", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        fastcone.nmf(X, 3, solver="mu", init="random", random_state=0, tol=0.0, max_iter=10**4)
    kept = caught.value.result
    assert kept.n_iter > 10
    same(kept, one_by_one(X, 3, init="random", random_state=0, tol=0.0, max_iter=kept.n_iter))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "N", "k"), OTHERS)
@pytest.mark.parametrize("loss", ["kl", "is", 0.5, 1.5, 3.0])
@pytest.mark.filterwarnings("ignore::fastcone.ConvergenceWarning")
def test_the_bits_of_the_other_losses(m, N, k, dtype, loss, monkeypatch):
    X, made, plain = table(m, N, k, dtype) + dtype(0.1), [], turns.turns

    def noted(*given):
        made.append(plain(*given))
        return made[-1]

    monkeypatch.setattr(turns, "turns", noted)
    options = {"loss": loss, "init": "random", "random_state": 1, "max_iter": 60}
    for tol in (0.0, 1e-4):
        many = fastcone.nmf(X, k, tol=tol, **options)
        assert sum(count for count, *_ in made) >= many.n_iter - 1 > 0
        made.clear()
        same(many, one_by_one(X, k, tol=tol, **options))
        assert not made
        fixed = {"W": many.W, "H": many.H, "fixed": 1, "max_iter": 9, "tol": tol, "loss": loss}
        same(fastcone.nmf(X, k, solver="mu", **fixed), one_by_one(X, k, **fixed))
        made.clear()
