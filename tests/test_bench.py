# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark's own peers and yardsticks are right, and its tables render from a tiny run."""

import itertools
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.optimize

pytest.importorskip("sklearn")
bench = pytest.importorskip("bench.__main__", reason="the benchmarks are not beside this checkout")
from bench import (  # noqa: E402
    contest,
    curves,
    data,
    growth,
    losses,
    references,
    relaxometry,
    single,
    threads,
    timing,
)
from bench.nmf import error_of  # noqa: E402
from bench.solvers import certified_, fastcone_, fnnls_, pivoting_  # noqa: E402


@pytest.mark.parametrize("peer", [fnnls_, pivoting_], ids=lambda peer: peer.NAME)
@pytest.mark.parametrize("shape", [(30, 8), (40, 40), (100, 30), (10, 1)], ids=str)
@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_the_reference_peers_agree_with_scipy(peer, shape, l1, rng):
    m, n = shape
    A = rng.standard_normal((m, n)) + 3 * np.eye(m, n)
    B = np.concatenate([A @ np.maximum(rng.standard_normal((n, 20)), 0),
                        rng.standard_normal((m, 20)), -A @ np.ones((n, 1))], axis=1)  # fmt: skip
    # with a penalty: the same minimiser from a square system
    L = np.linalg.cholesky(A.T @ A)
    best = [scipy.optimize.nnls(L.T, c)[0] for c in np.linalg.solve(L, A.T @ B - l1).T]
    X = peer.solve(A, B, l1)
    assert (X >= 0).all()
    np.testing.assert_allclose(X, np.stack(best, axis=1), atol=1e-8)


def test_columns_that_share_a_passive_set_are_solved_together_and_right(rng):
    A = rng.random((20, 6)) + np.eye(20, 6)
    B = np.repeat(A @ (rng.random((6, 3)) + 1), 5, axis=1)
    np.testing.assert_allclose(A @ pivoting_.solve(A, B, 0.0), B, atol=1e-10)


def test_excess_finds_the_best_answer_and_counts_nan_as_infinite():
    A, B = np.eye(2), np.array([[1.0, 2.0], [1.0, 0.0]])
    answers = {"right": B, "zero": np.zeros((2, 2)), "broken": np.full((2, 1), np.nan)}
    assert contest.excess(A, B, answers) == {"right": 0.0, "zero": 1.0, "broken": np.inf}


def test_no_ratio_is_formed_with_a_peer_that_is_wrong():
    rows = [{"solver": contest.FLOOR, "us_per_column": 1.0},
            {"solver": "fastcone", "us_per_column": 2.0, "accurate": True},
            {"solver": "right", "us_per_column": 6.0, "accurate": True},
            {"solver": "wrong", "us_per_column": 1.0, "accurate": False}]  # fmt: skip
    assert contest.ratios(rows) == {"right": 3.0}


def test_a_tolerance_is_found_that_reaches_the_accuracy(rng):
    class Rounded:
        TOLERANCES = (1e-1, 1e-2, 1e-6, 1e-9)

        @staticmethod
        def solve(A, B, l1, tol):
            return B + tol

    B = rng.random((4, 3))
    assert contest.at_accuracy(Rounded, np.eye(4), B, 0.0, B).keywords == {"tol": 1e-6}


def test_quick_contestants_repeat_within_their_turn():
    times = timing.rounds({"a": lambda: None, "b": lambda: None}, seconds=0, least=2, turn=0.001)
    assert len(times["a"]) > 2
    times = timing.rounds({"a": lambda: None, "b": lambda: None}, seconds=0, least=2)
    assert len(times["a"]) == len(times["b"]) == 2


def test_digits_repeat_and_are_not_those_learnt_from():
    digits = data.Digits.load(None)
    B = digits.targets(2000, np.float32)
    assert B.shape == (64, 2000) and B.dtype == np.float32 and B.flags.f_contiguous
    np.testing.assert_array_equal(B[:, : 2000 - len(digits.unseen)], B[:, len(digits.unseen) :])
    small = digits.resampled(5, 50, 7)
    assert small.unseen.shape == (7, 25) and small.learn.shape == (50, 25)
    assert small.unseen.min() >= 0


@pytest.mark.parametrize("mebibytes", [0, 64])
def test_the_peak_of_memory_is_that_of_a_known_allocation(mebibytes):
    def work():
        passing, kept = np.ones(mebibytes << 17), np.ones(1 << 20)
        del passing
        return kept

    free = [np.ones(1 << 14) for _ in range(500)]  # pages that the allocator may keep
    del free
    try:
        highest, kept = growth.peak_of(work)
    except OSError as error:
        pytest.skip(str(error))
    assert highest - kept.nbytes == pytest.approx(mebibytes << 20, abs=2 << 20)


