# SPDX-License-Identifier: BSD-3-Clause
"""Training on sparse data: the answers of dense data, without their memory."""

import signal
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from naming import naming

from fastcone import Cone, nmf

SQUARE, KL = "frobenius", "kullback-leibler"
WAYS = [(SQUARE, "cd"), (SQUARE, "mu"), (KL, "mu")]
ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: value[:9])
FORMS = [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.csc_matrix]
PENALTIES = {"l1_W": 0.1, "l1_H": 0.2, "l2_W": 0.3, "l2_H": 0.1}


def instance(rng, m=60, N=90, k=4, dtype=float, density=0.2):
    """Counts with empty rows and columns, and a positive start."""
    X = rng.poisson(2, (m, N)) * (rng.random((m, N)) < density)
    X[3], X[:, 7] = 0, 0
    return tuple(a.astype(dtype) for a in (X, rng.random((m, k)) + 0.1, rng.random((k, N)) + 0.1))


@ways
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_sparse_is_dense(dtype, rng, loss, solver, form):
    X, W, H = instance(rng, dtype=dtype)
    options = {"loss": loss, "solver": solver, "W": W, "H": H, "max_iter": 30, "tol": 0}
    want, got = nmf(X, 4, **options, **PENALTIES), nmf(form(X), 4, **options, **PENALTIES)
    assert got.W.dtype == got.H.dtype == dtype
    narrow = dtype == np.float32
    np.testing.assert_allclose(got.history, want.history, rtol=1e-5 if narrow else 1e-10)
    for ours, theirs in ((got.W, want.W), (got.H, want.H)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-2 if narrow else 1e-7,
                                   atol=1e-3 if narrow else 1e-9)  # fmt: skip


def half_empty(rng):
    X = np.abs(rng.standard_normal((10, 10)))
    X[2 * np.arange(5)] = 0  # of rank 5: the fit becomes perfect
    return X


def counts(rng):
    return rng.poisson(0.3 * rng.gamma(0.3, 1, (80, 6)) @ rng.gamma(0.3, 1, (6, 120)))


def peaks(rng):
    distance = np.arange(200)[:, None] - rng.integers(0, 200, 12)
    return np.exp(-(distance**2) / 4.0).round(3) @ rng.gamma(0.3, 1, (12, 90))


LONG = {
    "half of the features empty, rank reached": half_empty,
    "counts": counts,
    "links": lambda rng: rng.random((150, 200)) < 0.05,
    "peaks": peaks,
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_a_long_run_is_that_of_dense_data(name, solver):
    """Extrapolations used to be undone, and runs to end, where rounding had it."""
    X = LONG[name](np.random.default_rng(1)).astype(float)
    options = {"solver": solver, "init": "random", "random_state": 0, "tol": 0, "max_iter": 100}
    want, got = nmf(X, 5, **options), nmf(sp.csr_array(X), 5, **options)
    for ours, theirs in ((got.W, want.W), (got.H, want.H)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * theirs.max())


@pytest.mark.parametrize("init", [None, "random", "nndsvd", "nndsvda", "nndsvdar", "exemplars"])
@ways
def test_starts_are_dense_ones(rng, loss, solver, init):
    X = instance(rng)[0]
    options = {"loss": loss, "solver": solver, "init": init, "random_state": 0, "max_iter": 5}
    want, got = nmf(X, 4, **options), nmf(sp.csc_array(X), 4, **options)
    np.testing.assert_allclose(got.history, want.history, rtol=1e-6)


@ways
def test_threads_and_levels_of_index_change_no_bit(dtype, rng, loss, solver, small_blocks):
    X = sp.csc_array(instance(rng, 500, 2500, dtype=dtype, density=0.1)[0])
    wide = sp.csc_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape)
    options = {"loss": loss, "solver": solver, "random_state": 0, "max_iter": 4}
    first = nmf(X, 6, n_threads=1, **options)
    for other, threads in ((X, 2), (X, 3), (X, 5), (wide, 2), (X.tocsr(), 2)):
        fit = nmf(other, 6, n_threads=threads, **options)
        assert np.array_equal(fit.W, first.W) and np.array_equal(fit.H, first.H)
        assert np.array_equal(fit.history, first.history)


@ways
@pytest.mark.parametrize("form", [sp.csc_array, sp.csr_array])
def test_zeros_duplicates_and_disorder_change_no_bit(rng, loss, solver, form):
    X = form(instance(rng)[0])
    mess = X.copy()
    for begin, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        order = rng.permutation(end - begin) + begin
        mess.indices[begin:end], mess.data[begin:end] = X.indices[order], X.data[order]
    twice = np.repeat(mess.data / 2, 2)
    mess = form((twice, np.repeat(mess.indices, 2), 2 * mess.indptr), shape=X.shape)
    stored = X.copy()
    stored.data[::5] = 0
    clean = stored.copy()
    clean.eliminate_zeros()
    options = {"loss": loss, "solver": solver, "random_state": 0, "max_iter": 5}
    for given, want in ((mess, X), (stored, clean)):
        copies = [a.copy() for a in (given.data, given.indices, given.indptr)]
        fits = [nmf(each, 4, **options) for each in (given, want)]
        assert np.array_equal(fits[0].W, fits[1].W) and np.array_equal(fits[0].H, fits[1].H)
        for left, copy in zip((given.data, given.indices, given.indptr), copies, strict=True):
            assert np.array_equal(left, copy)


