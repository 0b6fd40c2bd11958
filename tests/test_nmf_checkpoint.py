# SPDX-License-Identifier: BSD-3-Clause
"""A run that is killed and started again ends with the bits of one that was not."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp

from fastcone import Checkpoint, nmf
from fastcone._nmf import checkpoint as module
from fastcone._nmf.frobenius import GramFit
from fastcone._runtime.modelfile import read_model, write_model

SQUARE, KL = "frobenius", "kullback-leibler"
LONG = bool(os.environ.get("FASTCONE_LONG"))
KILLS = 200 if LONG else 8
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def given(rng, loss, solver, form, N=400):
    """Data and options of a run."""
    X = rng.poisson(1, (60, N)).astype(float)
    options = {"loss": loss, "solver": solver, "random_state": 3, "tol": 0}
    if form == "sparse":
        X = sp.csc_array(X)
    elif form == "masked":
        options["mask"] = rng.random(X.shape) < 0.8
    elif form == "weighted":
        options["weights"] = rng.random(X.shape)
    elif form == "kept W":
        options |= {"W": rng.random((60, 4)) + 0.1, "update_W": False}
    elif form == "fixed":
        options |= {"W": rng.random((60, 2)) + 0.1, "fixed": 2}
    return X, options


def same(fit, want):
    assert np.array_equal(fit.W, want.W) and np.array_equal(fit.H, want.H)
    assert np.array_equal(fit.history, want.history) and fit.n_iter == want.n_iter
    assert fit.converged == want.converged and fit.objective == want.objective


RUNS = [
    (SQUARE, "cd", "dense"), (SQUARE, "cd", "sparse"), (SQUARE, "cd", "kept W"),
    (SQUARE, "mu", "masked"), (KL, "mu", "dense"), (KL, "mu", "sparse"), (1.5, "mu", "weighted"),
    (SQUARE, "cd", "fixed"), (SQUARE, "cd", "masked"), (SQUARE, "cd", "weighted"),
]  # fmt: skip
runs = pytest.mark.parametrize("loss, solver, form", RUNS, ids=lambda value: str(value)[:9])


@runs
def test_a_run_in_steps_is_one_run(rng, tmp_path, loss, solver, form):
    X, options = given(rng, loss, solver, form)
    want = nmf(X, 4, max_iter=40, **options)
    for max_iter in (1, 2, 7, 30, 40):
        fit = nmf(X, 4, max_iter=max_iter, checkpoint=tmp_path / "run", **options)
        assert fit.n_iter == max_iter or fit.converged
    same(fit, want)
    same(nmf(X, 4, max_iter=40, checkpoint=str(tmp_path / "run"), **options), want)


def test_a_perfect_fit_is_resumed_in_its_entrywise_phase(dtype, rng, tmp_path):
    X = (rng.random((20, 3)) @ rng.random((3, 50))).astype(dtype)
    options = {"tol": 0, "random_state": 0}
    want = nmf(X, 3, max_iter=600, **options)
    assert want.objective < 1e-6 * want.history[0]
    for max_iter in (*range(1, 40), 100, 300, 301, 450, 600):
        fit = nmf(X, 3, max_iter=max_iter, checkpoint=tmp_path / "run", **options)
    same(fit, want)


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_a_converged_run_is_not_run_again(rng, tmp_path, solver):
    X, options = rng.random((20, 50)), {"solver": solver, "max_iter": 5000}
    first = nmf(X, 3, checkpoint=tmp_path / "run", **options)
    assert first.converged
    same(nmf(X, 3, checkpoint=tmp_path / "run", **options), first)
    further = nmf(X, 3, checkpoint=tmp_path / "run", tol=1e-7, **options)
    assert further.converged and further.n_iter > first.n_iter
    assert np.array_equal(further.history[: len(first.history)], first.history)
    if solver == "mu":  # cd goes back where an iteration gains less than tol
        same(further, nmf(X, 3, tol=1e-7, **options))


class Interrupted(Exception):
    """What stops a run at a place of the test's choice."""


