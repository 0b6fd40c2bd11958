# SPDX-License-Identifier: BSD-3-Clause
"""Stacks: many small problems, each with generators of its own."""

import numpy as np
import pytest
import scipy.optimize
from problems import NNLS

import fastcone
from fastcone import solve_nnls


def excess(A, b, x):
    best, _ = scipy.optimize.nnls(A, b, maxiter=200 * A.shape[1])
    ours, theirs = (np.sum((A @ y - b) ** 2) for y in (x, best))
    return (ours - theirs) / (b @ b)


@pytest.mark.parametrize("shape", [(10, 5), (3, 6), (1, 1), (120, 4), (40, 20)])
def test_a_stack_is_its_problems(level, shape, rng):
    A, B = rng.standard_normal((60, *shape)), rng.standard_normal((60, shape[0]))
    solution = solve_nnls(A, B)
    assert solution.x.shape == (shape[1], 60)
    for r in range(60):
        x, rnorm = fastcone.nnls(A[r], B[r])
        assert np.array_equal(solution.x[:, r], x)
        assert solution.objective[r] == pytest.approx(rnorm**2 / 2)
        assert excess(A[r], B[r], solution.x[:, r]) <= 1e-12


def test_a_gap_of_a_stack_never_lies(level):
    for make in NNLS:
        for seed in range(20):
            A, b = make(np.random.default_rng(seed))
            if not A.size or not b.any():
                continue
            solution = solve_nnls(A[None], b[None])
            try:
                assert excess(A, b, solution.x[:, 0]) <= solution.gap[0] + 1e-15, (make, seed)
            except RuntimeError:  # scipy reached its iteration limit
                continue


def test_layouts_and_threads_change_no_bit(level, rng):
    A, B = rng.random((500, 8, 4)), rng.random((500, 8))
    want = solve_nnls(A, B, n_threads=1)
    wide = np.zeros((500, 16, 8))
    wide[:, ::2, ::2] = A
    for same in (
        np.asfortranarray(A),
        wide[:, ::2, ::2],
        A.transpose(0, 2, 1).copy().transpose(0, 2, 1),
    ):
        found = solve_nnls(same, B, n_threads=2)
        assert np.array_equal(found.x, want.x) and np.array_equal(found.gap, want.gap)


def test_nothing_and_nonsense(rng):
    assert solve_nnls(np.zeros((0, 3, 2)), np.zeros((0, 3))).x.shape == (2, 0)
    assert solve_nnls(np.zeros((4, 0, 2)), np.zeros((4, 0))).converged.all()
    assert not solve_nnls(np.zeros((4, 3, 2)), rng.random((4, 3))).x.any()
    with pytest.raises(ValueError, match=r"B has shape \(3, 5\), want \(4, 5\)"):
        solve_nnls(rng.random((4, 5, 2)), rng.random((3, 5)))
    with pytest.raises(ValueError, match="a stack"):
        solve_nnls(rng.random((4, 5, 2)), rng.random((4, 5)), l1=1.0)
    with pytest.raises(ValueError, match="A holds nan"):
        solve_nnls(np.full((4, 5, 2), np.nan), rng.random((4, 5)))
    left = solve_nnls(rng.random((4, 30, 20)), rng.random((4, 30)), max_epochs=1)
    assert not left.converged.any() and np.all(left.epochs == 1)
