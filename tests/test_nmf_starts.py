# SPDX-License-Identifier: BSD-3-Clause
"""Where training starts: by name, from exemplars, several times, beside columns that are kept."""

import numpy as np
import pytest
import scipy.sparse as sp
from factorisations import KL, NAMES, SQUARE, WAYS, instance, objective
from sklearn.decomposition._nmf import _initialize_nmf

from fastcone import nmf
from fastcone._nmf import stack
from fastcone._nmf.arguments import Options, data, scaled
from fastcone._nmf.init import Scores, leading_pairs

ways = pytest.mark.parametrize("loss, solver", [*WAYS, (1.5, "mu")], ids=str)

# --- names of starts -------------------------------------------------------------------------


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
    return scaled(*data(X, None, None, checked.loss, checked.deadline), None, None, checked)


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
    problem = prepared(X, 20).problem
    U, s = leading_pairs(problem)
    V = np.empty((900, 20), dtype)
    told = Scores(U)(problem, V).sum(axis=0)[:, 0]
    values = np.linalg.svd(X.astype(float), compute_uv=False)
    np.testing.assert_allclose(s, values[:20], rtol=1e-2)
    best = np.sqrt(np.sum(values[20:] ** 2))
    assert np.linalg.norm(X - U @ V.T) <= 1.002 * best
    signed = [np.sum(np.maximum(side * V, 0) ** 2, axis=0) for side in (1, -1)]
    np.testing.assert_allclose(told, signed, rtol=1e-4)


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


# --- fixed columns ---------------------------------------------------------------------------


@ways
@pytest.mark.parametrize("l1, l2", [(0, 0), (0.1, 0.2)])
def test_fixed_columns_are_kept_to_the_bit(dtype, rng, loss, solver, l1, l2):
    X, W, H = instance(rng, dtype=dtype)
    W[3:9, 0], W[:, 1] = 0, 0
    fit = nmf(X, 4, loss=loss, solver=solver, W=W, H=H, fixed=2, l1_W=l1, l2_W=l2, tol=0,
              max_iter=30)  # fmt: skip
    assert np.array_equal(fit.W[:, :2], W[:, :2]) and not np.any(fit.W[:, 2:] == W[:, 2:])
    assert fit.n_iter == 30 or fit.converged
    penalties = (l1, 0, l2, 0)
    true = objective(loss, X, fit.W, fit.H, penalties=penalties)
    assert fit.objective == pytest.approx(true, rel=50 * float(np.finfo(dtype).eps))


@ways
def test_all_columns_fixed_is_a_kept_dictionary(rng, loss, solver):
    X, W, H = instance(rng)
    options = {"loss": loss, "solver": solver, "W": W, "H": H, "tol": 0, "max_iter": 400}
    fixed, kept = nmf(X, 4, fixed=4, **options), nmf(X, 4, update_W=False, **options)
    assert np.array_equal(fixed.W, W)
    assert fixed.objective == pytest.approx(kept.objective, rel=1e-6)


@pytest.mark.parametrize("loss, solver", WAYS)
def test_the_free_columns_solve_their_own_problem(rng, loss, solver):
    """With one column free a masked-out part of the data can be explained by it alone."""
    X, W, _ = instance(rng, 12, 60, 3)
    truth = rng.random((12, 1)) + 0.1
    X = W[:, :2] @ rng.random((2, 60)) + truth @ rng.random((1, 60))
    fit = nmf(X, 3, loss=loss, solver=solver, W=W[:, :2], fixed=2, random_state=0, tol=0,
              max_iter=3000)  # fmt: skip
    assert np.array_equal(fit.W[:, :2], W[:, :2])
    assert np.linalg.norm(X - fit.W @ fit.H) < 1e-2 * np.linalg.norm(X)


@pytest.mark.parametrize("init", [None, "random", "exemplars", "nndsvda"])
def test_a_fixed_part_alone_is_given_company(rng, init):
    X, W, _ = instance(rng)
    fit = nmf(X, 5, W=W[:, :2], fixed=2, init=init, random_state=0, max_iter=5)
    assert fit.W.shape == (23, 5) and np.array_equal(fit.W[:, :2], W[:, :2])
    assert np.all(fit.W[:, 2:].max(axis=0) > 0)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_fixed_columns_and_threads(rng, n_threads):
    X, W, H = instance(rng, 300, 900, 5)
    one, many = (nmf(X, 5, W=W, H=H, fixed=2, max_iter=4, n_threads=n) for n in (1, n_threads))
    assert np.array_equal(one.W, many.W) and np.array_equal(one.H, many.H)


# --- exemplars -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss, solver", WAYS)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_exemplars_find_pure_samples(dtype, rng, loss, solver, scale):
    """Where every direction of the cone is a sample, the start is nearly the answer."""
    X = np.zeros((6, 40))
    X[np.arange(40) % 6, np.arange(40)] = rng.random(40) + 0.5
    X = (scale * X).astype(dtype)
    fit = nmf(X, 6, loss=loss, solver=solver, init="exemplars", random_state=0, max_iter=5)
    assert np.linalg.norm((X - fit.W @ fit.H) / scale) < 1e-3


def test_fewer_samples_than_exemplars(dtype, rng):
    X = np.repeat(rng.random((9, 3)), 2, axis=1).astype(dtype)
    X[:, 4] = 0
    fit = nmf(X, 7, init="exemplars", random_state=0)
    assert np.all(np.isfinite(fit.W)) and np.all(fit.W.max(axis=0) > 0)
    assert np.linalg.norm(X - fit.W @ fit.H) < 1e-2 * np.linalg.norm(X)


