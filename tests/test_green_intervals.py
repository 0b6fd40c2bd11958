# SPDX-License-Identifier: BSD-3-Clause
"""Intervals of break-evens cover what they say, from runs and from readings.

For the coverage of 1,000 studies per row, at 5, 10 and 30 runs:

    python tests/test_green_intervals.py 1000
"""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcone.green import Reading, break_even
from fastcone.green.fieller import Means, crossing, t_quantile

TRUE = {
    "train_shared": 60.0,
    "train_task": 25.0,
    "reuse_item": 0.02,
    "retrain_item": 0.01,
    "adapt": 1.0,
}
TASKS, ITEMS = 10, 500
TRUE_T, TRUE_N, TRUE_RATIO = 4, 1800.0, 170.0 / 300.0
NOISES = ("normal", "gamma", "lognormal")


def case(f, d, g, w, **more):
    costs = {"train_shared": f, "train_task": d, "reuse_item": g, "retrain_item": w}
    return break_even(**costs, **{"n_tasks": TASKS, "n_items": ITEMS, **more})


def noise(rng, kind, cv, runs):
    """Factors around 1 with this coefficient of variation."""
    if kind == "normal":
        return np.maximum(1 + cv * rng.standard_normal(runs), 0)
    if kind == "gamma":
        return rng.gamma(1 / cv**2, cv**2, runs)
    s = np.sqrt(np.log1p(cv**2))
    return np.exp(s * rng.standard_normal(runs) - s * s / 2)


def study(rng, kind, cv, runs, paired):
    """A break-even from runs of costs whose means are `TRUE`, perhaps under one load."""
    load = noise(rng, kind, cv, runs) if paired else 1.0
    costs = {name: mean * noise(rng, kind, cv, runs) * load for name, mean in TRUE.items()}
    return break_even(**costs, n_tasks=TASKS, n_items=ITEMS, paired=paired)


def coverage(studies, kind, cv, runs, paired):
    """Shares of studies whose intervals hold the true N*, T* and ratio."""
    rng = np.random.default_rng([runs, paired, NOISES.index(kind)])
    held = np.zeros(3)
    for _ in range(studies):
        answer = study(rng, kind, cv, runs, paired)
        for i, (ci, truth) in enumerate(
            [
                (answer.items.ci, TRUE_N),
                (answer.tasks.ci, TRUE_T),
                (answer.ratio_ci, TRUE_RATIO),
            ]
        ):
            held[i] += ci[0] <= truth <= ci[1]
    return held / studies


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("runs", [5, 10, 30])
def test_intervals_of_95_percent_hold_the_truth_about_that_often(runs, paired):
    items, tasks, ratio = coverage(120, "gamma", 0.15, runs, paired)
    for share in (items, ratio):
        assert 0.89 <= share <= 1.0  # 120 studies of 95 %: three standard deviations
    assert tasks >= 0.95 - 0.06


@pytest.mark.parametrize(
    ("df", "value"), [(4, 2.776445), (9, 2.262157), (29, 2.045230), (1e9, 1.959964)]
)
def test_quantiles_of_t_are_those_of_the_tables(df, value):
    assert t_quantile(0.95, df) == pytest.approx(value, rel=1e-3)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    means=st.tuples(st.floats(1, 100), st.floats(1, 100)),
    errors=st.tuples(st.floats(0.01, 30), st.floats(0.01, 30)),
)
def test_a_crossing_is_the_interval_of_fieller(means, errors):
    """Against the roots of the quadratic (y - q x)^2 = t^2 (vy + q^2 vx)."""
    v = np.array(errors) ** 2
    two = Means(np.array(means), np.diag(v), np.array([1e12, 1e12]), 0.95)
    lo, hi = crossing(two, np.array([1.0, 0.0]), np.array([0.0, -1.0]))
    t2 = t_quantile(0.95, 1e12) ** 2
    y, x = means
    poly = [x * x - t2 * v[1], -2 * x * y, y * y - t2 * v[0]]
    roots = sorted(np.roots(poly).real) if poly[1] ** 2 > 4 * poly[0] * poly[2] else []
    if poly[0] <= 0:
        assert hi == np.inf
        assert lo == 0 or lo == pytest.approx(max(roots), rel=1e-4, abs=1e-4)
    else:
        assert hi == pytest.approx(roots[1], rel=1e-4)
        assert lo == pytest.approx(max(roots[0], 0.0), rel=1e-4, abs=1e-4)


def runs_of(mean, cv, seed, runs=10):
    return mean * noise(np.random.default_rng(seed), "gamma", cv, runs)


@pytest.mark.parametrize("runs", [2, 4])
def test_fewer_than_five_runs_give_no_interval_and_say_so(runs):
    answer = case(runs_of(60, 0.1, 0, runs), runs_of(25, 0.1, 1, runs), 0.02, 0.01)
    assert (answer.tasks.ci, answer.items.ci, answer.ratio_ci) == (None, None, None)
    assert "few-runs" in answer.flags and "few-runs" in str(answer)
    assert case(60, 25, 0.02, 0.01).flags == ()


def test_intervals_hold_the_point_and_nothing_is_drawn_at_random():
    costs = [runs_of(m, 0.1, i) for i, m in enumerate((60, 25, 0.02, 0.01))]
    answer = case(*costs)
    assert answer == case(*costs)
    assert answer.tasks.ci[0] <= answer.tasks.value <= answer.tasks.ci[1]
    assert answer.items.ci[0] < answer.items.value < answer.items.ci[1]
    assert answer.ratio_ci[0] < answer.ratio < answer.ratio_ci[1]


