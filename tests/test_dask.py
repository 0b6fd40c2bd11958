# SPDX-License-Identifier: BSD-3-Clause
"""Dask arrays: the bits of arrays at hand, for any number of workers, dead ones included."""

import copy
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastcone
from fastcone._nmf import segments
from fastcone._nmf.problem import cut

da = pytest.importorskip("dask.array", reason="needs fastcone[dask]")
distributed = pytest.importorskip("distributed", reason="needs fastcone[dask]")

import fastcone.dask as face  # noqa: E402


@pytest.fixture(scope="module")
def near():
    """A client of a cluster within this process: two workers of one thread."""
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def samples(rng):
    """1,500 samples of a noisy cone of rank 3, one a row."""
    return rng.random((1500, 3)) @ rng.random((3, 30)) + 0.1 * rng.random((1500, 30))


def chunked(X, rows=400, columns=-1):
    return da.from_array(X, chunks=(rows, columns)).T


def same(fit, want):
    assert np.array_equal(fit.W, want.W) and np.array_equal(np.asarray(fit.H), want.H)
    assert np.array_equal(fit.history, want.history) and fit.converged == want.converged


RUNS = {
    "cd": ("d", {"init": "random", "l1_H": 0.1}),
    "cd, default": ("f", {}),
    "cd, kept W": ("f", {"W": 3, "update_W": False}),
    "cd, fixed": ("d", {"W": 2, "fixed": 2, "init": "nndsvd"}),
    "mu, W": ("d", {"solver": "mu", "W": 3}),
    "kl": ("f", {"loss": "kl", "random_state": np.random.MT19937(3), "init": "random"}),
    "is": ("d", {"loss": "is", "l2_W": 0.2}),
    "1.5, starts": ("f", {"loss": 1.5, "n_init": 2}),
}


@pytest.mark.parametrize("run", RUNS)
def test_bits_are_those_of_an_array_at_hand(near, samples, run):
    kind, given = RUNS[run]
    options = {"random_state": np.random.MT19937(1), "tol": 0, "max_iter": 5} | given
    if "W" in options:
        options["W"] = samples[: options["W"]].T
    X, bits = samples.astype(kind), options.pop("random_state")
    one, other = (np.random.Generator(copy.deepcopy(bits)) for _ in "ab")
    fit = face.nmf(chunked(X), 3, random_state=one, **options)
    same(fit, fastcone.nmf(X.T, 3, random_state=other, **options))
    assert fit.n_iter == 5 and one.random() == other.random()


@pytest.mark.parametrize("options", [{}, {"solver": "mu"}, {"loss": "kl"}], ids=["cd", "mu", "kl"])
@pytest.mark.parametrize("form", ["few", "zeros"])
def test_bits_whatever_way_training_at_hand_takes(near, rng, form, options):
    """Few samples of many features, where X H' is formed at once; blocks of either KL kernel."""
    X = rng.random((150, 4096)) if form == "few" else 1.0 * rng.poisson(3, (5000, 60))
    if form == "zeros":
        X[:2400, 6:] = 0
    options = options | {"max_iter": 4, "tol": 0, "random_state": 0}
    same(face.nmf(chunked(X, 61), 10, **options), fastcone.nmf(X.T, 10, **options))


def test_an_early_end_is_told_to_the_caller(near, samples):
    with pytest.warns(fastcone.ConvergenceWarning, match="max_iter=2 ") as given:
        face.nmf(chunked(samples), 3, max_iter=2)
    assert given[0].filename == __file__


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_scale_and_given_factors(near, samples, scale):
    X = scale * samples
    H = np.linspace(0, 1, 3 * len(X)).reshape(3, -1)
    options = {"W": X[:3].T, "H": H, "max_iter": 2, "tol": 0}
    same(face.nmf(chunked(X), 3, **options), fastcone.nmf(X.T, 3, **options))


@pytest.mark.parametrize(
    "most, persist, options",
    [(1, False, {}), (1 << 15, True, {"loss": "kl"}), (1 << 14, False, {"loss": "kl"})],
)
def test_segments_of_any_size(near, samples, monkeypatch, most, persist, options):
    monkeypatch.setitem(face.SEGMENT_BYTES, persist, most)
    options = options | {"max_iter": 2, "tol": 0}
    same(
        face.nmf(chunked(samples, 333, 7), 3, persist=persist, **options),
        fastcone.nmf(samples.T, 3, **options),
    )


