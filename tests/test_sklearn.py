# SPDX-License-Identifier: BSD-3-Clause
"""The estimators beside scikit-learn's: the same problem, starts and penalties, no worse an end."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

import fastcone

pytest.importorskip("sklearn.utils.validation", reason="scikit-learn is not installed")
from sklearn import decomposition as theirs
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import fastcone.sklearn as ours
from fastcone.sklearn.multiplicative import divergence
from fastcone.sklearn.starts import start

pytestmark = pytest.mark.filterwarnings("ignore:Maximum number of iterations")
BETAS = {"frobenius": 2, "kullback-leibler": 1, "itakura-saito": 0}


def cells():
    """Counts of molecules, sparse and whole numbers: 300 cells x 200 genes."""
    rng = np.random.default_rng(1)
    return sp.csr_array(rng.poisson(rng.gamma(0.3, size=(300, 5)) @ rng.gamma(0.2, size=(5, 200))))


def sounds():
    """Power spectra of notes: 250 moments x 129 frequencies."""
    rng, f = np.random.default_rng(2), np.arange(129)
    notes = [sum(np.exp(-(((f - h * p) / 1.5) ** 2)) / h for h in range(1, 8)) for p in (7, 9, 16)]
    return rng.gamma(0.4, size=(250, 3)) @ np.array(notes) + 1e-6


def spectra():
    """Absorption bands with noise, in float32: 150 mixtures x 300 wavelengths."""
    rng, x = np.random.default_rng(3), np.linspace(0, 1, 300)
    bands = [np.exp(-(((x - c) / w) ** 2)) for c, w in rng.random((5, 2)) / (1, 5)]
    X = rng.gamma(0.7, size=(150, 5)) @ np.array(bands)
    return np.abs(X + 0.01 * rng.standard_normal(X.shape)).astype(np.float32)


def ratings():
    """Stars of 1 to 5, 0 where there are none: 150 people x 120 films."""
    rng = np.random.default_rng(4)
    return np.where(rng.random((150, 120)) < 0.2, rng.integers(1, 6, (150, 120)), 0)


FIELDS = {"cells": cells, "sounds": sounds, "spectra": spectra, "ratings": ratings}


def objective(model, X, W):
    """The objective as scikit-learn's documentation writes it, of a fitted model."""
    (n, p), H, r = X.shape, model.components_, model.l1_ratio
    X, W, H = (sp.csr_array(F).toarray().astype(float) for F in (X, W, H))
    on_H = model.alpha_W if model.alpha_H == "same" else model.alpha_H
    total = divergence(X, W, H, BETAS.get(model.beta_loss, model.beta_loss))
    for alpha, size, F in ((model.alpha_W, p, W), (on_H, n, H)):
        total += alpha * size * (r * F.sum() + (1 - r) / 2 * np.square(F).sum())
    return total


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("init", ["nndsvda", "random"])
def test_the_default_fit_ends_no_higher_than_theirs(field, init):
    X = FIELDS[field]()
    ends = []
    for module in (theirs, ours):
        model = module.NMF(5, init=init, random_state=0)
        W = model.fit_transform(X)
        ends.append(objective(model, X, W))
        assert W.dtype == model.components_.dtype == (np.float32 if field == "spectra" else float)
    if (field, init) != ("ratings", "nndsvda"):  # another local minimum, see below
        assert ends[1] <= ends[0] * (1 + 1e-6)


def test_ratings_end_in_another_local_minimum_and_not_too_early():
    """From nndsvda ours ends 7.5e-4 above theirs: neither way down leaves either end."""
    X, options = ratings().astype(float), {"init": "nndsvda", "random_state": 0}
    early = ours.NMF(5, **options).fit(X).reconstruction_err_
    model = ours.NMF(5, tol=1e-10, max_iter=20000, **options)
    W = model.fit_transform(X)
    H, late = model.components_, model.reconstruction_err_
    assert late <= early <= late * (1 + 1e-6)
    R = W @ H - X
    for F, g, scale in ((W, R @ H.T, X @ H.T), (H, W.T @ R, W.T @ X)):
        assert np.abs(np.minimum(F, g)).max() < 1e-6 * scale.max()
    from_ours = theirs.NMF(5, init="custom", tol=1e-12, max_iter=2000)
    from_ours.fit(X, W=W.copy(), H=H.copy())
    assert from_ours.reconstruction_err_ == pytest.approx(late, rel=1e-9)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("k, init", [(5, None), (4, "nndsvd"), (6, "random"), (3, "nndsvdar")])
def test_starts_are_theirs(field, k, init):
    X = FIELDS[field]().astype(float)
    W, H = start(X, k, init, 7)
    W0, H0 = theirs._nmf._initialize_nmf(X, k, init=init, random_state=7)
    np.testing.assert_allclose(W, W0, atol=1e-12 * W0.max())
    np.testing.assert_allclose(H, H0, atol=1e-12 * H0.max())