@pytest.fixture
def tiny(monkeypatch):
    """Rounds as short as can be, little problems, fastcone and the plain references alone."""

    def once(contestants, **_):
        return timing_rounds(contestants, seconds=0, least=1)

    timing_rounds = timing.rounds
    for module in (contest, growth, single, threads):
        monkeypatch.setattr(module, "rounds", once)
    peers = [fastcone_, certified_, fnnls_, pivoting_]
    monkeypatch.setattr(bench.nnls.solvers, "available", lambda: (peers, ["other: not asked"]))
    for name, value in {"RANK": 4, "RANKS": (3,), "SIDES": (5,), "HEIGHT": 9}.items():
        monkeypatch.setattr(bench.nnls, name, value)
    for module in (growth, threads):
        monkeypatch.setattr(module, "RANK", 4)
    monkeypatch.setattr(single, "SIZES", ((10, 5),))
    monkeypatch.setattr(single, "embedded", lambda rng: [])  # compiled in test_embedding.py
    monkeypatch.setattr(relaxometry, "VOXELS", 10)
    monkeypatch.setattr(data, "LEARNT", 100)


def test_every_case_renders_and_is_recorded(tiny, tmp_path, capsys):
    bench.main(["--columns", "20", "--out", str(tmp_path)])
    report = (tmp_path / "nnls.md").read_text()
    for name in bench.CASES:
        record = json.loads((tmp_path / f"nnls-{name}.json").read_text())
        assert record["machine"]["cpu"]
        assert f"## {name}\n" in report
    assert "| fastcone |" in report and "float32, certified" in report
    assert "block principal pivoting †" in report
    assert "Not measured: other: not asked" in report
    for number in ("nan", "inf", "DIFFERENT"):
        assert number not in report
    assert "Growth, us per column" in capsys.readouterr().out
    worst = json.loads((tmp_path / "nnls-n2.json").read_text())["cases"][0]["rows"]
    assert contest.by_name(worst)["fastcone"]["largest_excess"] < 1e-9


def test_an_unknown_case_is_named(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--cases", "n1,n9"])
    assert "no case ['n9']" in capsys.readouterr().err


def test_the_readme_is_renewed_between_its_markers(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n")
    bench.renew(page, "new")
    assert page.read_text() == f"before\n{bench.BEGIN}\nnew\n{bench.END}\nafter\n"
    assert bench.BEGIN in (Path(bench.__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("run", [references.hals, references.pivoting])
def test_a_plain_training_reference_descends_to_a_fit(run, rng):
    X = rng.random((40, 3)) @ rng.random((3, 20))
    W, H = rng.random((20, 3)), rng.random((3, 40))
    errors = [error_of(X, *factors) for factors in itertools.islice(run(X, W, H), 300)]
    assert np.all(np.diff(errors) <= 1e-12) and errors[-1] < 1e-2


def test_curves_of_training_are_drawn(monkeypatch, capsys, tmp_path):
    figure = tmp_path / "curves.svg"
    sizes = f"--columns 60 --rank 3 --seconds 0.05 --figure {figure} --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", ["curves", *sizes.split()])
    curves.main()
    assert "scikit-learn cd" in capsys.readouterr().out and (tmp_path / "curves.json").exists()
    paths = ElementTree.fromstring(figure.read_text()).iter("{http://www.w3.org/2000/svg}path")
    drawn = [path.get("d") for path in paths if path.get("clip-path")]
    assert len(drawn) == len(curves.COLOURS) and not any("nan" in d for d in drawn)


def test_losses_are_measured_and_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(losses, "SETTLE", 0.0)
    monkeypatch.setattr(losses, "ROUNDS", 1)
    tiny = losses.Shape("table", 30, 10, 3)
    monkeypatch.setattr(losses, "SHAPES", (tiny, tiny))
    monkeypatch.setattr(sys, "argv", ["losses", "--short", "--out", str(tmp_path)])
    losses.main()
    told = capsys.readouterr().out
    assert "multiply-adds" in told and "itakura-saito" in told
    figures = json.loads((tmp_path / "losses.json").read_text())["figures"]
    assert len(figures) == 2 * 3
    for row in figures:
        for points in row["curve"].values():
            values = [value for _, value in points]
            assert all(b <= a * (1 + 1e-5) for a, b in itertools.pairwise(values))
        peer = row["curve"]["scikit-learn"]
        mine = dict(enumerate((v for _, v in row["curve"]["fastcone"]), start=1))
        for count, (_, value) in zip(losses.COUNTS, peer, strict=False):
            if row["beta"] >= 1:  # the same steps: the same losses
                np.testing.assert_allclose(mine[count], value, rtol=1e-3)
