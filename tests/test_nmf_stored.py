# SPDX-License-Identifier: BSD-3-Clause
"""Training where the stored entries of a sparse matrix are the known ones."""

import itertools
import sys
import time
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from factorisations import LOSSES, PENALTIES, SQUARE, instance, objective
from naming import naming
from scipy.optimize import nnls

from fastcone import Cone, nmf
from fastcone._kernels import reference
from fastcone._nmf import extrapolation, stored

FORMS = [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.csc_matrix]
WAYS = [(SQUARE, "cd"), *((loss, "mu") for loss in LOSSES)]
ways = pytest.mark.parametrize("loss, solver", WAYS, ids=str)


def table(rng, m=60, N=90, k=4, dtype=float, loss=SQUARE, share=0.3):
    """Known entries, zeros among them where the loss allows, a row and a column without any."""
    X, W, H = instance(rng, m, N, k, dtype, loss)
    known = rng.random((m, N)) < share
    known[3], known[:, 7] = False, False
    return X, known, W, H


def entries(X, known, form=sp.csc_array):
    """The known entries as a sparse matrix that stores its zeros too."""
    return form(sp.coo_array((X[known], np.nonzero(known)), shape=X.shape))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("penalties", PENALTIES, ids=str)
def test_updates_are_those_of_the_mask(dtype, rng, loss, penalties):
    X, known, W, H = table(rng, dtype=dtype, loss=loss)
    weights = dict(zip(("l1_W", "l1_H", "l2_W", "l2_H"), penalties, strict=True))
    options = {"loss": loss, "solver": "mu", "W": W, "H": H, "max_iter": 10, "tol": 0, **weights}
    want = nmf(X, 4, mask=known, **options)
    got = nmf(entries(X, known), 4, mask="stored", **options)
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(got.history, want.history, rtol=rtol)
    np.testing.assert_allclose(got.W, want.W, rtol=100 * rtol, atol=1e-6 * rtol)
    np.testing.assert_allclose(got.H, want.H, rtol=100 * rtol, atol=1e-6 * rtol)
    true = objective(loss, X, got.W, got.H, known, penalties)
    assert got.objective == pytest.approx(true, rel=1e-5 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("penalties", PENALTIES, ids=str)
@pytest.mark.parametrize("iterations", [1, 2, 20])
def test_descent_is_its_twin(rng, penalties, iterations):
    X, known, W, H = table(rng)
    weights = dict(zip(("l1_W", "l1_H", "l2_W", "l2_H"), penalties, strict=True))
    fit = nmf(entries(X, known), 4, mask="stored", W=W, H=H, max_iter=iterations, tol=0, **weights)
    want = reference.nmf_cd(X, W, H, iterations, penalties, (stored.EPOCHS,) * 2,
                            extrapolation.FIRST, known, stored=True)  # fmt: skip
    for ours, theirs in zip((fit.W, fit.H), want, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)
    true = objective(SQUARE, X, fit.W, fit.H, known, penalties)
    assert fit.objective == pytest.approx(true, rel=1e-12)


@ways
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_gives_the_same_bits(rng, loss, solver, form):
    X, known, _, _ = table(rng, loss=loss)
    options = {"loss": loss, "solver": solver, "mask": "stored", "random_state": 0, "max_iter": 5}
    want, given = nmf(entries(X, known), 4, **options), entries(X, known, form)
    copies = given.copy()
    got = nmf(given, 4, **options)
    assert np.array_equal(got.W, want.W) and np.array_equal(got.H, want.H)
    assert np.array_equal(given.data, copies.data) and given.nnz == copies.nnz


@ways
def test_threads_change_no_bit(dtype, rng, loss, solver, small_blocks):
    X, known, _, _ = table(rng, 300, 2000, dtype=dtype, loss=loss, share=0.1)
    X = entries(X, known)
    options = {"loss": loss, "solver": solver, "mask": "stored", "random_state": 0, "max_iter": 4}
    first = nmf(X, 6, n_threads=1, **options)
    for threads in (2, 3, 5):
        fit = nmf(X, 6, n_threads=threads, **options)
        assert np.array_equal(fit.W, first.W) and np.array_equal(fit.H, first.H)
        assert np.array_equal(fit.history, first.history)


def test_a_stored_zero_is_a_known_zero(rng):
    X, known, W, H = table(rng)
    X[known & (rng.random(X.shape) < 0.3)] = 0
    with_zeros, without = entries(X, known), entries(X, known & (X > 0))
    for solver in ("cd", "mu"):
        options = {"solver": solver, "W": W, "H": H, "mask": "stored", "max_iter": 30}
        fit, other = nmf(with_zeros, 4, **options), nmf(without, 4, **options)
        assert fit.objective == pytest.approx(objective(SQUARE, X, fit.W, fit.H, known), rel=1e-11)
        zeros = known & (X == 0)
        assert (fit.W @ fit.H)[zeros].mean() < 0.5 * (other.W @ other.H)[zeros].mean()


def test_duplicates_are_summed_and_order_is_free(rng):
    X, known, _, _ = table(rng)
    X = entries(X, known)
    coo = X.tocoo()
    order = rng.permutation(2 * X.nnz)
    twice = [np.tile(a, 2)[order] for a in (coo.data / 2, *coo.coords)]
    mess = sp.coo_array((twice[0], tuple(twice[1:])), shape=X.shape)
    fits = [nmf(each, 4, mask="stored", random_state=0, max_iter=5) for each in (X, mess)]
    assert np.array_equal(fits[0].W, fits[1].W)


@ways
@pytest.mark.parametrize("update_W", [True, False])
def test_never_uphill(dtype, rng, loss, solver, update_W):
    X, known, W, _ = table(rng, dtype=dtype, loss=loss)
    fit = nmf(entries(X, known), 4, loss=loss, solver=solver, mask="stored", W=W, tol=0,
              update_W=update_W, max_iter=300)  # fmt: skip
    assert np.all(np.diff(fit.history) <= 0) and np.all(fit.W >= 0) and np.all(fit.H >= 0)
    true = objective(loss, X, fit.W, fit.H, known)
    assert fit.objective == pytest.approx(true, rel=1e-4 if dtype == np.float32 else 1e-9)
    if not update_W:
        assert np.array_equal(fit.W, W)


def test_kept_dictionary_gives_each_sample_its_nnls_answer(rng):
    X, known, W, _ = table(rng)
    fit = nmf(entries(X, known), 4, mask="stored", W=W, update_W=False, tol=0, max_iter=3000)
    for j in range(X.shape[1]):
        if known[:, j].any():
            want = nnls(W[known[:, j]], X[known[:, j], j])
            found = np.linalg.norm(W[known[:, j]] @ fit.H[:, j] - X[known[:, j], j])
            assert found <= want[1] + 1e-6 * np.linalg.norm(X[known[:, j], j])


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_unknown_entries_of_an_exact_table_are_found(rng, share):
    X = rng.random((60, 3)) @ rng.random((3, 90))
    known = rng.random(X.shape) < share
    fit = nmf(entries(X, known), 3, mask="stored", random_state=0, tol=0, max_iter=2000)
    hidden = np.linalg.norm((fit.W @ fit.H - X)[~known]) / np.linalg.norm(X[~known])
    assert hidden < 1e-3


@ways
def test_what_has_no_entry_is_zero_and_says_nothing(rng, loss, solver):
    X, known, W, H = table(rng, loss=loss)
    options = {"loss": loss, "solver": solver, "mask": "stored", "W": W, "H": H, "max_iter": 10}
    fit = nmf(entries(X, known), 4, **options)
    assert np.all(fit.H[:, 7] < 1e-10) and np.all(fit.W[3] < 1e-10)


@ways
def test_fixed_columns_are_kept(dtype, rng, loss, solver):
    X, known, W, H = table(rng, dtype=dtype, loss=loss)
    for start in ({"W": W[:, :2], "random_state": 0}, {"W": W, "H": H}):
        fit = nmf(entries(X, known), 4, loss=loss, solver=solver, mask="stored", fixed=2, tol=0,
                  max_iter=8, **start)  # fmt: skip
        assert np.array_equal(fit.W[:, :2], W[:, :2])
        assert fit.objective < fit.history[0]
    whole = nmf(entries(X, known), 4, loss=loss, solver=solver, mask="stored", W=W, fixed=4)
    assert np.array_equal(whole.W, W)


@ways
@pytest.mark.parametrize("scale", [1e25, 1e-25, 1e-40])
def test_units_do_not_matter(dtype, rng, loss, solver, scale):
    X, known, _, _ = table(rng, dtype=dtype, loss=loss)
    X = (X.astype(float) * scale).astype(dtype)
    known &= X > 0  # float32 rounds some of the least to zero, which loss="is" refuses
    fit = nmf(entries(X, known), 4, loss=loss, solver=solver, mask="stored", init="random",
              random_state=0, max_iter=50)  # fmt: skip
    assert np.all(np.isfinite(fit.W)) and np.all(np.isfinite(fit.H))
    assert np.all(np.diff(fit.history) <= 0)


HARD = {
    "one entry": ([2.5], ([3], [7])),
    "one row": (np.ones(14), (np.full(14, 2), np.arange(14))),
    "one sample": (np.ones(9), (np.arange(9), np.full(9, 4))),
    "zeros": ([0.0, 0.0], ([3, 4], [7, 7])),
    "nothing": ([], ([], [])),
}


@pytest.mark.parametrize("rank", [1, 3, 20])
@pytest.mark.parametrize("loss, solver", [(SQUARE, "cd"), (SQUARE, "mu"), (1.0, "mu")], ids=str)
def test_hard_tables(dtype, loss, solver, rank):
    for name, (values, where) in HARD.items():
        with naming(name=name):
            X = sp.coo_array((np.array(values, dtype), where), shape=(9, 14))
            fit = nmf(X, rank, loss=loss, solver=solver, mask="stored", random_state=0)
            assert fit.objective <= 1e-5 and np.all(np.isfinite(fit.W))


@ways
def test_memory_is_linear_in_the_entries(rng, loss, solver):
    m = N = 20000  # dense: 3.2 GB
    i, j = rng.integers(0, m, 10**5), rng.integers(0, N, 10**5)
    X = sp.csc_array((rng.random(10**5) + 0.1, (i, j)), shape=(m, N))
    tracemalloc.start()
    nmf(X, 5, loss=loss, solver=solver, mask="stored", random_state=0, max_iter=2, n_threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


@ways
def test_a_time_limit_is_kept(rng, loss, solver):
    X = sp.random_array((500, 20000), density=0.05, format="csc", rng=rng)
    X.data += 0.1
    began = time.monotonic()
    fit = nmf(X, 16, loss=loss, solver=solver, mask="stored", tol=0, max_iter=10**6,
              time_limit=0.5)  # fmt: skip
    assert time.monotonic() - began < 1.5 and fit.n_iter > 0 and not fit.converged


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_a_run_resumes_with_its_bits(rng, tmp_path, solver):
    X, known, _, _ = table(rng)
    X, path = entries(X, known), tmp_path / "run"
    options = {"solver": solver, "mask": "stored", "random_state": 0, "tol": 0}
    nmf(X, 4, max_iter=7, checkpoint=path, **options)
    resumed = nmf(X, 4, max_iter=20, checkpoint=path, **options)
    whole = nmf(X, 4, max_iter=20, **options)
    assert np.array_equal(resumed.W, whole.W) and np.array_equal(resumed.H, whole.H)
    with pytest.raises(ValueError, match=r"checkpoint .* another X"):
        nmf(X, 4, max_iter=20, checkpoint=path, **options | {"mask": None})


def test_a_cone_of_rated_samples(rng):
    X, known, _, _ = table(rng, 20, 300, k=3, share=0.6)
    by_rows = entries(X, known).T
    cone = Cone.fit(by_rows, 3, mask="stored", random_state=0)
    assert np.array_equal(cone.W, nmf(by_rows.T, 3, mask="stored", random_state=0).W)


BAD = {
    "dense": (np.ones((3, 3)), {"mask": "stored"}, 'mask "stored" wants a scipy'),
    "parts": ([np.ones((3, 3))], {"mask": "stored"}, "mask must be None where X is given in parts"),
    "weights": (sp.eye_array(3), {"mask": "stored", "weights": np.ones((3, 3))}, "no weights"),
    "nan": (sp.eye_array(3), {"mask": "nan"}, "mask must be None with a sparse X, found 'nan'"),
    "array": (sp.eye_array(3), {"mask": np.eye(3) > 0}, "mask must be None with a sparse X"),
    "word": (np.ones((3, 3)), {"mask": "known"}, "mask must be one of 'nan', 'stored'"),
    "zero": (sp.csc_array(([0.0, 1.0], ([0, 1], [0, 1])), shape=(3, 3)),
             {"mask": "stored", "loss": "is"}, "X holds zeros"),
    "negative": (-sp.eye_array(3), {"mask": "stored"}, "X holds -1"),
    "not finite": (sp.eye_array(3) * np.nan, {"mask": "stored"}, "X holds NaN"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_are_named(name):
    X, options, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        nmf(X, 1, **options)


def test_dense_samples_are_not_stored(rng):
    cone = Cone(rng.random((4, 2)))
    for call in (lambda: Cone.fit(np.ones((3, 4)), 1, mask="stored"),
                 lambda: cone.project(np.ones((3, 4)), mask="stored")):  # fmt: skip
        with pytest.raises(ValueError, match='mask "stored" wants a scipy'):
            call()


def test_ratings_not_seen_are_foretold_as_well_as_by_a_plain_reference():
    data, references, ratings = (
        pytest.importorskip(f"bench.{name}", reason="no benchmarks beside this checkout")
        for name in ("data", "references", "ratings")
    )
    X = data.ratings(150, 120, 4000, rank=3)
    train, test = ratings.split(X, np.random.default_rng(0))
    W, H = ratings.start(train, 3)
    *_, (plain_W, plain_H) = itertools.islice(references.rated(train, W, H, 5.0), 40)
    want = ratings.rmse(test, plain_W, plain_H)
    assert want < 0.8 * test.data.std()
    for solver, iterations in (("cd", 100), ("mu", 1000)):
        fit = nmf(train.T, 3, mask="stored", solver=solver, W=W, H=H, l2_W=5.0, l2_H=5.0,
                  tol=0, max_iter=iterations)  # fmt: skip
        assert ratings.rmse(test, fit.W, fit.H) <= 1.005 * want


def test_a_table_of_ratings_is_read(tmp_path):
    data = pytest.importorskip("bench.data", reason="no benchmarks beside this checkout")
    path = tmp_path / "u.data"
    path.write_text("2\t3\t4\t881250949\n1\t1\t5\t891717742\n2\t3\t1\t881250000\n")
    X = data.movielens(path)
    assert X.nnz == 2 and np.array_equal(X.toarray(), [[5, 0, 0], [0, 0, 4]])
    for words in ("0\t3\t4\t1\n", "1.5\t3\t4\t1\n", "1\t3\t4\n", "a\tb\tc\td\n"):
        path.write_text(words)
        with pytest.raises(ValueError, match="user"):
            data.movielens(path)


def test_the_benchmark_runs(monkeypatch, capsys, tmp_path):
    ratings = pytest.importorskip("bench.ratings", reason="no benchmarks beside this checkout")
    path = tmp_path / "u.data"
    rng = np.random.default_rng(0)
    user, item = np.divmod(rng.permutation(40 * 30)[:600], 30)
    path.write_text("".join(f"{u + 1}\t{i + 1}\t{1 + (u + i) % 5}\t0\n"
                            for u, i in zip(user, item, strict=True)))  # fmt: skip
    for source in (["--data", str(path)], ["--users", "40", "--items", "30", "--count", "600"]):
        monkeypatch.setattr(sys, "argv", ["ratings", *source, "--iterations", "3", "--rank", "2",
                                          "--out", str(tmp_path)])  # fmt: skip
        ratings.main()
        assert "held-out RMSE" in capsys.readouterr().out and (tmp_path / "ratings.json").exists()