@pytest.mark.parametrize("place", ["update_H", "_update_W", "objective", "without_momentum"])
def test_a_run_stopped_within_an_iteration_goes_on_from_the_last(rng, tmp_path, monkeypatch, place):
    """Half an iteration is forgotten, with what extrapolation learned in it."""
    X, options = given(rng, SQUARE, "cd", "dense")
    want, plain = nmf(X, 4, max_iter=60, **options), getattr(GramFit, place)
    stops = [7, 20, 33] if place != "without_momentum" else [1, 2, 3]
    for stop in stops:
        calls = 0

        def stopping(*args, **keywords):
            nonlocal calls
            calls += 1
            found = plain(*args, **keywords)
            if calls == stop:  # noqa: B023
                raise Interrupted
            return found

        monkeypatch.setattr(GramFit, place, stopping)
        with pytest.raises(Interrupted):
            nmf(X, 4, max_iter=60, checkpoint=tmp_path / "run", **options)
    monkeypatch.setattr(GramFit, place, plain)
    same(nmf(X, 4, max_iter=60, checkpoint=tmp_path / "run", **options), want)


def child(X, options, path):
    """A process that trains with a checkpoint after every iteration."""
    pid = os.fork()
    if pid == 0:
        try:
            module.SHARE = np.inf
            nmf(X, 4, max_iter=300, n_threads=2, checkpoint=Checkpoint(path, 0), **options)
        finally:
            os._exit(0)
    return pid


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    "loss, solver, form", [RUNS[0], *RUNS[1 if LONG else 4 : 7]], ids=lambda value: str(value)[:9]
)
def test_long_killed_runs_end_with_the_same_bits(rng, tmp_path, loss, solver, form):
    X, options = given(rng, loss, solver, form)
    want, path, kills = nmf(X, 4, max_iter=300, n_threads=1, **options), tmp_path / "run", 0
    while kills < KILLS:
        pid = child(X, options, path)
        time.sleep(rng.uniform(0.002, 0.15))
        os.kill(pid, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        if path.exists() and rng.random() < 0.1:
            path.unlink()
    same(nmf(X, 4, max_iter=300, checkpoint=path, **options), want)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


CHANGES = {
    "X": ({"X": np.ones((6, 9))}, "another X"),
    "shape": ({"X": np.ones((6, 8))}, "shape of X"),
    "dtype": ({"dtype": np.float32}, "dtype of X"),
    "rank": ({"rank": 3}, "rank 2, found 3"),
    "solver": ({"solver": "mu"}, "solver 'cd', found 'mu'"),
    "l1_H": ({"l1_H": 0.5}, "l1_H 0.0, found 0.5"),
    "init": ({"init": "random"}, "init None, found 'random'"),
    "random_state": ({"random_state": 1}, "another random_state"),
    "W": ({"W": np.ones((6, 2))}, "another W"),
    "loss": ({"solver": "mu", "loss": KL}, "loss 2.0, found 1.0"),
    "mask": ({"solver": "mu", "mask": np.ones((6, 9), bool)}, "another mask"),
    "weights": ({"solver": "mu", "weights": np.ones((6, 9))}, "another weights"),
    "fixed": ({"W": np.ones((6, 2)), "fixed": 1}, "fixed 0, found 1"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_run_is_refused(rng, tmp_path, name):
    change, words = CHANGES[name]
    options = {"random_state": 0, "checkpoint": tmp_path / "run", "max_iter": 3}
    if name in ("loss", "mask", "weights"):
        options["solver"] = "mu"
    X = rng.random((6, 9))
    nmf(X, 2, **options)
    before = (tmp_path / "run").read_bytes()
    options |= change
    X, rank = options.pop("X", X).astype(options.pop("dtype", float)), options.pop("rank", 2)
    with pytest.raises(ValueError, match=rf"^checkpoint .* is of a run with {words}"):
        nmf(X, rank, **options)
    assert (tmp_path / "run").read_bytes() == before


@pytest.mark.parametrize("junk", [b"", b"nonsense", "half"])
def test_a_file_that_is_no_checkpoint_is_refused(rng, tmp_path, junk):
    path, X = tmp_path / "run", rng.random((6, 9))
    nmf(X, 2, checkpoint=path, max_iter=3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if junk == "half" else junk)
    with pytest.raises(ValueError, match="path"):
        nmf(X, 2, checkpoint=path, max_iter=3)


FOREIGN = {
    "no W": {"W": None},
    "no history": {"history": None},
    "no momentum": {"momentum": None},
    "W of another shape": {"W": np.ones((5, 2))},
    "H of another dtype": {"Ht": np.ones((9, 2), np.float32)},
    "NaN": {"W": np.full((6, 2), np.nan)},
    "history in two dimensions": {"history": np.zeros((2, 2))},
    "too short a momentum": {"momentum": np.zeros(1)},
    "an array too many": {"foo": np.zeros(1)},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_sound_file_with_other_arrays_is_refused(rng, tmp_path, name):
    """What a fastcone of other iterations may have left: right options, other contents."""
    path, X = tmp_path / "run", rng.random((6, 9))
    nmf(X, 2, checkpoint=path, max_iter=3)
    arrays, facts = read_model(path, module.KIND)
    arrays = {n: a for n, a in (arrays | FOREIGN[name]).items() if a is not None}
    write_model(path, module.KIND, arrays, facts)
    with pytest.raises(ValueError, match=r"^checkpoint .* does not hold what a run"):
        nmf(X, 2, checkpoint=path, max_iter=5)


def test_zero_data_do_not_continue_another_run(rng, tmp_path):
    X = rng.random((6, 9))
    nmf(X, 2, checkpoint=tmp_path / "run", max_iter=3)
    with pytest.raises(ValueError, match=r"^checkpoint .* is of a run with another X"):
        nmf(0 * X, 2, checkpoint=tmp_path / "run", max_iter=3)


@pytest.mark.parametrize(
    "value, error",
    [(3, TypeError), (True, TypeError), ("/no/such/directory/run", OSError)],
    ids=str,
)
def test_a_bad_checkpoint_is_named(rng, value, error):
    with pytest.raises(error, match=r"checkpoint|No such file"):
        nmf(rng.random((6, 9)), 2, checkpoint=value)
    with pytest.raises((TypeError, ValueError), match=r"^seconds"):
        Checkpoint("run", -1)
    with pytest.raises(TypeError, match=r"^checkpoint must be a path"):
        Checkpoint(3)


def test_several_starts_keep_no_checkpoint(rng, tmp_path):
    with pytest.raises(ValueError, match=r"^n_init must be 1 with a checkpoint, found 2"):
        nmf(rng.random((6, 9)), 2, init="random", n_init=2, checkpoint=tmp_path / "run")


def test_time_in_checkpoints_is_bounded(monkeypatch, rng, tmp_path):
    spent = []

    def slow(*args):
        spent.append(time.monotonic())
        time.sleep(0.005)

    monkeypatch.setattr(module, "write_model", slow)
    began = time.monotonic()
    nmf(rng.random((50, 400)), 4, init="random", random_state=0, tol=0, max_iter=10**6,
        time_limit=1, checkpoint=Checkpoint(tmp_path / "run", 0))  # fmt: skip
    writes = (time.monotonic() - began) * module.SHARE / 0.005
    assert 2 <= len(spent) <= writes + 2  # the first and the last one are always written


@pytest.mark.parametrize("with_file", [False, True])
@pytest.mark.parametrize("loss, solver, form", RUNS[:2] + RUNS[3:7])  # those that take long
def test_ctrl_c_leaves_the_last_iterate(rng, tmp_path, loss, solver, form, with_file):
    X, options = given(rng, loss, solver, form, N=4000)
    options["max_iter"] = 10**6
    path, over = tmp_path / "run" if with_file else None, threading.Event()

    def interrupt():  # somewhere in an iteration, and never in what comes after this run
        if not over.is_set():
            signal.raise_signal(signal.SIGINT)

    def third(iteration, _):
        if iteration == 3:
            threading.Timer(0.001, interrupt).start()

    with pytest.raises(KeyboardInterrupt) as caught:
        try:
            nmf(X, 4, checkpoint=path, callback=third, **options)
        finally:
            over.set()
    fit = caught.value.result
    assert fit.n_iter >= 3
    options["max_iter"] = max(fit.n_iter, 1)
    want = nmf(X, 4, **options)
    if fit.n_iter:
        assert np.array_equal(fit.W, want.W) and np.array_equal(fit.H, want.H)
    if with_file:
        same_run = nmf(X, 4, checkpoint=path, **options)
        assert np.array_equal(same_run.W, want.W) and same_run.n_iter == want.n_iter


def test_ctrl_c_during_a_later_start_leaves_the_best(rng):
    X, seen = rng.random((30, 50)), []

    def interrupt(iteration, value):
        seen.append(value)
        if len(seen) == 12:  # in the second iteration of the third start
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        nmf(X, 4, n_init=5, random_state=0, max_iter=5, tol=0, callback=interrupt)
    assert len(seen) == 12 and caught.value.result.objective == min(seen) < seen[-1]


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_a_run_out_of_time_goes_on(rng, tmp_path, solver):
    X, path = rng.random((300, 3000)), tmp_path / "run"
    options = {"solver": solver, "init": "random", "random_state": 0, "tol": 0}
    first = nmf(X, 8, time_limit=0.2, max_iter=10**6, checkpoint=path, **options)
    count = first.n_iter + 3
    same(nmf(X, 8, max_iter=count, checkpoint=path, **options),
         nmf(X, 8, max_iter=count, **options))  # fmt: skip


def fails_after(count, monkeypatch, error):
    """Let writing succeed so many times, then raise."""
    written, write = [], module.write_model

    def model(*args):
        if len(written) >= count:
            raise error
        written.append(args)
        write(*args)

    monkeypatch.setattr(module, "write_model", model)
    return written


@pytest.mark.parametrize("count", [0, 1])
def test_a_failed_checkpoint_leaves_the_training(rng, tmp_path, monkeypatch, count):
    X, full = rng.random((20, 30)), OSError(28, "No space left on device")
    whole = nmf(X, 3, tol=0, max_iter=9)
    fails_after(count, monkeypatch, full)
    with pytest.raises(OSError, match="No space") as raised:
        nmf(X, 3, tol=0, max_iter=9, checkpoint=Checkpoint(tmp_path / "run", seconds=0))
    left = raised.value.result
    assert left.n_iter == (
        9 if count else 1
    )  # a wrong path is told at once, a full disk at the end
    assert np.array_equal(left.history, whole.history[: left.n_iter + 1])


def test_a_checkpoint_that_fails_between_is_tried_again(rng, tmp_path, monkeypatch, caplog):
    X, path, write = rng.random((20, 30)), tmp_path / "run", module.write_model
    calls = []

    def model(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        write(*args)

    monkeypatch.setattr(module, "write_model", model)
    monkeypatch.setattr(module, "SHARE", np.inf)
    fit = nmf(X, 3, tol=0, max_iter=9, checkpoint=Checkpoint(path, seconds=0))
    assert len(calls) > 2 and "was not written: [Errno 28]" in caplog.text
    assert np.array_equal(fit.W, nmf(X, 3, tol=0, max_iter=9).W)
    assert np.array_equal(nmf(X, 3, tol=0, max_iter=9, checkpoint=path).W, fit.W)


def test_ctrl_c_is_heard_though_the_disk_is_full(rng, tmp_path, monkeypatch):
    def interrupt(iteration, objective):
        if iteration == 4:
            raise KeyboardInterrupt

    fails_after(1, monkeypatch, OSError(28, "No space left on device"))
    kept = Checkpoint(tmp_path / "run", seconds=1e6)
    with pytest.raises(KeyboardInterrupt) as raised:
        nmf(rng.random((20, 30)), 3, tol=0, callback=interrupt, checkpoint=kept)
    assert raised.value.result.n_iter == 4
    assert "No space left" in raised.value.__notes__[0]


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_a_locked_folder_holds_up_neither_ctrl_c_nor_a_time_limit(rng, tmp_path):
    import fcntl

    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        begin = time.monotonic()
        nmf(
            rng.random((20, 30)),
            3,
            tol=0,
            max_iter=10**6,
            time_limit=0.1,
            checkpoint=tmp_path / "run",
        )
        assert time.monotonic() - begin < 1.0 and (tmp_path / "run").exists()
    finally:
        os.close(folder)