@pytest.mark.parametrize("groups", [1, 50])
def test_groups_of_the_callers_choice_change_rounding_alone(near, samples, groups):
    options = {"init": "random", "random_state": 0, "max_iter": 2, "tol": 0}
    fit = face.nmf(chunked(samples), 3, groups=groups, **options)
    np.testing.assert_allclose(fit.W, fastcone.nmf(samples.T, 3, **options).W, rtol=1e-9)


def test_segments_cover_the_blocks_in_order():
    for N, most in ((1, 5), (5000, 100), (5000, 10**6), (12_345, 999)):
        groups = cut(N, 7, 3, 8, 5)
        found = segments.segments(groups, most)
        assert sum(map(len, found)) == N
        assert [s.rows.start for s in found] == [0, *(s.rows.stop for s in found[:-1])]
        blocks = [(s.first + b.rows.start, b.first, s.group) for s in found for b in s.blocks]
        want = [(b.rows.start, b.first, g) for g, bs in enumerate(groups) for b in bs]
        assert blocks == want
        assert all(len(s) <= most or len(s.blocks) == 1 for s in found)


def test_callback_time_limit_and_interrupt(near, samples):
    options = {"init": "random", "random_state": 0, "tol": 0}
    seen = []
    fit = face.nmf(
        chunked(samples), 3, callback=lambda *at: seen.append(at) or at[0] == 3, **options
    )
    assert [i for i, _ in seen] == [1, 2, 3] and fit.n_iter == 3 and not fit.converged
    assert [value for _, value in seen] == fit.history[1:].tolist()
    fit = face.nmf(chunked(samples), 3, time_limit=0.7, max_iter=10**6, **options)
    want = fastcone.nmf(samples.T, 3, max_iter=fit.n_iter, **options) if fit.n_iter else fit
    assert np.array_equal(fit.history[: fit.n_iter + 1], want.history)

    def press(iteration, _):
        if iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        face.nmf(chunked(samples), 3, callback=press, **options)
    same(stopped.value.result, fastcone.nmf(samples.T, 3, max_iter=2, **options))


@pytest.mark.parametrize("options", [{"init": "random"}, {"loss": "kl"}], ids=["cd", "kl"])
def test_a_run_in_steps_is_one_run(near, samples, tmp_path, options):
    options = options | {"random_state": 2, "tol": 0}
    want = fastcone.nmf(samples.T, 3, max_iter=6, **options)
    for max_iter in (1, 3, 6):
        fit = face.nmf(
            chunked(samples), 3, max_iter=max_iter, checkpoint=tmp_path / "run", **options
        )
    same(fit, want)
    with pytest.raises(ValueError, match="another X"):
        face.nmf(chunked(2 * samples), 3, checkpoint=tmp_path / "run", **options)


def test_a_client_that_is_not_the_current_one_and_integers(samples):
    X = (9 * samples).astype(int)
    cluster = distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0")
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        fit = face.nmf(chunked(X), 3, max_iter=3, client=client)
        want = fastcone.nmf(X.T, 3, max_iter=3)
        assert np.array_equal(fit.W, want.W)
        assert np.array_equal(client.compute(fit.H).result(), want.H)


