# SPDX-License-Identifier: BSD-3-Clause
"""Training on data larger than memory: mapped files, several arrays, arrays loaded on demand."""

import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fastcone import Cone, nmf
from fastcone._nmf import dense
from fastcone._nmf.problem import EVEN, cut

SQUARE, KL = "frobenius", "kullback-leibler"
WAYS = [(SQUARE, "cd"), (SQUARE, "mu"), (KL, "mu"), (0.5, "mu")]
ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: str(value)[:9])


class OnDemand(Sequence):
    """Parts that exist only while they are asked for."""

    def __init__(self, X, edges):
        self.X, self.edges, self.asked = X, edges, 0

    def __len__(self):
        return len(self.edges) - 1

    def __getitem__(self, i):
        self.asked += 1
        return self.X[:, self.edges[i] : self.edges[i + 1]].copy()


def stored(path, X, mode="r"):
    """X' in a file, its transpose mapped."""
    np.ascontiguousarray(X.T).tofile(path)
    return np.memmap(path, X.dtype, mode, shape=X.T.shape).T


def ways_to_give(X, path):
    edges = [0, 7, 7, 300, 301, X.shape[1]]
    parts = [X[:, a:b] for a, b in itertools.pairwise(edges)]
    by_feature = np.memmap(path / "features", X.dtype, "w+", shape=X.shape)
    by_feature[...] = X
    swapped = stored(path / "swapped", X.astype(X.dtype.newbyteorder(">")))
    return {
        "mapped": stored(path / "samples", X),
        "copy on write": stored(path / "private", X, "c"),
        "mapped by features": by_feature,
        "mapped, big-endian": swapped,
        "an array of a mapping": np.asarray(stored(path / "array", X)),
        "parts": parts,
        "parts, samples contiguous": tuple(np.asfortranarray(part) for part in parts),
        "one part": [X],
        "on demand": OnDemand(X, edges),
        "mapped parts": [stored(path / f"part {i}", part) for i, part in enumerate(parts)
                         if part.size],
    }  # fmt: skip


@ways
@pytest.mark.parametrize("init", [None, "random", "exemplars"])
def test_how_data_come_changes_no_bit(monkeypatch, dtype, rng, tmp_path, loss, solver, init):
    monkeypatch.setattr(dense, "RELEASE_BYTES", 0)
    X = rng.gamma(0.5, 1, (37, 900)).astype(dtype)
    options = {"loss": loss, "solver": solver, "init": init, "random_state": 0, "max_iter": 4}
    want = nmf(X, 4, **options)
    for n_threads, (name, given) in enumerate(ways_to_give(X, tmp_path).items()):
        fit = nmf(given, 4, n_threads=1 + n_threads % 3, **options)
        assert fit.W.dtype == dtype, name
        assert np.array_equal(fit.W, want.W) and np.array_equal(fit.H, want.H), name
        assert np.array_equal(fit.history, want.history), name


def test_a_private_mapping_keeps_its_changes(monkeypatch, rng, tmp_path):
    monkeypatch.setattr(dense, "RELEASE_BYTES", 0)
    given = stored(tmp_path / "x", rng.random((20, 300)), "c")
    given[:] = 2 * given
    want = given.copy()
    nmf(given, 3, max_iter=3)
    assert np.array_equal(given, want)


@ways
@pytest.mark.parametrize("power", [-40, 40])
def test_extreme_units_of_a_mapping(rng, tmp_path, loss, solver, power):
    X = np.ldexp(rng.random((20, 300)), power)
    options = {"loss": loss, "solver": solver, "max_iter": 4}
    want = nmf(X, 3, **options)
    for given in (stored(tmp_path / "x", X), [X[:, :100], X[:, 100:]]):
        fit = nmf(given, 3, **options)
        assert np.array_equal(fit.W, want.W) and np.array_equal(fit.H, want.H)


def test_parts_of_other_dtypes(rng, tmp_path):
    counts = rng.integers(0, 9, (20, 300))
    want = nmf(counts.astype(float), 3, max_iter=4)
    for given in (stored(tmp_path / "x", counts.astype(np.uint8)),
                  [counts[:, :9].astype(np.float32), counts[:, 9:]]):  # fmt: skip
        fit = nmf(given, 3, max_iter=4)
        assert fit.W.dtype == np.float64 and np.array_equal(fit.W, want.W)


