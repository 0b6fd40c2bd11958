# SPDX-License-Identifier: BSD-3-Clause
"""Training: equal to its twin, never uphill, the same bits for any threads.

Losses beyond the squared error and masks: test_nmf_losses.py; hard data: test_nmf_hard.py.
"""

import signal
import threading
import time
import warnings

import numpy as np
import pytest
from factorisations import KL, NAMES, PENALTIES, SQUARE, WAYS, instance, objective, twin
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import non_negative_factorization
from sklearn.decomposition._nmf import _initialize_nmf
from sklearn.exceptions import ConvergenceWarning

import fastcone
from fastcone import nmf
from fastcone._nmf import gram, momentum
from fastcone._nmf.inputs import Options, data, scaled
from fastcone._nmf.start import leading_pairs

ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: value[:9])


# --- iterations ------------------------------------------------------------------------------


@ways
@pytest.mark.parametrize("penalties", PENALTIES)
def test_an_iteration_is_its_twin(level, dtype, rng, loss, solver, penalties):
    X, W, H = instance(rng, dtype=dtype)
    want = [a.astype(float) for a in (W, H)]
    want = twin(loss, solver, X.astype(float), *want, penalties=penalties, iterations=3)
    weights = dict(zip(NAMES, penalties, strict=True))
    fit = nmf(X, 4, loss=loss, solver=solver, W=W, H=H, max_iter=3, tol=0, **weights)
    assert fit.W.dtype == fit.H.dtype == dtype and fit.n_iter == 3
    tolerance = 2e-3 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(fit.W, want[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fit.H, want[1], rtol=tolerance, atol=tolerance)
    ends = [objective(loss, X, *f, penalties=penalties) for f in ((W, H), (fit.W, fit.H))]
    np.testing.assert_allclose(fit.history[[0, -1]], ends, rtol=20 * np.finfo(dtype).eps)
    assert fit.objective == fit.history[-1]


@ways
def test_many_blocks_are_their_twin(rng, loss, solver):
    """More samples than one block, more features than one block of rows."""
    X, W, H = instance(rng, 1100, 1300, 3)
    want = twin(loss, solver, X, W, H)
    fit = nmf(X, 3, loss=loss, solver=solver, W=W, H=H, max_iter=1)
    np.testing.assert_allclose(fit.W, want[0], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(fit.H, want[1], rtol=1e-10, atol=1e-13)
    assert fit.objective == pytest.approx(objective(loss, X, *want), rel=1e-12)


@pytest.mark.parametrize("penalties", PENALTIES)
def test_extrapolated_descent_is_its_twin(rng, penalties):
    """Long enough for the weight to grow, and for some iterations to be undone."""
    X, W, H = instance(rng)
    want = twin(SQUARE, "cd", X, W, H, penalties=penalties, iterations=25)
    weights = dict(zip(NAMES, penalties, strict=True))
    fit = nmf(X, 4, W=W, H=H, max_iter=25, tol=0, **weights)
    np.testing.assert_allclose(fit.W, want[0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.H, want[1], rtol=1e-7, atol=1e-9)


def test_an_iteration_that_leads_up_is_undone(monkeypatch, rng):
    """A weight far too large: every extrapolation is taken back, plain descent remains."""
    X, W, H = instance(rng)
    monkeypatch.setattr(momentum, "FIRST", 0.0)
    plain = nmf(X, 4, W=W, H=H, max_iter=6, tol=0)
    monkeypatch.setattr(momentum, "FIRST", 1e6)
    monkeypatch.setattr(momentum, "SHRINK", 1.0)
    wild = nmf(X, 4, W=W, H=H, max_iter=6, tol=0)
    assert np.array_equal(wild.W, plain.W) and np.array_equal(wild.history, plain.history)


def test_extrapolation_pays(mnist):
    X = (mnist["x_train"][:1000].reshape(1000, -1) / 255).T
    fits = []
    for first in (momentum.FIRST, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(momentum, "FIRST", first)
            fits.append(nmf(X, 20, max_iter=60, tol=0))
    reached = np.argmax(fits[0].history <= fits[1].objective)
    assert 0 < reached <= 40


def sklearn_fit(X, W, H, iterations, **options):
    """scikit-learn from the same start: its samples are rows, so its W is our H'."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        Ht, Wt, _ = non_negative_factorization(
            X.T, H.T.copy(), W.T.copy(), n_components=W.shape[1], init="custom", tol=0,
            max_iter=iterations, **options,
        )  # fmt: skip
    return Wt.T, Ht.T


@pytest.mark.parametrize("loss", [SQUARE, KL])
@pytest.mark.parametrize("iterations", [1, 2, 10, 60])
@pytest.mark.parametrize("l1, l2", [(0, 0), (0.3, 0), (0.1, 0.2)])
def test_mu_is_scikit_learns(rng, loss, iterations, l1, l2):
    if loss == KL and l2:
        pytest.skip("scikit-learn's step for KL with l2 is another one, not known to descend")
    X, W, H = instance(rng)
    m, N = X.shape
    ours = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, max_iter=iterations, tol=0,
               l1_W=N * l1, l1_H=m * l1, l2_W=N * l2, l2_H=m * l2)  # fmt: skip
    alpha = l1 + l2
    theirs = sklearn_fit(X, W, H, iterations, solver="mu", beta_loss=loss, alpha_W=alpha,
                         alpha_H=alpha, l1_ratio=l1 / alpha if alpha else 0)  # fmt: skip
    penalties = (N * l1, m * l1, N * l2, m * l2)
    assert ours.objective == pytest.approx(
        objective(loss, X, *theirs, penalties=penalties), rel=1e-9
    )


@pytest.mark.parametrize("iterations", [1, 5, 50])
def test_cd_with_single_epochs_is_scikit_learns(monkeypatch, rng, iterations):
    monkeypatch.setattr(gram, "EPOCHS_H", 1)
    monkeypatch.setattr(gram, "EPOCHS_W", 1)
    monkeypatch.setattr(momentum, "FIRST", 0.0)
    X, W, H = instance(rng)
    ours = nmf(X, 4, W=W, H=H, max_iter=iterations, tol=0)
    theirs = sklearn_fit(X, W, H, iterations, solver="cd")
    assert ours.objective == pytest.approx(objective(SQUARE, X, *theirs), rel=1e-9)


def test_cd_is_ahead_of_scikit_learn_on_digits(mnist, dtype):
    X = (mnist["x_train"][:1000].reshape(1000, -1) / 255).T
    Ht, Wt = _initialize_nmf(X.T, 20, init="nndsvda", random_state=0)
    ours = nmf(X.astype(dtype), 20, W=Wt.T, H=Ht.T, max_iter=20, tol=0)
    theirs = sklearn_fit(X, Wt.T, Ht.T, 20, solver="cd")
    assert objective(SQUARE, X, ours.W, ours.H) <= 1.001 * objective(SQUARE, X, *theirs)


# --- never uphill, and to where no step leads down -------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    way=st.sampled_from(WAYS),
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 14)),
    density=st.sampled_from([0.05, 0.5, 1.0]),
    penalties=st.tuples(*[st.sampled_from([0, 0, 1e-3, 0.3, 5.0])] * 4),
    masked=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_never_uphill(way, sizes, density, penalties, masked, seed):
    (loss, solver), (m, N, k), rng = way, sizes, np.random.default_rng(seed)
    X = rng.gamma(0.3, 10, (m, N)) * (rng.random((m, N)) < density)
    known = rng.random((m, N)) < 0.7 if masked and solver == "mu" else None
    options = dict(zip(NAMES, penalties, strict=True), loss=loss, solver=solver, mask=known)
    before = np.inf
    for iterations in (1, 2, 3, 8, 30):
        fit = nmf(X, k, random_state=seed, max_iter=iterations, tol=0, **options)
        assert np.all(np.isfinite(fit.W)) and np.all(np.isfinite(fit.H))
        assert np.all(fit.W >= 0) and np.all(fit.H >= 0)
        assert np.all(np.diff(fit.history) <= 0) and len(fit.history) == fit.n_iter + 1
        weight = 1.0 if known is None else known
        true = objective(loss, X, fit.W, fit.H, weight, penalties)
        scale = X.sum() if loss == KL else np.sum(X**2) / 2
        assert fit.objective == pytest.approx(true, rel=1e-10, abs=1e-13 * scale)
        assert true <= before * (1 + 1e-12) + 1e-15 * scale
        before = true


@ways
def test_the_end_is_a_stationary_point(rng, loss, solver):
    """Where an entry is positive its derivative is zero, elsewhere it is not negative."""
    X, W, H = instance(rng, 12, 30, 3)
    X += 0.1
    p = (0.2, 0.1, 0.1, 0.2)
    fit = nmf(X, 3, loss=loss, solver=solver, W=W, H=H, tol=0, max_iter=20000,
              **dict(zip(NAMES, p, strict=True)))  # fmt: skip
    Y = fit.W @ fit.H
    R = Y - X if loss == SQUARE else 1 - X / Y
    for F, g in (
        (fit.W, R @ fit.H.T + p[0] + p[2] * fit.W),
        (fit.H, fit.W.T @ R + p[1] + p[3] * fit.H),
    ):
        assert np.max(np.abs(np.minimum(F, g))) < 1e-4
        assert np.max(F * np.abs(g)) < 1e-4


@pytest.mark.parametrize("l1, l2", [(0.0, 0.0), (0.5, 0.1)])
def test_a_kept_dictionary_gives_the_certified_projection(dtype, rng, l1, l2):
    X, W, _ = instance(rng, dtype=dtype)
    fit = nmf(X, 4, W=W, update_W=False, l1_H=l1, l2_H=l2, tol=0, max_iter=500)
    best = fastcone.solve_nnls(W.astype(float), X.astype(float), l1=l1, l2=l2, tol=1e-12)
    assert np.array_equal(fit.W, W)
    assert fit.objective <= best.objective.sum() * (1 + 1e-6) and best.converged.all()


@pytest.mark.parametrize("loss", [SQUARE, KL])
def test_a_kept_dictionary_with_mu_reaches_the_convex_optimum(rng, loss):
    """Two starts agree, and a zero row of W does no harm."""
    X, W, H = instance(rng)
    W[5] = 0
    fits = [
        nmf(X, 4, loss=loss, solver="mu", W=W, H=start, update_W=False, tol=0, max_iter=5000)
        for start in (None, H)
    ]
    assert fits[0].objective == pytest.approx(fits[1].objective, rel=1e-6)
    assert np.array_equal(fits[0].W, W)


def test_a_start_of_zeros_does_not_lock_mu(rng):
    X, W, H = instance(rng)
    W[:, 0], H[1] = 0, 0
    for loss in (SQUARE, KL):
        fit = nmf(X, 4, loss=loss, solver="mu", W=W, H=H, tol=0, max_iter=500)
        assert fit.W[:, 0].max() > 1e-3 and fit.H[1].max() > 1e-3


# --- the same bits ---------------------------------------------------------------------------


@ways
@pytest.mark.parametrize("masked", [False, True])
def test_threads_change_no_bit(dtype, rng, loss, solver, masked):
    if masked and solver == "cd":
        pytest.skip("masks are for mu")
    X = rng.random((300, 2100)).astype(dtype)
    mask = rng.random(X.shape) < 0.9 if masked else None
    fits = [
        nmf(X, 6, loss=loss, solver=solver, mask=mask, random_state=0, max_iter=4, n_threads=n)
        for n in (1, 2, 3, 5)
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


# --- starts ----------------------------------------------------------------------------------


def prepared(X, rank, **options):
    """The scaled problem and its start."""
    given = dict.fromkeys(NAMES, 0.0)
    given |= dict.fromkeys(("init", "random_state", "callback", "n_threads", "time_limit"))
    given |= {
        "loss": SQUARE,
        "solver": "cd",
        "max_iter": 1,
        "tol": 0,
        "update_W": True,
        "fixed": 0,
        "n_init": 1,
    }
    checked = Options.checked(rank, mask=None, weights=None, W=None, H=None, **(given | options))
    return scaled(*data(X, None, None, checked.beta), None, None, checked)


def test_nndsvd_is_scikit_learns(rng):
    X = rng.random((12, 9)) + 0.5  # the subspace is the whole space: no approximation
    X /= X.max()
    made = prepared(X, 3, init="nndsvd")
    W, H = made.factors(made.start)
    Wt, Ht = _initialize_nmf(X, 3, init="nndsvd", random_state=0)
    np.testing.assert_allclose(W @ H, Wt @ Ht, atol=2e-5)
    np.testing.assert_allclose(W[:, 1:] > 0, Wt[:, 1:] > 0)
    filled = prepared(X, 3, init="nndsvda").start
    assert np.all(filled.W[:12, 1:3] > 0) and np.all(filled.Ht[:, 1:] > 0)


def test_the_leading_pairs_are_the_svds(mnist, dtype):
    X = (mnist["x_train"][:900].reshape(900, -1) / 255).T.astype(dtype)
    U, s, V = leading_pairs(prepared(X, 20).problem)
    values = np.linalg.svd(X.astype(float), compute_uv=False)
    np.testing.assert_allclose(s, values[:20], rtol=1e-2)
    best = np.sqrt(np.sum(values[20:] ** 2))
    assert np.linalg.norm(X - U @ V.T) <= 1.002 * best


@pytest.mark.parametrize("init", [None, "random", "nndsvd", "nndsvda", "nndsvdar"])
def test_a_seed_fixes_the_start(rng, init):
    X = instance(rng)[0]
    first, again, generator = (
        nmf(X, 3, init=init, random_state=seed, max_iter=2)
        for seed in (7, 7, np.random.default_rng(7))
    )
    assert np.array_equal(first.W, again.W) and np.array_equal(first.W, generator.W)
    other = nmf(X, 3, init=init, random_state=8, max_iter=2)
    assert np.array_equal(first.W, other.W) == (init in (None, "nndsvd", "nndsvda"))


def test_the_default_start_follows_the_rank(rng):
    X = instance(rng, 6, 5)[0]
    few, many = (nmf(X, k, random_state=0, max_iter=1) for k in (5, 6))
    assert np.array_equal(few.W, nmf(X, 5, init="nndsvda", max_iter=1).W)
    assert np.array_equal(many.W, nmf(X, 6, init="random", random_state=0, max_iter=1).W)


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
    ("loss", {"loss": "kl"}, ValueError),
    ("solver", {"solver": "hals"}, ValueError),
    ("solver", {"loss": KL}, ValueError),
    ("solver", {"mask": np.ones((4, 5), bool)}, ValueError),
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