@pytest.mark.parametrize("beta", [2, 1, 0, 0.5, 1.5, 3])
def test_multiplicative_updates_are_theirs_iteration_by_iteration(beta):
    X = sounds()[:80, :60] + 0.01
    options = {"solver": "mu", "beta_loss": beta, "random_state": 0, "init": "random", "tol": 1e-3}
    a, b = (module.NMF(4, **options).fit(X) for module in (theirs, ours))
    assert a.n_iter_ == b.n_iter_
    np.testing.assert_allclose(b.components_, a.components_, rtol=1e-5, atol=1e-7)
    assert b.reconstruction_err_ == pytest.approx(a.reconstruction_err_, rel=1e-6)


@pytest.mark.parametrize("solver", ["cd", "mu"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("alpha_H", ["same", 0.02])
def test_penalties_are_scaled_as_theirs(solver, l1_ratio, alpha_H):
    X = spectra().astype(float)[:40, ::10]
    options = {"solver": solver, "alpha_W": 0.003, "alpha_H": alpha_H, "l1_ratio": l1_ratio,
               "tol": 0, "max_iter": 1000, "random_state": 0}  # fmt: skip
    ends = []
    for module in (theirs, ours):
        model = module.NMF(3, **options)
        W = model.fit_transform(X)
        ends.append(objective(model, X, W))
    assert ends[1] <= ends[0] * (1 + 1e-6)
    # a stationary point of the objective as written: its derivative along each factor's length is 0
    for t in (0.999, 1.001):
        assert objective(model, X, t * W) >= ends[1] * (1 - 1e-9)
        longer = clone(model)
        longer.components_ = t * model.components_
        assert objective(longer, X, W) >= ends[1] * (1 - 1e-9)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_transform_of_the_squared_error_is_exact(l1_ratio, solver):
    X = sounds()
    model = ours.NMF(3, solver=solver, alpha_W=1e-4, l1_ratio=l1_ratio, max_iter=20).fit(X[:100])
    W, H, p = model.transform(X[100:]), model.components_, X.shape[1]
    l1, l2 = p * 1e-4 * l1_ratio, p * 1e-4 * (1 - l1_ratio)
    g = W @ (H @ H.T) - X[100:] @ H.T + l1 + l2 * W
    assert np.abs(np.minimum(W, g)).max() < 1e-9 * np.abs(X @ H.T).max()
    again = ours.non_negative_factorization(X[100:], H=H, update_H=False, solver=solver,
                                            alpha_W=1e-4, l1_ratio=l1_ratio)  # fmt: skip
    assert np.array_equal(again[0], W) and again[1] is H


def test_transform_under_kullback_leibler_and_l1_is_right_where_theirs_drifts():
    rng = np.random.default_rng(0)
    X = rng.random((20, 10))
    options = {"solver": "mu", "beta_loss": "kullback-leibler", "alpha_W": 0.01, "l1_ratio": 1.0,
               "random_state": 0, "tol": 0}  # fmt: skip
    model = ours.NMF(3, max_iter=2000, **options).fit(X)
    H, l1 = model.components_, 10 * 0.01

    def value(w, x):
        y = np.maximum(w @ H, 1e-300)
        return np.sum(x * np.log(x / y) - x + y) + l1 * w.sum(), H @ (1 - x / y) + l1

    best = sum(
        scipy.optimize.minimize(value, np.ones(3), x, jac=True, bounds=[(0, None)] * 3,
                                options={"ftol": 1e-15, "gtol": 1e-10}).fun
        for x in X
    )  # fmt: skip
    W = model.transform(X)
    assert sum(value(w, x)[0] for w, x in zip(W, X, strict=True)) == pytest.approx(best, rel=1e-6)


def test_zeros_of_a_custom_start_stay_under_multiplicative_updates():
    """A score tells which note may sound when: that pattern must survive training."""
    X, rng = sounds(), np.random.default_rng(0)
    W, H = rng.random((250, 3)) + 0.1, rng.random((3, 129)) + 0.1
    silent = rng.random(W.shape) < 0.5
    W[silent] = 0
    for X_ in (X, sp.csr_array(X)):
        for beta in (1, 2, 0.5):
            model = ours.NMF(3, init="custom", solver="mu", beta_loss=beta, max_iter=50)
            found = model.fit_transform(X_, W=W, H=H)
            assert not found[silent].any() and found[~silent].any()
            assert np.array_equal(W == 0, silent)


def test_what_is_given_is_never_written_to():
    X, rng = sounds(), np.random.default_rng(0)
    W, H = rng.random((250, 3)), rng.random((3, 129))
    kept = W.copy(), H.copy()
    for model in (ours.NMF(3, init="custom"), ours.MiniBatchNMF(3, init="custom")):
        model.fit(X, W=W, H=H)
    ours.MiniBatchNMF(3, init="custom").partial_fit(X, W=W, H=H)
    assert np.array_equal(W, kept[0]) and np.array_equal(H, kept[1])


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("beta", [2, 1])
def test_minibatches_end_where_theirs_end(field, beta):
    X = FIELDS[field]()
    ends = []
    for module in (theirs, ours):
        model = module.MiniBatchNMF(5, batch_size=64, beta_loss=beta, random_state=0, max_iter=30)
        model.fit(X)
        ends.append(model.reconstruction_err_)
        assert model.n_steps_ >= 10
    assert ends[1] == pytest.approx(ends[0], rel=0.02)


def test_partial_fit_goes_down_batch_by_batch():
    X = sounds()
    model = ours.MiniBatchNMF(3, beta_loss=1, random_state=0)
    errors = []
    for _ in range(20):
        for rows in np.array_split(np.arange(len(X)), 5):
            model.partial_fit(X[rows])
        errors.append(divergence(X, model.transform(X), model.components_, 1))
    assert model.n_steps_ == 100 and errors[-1] < 0.2 * errors[0]


def test_lasso_codes_are_exact_and_cost_no_more_than_theirs():
    rng = np.random.default_rng(0)
    D, X = rng.standard_normal((12, 30)), rng.standard_normal((40, 30))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    for name in ("lasso_cd", "lasso_lars"):
        options = {"transform_algorithm": name, "transform_alpha": 0.2, "positive_code": True}
        a, b = (module.SparseCoder(D, **options).transform(X) for module in (theirs, ours))
        costs = [np.square(C @ D - X).sum() / 2 + 0.2 * C.sum() for C in (a, b)]
        assert costs[1] <= costs[0] * (1 + 1e-12)
        if name == "lasso_cd":  # positive LARS is, below the last step of its path, no minimiser
            np.testing.assert_allclose(b, a, atol=1e-6)
        assert np.abs(np.minimum(b, b @ (D @ D.T) - X @ D.T + 0.2)).max() < 1e-10
        wide = ours.SparseCoder(D, split_sign=True, **options).transform(X)
        assert wide.shape == (40, 24) and np.array_equal(wide[:, :12], b)
    signed = {"transform_algorithm": "omp", "transform_n_nonzero_coefs": 3}
    a, b = (module.SparseCoder(D, **signed).transform(X) for module in (theirs, ours))
    assert np.array_equal(a, b)


def test_cones_tell_digits_apart():
    X, y = load_digits(return_X_y=True)
    assert cross_val_score(ours.ConeClassifier(12, random_state=0), X, y, cv=3).mean() > 0.94
    two = ours.ConeClassifier(5, random_state=0).fit(X[y < 2], y[y < 2])
    scores = two.decision_function(X[y < 2])
    assert np.array_equal(scores > 0, two.predict(X[y < 2]) == 1)
    assert np.array_equal(two.predict(sp.csr_array(X[y < 2])), two.predict(X[y < 2]))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_features_are_what_the_cone_says(container):
    X, y = load_digits(return_X_y=True)
    names = ("energies", "coefficients", "distances")
    model = ours.ConeTransformer(4, features=names, by_class=True, random_state=0).fit(X, y)
    F = model.transform(container(X))
    assert F.shape == (len(X), 60) and len(model.get_feature_names_out()) == 60
    assert model.get_feature_names_out()[-1] == "9_energy"
    found = model.cones_[9].project(X)
    np.testing.assert_allclose(F[:, 54:58], found.coef, atol=1e-9)
    np.testing.assert_allclose(F[:, 58], found.distance)
    share = np.square(found.signal).sum(axis=1) / np.square(X).sum(axis=1)
    np.testing.assert_allclose(F[:, 59], share)
    with pytest.raises(ValueError, match="features must be one or more of"):
        ours.ConeTransformer(features=("energy",)).fit(X)


@pytest.mark.slow
def test_grid_search_in_two_processes_on_mapped_arrays():
    X, y = load_digits(return_X_y=True)
    X = np.tile(X, (2, 1))  # 1.8 MB: joblib hands it over as a read-only map
    pipe = make_pipeline(ours.NMF(random_state=0, max_iter=300), LogisticRegression(max_iter=2000))
    grid = {"nmf__n_components": [8, 16], "nmf__alpha_W": [0.0, 1e-4]}
    search = GridSearchCV(pipe, grid, n_jobs=2, cv=2).fit(X, np.tile(y, 2))
    assert search.best_score_ > 0.85 and not np.isnan(search.cv_results_["mean_test_score"]).any()
    alone = GridSearchCV(pipe, grid, n_jobs=1, cv=2).fit(X, np.tile(y, 2))
    assert np.array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_in_frames_out(library):
    frames = pytest.importorskip(library)
    X = frames.DataFrame(sounds()[:, :6], **({"schema": list("abcdef")} if library == "polars"
                                             else {"columns": list("abcdef")}))  # fmt: skip
    for model in (ours.NMF(2), ours.MiniBatchNMF(2), ours.ConeTransformer(2)):
        out = model.set_output(transform=library).fit_transform(X)
        assert isinstance(out, frames.DataFrame)
        assert list(out.columns) == list(model.get_feature_names_out())
        if library == "pandas":  # of polars frames older versions of scikit-learn know no names
            assert list(model.feature_names_in_) == list("abcdef")


@pytest.mark.parametrize(
    "model",
    [ours.NMF(3), ours.MiniBatchNMF(3), ours.ConeTransformer(3), ours.NMF(3, solver="mu")],
    ids=repr,
)
def test_a_pickled_model_transforms_alike(model):
    X = sounds()
    model = clone(model).fit(X)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(X), model.transform(X))


def test_an_early_end_warns_in_their_class_and_words():
    with pytest.warns(ConvergenceWarning, match="Maximum number of iterations 2 reached"):
        ours.NMF(3, max_iter=2).fit(spectra())
    model = ours.NMF(3, solver="mu", beta_loss=1, tol=0, max_iter=2).fit(spectra())
    model.tol = 1e-4
    with pytest.warns(ConvergenceWarning, match="Maximum number of iterations 2 reached"):
        model.transform(spectra())


def test_verbose_prints_and_nothing_else_does(capsys):
    for model in (ours.NMF(2, max_iter=5), ours.MiniBatchNMF(2, max_iter=5)):
        model.fit(spectra())
        assert capsys.readouterr().out == ""
        model.set_params(verbose=1).fit(spectra())
        assert len(capsys.readouterr().out.splitlines()) == 5


def test_penalties_that_leave_nothing_leave_zeros():
    X = spectra()
    for solver in ("cd", "mu"):
        model = ours.NMF(3, solver=solver, alpha_W=10.0, l1_ratio=1.0)
        assert not model.fit_transform(X).any() and not model.transform(X).any()
        assert model.reconstruction_err_ == pytest.approx(np.linalg.norm(X), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float32, bool])
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array])
def test_counts_of_any_dtype_and_format(dtype, container):
    X = cells().toarray().astype(dtype)
    for model in (
        ours.NMF(4, random_state=0, solver="mu", beta_loss=1, tol=0, max_iter=30),
        ours.NMF(4, random_state=0, solver="mu", beta_loss=1.5, tol=0, max_iter=30),
        ours.MiniBatchNMF(4, random_state=0, beta_loss=1.5, tol=0, batch_size=80, max_iter=5),
    ):
        model.set_params(init="random")
        W, V = model.fit_transform(X), model.fit_transform(container(X))
        assert W.dtype == V.dtype == (np.float32 if dtype == np.float32 else np.float64)
        np.testing.assert_allclose(V, W, atol=(1e-3 if dtype == np.float32 else 1e-8) * W.max())


