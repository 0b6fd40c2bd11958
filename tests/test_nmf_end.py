# SPDX-License-Identifier: BSD-3-Clause
"""What training says of its end: the warning, and the record a cone keeps."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from factorisations import WAYS

import fastcone
from fastcone import Cone, ConvergenceWarning, OnlineNMF, nmf
from fastcone._runtime.modelfile import write_model

ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: value[:9])


@pytest.fixture
def X(rng):
    return rng.random((20, 30)) + 0.1


def said(call):
    """What a call returns, and its warnings."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        return call(), [each for each in given if each.category is ConvergenceWarning]


@ways
@pytest.mark.parametrize("form", [np.asarray, sp.csc_array, "mask", "stored"], ids=str)
def test_an_end_before_tol_is_told_where_it_was_called(X, loss, solver, form):
    options = {"loss": loss, "solver": solver, "random_state": 0, "max_iter": 3, "tol": 1e-5}
    if isinstance(form, str):
        options["mask"] = "stored" if form == "stored" else np.ones(X.shape, bool)
    given = sp.csc_array(X) if form == "stored" else X if form == "mask" else form(X)
    fit, told = said(lambda: nmf(given, 4, **options))
    assert not fit.converged and len(told) == 1 and told[0].filename == __file__
    assert "max_iter=3 " in str(told[0].message) and "tol=1e-05 " in str(told[0].message)
    fit, told = said(lambda: nmf(given, 4, **options | {"max_iter": 5000, "tol": 1e-3}))
    assert fit.converged and not told


@ways
def test_an_end_that_was_asked_for_is_not_told(X, loss, solver):
    options = {"loss": loss, "solver": solver, "random_state": 0}
    for more in (
        {"tol": 0, "max_iter": 3},
        {"callback": lambda iteration, _: iteration == 3, "max_iter": 3},
        {"callback": lambda iteration, _: True},
    ):
        fit, told = said(lambda more=more: nmf(X, 4, **options, **more))
        assert not fit.converged and not told


def test_of_several_starts_the_best_one_counts(X):
    ends, options = [], {"n_init": 2, "init": "random", "max_iter": 20}
    for seed in range(40):
        fit, told = said(lambda seed=seed: nmf(X, 4, random_state=seed, **options))
        assert bool(told) is not fit.converged
        ends.append(fit.converged)
    assert 0 < sum(ends) < 40


def test_a_run_resumed_at_its_limit_says_so_again(X, tmp_path):
    options = {"random_state": 0, "max_iter": 5, "checkpoint": tmp_path / "run"}
    for _ in range(2):
        assert len(said(lambda: nmf(X, 4, **options))[1]) == 1
    assert not said(lambda: nmf(X, 4, **options | {"max_iter": 5000, "tol": 1e-3}))[1]


def test_batches_tell_where_they_were_given(X):
    for more, count in (({"max_iter": 1, "tol": 1e-9}, 1), ({"max_iter": 1, "tol": 0}, 0), ({}, 0)):
        online = OnlineNMF(3, random_state=0, **more)
        _, told = said(lambda online=online: online.partial_fit(X))
        assert len(told) == count and all(each.filename == __file__ for each in told)
    with pytest.raises(ValueError, match=r"^max_iter\b"):
        OnlineNMF(3, max_iter=0)


def test_one_class_for_all():
    assert issubclass(ConvergenceWarning, UserWarning)
    assert fastcone.ConvergenceWarning is ConvergenceWarning


def test_a_cone_keeps_how_its_training_went(X, tmp_path):
    options = {"random_state": 0, "max_iter": 5}
    cone, told = said(lambda: Cone.fit(X.T, 4, **options))
    assert len(told) == 1 and told[0].filename == __file__
    fit = nmf(X, 4, **options)
    cone.save(tmp_path / "cone")
    for each in (cone, Cone.load(tmp_path / "cone"), pickle.loads(pickle.dumps(cone)),
                 copy.deepcopy(cone)):  # fmt: skip
        assert np.array_equal(each.W, fit.W)
        assert np.array_equal(each.training.history, fit.history)
        assert each.training.n_iter == fit.n_iter == 5
        assert each.training.converged is fit.converged is False
    done = Cone.fit(X.T, 4, random_state=0, tol=1e-2)
    done.save(tmp_path / "cone")
    assert done.training.converged and Cone.load(tmp_path / "cone").training.converged


def test_a_given_cone_has_no_training(X, tmp_path):
    Cone(X).save(tmp_path / "cone")
    assert Cone(X).training is None and Cone.load(tmp_path / "cone").training is None
    older = Cone.__new__(Cone)
    older.__setstate__({"_W": X})  # a pickle from before there was a record
    assert older.training is None


def test_infinite_objectives_come_back(X, tmp_path):
    fit = nmf(1e200 * X, 2, max_iter=2, tol=0)
    assert np.isinf(fit.history).all()
    Cone.fit(1e200 * X.T, 2, max_iter=2, tol=0).save(tmp_path / "cone")
    assert np.array_equal(Cone.load(tmp_path / "cone").training.history, fit.history)


def test_a_file_with_another_kind_of_history_is_refused(tmp_path):
    arrays = {"W": np.eye(2), "history": np.ones((2, 2))}
    write_model(tmp_path / "cone", "cone", arrays, {"converged": True})
    with pytest.raises(ValueError, match=r"path .* history has shape"):
        Cone.load(tmp_path / "cone")


@pytest.mark.parametrize("tol", [1e-3, 1e-4])
def test_an_exact_fit_ends_by_tol_in_either_precision(rng, tol):
    """Of full rank: f - f' <= tol f alone went on to the precision's end, and apart on the way."""
    X = np.abs(rng.standard_normal((7, 50)))
    start = {"W": rng.random((7, 7)) + np.eye(7), "H": rng.random((7, 50)) + 0.1}
    options = {"tol": tol, "max_iter": 5000, **start}
    wide, narrow = nmf(X, 7, **options), nmf(X.astype(np.float32), 7, **options)
    assert wide.converged and narrow.converged
    assert wide.objective <= tol**2 * wide.history[0]
    assert abs(wide.n_iter - narrow.n_iter) <= 1


def test_float32_agrees_with_float64_where_the_rank_is_full():
    """scikit-learn's test_nmf_float32_float64_consistency."""
    X = np.abs(np.random.RandomState(0).randn(50, 7)).T
    for loss, solver in WAYS:
        options = {"loss": loss, "solver": solver, "tol": 1e-3, "random_state": 0}
        wide, narrow = nmf(X, 7, **options), nmf(X.astype(np.float32), 7, **options)
        np.testing.assert_allclose(narrow.H, wide.H, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", [-0.6, 0.0, -1.2])
def test_a_small_value_added_serves_losses_that_have_no_zeros(loss):
    """scikit-learn's test_nmf_negative_beta_loss: 1e-9 in place of zeros, 1,000 iterations."""
    X = np.clip(np.random.RandomState(42).randn(6, 5), 0, None) + 1e-9
    for given in (X.T, sp.csr_array(X.T)):
        fit = nmf(given, 3, loss=loss, init="random", random_state=0, max_iter=1000)
        assert np.isfinite(fit.W).all() and np.isfinite(fit.H).all()
        assert np.all(np.diff(fit.history) <= 0)