@pytest.mark.slow
@ways
@pytest.mark.parametrize("update_W", [True, False])
def test_never_uphill_and_true_to_the_end(dtype, rng, loss, solver, update_W):
    X, W, _ = instance(rng, dtype=dtype)
    fit = nmf(sp.csr_array(X), 4, loss=loss, solver=solver, W=W, update_W=update_W, tol=0,
              max_iter=2000)  # fmt: skip
    assert np.all(np.diff(fit.history) <= 0)
    X, Y = X.astype(float), fit.W.astype(float) @ fit.H
    positive = X > 0
    terms = np.where(positive, X * np.log(np.where(positive, X, 1) / np.maximum(Y, 1e-30)), 0)
    true = np.sum((X - Y) ** 2) / 2 if loss == SQUARE else np.sum(terms - X + Y)
    assert fit.objective == pytest.approx(true, rel=1e-4 if dtype == np.float32 else 1e-9)
    if not update_W:
        assert np.array_equal(fit.W, W)


@pytest.mark.parametrize("rank", [1, 2])
@ways
def test_a_perfect_fit_is_never_told_as_less_than_nothing(dtype, loss, solver, rank):
    for seed in range(8):
        with naming(seed=seed):
            rng = np.random.default_rng(seed)
            X = (rng.random((40, 1)) * (rng.random((40, 1)) < 0.3)) @ rng.random((1, 3))
            X = sp.csc_array(X.astype(dtype))
            fit = nmf(X, rank, loss=loss, solver=solver, random_state=0, tol=0)
            assert 0 <= fit.objective <= 1e-5 * X.sum()


@ways
@pytest.mark.parametrize("alone", [True, False])
def test_fixed_columns_are_kept_as_of_dense_data(dtype, rng, loss, solver, alone):
    X, W, H = instance(rng, dtype=dtype)
    start = {"W": W[:, :2], "random_state": 0} if alone else {"W": W, "H": H}
    options = {"loss": loss, "solver": solver, "fixed": 2, "tol": 0, "max_iter": 8} | start
    want, got = nmf(X, 4, **options, **PENALTIES), nmf(sp.csr_array(X), 4, **options, **PENALTIES)
    assert np.array_equal(got.W[:, :2], W[:, :2]) and not np.any(got.W[:, 2:] == W[:, 2:])
    rtol = 1e-5 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(got.history, want.history, rtol=rtol)


HARD = {
    "one entry": lambda rng: sp.csc_array(([2.5], ([3], [7])), shape=(9, 14)),
    "one huge entry": lambda rng: sp.csc_array(([1e25], ([3], [7])), shape=(9, 14)),
    "empty": lambda rng: sp.csc_array((9, 14)),
    "stored zeros": lambda rng: sp.csc_array(([0.0, 0.0], ([3, 4], [7, 7])), shape=(9, 14)),
    "1e25": lambda rng: sp.csc_array(instance(rng)[0] * 1e25),
    "1e-25": lambda rng: sp.csc_array(instance(rng)[0] * 1e-25),
    "subnormal": lambda rng: sp.csc_array(instance(rng)[0] * 1e-40),
    "one row": lambda rng: sp.csr_array(rng.random((1, 14))),
    "one sample": lambda rng: sp.csr_array(rng.random((9, 1))),
    "one full row": lambda rng: sp.csr_array(np.eye(9, 14) + (np.arange(9)[:, None] == 2)),
}


@ways
@pytest.mark.parametrize("rank", [1, 3, 20])
def test_hard_data(dtype, loss, solver, rank):
    for name in HARD:
        rng = np.random.default_rng(0)
        with naming(name=name):
            X = HARD[name](rng).astype(dtype)
            options = {"loss": loss, "solver": solver, "init": "random", "random_state": 0,
                       "max_iter": 100}  # fmt: skip
            fit, dense = nmf(X, rank, **options), nmf(X.toarray(), rank, **options)
            assert np.all(np.isfinite(fit.W)) and np.all(np.isfinite(fit.H))
            assert np.all(fit.W >= 0) and np.all(fit.H >= 0) and np.all(np.diff(fit.history) <= 0)
            scale = float(X.sum() if loss == KL else (X.astype(float) ** 2).sum() / 2)
            if np.isfinite(dense.objective):
                assert fit.objective <= dense.objective * 1.02 + 1e-5 * scale


