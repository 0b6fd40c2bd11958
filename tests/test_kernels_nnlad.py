# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of least absolute deviations against their NumPy twins, at every SIMD level."""

import math

import numpy as np
import pytest
from problems import row_scales

from fastcone._kernels import reference
from fastcone._nnlad import kernels as nnlad_kernels
from fastcone._nnlad.api import solve_nnlad
from fastcone._nnlad.prepare import Generators, norm1_exponent
from fastcone._runtime.threads import aligned

SIZES = [(1, 1), (6, 4), (20, 7), (9, 25), (64, 8), (65, 9), (150, 40)]


class Run:
    """Problems laid out for the kernel, and the arrays it works in."""

    def __init__(self, A, targets, l1=0.0, x0=None, tilt=0.0):
        self.g = g = Generators(A, None, lambda: math.inf)
        p = len(targets)
        self.e = norm1_exponent(targets)
        self.B, self.Y = aligned((p, g.ld), float), aligned((p, g.ld), float)
        self.B[:, g.m :] = 0
        self.B[:, : g.m] = np.ldexp(targets, -self.e[:, None])
        self.X = np.zeros((p, g.n))
        if x0 is not None:
            self.X[...] = np.ldexp(x0, g.exponent - self.e[:, None])
        self.steps = np.zeros(p, dtype=np.intp)
        self.tilt = g.tilt(tilt)
        self.l1 = g.penalties(np.full(p, l1))
        self.used = self.l1[:, : g.n] < g.norm
        doubles, integers = nnlad_kernels.nnlad_room(g.m, g.n)
        self.work, self.index = aligned((doubles,), float), np.zeros(integers, dtype=np.intp)
        self.index[:3] = 0, 0, -1

    def call(self, most=10**6, budget=10**6):
        g = self.g
        return nnlad_kernels.nnlad(
            g.A, g.R, g.G, g.size, g.norm, self.tilt, self.B, self.l1, self.X, self.Y,
            self.steps, most, budget, self.work, self.index,
        )  # fmt: skip

    def answers(self):
        return np.ldexp(self.X, self.e[:, None] - self.g.exponent), self.Y[:, : self.g.m]

    def prove(self, X, Y, rest):
        g = self.g
        facts = np.zeros((len(X), 3))
        nnlad_kernels.nnlad_proof(
            g.A,
            g.norm,
            g.masses(self.used),
            self.l1,
            self.B,
            rest,
            X,
            Y,
            facts,
            self.work,
            self.index,
        )
        return facts


@pytest.mark.parametrize("signed", [False, True], ids=["positive", "signed"])
@pytest.mark.parametrize("l1", [0.0, 0.2])
@pytest.mark.parametrize("m, n", SIZES)
def test_descent_is_its_twin_step_by_step(level, rng, m, n, l1, signed):
    A = rng.standard_normal((m, n)) if signed else rng.random((m, n))
    targets = rng.standard_normal((3, m)) + 0.5
    warm = rng.random((3, n)) * (rng.random((3, n)) < 0.3) / n
    for start in (np.zeros((3, n)), warm):
        for most in (1, 2, 5, 10**6):
            run = Run(A, targets, l1, start)
            scaled, penalty, begin = run.g.R[:, :n], run.l1[0, :n], run.X.copy()
            assert run.call(most) == 3
            for r, b in enumerate(run.B[:, :m]):
                x, y, steps = reference.nnlad(scaled, b, penalty, begin[r], most)
                if most <= 5:
                    assert run.steps[r] == steps
                    np.testing.assert_allclose(run.X[r], x, atol=1e-10)
                else:  # the last steps of a wide problem are ties between many optima
                    objectives = (np.abs(b - scaled @ z).sum() + penalty @ z for z in (run.X[r], x))
                    assert next(objectives) == pytest.approx(next(objectives), abs=1e-11)
                    assert np.all(scaled.T @ run.Y[r, :m] <= penalty + 1e-11)
                if 0 <= steps <= 5:
                    np.testing.assert_allclose(run.Y[r, :m], y, atol=1e-10)


def test_a_call_can_be_resumed_within_a_problem(level, rng):
    A, targets = rng.random((70, 20)), rng.random((5, 70))
    whole, pieces = Run(A, targets, tilt=1e-10), Run(A, targets, tilt=1e-10)
    assert whole.call() == 5
    calls = 1
    while pieces.call(budget=1 + calls % 3) < 5:
        calls += 1
    assert calls > 40
    assert np.array_equal(whole.X, pieces.X) and np.array_equal(whole.Y, pieces.Y)
    assert np.array_equal(whole.steps, pieces.steps)


