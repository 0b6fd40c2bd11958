# SPDX-License-Identifier: BSD-3-Clause
"""Training as a call: the same bits from any layout and threads, how it ends, what it refuses."""

import signal
import threading
import time

import numpy as np
import pytest
from factorisations import KL, WAYS, instance

from fastcone import nmf

ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: value[:9])


# --- the same bits ---------------------------------------------------------------------------


@ways
@pytest.mark.parametrize("masked", [False, True])
def test_threads_change_no_bit(dtype, rng, loss, solver, masked):
    X = rng.random((300, 2100)).astype(dtype)
    mask = rng.random(X.shape) < 0.9 if masked else None
    fits = [
        nmf(X, 6, loss=loss, solver=solver, mask=mask, random_state=0, max_iter=4, n_threads=n)
        for n in (1, 2, 3, 5, 8, 16)
    ]
    for fit in fits[1:]:
        assert np.array_equal(fit.W, fits[0].W) and np.array_equal(fit.H, fits[0].H)
        assert np.array_equal(fit.history, fits[0].history)


def layouts(X, tmp_path):
    big = np.zeros((2 * X.shape[0], 3 * X.shape[1]), dtype=X.dtype)
    big[::2, ::3] = X
    frozen = np.asfortranarray(X)
    frozen.flags.writeable = False
    stored = np.memmap(tmp_path / "x", X.dtype, "w+", shape=X.shape)
    stored[...] = X
    swapped = X.astype(X.dtype.newbyteorder(">")) if X.dtype == np.float64 else X
    return {
        "C": np.ascontiguousarray(X),
        "F": np.asfortranarray(X),
        "strided": big[::2, ::3],
        "reversed": X[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": frozen,
        "memory-mapped": stored,
        "big-endian": swapped,
    }


@ways
def test_layouts_change_no_bit_and_inputs_are_left_alone(dtype, rng, tmp_path, loss, solver):
    X, W, H = instance(rng, dtype=dtype)
    fits = []
    for name, given_X in layouts(X, tmp_path).items():
        given_W, given_H = (np.asfortranarray(a) if name == "F" else a for a in (W, H))
        copies = [a.copy() for a in (given_X, given_W, given_H)]
        fits.append(nmf(given_X, 4, loss=loss, solver=solver, W=given_W, H=given_H, max_iter=5))
        for left, copy in zip((given_X, given_W, given_H), copies, strict=True):
            assert np.array_equal(left, copy)
    for fit in fits[1:]:
        assert np.array_equal(fit.W, fits[0].W) and np.array_equal(fit.H, fits[0].H)


def test_integers_are_computed_in_float64():
    X = np.arange(12).reshape(3, 4)
    fit = nmf(X, 2, random_state=0)
    assert fit.W.dtype == np.float64
    assert np.array_equal(fit.W, nmf(X.astype(float), 2, random_state=0).W)


# --- stopping --------------------------------------------------------------------------------


@ways
def test_the_stopping_rule(rng, loss, solver):
    X = instance(rng)[0]
    fit = nmf(X, 4, loss=loss, solver=solver, random_state=0, tol=1e-3, max_iter=1000)
    drop = -np.diff(fit.history) / fit.history[:-1]
    assert fit.converged and drop[-1] <= 1e-3 and np.all(drop[:-1] > 1e-3)
    short = nmf(X, 4, loss=loss, solver=solver, random_state=0, tol=1e-3, max_iter=2)
    assert not short.converged and short.n_iter == 2
    assert np.array_equal(short.history, fit.history[:3])


@ways
def test_the_callback_sees_every_iteration_and_may_stop(rng, loss, solver):
    X, seen = instance(rng)[0], []

    def callback(iteration, value):
        seen.append((iteration, value))
        return iteration == 3

    fit = nmf(X, 4, loss=loss, solver=solver, random_state=0, tol=0, callback=callback)
    assert fit.n_iter == 3 and not fit.converged
    assert seen == list(enumerate(fit.history[1:], start=1))


@ways
def test_a_time_limit_returns_the_last_iteration(rng, loss, solver):
    X = rng.random((500, 4000))
    began = time.monotonic()
    fit = nmf(X, 20, loss=loss, solver=solver, init="random", random_state=0, tol=0,
              max_iter=10**6, time_limit=0.3)  # fmt: skip
    assert time.monotonic() - began < 3 and not fit.converged and 0 < fit.n_iter < 10**6
    same = nmf(X, 20, loss=loss, solver=solver, init="random", random_state=0, tol=0,
               max_iter=fit.n_iter)  # fmt: skip
    assert np.array_equal(fit.W, same.W) and np.array_equal(fit.H, same.H)


def test_a_time_limit_that_leaves_no_time(rng):
    fit = nmf(rng.random((50, 40)), 3, time_limit=1e-9)
    assert fit.n_iter == 0 and fit.objective == np.inf and np.all(np.isfinite(fit.W))


@ways
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_run_at_once(rng, loss, solver, n_threads):
    X = rng.random((400, 6000))
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.4, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        nmf(X, 16, loss=loss, solver=solver, init="random", tol=0, max_iter=10**6,
            n_threads=n_threads)  # fmt: skip
    assert time.monotonic() - sent[0] < 1.0
    assert nmf(X[:, :50], 3, max_iter=2).n_iter == 2


# --- bad arguments ---------------------------------------------------------------------------

GOOD = {"X": np.ones((4, 5)), "rank": 2}
BAD = [
    ("X", {"X": np.ones(4)}, ValueError),
    ("X", {"X": np.ones((0, 5))}, ValueError),
    ("X", {"X": np.array([[1.0, np.nan]])}, ValueError),
    ("X", {"X": np.array([[1.0, np.inf]])}, ValueError),
    ("X", {"X": np.array([[1.0, -1.0]])}, ValueError),
    ("X", {"X": np.ones((2, 2), dtype=complex)}, TypeError),
    ("X", {"X": np.ones((2, 2), dtype=object)}, TypeError),
    ("X", {"X": np.full((4, 5), np.nan), "mask": np.eye(4, 5) > 0, "solver": "mu"}, ValueError),
    ("rank", {"rank": 0}, ValueError),
    ("rank", {"rank": 1.5}, TypeError),
    ("loss", {"loss": "hellinger"}, ValueError),
    ("solver", {"solver": "hals"}, ValueError),
    ("solver", {"loss": KL, "solver": "cd"}, ValueError),
    ("mask", {"mask": "none"}, ValueError),
    ("X", {"X": np.array([[1.0, np.nan, np.inf]]), "mask": "nan"}, ValueError),
    ("init", {"init": "custom"}, ValueError),
    ("init", {"init": "random", "W": np.ones((4, 2))}, ValueError),
    ("init", {"init": "nndsvd", "rank": 5}, ValueError),
    ("W", {"H": np.ones((2, 5))}, ValueError),
    ("W", {"update_W": False}, ValueError),
    ("W", {"W": np.ones((4, 3))}, ValueError),
    ("W", {"W": -np.ones((4, 2))}, ValueError),
    ("W", {"W": np.zeros((4, 2))}, ValueError),
    ("H", {"W": np.ones((4, 2)), "H": np.ones((5, 2))}, ValueError),
    ("H", {"W": np.ones((4, 2)), "H": np.full((2, 5), 1e200)}, ValueError),
    ("l1_W", {"l1_W": -1}, ValueError),
    ("l1_H", {"l1_H": np.nan}, ValueError),
    ("l2_W", {"l2_W": "1"}, TypeError),
    ("l2_H", {"l2_H": np.inf}, ValueError),
    ("mask", {"mask": np.ones((5, 4), bool), "solver": "mu"}, ValueError),
    ("mask", {"mask": np.ones((4, 5)), "solver": "mu"}, TypeError),
    ("mask", {"mask": np.ma.ones((4, 5), bool), "solver": "mu"}, TypeError),
    ("max_iter", {"max_iter": 0}, ValueError),
    ("tol", {"tol": -1e-4}, ValueError),
    ("update_W", {"update_W": 1}, TypeError),
    ("random_state", {"random_state": "seed"}, TypeError),
    ("random_state", {"random_state": -1}, ValueError),
    ("callback", {"callback": 3}, TypeError),
    ("n_threads", {"n_threads": 0}, ValueError),
    ("time_limit", {"time_limit": 0}, ValueError),
]


@pytest.mark.parametrize("name, change, error", BAD, ids=lambda value: str(value)[:40])
def test_bad_arguments_are_named(name, change, error):
    options = GOOD | change
    with pytest.raises(error, match=rf"^{name}\b"):
        nmf(options.pop("X"), options.pop("rank"), **options)


def test_an_error_in_the_callback_reaches_the_caller(rng):
    def fail(iteration, value):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        nmf(rng.random((5, 6)), 2, callback=fail)
