# SPDX-License-Identifier: BSD-3-Clause
"""Break-even counts: every case of signs, against totals computed by hand."""

import json
import math
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcone.green import break_even

EXACT = settings(deadline=None, max_examples=200, derandomize=True)


def case(f, d, g, w, *, s=0.0, tasks=10, items=100, **more):
    """F_g, F_d, w_g, w_d by position."""
    return break_even(
        train_shared=f,
        train_task=d,
        reuse_item=g,
        retrain_item=w,
        adapt=s,
        n_tasks=tasks,
        n_items=items,
        **more,
    )


def reuse(f, s, g, tasks, items):
    return f + tasks * (s + items * g)


def retrain(d, w, tasks, items):
    return tasks * (d + items * w)


# T*


def test_tasks_to_break_even_is_the_ceiling_of_cost_over_gain():
    assert case(60, 25, 0.25, 0.25).tasks.value == 3
    assert case(50, 25, 0.25, 0.25).tasks.value == 2
    assert case(60, 25, 0.25, 0.25, s=5).tasks.value == 3
    assert case(61, 25, 0.25, 0.25, s=5).tasks.value == 4


COST = st.integers(0, 60)


@EXACT
@given(f=st.integers(1, 500), d=COST, g=COST, w=COST, s=COST, items=st.integers(0, 20))
def test_reuse_wins_at_t_star_and_loses_one_task_before(f, d, g, w, s, items):
    count = case(f, d, g, w, s=s, items=items).tasks
    if count.verdict == "never":
        many = 10**9
        assert reuse(f, s, g, many, items) > retrain(d, w, many, items)
    else:
        assert count.verdict == "from"
        t = count.value
        assert reuse(f, s, g, t, items) <= retrain(d, w, t, items)
        assert reuse(f, s, g, t - 1, items) > retrain(d, w, t - 1, items)


def test_tasks_never_where_the_bracket_is_zero_or_less():
    assert case(60, 25, 1.0, 0.0).tasks.verdict == "never"
    assert case(60, 100, 1.0, 0.0).tasks.verdict == "never"
    assert case(60, 100, 1.0, 0.0, items=99).tasks.value == 60


def test_tasks_always_where_the_shared_model_is_free_and_costs_no_more():
    assert case(0, 25, 0.0, 0.0).tasks.verdict == "always"
    assert case(0, 0, 0.5, 0.5).tasks.verdict == "always"
    assert case(0, 0, 0.6, 0.5).tasks.verdict == "never"


@pytest.mark.parametrize(
    ("f", "d", "count"), [(0.3, 0.1, 3), (4.9, 0.7, 7), (1.1, 1.1, 1), (5.7, 0.3, 19)]
)
def test_a_decimal_number_means_what_it_says(f, d, count):
    """0.3 / 0.1 is 2.9999999999999996 in floating point and 4.9 / 0.7 is 7.000000000000001."""
    assert case(f, d, 0.0, 0.0).tasks.value == count


# N*, each row of the table of signs


@pytest.mark.parametrize(
    ("f", "d", "g", "w", "verdict", "value"),
    [
        (60, 25, 0.5, 1.0, "always", None),  # slope < 0, margin > 0
        (250, 25, 0.5, 1.0, "always", None),  # slope < 0, margin = 0
        (60, 25, 1.0, 1.0, "always", None),  # slope = 0, margin > 0
        (250, 25, 1.0, 1.0, "always", None),  # slope = 0, margin = 0
        (60, 25, 1.5, 1.0, "below", 38.0),  # slope > 0, margin > 0
        (250, 25, 1.5, 1.0, "never", None),  # slope > 0, margin = 0
        (300, 25, 1.5, 1.0, "never", None),  # slope > 0, margin < 0
        (300, 25, 0.5, 1.0, "above", 10.0),  # slope < 0, margin < 0
        (300, 25, 1.0, 1.0, "never", None),  # slope = 0, margin < 0
    ],
)
def test_items_in_every_case_of_signs(f, d, g, w, verdict, value):
    count = case(f, d, g, w).items
    assert (count.verdict, count.value) == (verdict, value)


@EXACT
@given(f=COST, d=COST, g=COST, w=COST, s=COST, tasks=st.integers(1, 30))
def test_items_verdict_agrees_with_the_totals_on_both_sides(f, d, g, w, s, tasks):
    count = case(f, d, g, w, s=s, tasks=tasks).items
    edge = count.value if count.value is not None else 10**6
    below, above = edge / 2, edge * 2 + 1

    def wins(items):
        return reuse(f, s, g, tasks, items) <= retrain(d, w, tasks, items)

    expected = {
        "always": (True, True),
        "never": (False, False),
        "below": (True, False),
        "above": (False, True),
    }
    assert (wins(below), wins(above)) == expected[count.verdict]


def test_winner_and_ratio_are_those_of_the_totals():
    answer = case(60, 25, 0.02, 0.01, s=1, items=500)
    totals = reuse(60, 1, 0.02, 10, 500), retrain(25, 0.01, 10, 500)
    assert answer.reuse_total(10, 500) == pytest.approx(totals[0])
    assert answer.retrain_total(10, 500) == pytest.approx(totals[1])
    assert answer.ratio == pytest.approx(totals[0] / totals[1])
    assert answer.winner == "reuse"
    assert case(600, 25, 0.02, 0.01, items=500).winner == "retrain"
    assert answer.reuse_total(np.arange(1, 4)[:, None], [10, 20]).shape == (3, 2)


def test_ratio_is_unknown_where_retraining_costs_nothing():
    answer = case(10, 0, 1, 0)
    assert (answer.ratio, answer.winner) == (None, "retrain")
    assert "?" in str(answer)