@pytest.mark.parametrize("budget", [1, 2, 7])
def test_a_basis_can_be_renewed_in_pieces(level, budget):
    A, b = row_scales(np.random.default_rng(1))
    whole, pieces = Run(A, b[None], tilt=1e-10), Run(A, b[None], tilt=1e-10)
    assert whole.call() == 1
    calls = 1
    while pieces.call(budget=budget) < 1:
        calls += 1
        assert calls < 10_000
    assert calls * budget > whole.steps[0] + whole.g.n / 2  # M was computed anew
    assert np.array_equal(whole.X, pieces.X) and np.array_equal(whole.Y, pieces.Y)
    assert np.array_equal(whole.steps, pieces.steps)


@pytest.mark.parametrize("m, n", [*SIZES, (3, 200)])
def test_no_write_lands_beyond_the_work_arrays(level, rng, m, n):
    run = Run(rng.standard_normal((m, n)), rng.standard_normal((3, m)), tilt=1e-10)
    numbers, integers = len(run.work), len(run.index)
    work, index = aligned((numbers + 64,), float), np.full(integers + 64, -7)
    work[...], index[:integers] = np.nan, run.index
    run.work, run.index = work[:numbers], index[:integers]
    assert run.call() == 3
    assert np.isnan(work[numbers:]).all() and np.all(index[integers:] == -7)
    assert np.isfinite(run.X).all() and np.isfinite(run.Y).all()


def test_a_problem_does_not_depend_on_its_neighbours(level, rng):
    A, targets = rng.standard_normal((50, 20)), rng.standard_normal((9, 50))
    together = Run(A, targets, tilt=1e-10)
    together.call()
    for r in (0, 4, 8):
        alone = Run(A, targets[r : r + 1], tilt=1e-10)
        alone.call()
        assert np.array_equal(alone.X[0], together.X[r])
        assert np.array_equal(alone.Y[0], together.Y[r])


def test_a_limit_of_steps_ends_with_a_feasible_answer(level, rng):
    A, targets = rng.random((60, 20)), rng.random((4, 60))
    run = Run(A, targets)
    objectives = []
    for most in (0, 1, 3, 6):
        run = Run(A, targets)
        assert run.call(most) == 4
        assert np.all(run.steps == -1 - most) and np.all(run.X >= 0)
        objectives.append(np.abs(run.answers()[0] @ A.T - targets).sum(axis=1))
    assert np.all(np.diff(objectives, axis=0) < 0)


@pytest.mark.parametrize("l1", [0.0, 0.3])
@pytest.mark.parametrize("m, n", SIZES)
def test_proof_is_its_twin(level, rng, m, n, l1):
    run = Run(rng.random((m, n)) + 0.4, rng.standard_normal((4, m)), l1)
    assert run.used.all()
    X = rng.random((4, n)) * (rng.random((4, n)) < 0.5)
    Y = aligned(run.B.shape, float)
    Y[...] = 0
    Y[:, :m] = rng.uniform(-1, 1, (4, m)) * [[1], [0.3], [0.01], [0]]
    rest = rng.random(4)
    facts = run.prove(X, Y, rest)
    for r, b in enumerate(run.B[:, :m]):
        objective, gap, violation = reference.nnlad_proof(
            run.g.R[:, :n], b, run.l1[0, :n], X[r], Y[r, :m], run.g.masses(run.used)[r]
        )
        assert facts[r, 0] == pytest.approx(objective, rel=1e-13)
        assert facts[r, 2] == pytest.approx(violation, abs=1e-14)
        size = np.abs(b).sum()
        assert 0 <= facts[r, 1] - gap * size / (size + rest[r]) <= 1e-11


def test_a_generator_no_optimum_needs_is_left_out_of_the_proof(level, rng):
    A = rng.random((20, 3))
    A[:, 1] *= 1e-3
    run = Run(A, rng.random((2, 20)), l1=0.1)
    assert run.used[0].tolist() == [True, False, True]
    Y = np.ones_like(run.B)  # a_1'y < l1 whatever y, the others are far from feasible
    facts = run.prove(run.X, Y, np.zeros(2))
    only = run.g.R[:, [0, 2]].sum(axis=0) - run.l1[0, [0, 2]]
    assert facts[0, 2] == pytest.approx((only / run.g.R[:, [0, 2]].sum(axis=0)).max())


def test_an_exact_fit_of_most_rows_is_proved():
    """Some 1,400 residuals are 0 at the optimum: the tilt alone tells its vertices apart."""
    rng = np.random.default_rng(1)
    A = rng.random((2000, 100))
    B = A @ (rng.random((100, 100)) * (rng.random((100, 100)) < 0.5))
    hit = rng.random(B.shape) < 0.3
    B[hit] = rng.integers(0, 2, hit.sum()) * B.max()
    assert solve_nnlad(A, B).converged.all()
