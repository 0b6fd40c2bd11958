# SPDX-License-Identifier: BSD-3-Clause
"""Readings: the label travels with the number, and the sum is of the worse kind."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcone.green import Reading
from fastcone.green.reading import KINDS

WATTS = {"watts_per_core": [3.0, 6.0, 12.0]}


def make(kind, joules=10.0, **more):
    if kind == "absent":
        return Reading.absent("m", "s", reason="why", **more)
    return Reading(joules, joules / 2, joules * 2, kind, "m", "s", **more)


@pytest.mark.parametrize("a", KINDS)
@pytest.mark.parametrize("b", KINDS)
def test_the_kind_of_a_sum_is_the_worse_kind(a, b):
    assert (make(a) + make(b)).kind == max(a, b, key=KINDS.index)


@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6), joules=st.floats(0, 1e9))
def test_the_kind_of_a_long_sum_is_the_worst_and_joules_exist_unless_absent(kinds, joules):
    total = sum(make(kind, joules) for kind in kinds)
    assert total.kind == max(kinds, key=KINDS.index)
    assert (total.joules is None) == ("absent" in kinds)
    if total.joules is not None:
        assert total.joules == pytest.approx(joules * len(kinds))
        assert total.lo <= total.joules <= total.hi


def test_an_absent_part_is_not_zero():
    total = make("measured") + make("absent")
    assert (total.joules, total.hi, total.kwh) == (None, None, None)
    assert total.lo == 5.0
    assert str(total) == "absent (m: why; at least 5.0 J seen)"


def test_a_sum_adds_counts_and_joins_labels():
    a = Reading(1.0, 0.5, 2.0, "measured", "rapl", "package-0", 1.0, 0.1, 2, 3, 4, ("gap",))
    b = Reading(10.0, 9.0, 11.0, "measured", "gpu", "GPU0", 2.0, 0.2, 5, 6, 7, ("gap", "vm"))
    total = a + b
    assert (total.joules, total.lo, total.hi) == (11.0, 9.5, 13.0)
    assert (total.meter, total.scope) == ("rapl+gpu", "package-0+GPU0")
    assert (total.window_s, total.samples, total.wraps, total.gaps) == (3.0, 7, 9, 11)
    assert total.resolution_j == pytest.approx(0.3)
    assert total.flags == ("gap", "vm")


def test_parameters_that_differ_are_mixed_not_one_of_them():
    other = make("modelled", params={"watts_per_core": [1.0, 2.0, 4.0]})
    total = make("modelled", params=WATTS) + other
    assert total.params == {"watts_per_core": "mixed"}
    assert "not measured" in str(total)


def test_a_resolution_that_is_unknown_stays_unknown_in_a_sum():
    total = make("measured", resolution_j=0.1) + make("measured")
    assert total.resolution_j is None


def test_only_readings_add():
    with pytest.raises(TypeError):
        make("measured") + 1.0
    with pytest.raises(TypeError):
        1.0 + make("measured")


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (31.0, "~31 J (16-62; CPU-time model, 3/6/12 W per core, not measured)"),
        (0.0034, "~3.4 mJ (1.7-6.8; CPU-time model, 3/6/12 W per core, not measured)"),
        (123456.0, "~120 kJ (62-250; CPU-time model, 3/6/12 W per core, not measured)"),
        (0.0, "~0 J (0-0; CPU-time model, 3/6/12 W per core, not measured)"),
    ],
)
def test_a_model_prints_two_digits_a_tilde_and_its_interval(joules, text):
    reading = Reading(
        joules, joules / 2, joules * 2, "modelled", "cpu-time", "process CPU", params=WATTS
    )
    assert str(reading) == text


def test_a_measured_reading_prints_its_flags():
    reading = Reading(12.5, 12.4, 90.0, "measured", "rapl", "package-0", flags=("gap",))
    assert str(reading) == "12.50 J (12.40-90.00; rapl, package-0, measured, gap)"


@pytest.mark.parametrize("kind", KINDS)
def test_as_dict_is_plain_json_with_the_agreed_keys(kind):
    plain = make(kind, flags=("gap",)).as_dict()
    assert {"joules", "lo", "hi", "kind", "meter", "scope"} <= set(plain)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["joules"] is None) == (kind == "absent")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 0.0, 2.0, "guessed", "m", "s"), "kind"),
        ((-1.0, -2.0, 2.0, "measured", "m", "s"), "joules"),
        ((1.0, 0.0, float("inf"), "measured", "m", "s"), "hi"),
        ((float("nan"), 0.0, 1.0, "modelled", "m", "s"), "joules"),
        ((3.0, 0.0, 2.0, "measured", "m", "s"), r"\[lo, hi\]"),
        ((0.0, 0.0, None, "absent", "m", "s"), "absent"),
        ((None, None, None, "measured", "m", "s"), "needs joules"),
        ((1.0, 2.0, None, "measured", "m", "s"), r"\[lo, hi\]"),
    ],
)
def test_a_reading_that_contradicts_itself_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Reading(*arguments)


def test_a_model_prints_its_flags():
    reading = Reading(
        31.0, 8, 124, "modelled", "cpu-time", "process CPU", flags=("spinning",), params=WATTS
    )
    assert str(reading).endswith("not measured, spinning)")


@pytest.mark.parametrize("kind", ["measured", "modelled"])
def test_a_part_of_which_nothing_is_known_leaves_a_sum_open_and_says_so(kind):
    open_above = Reading(10.0, 5.0, None, kind, "m", "s")
    total = open_above + make(kind)
    assert (total.joules, total.lo, total.hi) == (20.0, 10.0, None)
    assert "at least 20" in str(total)
    assert total.as_dict()["hi"] is None
    assert (total / 2).hi is None


@pytest.mark.parametrize("scopes", [("package-0", "psys"), ("psys", "package-0+dram-0")])
def test_the_platform_zone_is_not_added_to_what_lies_in_it(scopes):
    a, b = (Reading(15.0, 14.0, 16.0, "measured", "rapl-powercap", s) for s in scopes)
    with pytest.raises(ValueError, match="twice"):
        a + b
    assert (a + a).joules == 30.0


# Net of idle


def counted(joules, window_s, **more):
    return Reading(
        joules, joules * 0.99, joules * 1.01, "measured", "rapl", "package-0", window_s, **more
    )


def test_idle_power_is_subtracted_once_with_its_interval():
    net = counted(100.0, 2.0).net_of(counted(300.0, 30.0))
    assert net.joules == pytest.approx(80.0)
    assert net.lo == pytest.approx(99.0 - 20.2)
    assert net.hi == pytest.approx(101.0 - 19.8)
    assert "net-of-idle" in net.flags


def test_idle_cannot_be_subtracted_twice():
    idle = counted(300.0, 30.0)
    net = counted(100.0, 2.0).net_of(idle)
    with pytest.raises(ValueError, match="already"):
        net.net_of(idle)
    with pytest.raises(ValueError, match="already"):
        (net + counted(1.0, 1.0)).net_of(idle)


def test_idle_is_never_subtracted_from_a_model():
    model = Reading(1.0, 0.5, 2.0, "modelled", "cpu-time", "process CPU", 1.0, params=WATTS)
    with pytest.raises(ValueError, match="measured"):
        model.net_of(counted(300.0, 30.0))


def test_idle_of_another_scope_or_of_no_time_is_refused():
    with pytest.raises(ValueError, match="package-1"):
        counted(1.0, 1.0).net_of(Reading(1.0, 1.0, 1.0, "measured", "rapl", "package-1", 30.0))
    with pytest.raises(ValueError, match="window_s"):
        counted(1.0, 1.0).net_of(counted(0.0, 0.0))


def test_a_region_below_idle_is_zero_and_says_so():
    net = counted(1.0, 2.0).net_of(counted(300.0, 30.0))
    assert (net.joules, net.lo) == (0.0, 0.0)
    assert "below-idle" in net.flags
