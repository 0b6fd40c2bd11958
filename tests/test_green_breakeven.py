# SPDX-License-Identifier: BSD-3-Clause
"""Break-even counts: every case of signs, against totals computed by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastcone.green import bootstrap_means, break_even

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


# Samples


def draws(mean, sd, seed, size=400):
    return np.abs(np.random.default_rng(seed).normal(mean, sd, size))


def test_interval_of_t_star_holds_the_point_and_is_that_of_the_samples():
    f, d = draws(60, 6, 0), draws(25, 1, 1)
    answer = case(f, d, 0.25, 0.25)
    each = np.ceil(f / d)
    lo, hi = answer.tasks.ci
    assert lo <= answer.tasks.value <= hi
    assert np.mean((each >= lo) & (each <= hi)) >= 0.95
    assert answer.tasks.value == math.ceil(f.mean() / d.mean())
    assert case(60, 25, 0.25, 0.25).tasks.ci is None


def test_interval_of_n_star_holds_the_point():
    answer = case(draws(60, 3, 0), draws(25, 1, 1), draws(1.5, 0.02, 2), draws(1.0, 0.02, 3))
    lo, hi = answer.items.ci
    assert answer.items.verdict == "below"
    assert lo < answer.items.value < hi
    assert hi - lo < 20


def test_a_bracket_whose_interval_contains_zero_is_not_resolved():
    answer = case(60, draws(25, 10, 1), draws(0.25, 0.02, 2), 0.0)
    assert (answer.tasks.verdict, answer.tasks.value) == ("not resolved", None)


def test_a_slope_whose_interval_contains_zero_is_not_resolved():
    answer = case(60, 25, draws(1.0, 0.1, 2), draws(1.0, 0.1, 3))
    assert answer.items.verdict == "not resolved"


def test_a_margin_whose_interval_contains_zero_is_not_resolved():
    answer = case(draws(250, 30, 0), 25, 1.5, 1.0)
    assert answer.items.verdict == "not resolved"


def test_a_winner_whose_interval_contains_a_tie_is_not_resolved():
    answer = case(draws(250, 30, 0), 25, 1.0, 1.0)
    assert answer.winner == "not resolved"
    assert answer.ratio_ci[0] < 1 < answer.ratio_ci[1]


def test_samples_that_never_break_even_leave_the_interval_open_above():
    d = np.full(400, 25.0)
    d[:6] = 20.0
    answer = case(60, d, 0.25, 0.0, items=90, level=0.99)
    assert answer.tasks.verdict == "not resolved"
    answer = case(60, d, 0.25, 0.0, items=90, level=0.9)
    assert answer.tasks.verdict == "from"
    extreme = case(60, d, 0.25, 0.0, items=90, level=0.9).tasks.ci
    assert extreme == (24.0, 24.0)


def test_constant_samples_give_the_answer_of_the_number():
    ones = np.ones(50)
    a, b = case(60 * ones, 25 * ones, 1.0 * ones, 1.0 * ones), case(60, 25, 1.0, 1.0)
    assert (a.tasks.verdict, a.tasks.value) == (b.tasks.verdict, b.tasks.value)
    assert (a.items.verdict, a.items.value) == (b.items.verdict, b.items.value)


@EXACT
@given(k=st.sampled_from([0.25, 4.0]), seed=st.integers(0, 20))
def test_scaling_all_samples_changes_no_count_and_no_interval(k, seed):
    costs = [draws(m, m / 10, seed + i) for i, m in enumerate((60, 25, 0.02, 0.01))]
    before, after = case(*costs), case(*(k * c for c in costs))
    assume(before.tasks.verdict != "not resolved")
    assert before.tasks == after.tasks
    assert before.items == after.items
    assert before.ratio_ci == after.ratio_ci


def test_bootstrap_means_spread_like_the_standard_error():
    runs = np.random.default_rng(0).normal(10.0, 1.0, 400)
    means = bootstrap_means(runs, samples=4000, random_state=1)
    assert means.mean() == pytest.approx(runs.mean(), abs=0.01)
    assert means.std() == pytest.approx(runs.std() / 20, rel=0.1)


def test_bootstrap_of_paired_runs_with_one_seed_stays_paired():
    a = np.arange(1.0, 9.0)
    pair = [bootstrap_means(x, samples=100, random_state=3) for x in (a, 2 * a)]
    assert np.array_equal(2 * pair[0], pair[1])


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
    with pytest.raises(ValueError, match="one length"):
        case([1.0, 2.0], [1.0, 2.0, 3.0], 1, 1)
    with pytest.raises(ValueError, match="runs"):
        bootstrap_means([1.0])


def test_the_answer_is_plain_json_even_where_an_interval_is_open():
    d = np.full(400, 25.0)
    for answer in (case(60, 25, 0.02, 0.01), case(draws(60, 6, 0), d, 0.25, 0.25)):
        plain = answer.as_dict()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert "from 3 (3 to 3)" in str(case([60.0, 60.0], 25, 0.25, 0.25))