def tenths_of(case_no, rng):
    """Costs in tenths, zeros and ties among them."""
    top = (3, 30, 600)[case_no % 3]
    return [int(v) for v in rng.integers(0, top, 5)]


@pytest.mark.parametrize("sets", [2000])
def test_counts_agree_with_brute_force_in_every_case_of_signs(sets):
    """All of it: BREAK_EVEN_SETS=100000 (a minute)."""
    sets = int(os.environ.get("BREAK_EVEN_SETS", sets))
    rng, seen = np.random.default_rng(0), Counter()
    for i in range(sets):
        f, d, g, w, s = tenths_of(i, rng)
        tasks, items = int(rng.integers(1, 40)), int(rng.integers(0, 40))
        answer = case(f / 10, d / 10, g / 10, w / 10, s=s / 10, tasks=tasks, items=items)
        seen["tasks", check_tasks(answer.tasks, f, d, g, w, s, items)] += 1
        seen["items", check_items(answer.items, f, d, g, w, s, tasks)] += 1
        assert (answer.winner == "reuse") == (
            reuse(f, s, g, tasks, items) <= retrain(d, w, tasks, items)
        )
    assert set(seen) == {("tasks", v) for v in ("always", "from", "never")} | {
        ("items", v) for v in ("always", "below", "above", "never")
    }


def check_tasks(count, f, d, g, w, s, items):
    """Check T* by integers, in tenths, on both sides of it."""

    def wins(t):
        return reuse(f, s, g, t, items) <= retrain(d, w, t, items)

    if count.verdict == "from":
        assert wins(count.value) and not wins(count.value - 1)
    else:
        assert {wins(1), wins(10**9)} == {count.verdict == "always"}
    return count.verdict


def check_items(count, f, d, g, w, s, tasks):
    """Check N* by integers, in tenths, around it and far from it."""

    def wins(n):
        return reuse(f, s, g, tasks, n) <= retrain(d, w, tasks, n)

    if count.value is None:
        assert {wins(1), wins(10**9)} == {count.verdict == "always"}
    else:
        below, above = math.ceil(count.value) - 1, math.floor(count.value) + 1
        assert below < 0 or wins(below) == (count.verdict == "below")
        assert wins(above) == (count.verdict == "above")
    return count.verdict


# Sensitivity


@EXACT
@given(f=COST, d=COST, g=COST, w=COST, k=st.sampled_from([0.125, 0.5, 2.0, 8.0]))
def test_a_common_factor_moves_neither_count_nor_the_ratio(f, d, g, w, k):
    before, after = case(f, d, g, w), case(k * f, k * d, k * g, k * w)
    assert before.tasks == after.tasks
    assert before.items == after.items
    assert before.winner == after.winner
    assert before.ratio == after.ratio
    assert before.flips == after.flips


def test_rho_multiplies_every_cost_of_reuse_and_no_cost_of_retraining():
    half, one, double = case(60, 25, 0.5, 0.25, s=4).sensitivity
    assert [s.rho for s in (half, one, double)] == [0.5, 1.0, 2.0]
    for scenario, rho in ((half, 0.5), (double, 2.0)):
        direct = case(60 * rho, 25, 0.5 * rho, 0.25, s=4 * rho)
        assert scenario.tasks == direct.tasks
        assert scenario.items == direct.items
        assert scenario.winner == direct.winner
        assert scenario.ratio == direct.ratio
    assert (one.ratio, one.winner) == (case(60, 25, 0.5, 0.25, s=4).ratio, one.winner)


def test_a_flip_of_the_winner_is_said():
    close = case(200, 25, 0.1, 0.1)
    assert {s.rho: s.winner for s in close.sensitivity} == {
        0.5: "reuse",
        1.0: "reuse",
        2.0: "retrain",
    }
    assert close.flips
    assert "flips" in str(close)
    clear = case(10, 25, 0.1, 0.1)
    assert not clear.flips
    assert "stands" in str(clear)


# Input and output


@pytest.mark.parametrize("name", ["train_shared", "train_task", "reuse_item", "retrain_item"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, TypeError),
        ("1", TypeError),
        (1j, TypeError),
        (-1.0, ValueError),
        (float("nan"), ValueError),
        ([], ValueError),
        ([[1.0]], ValueError),
    ],
)
def test_a_bad_cost_is_named_and_an_absent_one_is_not_zero(name, value, error):
    costs = {"train_shared": 1, "train_task": 1, "reuse_item": 1, "retrain_item": 1}
    with pytest.raises(error, match=name):
        break_even(**{**costs, name: value}, n_tasks=1, n_items=1)


def test_other_bad_arguments_are_named():
    for more, name in (
        ({"tasks": 0}, "n_tasks"),
        ({"tasks": 1.5}, "n_tasks"),
        ({"items": -1}, "n_items"),
        ({"level": 1.0}, "level"),
    ):
        with pytest.raises(ValueError, match=name):
            case(1, 1, 1, 1, **more)
    with pytest.raises(ValueError, match="one number of runs"):
        case([1.0] * 5, [1.0] * 6, 1, 1, paired=True)


@pytest.mark.parametrize(
    "answer",
    [
        case(60, 25, 0.02, 0.01),
        case([60.0, 61, 62, 63, 64], [25.0, 26, 27, 28, 29], 0.25, [0.25, 0.2, 0.3, 0.1, 0.4]),
        case(1e300, 25, 1e-300, 0.0),
        case(1e200, 1e-200, 0.0, 0.0),
        case(1.0, 1e308, 1e-300, 0.0),
        case(5e-324, 1e-300, 0.0, 0.0),
    ],
)
def test_the_answer_is_plain_json_and_prints_however_large(answer):
    """A huge T* raised an IndexError when printed, and N* was infinite, which JSON has not."""
    plain = answer.as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert len(str(answer)) < 600