@ways
def test_memory_is_linear_in_the_entries(rng, loss, solver):
    m = N = 20000  # dense: 3.2 GB
    i, j = rng.integers(0, m, 10**5), rng.integers(0, N, 10**5)
    X = sp.csc_array((rng.random(10**5) + 0.1, (i, j)), shape=(m, N))
    tracemalloc.start()
    nmf(X, 5, loss=loss, solver=solver, random_state=0, max_iter=2, n_threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_one_row_that_is_most_of_the_data(rng, small_blocks):
    X = sp.lil_array((40, 3000))
    X[7] = rng.random(3000) + 0.1
    X[3, 5] = 1
    fits = [nmf(X, 2, random_state=0, n_threads=n, max_iter=20) for n in (1, 3)]
    assert np.array_equal(fits[0].W, fits[1].W)
    assert fits[0].objective <= 1e-6 * fits[0].history[0]


@ways
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_run_at_once(rng, loss, solver, n_threads):
    X, sent = sp.random_array((500, 20000), density=0.05, format="csc", rng=rng), []

    def interrupt():
        sent.append(time.monotonic())
        signal.raise_signal(signal.SIGINT)

    threading.Timer(0.4, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        nmf(X, 16, loss=loss, solver=solver, init="random", tol=0, max_iter=10**6,
            n_threads=n_threads)  # fmt: skip
    assert time.monotonic() - sent[0] < 1.0


@ways
def test_a_time_limit_is_kept(rng, loss, solver):
    X = sp.random_array((500, 20000), density=0.05, format="csc", rng=rng)
    began = time.monotonic()
    fit = nmf(X, 16, loss=loss, solver=solver, init="random", tol=0, max_iter=10**6,
              time_limit=0.5)  # fmt: skip
    assert time.monotonic() - began < 1.5 and fit.n_iter > 0 and not fit.converged


BAD = {
    "negative": (sp.csc_array([[1.0, -1.0]]), {}, ValueError),
    "nan": (sp.csr_array([[1.0, np.nan]]), {}, ValueError),
    "inf": (sp.csc_array([[1.0, np.inf]]), {}, ValueError),
    "complex": (sp.csc_array([[1.0, 1j]]), {}, TypeError),
    "no rows": (sp.csc_array((0, 3)), {}, ValueError),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_named(name):
    X, options, error = BAD[name]
    with pytest.raises(error, match=r"^X\b"):
        nmf(X, 1, **options)


def test_a_broken_structure_is_named():
    X = sp.csc_array(np.eye(3))
    X.indices[1] = 7
    with pytest.raises(ValueError, match=r"^X\b"):
        nmf(X, 1)


@pytest.mark.parametrize("name", ["mask", "weights"])
def test_what_would_look_at_every_entry_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}\b.* sparse X"):
        nmf(sp.eye_array(3), 1, solver="mu", **{name: np.ones((3, 3), bool)})


@pytest.mark.parametrize("loss", [0.5, 1.5, 3.0, "is", -1.0])
@pytest.mark.parametrize("form", FORMS[:3], ids=lambda form: form.__name__)
def test_other_losses_are_dense_ones(dtype, rng, loss, form):
    X = instance(rng, 60, 900, dtype=dtype)[0] + (loss in ("is", -1.0))
    options = {"loss": loss, "random_state": 0, "max_iter": 10, "tol": 0}
    want, got = nmf(X, 4, **options, **PENALTIES), nmf(form(X), 4, **options, **PENALTIES)
    assert np.array_equal(got.W, want.W) and np.array_equal(got.H, want.H)


@pytest.mark.parametrize("loss", ["is", -1.0])
def test_zeros_that_a_loss_cannot_have_come_with_advice(loss):
    for X in (sp.eye_array(3), np.eye(3)):
        with pytest.raises(ValueError, match=r"X holds zeros, .* add a small value to X, or take"):
            nmf(X, 1, loss=loss)


def test_other_losses_open_a_block_at_a_time(rng):
    m, N = 500, 100_000  # dense: 400 MB
    i, j = rng.integers(0, m, 10**5), rng.integers(0, N, 10**5)
    X = sp.csc_array((rng.random(10**5) + 0.1, (i, j)), shape=(m, N))
    tracemalloc.start()
    nmf(X, 2, loss=1.5, init="random", random_state=0, max_iter=1, n_threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_a_cone_of_sparse_samples(rng):
    X = rng.poisson(1, (50, 20)).astype(float)
    dense, sparse = Cone.fit(X, 3), Cone.fit(sp.csr_array(X), 3)
    np.testing.assert_allclose(sparse.W, dense.W, rtol=1e-6, atol=1e-9)


def test_the_benchmark_runs(monkeypatch, capsys, tmp_path):
    bench = pytest.importorskip("bench.sparse", reason="no benchmarks beside this checkout")
    sizes = "--documents 60 --words 40 --rank 3 --iterations 5"
    monkeypatch.setattr(sys, "argv", ["sparse", *sizes.split(), "--out", str(tmp_path)])
    bench.main()
    assert "times sooner" in capsys.readouterr().out and (tmp_path / "sparse.json").exists()