@pytest.mark.slow
def test_without_a_client_there_is_a_cluster_for_the_call(samples):
    code = """if __name__ == "__main__":
        import dask.array as da, numpy as np, fastcone, fastcone.dask
        X = np.random.default_rng(0).random((600, 20))
        fit = fastcone.dask.nmf(da.from_array(X).T, 3, max_iter=3)
        want = fastcone.nmf(X.T, 3, max_iter=3)
        assert np.array_equal(fit.W, want.W) and np.array_equal(fit.H.compute(), want.H)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_zeros(near):
    fit = face.nmf(da.zeros((4, 10)), 2)
    assert fit.objective == 0 and fit.H.compute().shape == (2, 10) and fit.converged


@pytest.mark.parametrize(
    "change, message",
    [
        (-1.0, r"X\[2, 900\]|X holds -1"),
        (np.nan, "X"),
        (np.inf, "X"),
    ],
)
def test_a_bad_entry_is_named(near, samples, change, message):
    samples[900, 2] = change
    with pytest.raises(ValueError) as mine:
        face.nmf(chunked(samples), 3)
    with pytest.raises(ValueError) as theirs:
        fastcone.nmf(samples.T, 3)
    assert str(mine.value) == str(theirs.value)


@pytest.mark.parametrize(
    "X, options, error, message",
    [
        (np.ones((3, 4)), {}, TypeError, "X is a ndarray"),
        (da.ones(3), {}, ValueError, "X has shape"),
        (da.ones((3, 4), dtype=complex), {}, TypeError, "X has dtype"),
        (da.ones((3, 4)), {"mask": "nan"}, ValueError, "mask must be None"),
        (da.ones((3, 4)), {"weights": 1}, ValueError, "weights must be None"),
        (da.ones((3, 4)), {"init": "exemplars"}, ValueError, "init must be one of"),
        (da.ones((3, 4)), {"ranks": 2}, TypeError, "ranks"),
        (da.ones((3, 4)), {"groups": 0}, ValueError, "groups"),
        (da.ones((3, 4)), {"client": 3}, TypeError, "client is a int"),
        (da.zeros((3, 4)), {"loss": "is"}, ValueError, "X holds zeros"),
        (da.ones((3, 4)), {"solver": "cd", "loss": "kl"}, ValueError, "solver"),
    ],
)
def test_what_is_refused(near, X, options, error, message):
    with pytest.raises(error, match=message):
        face.nmf(X, 2, **options)


@pytest.mark.parametrize("form", ["plain", "mask", "nan", "masks", "l1", "forward"])
def test_projection_is_that_of_the_samples(near, rng, form):
    cone = fastcone.Cone(rng.random((12, 4)))
    V = rng.standard_normal((50, 12)).astype(np.float32)
    options, lazy = {}, {}
    if form == "mask":
        options = {"mask": rng.random(12) < 0.8}
    elif form == "nan":
        V[rng.random(V.shape) < 0.1] = np.nan
        options = {"mask": "nan"}
    elif form == "masks":
        known = rng.random(V.shape) < 0.8
        options, lazy = {"mask": known}, {"mask": da.from_array(known, chunks=9)}
    elif form == "l1":
        options = {"loss": "l1", "l1": 0.1}
    elif form == "forward":
        options, V = {"forward": rng.random((5, 12))}, V[:, :5]
    found = face.project(cone, da.from_array(V, chunks=(13, 5)), **(options | lazy))
    want = cone.project(V, **options)
    for name in ("signal", "coef", "distance", "gap"):
        mine, theirs = getattr(found, name), getattr(want, name)
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        np.testing.assert_allclose(mine.compute(), theirs, rtol=1e-4, atol=1e-5)


def test_projection_refuses_arrays_at_hand(rng):
    with pytest.raises(TypeError, match="V is"):
        face.project(fastcone.Cone(rng.random((3, 2))), np.ones((4, 3)))


def test_the_package_does_not_import_dask():
    code = "import sys, fastcone; sys.exit('dask' in sys.modules or 'distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def pid(dask_worker):
    return os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize("count, loss", [(1, "frobenius"), (3, "frobenius"), (2, "kl")])
def test_workers_that_die_change_no_bit(samples, monkeypatch, count, loss):
    if count == 2:  # so that one dies while its coefficients are copied
        monkeypatch.setattr(face, "COPIES", 1)
    options = {"loss": loss, "init": "random", "random_state": 0, "tol": 0, "max_iter": 14}
    ends = []
    with (
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill(iteration, _):
            if iteration in (3, 11):  # while the next iteration is under way
                victim = next(iter(client.run(pid).values()))
                ends.append(victim)
                threading.Timer(0.01 * len(ends), os.kill, (victim, signal.SIGKILL)).start()

        fit = face.nmf(chunked(samples), 3, callback=kill, **options)
        same(fit, fastcone.nmf(samples.T, 3, **options))
    assert len(set(ends)) == 2
