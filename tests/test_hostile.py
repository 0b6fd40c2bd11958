# SPDX-License-Identifier: BSD-3-Clause
"""A small part of `make hostile`, and whether its judge sees what it is to see."""

import numpy as np
import pytest
from hostile import Found, attempt, attempts, copied, unchanged

# each found something once: overflow told to a caller's errstate, an option that was an array,
# a matrix that was transposed before it was checked
ONCE = (794, 108372, 110957, 100038, 100216, 100831, 102469, 102889, 103441, 103924)


def test_what_hostile_calls_have_found_is_mended():
    found = Found()
    for seed in ONCE:
        attempt(seed, found)
    assert not found.wrong, "\n".join(found.wrong)


def test_no_hostile_call_crashes_or_ends_in_an_unnamed_error():
    found = attempts(10**6, 600)
    assert not found.wrong, "\n".join(found.wrong)
    assert sum(found.kinds.values()) == 600
    answered = sum(n for kind, n in found.kinds.items() if kind.endswith("answered"))
    assert 100 < answered < 500


@pytest.mark.parametrize("value", [np.zeros(3), np.array([None, 1.0], dtype=object)])
def test_the_judge_sees_an_input_that_was_written_to(value):
    before = copied(value)
    assert unchanged(value, before)
    value[0] = 5e-324
    assert not unchanged(value, before)
    assert Found().wrong == []