# --- several starts --------------------------------------------------------------------------


@pytest.mark.parametrize("loss, solver", WAYS)
@pytest.mark.parametrize("init", [None, "random"])
def test_the_best_of_several_starts_is_returned(rng, loss, solver, init):
    X, seen = instance(rng)[0], []
    options = {"loss": loss, "solver": solver, "max_iter": 8, "tol": 0}
    generator = np.random.default_rng(3)
    single = [
        nmf(X, 4, init="random" if s else init, random_state=generator, **options) for s in range(4)
    ]
    options |= {"init": init, "random_state": 3, "callback": lambda *a: seen.append(a)}
    best = nmf(X, 4, n_init=4, **options)
    assert best.restarts.tolist() == [fit.objective for fit in single]
    assert best.objective == min(fit.objective for fit in single)
    winner = min(single, key=lambda fit: fit.objective)
    assert np.array_equal(best.W, winner.W) and len(seen) == 32


BAD = [
    ("fixed", {"fixed": 1}),
    ("fixed", {"fixed": 3, "W": np.ones((4, 2))}),
    ("fixed", {"fixed": -1}),
    ("W", {"fixed": 1, "W": np.ones((4, 3))}),
    ("n_init", {"n_init": 0}),
    ("n_init", {"n_init": 2, "init": "nndsvda"}),
    ("n_init", {"n_init": 2, "W": np.ones((4, 2))}),
    ("loss", {"loss": 7.0, "solver": "mu"}),
    ("loss", {"loss": np.nan, "solver": "mu"}),
    ("X", {"X": np.eye(4, 5), "loss": 0.0, "solver": "mu"}),
    ("X", {"X": np.eye(4, 5), "loss": -1.0, "solver": "mu", "mask": np.ones((4, 5), bool)}),
    ("solver", {"loss": 1.5, "solver": "cd"}),
    ("weights", {"weights": np.ones((5, 4)), "solver": "mu"}),
    ("weights", {"weights": -np.ones((4, 5)), "solver": "mu"}),
    ("weights", {"weights": np.full((4, 5), np.nan), "solver": "mu"}),
    ("X", {"X": np.full((4, 5), np.nan), "weights": np.eye(4, 5), "solver": "mu"}),
]


@pytest.mark.parametrize("name, change", BAD, ids=lambda value: str(value)[:40])
def test_bad_arguments_are_named(name, change):
    options = {"X": np.ones((4, 5)), "rank": 2} | change
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        nmf(options.pop("X"), options.pop("rank"), **options)


def test_a_dictionary_of_zeros_beside_fixed_columns_is_refused(rng):
    with pytest.raises(ValueError, match=r"^W holds"):
        nmf(rng.random((4, 5)), 2, W=np.zeros((4, 2)), fixed=1)
    assert nmf(rng.random((4, 5)), 2, loss=KL, solver="mu", W=np.ones((4, 1)), fixed=1).n_iter
    assert objective(SQUARE, np.ones((2, 2)), np.ones((2, 1)), np.ones((1, 2))) == 0


# --- several starts side by side -------------------------------------------------------------


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize(
    "options", [{}, {"solver": "mu"}, {"l1_H": 0.3, "l2_W": 0.1}, {"fixed": 2}]
)
def test_starts_side_by_side_are_single_runs(rng, dtype, form, options, monkeypatch):
    X = rng.poisson(0.6, (50, 300)).astype(dtype)
    if form == "sparse":
        X = sp.csc_array(X)
    if "fixed" in options:
        options = options | {"W": rng.random((50, 2)) + 0.1}
    options = {"init": "random", "max_iter": 40, "tol": 1e-3} | options
    bits = np.random.default_rng(3)
    singles = [nmf(X, 5, random_state=bits, **options) for _ in range(7)]
    best = min(singles, key=lambda fit: fit.objective)
    for columns in (5, 12, 256):  # one, two, all of them at a time
        monkeypatch.setattr(stack, "COLUMNS", columns)
        for n_threads in (1, 3):
            fit = nmf(X, 5, n_init=7, random_state=3, n_threads=n_threads, **options)
            assert np.array_equal(fit.W, best.W) and np.array_equal(fit.H, best.H)
            assert np.array_equal(fit.history, best.history)
            assert fit.restarts.tolist() == [single.objective for single in singles]


def test_starts_side_by_side_end_apart(rng):
    X = rng.random((30, 200))
    options = {"init": "random", "tol": 1e-3, "max_iter": 300}
    bits = np.random.default_rng(0)
    counts = {nmf(X, 4, random_state=bits, **options).n_iter for _ in range(6)}
    assert len(counts) > 1  # so that the stack shrinks
    fit = nmf(X, 4, n_init=6, random_state=0, **options)
    assert fit.n_iter in counts and fit.objective == fit.restarts.min()


def test_time_and_interrupts_end_all_starts(rng, monkeypatch):
    X = rng.random((200, 2000))
    options = {"init": "random", "n_init": 5, "tol": 0, "max_iter": 10**6, "random_state": 0}
    fit = nmf(X, 5, time_limit=0.3, **options)
    assert fit.objective == fit.restarts.min() and len(fit.restarts) == 5 and not fit.converged
    calls = []

    def press(self, fits):
        calls.append(len(fits))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return own(self, fits)

    own = stack.Stack.__call__
    monkeypatch.setattr(stack.Stack, "__call__", press)
    with pytest.raises(KeyboardInterrupt) as stopped:
        nmf(X, 5, **options)
    assert calls == [5] * 4 and stopped.value.result.n_iter == 3
    assert len(stopped.value.result.restarts) == 5