def test_pairs_that_share_a_load_have_a_narrower_ratio():
    load = runs_of(1.0, 0.4, 9)
    costs = [m * load for m in (60.0, 25.0, 0.02, 0.01)]
    alone, paired = case(*costs), case(*costs, paired=True)
    assert paired.ratio_ci[1] - paired.ratio_ci[0] < 1e-6
    assert alone.ratio_ci[1] - alone.ratio_ci[0] > 0.1


@pytest.mark.parametrize(
    ("costs", "more", "count"),
    [
        ((60, runs_of(25, 1.5, 1), runs_of(0.25, 0.5, 2), 0.2), {}, "tasks"),
        ((60, 25, runs_of(1.0, 0.2, 2), runs_of(1.0, 0.2, 3)), {}, "items"),
        ((runs_of(250, 0.2, 0), 25, 1.5, 1.0), {}, "items"),
    ],
)
def test_a_sign_the_runs_do_not_tell_is_not_resolved(costs, more, count):
    found = getattr(case(*costs, **more), count)
    assert (found.verdict, found.value) == ("not resolved", None)


def test_a_winner_whose_interval_contains_a_tie_is_not_resolved():
    answer = case(runs_of(250, 0.3, 0), 25, 1.0, 1.0)
    assert answer.winner == "not resolved"
    assert answer.ratio_ci[0] < 1 < answer.ratio_ci[1]


def test_runs_that_allow_that_it_never_pays_leave_the_interval_open_above():
    found = case(60, runs_of(25, 1.0, 1), 0.025, 0.0).tasks
    assert found.ci[1] == np.inf
    assert found.as_dict()["ci"][1] is None


def test_runs_that_do_not_differ_give_the_answer_of_the_number():
    ones = np.ones(6)
    a, b = case(60 * ones, 25 * ones, 1 * ones, 1 * ones), case(60, 25, 1, 1)
    assert (a.tasks.verdict, a.tasks.value) == (b.tasks.verdict, b.tasks.value)
    assert (a.items.verdict, a.items.value) == (b.items.verdict, b.items.value)


# Readings


def reading(joules, kind="measured", spread=0.1, **more):
    lo, hi = joules * (1 - spread), joules * (1 + spread)
    return Reading(joules, lo, hi, kind, "m", more.pop("scope", "package-0"), **more)


def test_readings_give_their_kind_scope_flags_and_interval():
    f, d = reading(60.0, flags=("gap",)), reading(25.0, scope="package-0+dram-0")
    answer = case(f, d, 0.02, 0.01)
    assert (answer.kind, answer.scope) == ("measured", "package-0+dram-0")
    assert answer.flags == ("gap",)
    best, worst = case(54.0, 27.5, 0.02, 0.01), case(66.0, 22.5, 0.02, 0.01)
    assert answer.tasks.ci == (best.tasks.value, worst.tasks.value)
    assert answer.items.ci == pytest.approx((worst.items.value, best.items.value))
    assert "J, measured, package-0+dram-0" in str(answer)
    assert answer.as_dict()["kind"] == "measured"


def test_a_winner_that_the_intervals_of_readings_do_not_tell_is_not_resolved():
    """A gap's lower bound does not enter as if it were the whole."""
    gap = Reading(60.0, 60.0, 6000.0, "measured", "rapl-powercap", "package-0", flags=("gap",))
    answer = case(gap, 25.0, 0.01, 0.01)
    assert answer.winner == "not resolved"
    assert case(60.0, 25.0, 0.01, 0.01).winner == "reuse"


def test_the_watts_of_a_model_are_common_and_do_not_widen():
    f, d = reading(60.0, "modelled", 0.7), reading(25.0, "modelled", 0.7)
    answer = case(f, d, 0.02, 0.01)
    assert answer.kind == "modelled"
    assert answer.tasks == case(60.0, 25.0, 0.02, 0.01).tasks


@pytest.mark.parametrize("kind", ["measured", "modelled"])
def test_a_reading_of_which_a_part_was_not_seen_resolves_nothing(kind):
    lost = Reading(60.0, 50.0, None, kind, "m", "s", flags=("unreaped-children",))
    answer = case(lost, 25.0, 0.02, 0.01)
    assert {answer.winner, answer.tasks.verdict, answer.items.verdict} == {"not resolved"}
    assert "unseen" in answer.flags


def test_a_list_of_readings_is_runs():
    values = runs_of(60, 0.1, 0)
    answer = case([reading(v) for v in values], 25.0, 0.02, 0.01)
    assert answer.tasks == case(values, 25.0, 0.02, 0.01).tasks
    assert answer.kind == "measured"


def test_an_absent_reading_and_a_mixed_list_are_refused():
    with pytest.raises(TypeError, match="train_shared is absent"):
        case(Reading.absent("m", "s", reason="why"), 25.0, 0.02, 0.01)
    with pytest.raises(TypeError, match="train_shared"):
        case([reading(1.0), 2.0], 25.0, 0.02, 0.01)


def main(studies):
    """Print the coverage of nominal 95 % intervals."""
    print(f"{'noise':11}{'cv':>6}{'runs':>6}{'paired':>8}{'N*':>8}{'T*':>8}{'ratio':>8}")
    for kind in NOISES:
        for cv in (0.05, 0.2):
            for runs in (5, 10, 30):
                for paired in (False, True):
                    held = coverage(studies, kind, cv, runs, paired)
                    shares = "".join(f"{share:8.1%}" for share in held)
                    print(f"{kind:11}{cv:6}{runs:6}{paired!s:>8}{shares}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