@pytest.mark.slow
@ways
def test_data_are_never_copied_as_a_whole(rng, tmp_path, loss, solver):
    m, N, k = 400, 40000, 4
    path = tmp_path / "x"
    rng.random((N, m), dtype=np.float32).tofile(path)  # 64 MB
    given = np.memmap(path, np.float32, "r", shape=(N, m)).T
    for X in (given, [given[:, :9000], given[:, 9000:]]):
        tracemalloc.start()
        nmf(X, k, loss=loss, solver=solver, random_state=0, max_iter=2, n_threads=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30e6


RESIDENT = """
import sys
import numpy as np
import fastcone
from fastcone._nmf import dense
from fastcone._nmf.problem import EVEN, cut

def resident(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

dense.RELEASE_BYTES = 0
X = np.memmap(sys.argv[1], np.float32, "r", shape=(60000, 400)).T
fastcone.nmf(X[:, :2000], 8, random_state=0, max_iter=2)
before, most = resident("VmRSS"), 0

def look(*_):
    global most
    most = max(most, resident("VmRSS"))

fastcone.nmf(X, 8, random_state=0, max_iter=4, tol=0, callback=look)
print(most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_mapped_file_does_not_become_resident(rng, tmp_path):
    path = tmp_path / "x"
    rng.random((60000, 400), dtype=np.float32).tofile(path)  # 96 MB
    run = subprocess.run([sys.executable, "-c", RESIDENT, str(path)], check=True,
                         capture_output=True, text=True)  # fmt: skip
    assert int(run.stdout) < 40e6


def test_each_thread_loads_a_part_once_a_pass(rng):
    X = rng.random((30, 2000))
    given = OnDemand(X, [0, 500, 1000, 2000])
    nmf(given, 3, init="random", random_state=0, max_iter=1, tol=0, n_threads=1)
    one = given.asked
    nmf(given, 3, init="random", random_state=0, max_iter=11, tol=0, n_threads=1)
    assert given.asked - 2 * one <= 10 * 3 + 3


def test_a_cone_of_a_mapping(rng, tmp_path):
    X = rng.random((300, 20))
    X.tofile(tmp_path / "x")
    given = np.memmap(tmp_path / "x", float, "r", shape=X.shape)
    assert np.array_equal(Cone.fit(given, 3).W, Cone.fit(X, 3).W)


BAD = [
    ("X", [np.ones((3, 4)), np.ones((2, 4))], ValueError),
    ("X", [np.ones((3, 4)), np.full((3, 2), np.nan)], ValueError),
    ("X", [np.ones((3, 4)), -np.ones((3, 2))], ValueError),
    ("X", [np.ones((3, 4)), np.ones((3, 2), dtype=complex)], TypeError),
    ("X", [np.ones((0, 4))], ValueError),
    ("X", iter([np.ones((3, 4))]), TypeError),
]


@pytest.mark.parametrize("name, X, error", BAD, ids=lambda value: str(value)[:30])
def test_bad_parts_are_named(name, X, error):
    with pytest.raises(error, match=rf"^{name}\b"):
        nmf(X, 2)


def test_the_place_of_a_bad_entry_is_told(tmp_path):
    X = np.ones((5, 700))
    X[3, 650] = -1
    for given in (stored(tmp_path / "x", X), [X[:, :600], X[:, 600:]]):
        with pytest.raises(ValueError, match=r"X holds -1.0 at \(3, 650\)"):
            nmf(given, 2)


@pytest.mark.parametrize("name", ["mask", "weights"])
def test_a_weight_for_each_entry_of_parts_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        nmf([np.ones((3, 4))], 1, solver="mu", **{name: np.ones((3, 4), bool)})


def test_a_zero_in_parts_is_refused_where_the_loss_would_be_infinite():
    with pytest.raises(ValueError, match=r"^X holds zeros"):
        nmf([np.ones((3, 4)), np.eye(3)], 1, solver="mu", loss="itakura-saito")


def test_the_benchmark_runs(monkeypatch, capsys, tmp_path):
    bench = pytest.importorskip("bench.outofcore", reason="no benchmarks beside this checkout")
    sizes = "--samples 2000 --features 30 --rank 3 --iterations 3"
    monkeypatch.setattr(sys, "argv", ["outofcore", *sizes.split(), "--out", str(tmp_path)])
    bench.main()
    assert "samples_per_second" in capsys.readouterr().out
    assert (tmp_path / "outofcore.json").exists()


def test_data_of_one_block_are_cut_where_threads_pay():
    """Several threads share 300 samples of 1000 features, which fit in one block; not 30 of 10."""
    assert sum(map(len, cut(300, 1000, 8, 4, 16))) == EVEN
    assert sum(map(len, cut(30, 10, 3, 4, 16))) == 1