def test_an_exponent_beyond_what_floats_hold_is_refused_by_name():
    with pytest.raises(ValueError, match="beta_loss must be within -4 and 6, found 9"):
        ours.NMF(3, solver="mu", beta_loss=9.0).fit(sounds())


def test_zeros_give_zeros():
    for model in (ours.NMF(2), ours.NMF(2, solver="mu")):
        assert not model.fit_transform(np.zeros((6, 4))).any() and model.reconstruction_err_ == 0
        assert not model.transform(np.zeros((3, 4))).any()


def test_callbacks_see_each_iteration_and_may_end_the_fit():
    pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

    class Counting:
        def __init__(self, last):
            self.last, self.tasks = last, []

        def setup(self, estimator, context):
            self.tasks.append("setup")

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.tasks.append(context.task_name)
            return context.task_name == "iteration" and context.task_id + 1 == self.last

        def teardown(self, estimator, context):
            self.tasks.append("teardown")

    for model in (ours.NMF(3, tol=0), ours.MiniBatchNMF(3, batch_size=50)):
        seen = Counting(last=4)
        model.set_callbacks(seen).fit(spectra())
        assert seen.tasks == ["setup", *["iteration"] * 4, "fit", "teardown"]
        steps = getattr(model, "n_steps_", model.n_iter_)
        assert steps == 4


def test_the_core_does_not_import_scikit_learn():
    code = "import sys, fastcone; assert not {'sklearn', 'fastcone.sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not hasattr(fastcone, "NMF")
