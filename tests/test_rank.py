# SPDX-License-Identifier: BSD-3-Clause
"""The rank that predicts entries which training has not seen."""

import numpy as np
import pytest

import fastcone
from fastcone import select_rank


def planted(rng, rank, noise=0.1, shape=(40, 120)):
    X = rng.gamma(1, 1, (shape[0], rank)) @ rng.gamma(1, 1, (rank, shape[1]))
    return np.maximum(X + noise * X.std() * rng.standard_normal(X.shape), 0)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_the_planted_rank_is_found(rng, rank):
    found = select_rank(planted(rng, rank), [6, 1, 2, 3, 4, 5], random_state=0, repeats=3)
    assert found.rank == rank and found.ranks.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.errors.shape == (3, 6) and np.all(found.errors > 0)
    assert found.mean.shape == found.standard_error.shape == (6,)
    assert repr(found).startswith(f"RankSelection(rank={rank}, best=")


def test_counts_are_split_by_their_own_loss(rng):
    X = rng.poisson(3 * planted(rng, 3, noise=0)).astype(float)
    assert select_rank(X, range(1, 6), loss="kl", random_state=0, repeats=3).rank == 3


def test_entries_that_are_not_known_are_neither_read_nor_hidden(rng):
    X, known = planted(rng, 2), rng.random((40, 120)) < 0.8
    options = {"ranks": [1, 2, 3], "random_state": 1, "repeats": 2}
    named = select_rank(np.where(known, X, np.nan), mask="nan", **options)
    masked = select_rank(np.where(known, X, -7.0), mask=known, **options)
    assert np.array_equal(named.errors, masked.errors) and named.rank == 2


def test_no_row_or_column_is_hidden_as_a_whole(rng):
    for X in (planted(rng, 1, shape=(2, 30)), planted(rng, 1, shape=(30, 2))):
        found = select_rank(X, [1], held_out=0.95, random_state=0, repeats=2)
        assert np.isfinite(found.errors).all()


def test_the_rule_prefers_the_smaller_of_equals():
    errors = np.array([[3.0, 1.01, 1.0], [3.1, 1.0, 1.02], [2.9, 1.02, 1.0]])
    found = fastcone.RankSelection(np.array([1, 2, 4]), errors)
    assert found.best == 4 and found.rank == 2
    apart = fastcone.RankSelection(np.array([1, 2]), np.array([[2.0, 1.0], [2.1, 1.1]]))
    assert apart.rank == apart.best == 2


def test_the_picture_shows_mean_error_and_choice(rng):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    found = select_rank(planted(rng, 2), [1, 2, 3], random_state=0, repeats=2)
    ax = found.plot()
    assert ax.get_xlabel() == "rank" and ax.get_legend().texts[0].get_text() == "chosen: 2"
    assert found.plot(ax) is ax
    pyplot.close("all")


@pytest.mark.parametrize(
    "argument, options, error",
    [
        ("ranks", {"ranks": []}, ValueError),
        ("ranks", {"ranks": [1, 0]}, ValueError),
        ("ranks", {"ranks": [1.5]}, TypeError),
        ("repeats", {"repeats": 1}, ValueError),
        ("held_out", {"held_out": 0}, ValueError),
        ("held_out", {"held_out": 1.0}, ValueError),
        ("held_out", {"X": np.ones((1, 1))}, ValueError),
        ("mask", {"mask": np.ones((3, 3), bool)}, ValueError),
        ("mask", {"mask": "none"}, ValueError),
        ("X", {"X": np.array([[1.0, np.nan]])}, ValueError),
        ("X", {"X": -np.ones((2, 3))}, ValueError),
        ("W", {"W": np.ones((4, 2))}, ValueError),
        ("n_init", {"n_init": 2}, ValueError),
        ("solver", {"loss": "kl", "solver": "cd"}, ValueError),
    ],
)
def test_bad_arguments_are_named(argument, options, error):
    options = {"X": np.ones((20, 30)), "ranks": [1, 2]} | options
    with pytest.raises(error, match=rf"^{argument}\b"):
        select_rank(options.pop("X"), options.pop("ranks"), **options)
