# SPDX-License-Identifier: BSD-3-Clause
"""Random small integer problems (ties, rank loss) against optima in exact rational arithmetic."""

import math
import os
from itertools import combinations

import exact
import numpy as np
import pytest
from problems import NNLS

import fastcone

COUNT = 1_000_000 if os.environ.get("FASTCONE_LONG") else 10_000


def random_problem(rng):
    m, n = rng.integers(1, 7, 2)
    return rng.integers(-3, 4, (m, n)).astype(float), rng.integers(-3, 4, m).astype(float)


def test_the_reference_solves_what_can_be_solved_by_hand():
    assert exact.bareiss([[2, 1], [1, 3]], [3, 5]) == ([4, 7], 5)
    assert exact.bareiss([[1, 2], [2, 4]], [1, 1]) == (None, 0)
    assert exact.bareiss([[0, 1], [1, 0]], [3, 4])[1] in (1, -1)
    assert exact.nnls([[1.0], [1.0]], [1.0, 2.0]) == exact.Fraction(1, 4)
    assert exact.nnls([[1.0, -1.0]], [-2.0]) == 0
    assert exact.nnls([[0.5]], [-1.0]) == exact.Fraction(1, 2)
    assert exact.objective([[0.5]], [1.0], [1.0]) == exact.Fraction(1, 8)


def test_the_reference_agrees_with_every_support_tried():
    rng = np.random.default_rng(0)
    for _ in range(60):
        A, b = (M.tolist() for M in random_problem(rng))
        guess = np.flatnonzero(rng.random(len(A[0])) < 0.5)
        G, c, bb, power = exact.normal_equations(A, b)
        supports = (S for k in range(len(G) + 1) for S in combinations(range(len(G)), k))
        x = next(x for x in (exact.optimum_on(S, G, c) for S in supports) if x is not None)
        value = exact.Fraction(bb - sum(cj * xj for cj, xj in zip(c, x, strict=True)), 2)
        assert power == 1 and exact.nnls(A, b) == exact.nnls(A, b, guess) == value


SCALES = [(1, 1), (1e-200, 1), (1, 1e200), (1e120, 1e-120), (1e-120, 1e120), (1e200, 1e200)]


@pytest.mark.parametrize("make", NNLS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("seed", range(2))
def test_named_instances_at_all_scales(make, seed):
    A, b = make(np.random.default_rng(seed))
    guess = np.flatnonzero(fastcone.nnls(A, b, maxiter=10_000)[0])
    compared = 0
    for scale_A, scale_b in SCALES:
        scaled_A, scaled_b = A * scale_A, b * scale_b
        if not (np.isfinite(scaled_A).all() and np.isfinite(scaled_b).all()):
            continue
        least = exact.nnls(scaled_A.tolist(), scaled_b.tolist(), guess)
        at_zero = exact.objective(np.zeros((len(b), 1)), scaled_b, [0.0])
        x, rnorm = fastcone.nnls(scaled_A, scaled_b, maxiter=10_000)
        solution = fastcone.solve_nnls(scaled_A, scaled_b)
        for answer in (x, solution.x):
            excess = exact.objective(scaled_A, scaled_b, answer) - least
            assert excess <= exact.Fraction(1e-9) * at_zero
        # rnorm is honest: exact up to the rounding of the residual's own terms
        true = 2 * exact.objective(scaled_A, scaled_b, x)
        slack = 1e-13 * (np.linalg.norm(scaled_b / scale_b) * scale_b)
        assert abs(exact.Fraction(rnorm) - root(true)) <= exact.Fraction(slack)
        if np.isfinite(solution.gap):
            excess = exact.objective(scaled_A, scaled_b, solution.x) - least
            assert excess <= exact.Fraction(float(solution.gap)) * at_zero
        compared += 1
    assert compared >= 2  # the first two scales enlarge nothing


def root(value):
    """The square root of a Fraction, to some 100 bits."""
    if not value:
        return value
    shift = max(0, 200 - value.numerator.bit_length() + value.denominator.bit_length())
    return exact.Fraction(
        math.isqrt((value.numerator << 2 * shift) // value.denominator), 1 << shift
    )


@pytest.mark.parametrize("kind", ["nnls", "solve_nnls"])
def test_long_no_answer_is_wrong_and_no_gap_lies(kind):
    rng = np.random.default_rng(1)
    wrong, lies, unproved = [], [], 0
    for k in range(COUNT if kind == "nnls" else COUNT // 10):
        A, b = random_problem(rng)
        gap = None
        if kind == "nnls":
            x, _ = fastcone.nnls(A, b, maxiter=1000)
        else:
            solution = fastcone.solve_nnls(A, b)
            x, gap = solution.x, solution.gap
            unproved += not solution.converged
        best = exact.nnls(A.tolist(), b.tolist(), np.flatnonzero(x))
        excess = exact.objective(A, b, x) - best
        at_zero = exact.Fraction(float(b @ b)) / 2
        if excess > 1e-9 * at_zero:
            wrong.append((k, A, b))
        if gap is not None and np.isfinite(gap) and excess > exact.Fraction(gap) * at_zero:
            lies.append((k, A, b, gap))
    assert not wrong, wrong[:3]
    assert not lies, lies[:3]
    # only generators that contain a line are solved without a proof
    assert unproved <= 0.05 * COUNT
