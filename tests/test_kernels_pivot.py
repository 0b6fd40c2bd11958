# SPDX-License-Identifier: BSD-3-Clause
"""Block principal pivoting against its NumPy twin, at every SIMD level."""

import numpy as np
import pytest

import fastcone
from fastcone import reference, solve_nnls
from fastcone._nnls import kernels as nnls_kernels
from fastcone._nnls.prepare import Gram, Packed
from fastcone._runtime.threads import aligned

F64 = np.dtype(float)


def quadratic(rng, n, p, m=None):
    """A regular G with one zero generator, and p linear terms; rows padded as the kernel's."""
    A = rng.standard_normal((m or 3 * n + 5, n))
    A /= np.linalg.norm(A, axis=0)
    if n > 2:
        A[:, 1] = 0
    gram = Gram(A.T @ A, np.zeros(n, dtype=int), F64, len(A))
    C = aligned((p, Packed(np.zeros((0, n))).ld), F64)
    C[...] = 0
    C[:, :n] = rng.standard_normal((p, len(A))) @ A
    return gram, C


def slack_of(gram):
    slack = np.full(gram.rows, np.inf)
    slack[: gram.n][gram.used] = 1e-11
    return slack


def pivot(gram, C, X, most=40):
    """The answers, the steps, and what was given up."""
    X = X.copy()
    steps = np.zeros(len(C), dtype=np.intc)
    work = aligned((nnls_kernels.pivot_work(gram.rows),), F64)
    work[...] = np.nan  # nothing is to be expected of it
    most = np.full(len(C), most, dtype=np.intc)
    left = nnls_kernels.pivot(gram.G, slack_of(gram), C, X, most, steps, work)
    assert left == np.count_nonzero(steps < 0)
    return X, steps


def start_of(gram, C, rng):
    X = np.zeros_like(C)
    X[:, : gram.n] = (rng.random((len(C), gram.n)) < 0.5) * gram.used
    return X


@pytest.mark.parametrize("n, p", [(1, 1), (2, 3), (4, 9), (7, 25), (30, 40), (65, 10)])
def test_pivoting_is_its_twin(level, rng, n, p):
    gram, C = quadratic(rng, n, p)
    start = start_of(gram, C, rng)
    X, steps = pivot(gram, C, start)
    assert np.all(X[:, n:] == 0)
    slack = slack_of(gram)[:n]
    for c, x0, x, used in zip(C[:, :n], start[:, :n], X[:, :n], steps, strict=True):
        want, want_used = reference.nnls_pivot(gram.matrix, c, x0, slack, 40)
        assert used == want_used
        np.testing.assert_allclose(x, want, rtol=0, atol=1e-11 * np.abs(c).max())


@pytest.mark.parametrize("n", [5, 40])
def test_what_ends_is_optimal(level, rng, n):
    gram, C = quadratic(rng, n, 60)
    X, steps = pivot(gram, C, start_of(gram, C, rng))
    X, C = X[steps > 0, :n], C[steps > 0, :n]
    assert len(X) >= 55
    g = X @ gram.matrix - C
    assert np.all(X >= 0) and np.all(g[:, gram.used] >= -1e-11)
    assert np.abs(X * g).max() <= 1e-12


def test_a_problem_does_not_depend_on_its_neighbours(level, rng):
    gram, C = quadratic(rng, 22, 31)
    start = start_of(gram, C, rng)
    X, steps = pivot(gram, C, start)
    for r in (0, 7, 8, 30):
        alone, used = pivot(gram, C[r : r + 1], start[r : r + 1])
        assert np.array_equal(alone[0], X[r]) and used[0] == steps[r]


def test_a_limit_leaves_the_start(level, rng):
    gram, C = quadratic(rng, 40, 20, m=45)
    start = start_of(gram, C, rng)
    X, steps = pivot(gram, C, start, most=1)
    late = steps < 0
    assert late.any() and np.all(np.abs(steps) == 1)
    assert np.array_equal(X[late], start[late])


def test_a_singular_support_is_given_up(level):
    G = np.ones((4, 4))
    gram = Gram(G, np.zeros(4, dtype=int), F64, 4)
    C = aligned((1, Packed(np.zeros((0, 4))).ld), F64)
    C[...] = 0
    C[0, :4] = [1, 2, 3, 4]
    X = np.zeros_like(C)
    X[0, :4] = 1
    after, steps = pivot(gram, C, X)
    assert steps[0] < 0 and np.array_equal(after, X)


def test_nothing_to_do(level):
    empty = np.zeros((0, 4))
    none = np.zeros(0, dtype=np.intc)
    work = aligned((nnls_kernels.pivot_work(4),), F64)
    assert nnls_kernels.pivot(np.eye(4).ravel(), np.zeros(4), empty, empty, none, none, work) == 0


@pytest.mark.parametrize("condition", [1e3, 1e5, 1e6])
@pytest.mark.parametrize("certify", [True, False])
def test_pivoting_ends_what_descent_is_slow_at(level, dtype, rng, condition, certify):
    m, n, p = 200, 40, 60
    U, V = (np.linalg.qr(rng.standard_normal((k, n)))[0] for k in (m, n))
    A = (U * np.logspace(0, -np.log10(condition) / 2, n)) @ V.T
    A = A.astype(dtype)
    B = A @ (rng.random((n, p)) * (rng.random((n, p)) < 0.4)) + 0.01 * rng.standard_normal((m, p))
    B = B.astype(dtype)
    tol = 1e-9 if dtype == np.float64 else 1e-6
    solution = solve_nnls(A, B, tol=tol, certify=certify)
    assert solution.converged.all()
    A, B = A.astype(float), B.astype(float)
    for r in range(0, p, 6):
        x, _ = fastcone.nnls(A, B[:, r])
        ours, best = (np.sum((A @ y - B[:, r]) ** 2) / 2 for y in (solution.x[:, r], x))
        assert ours - best <= 2 * tol * (B[:, r] @ B[:, r]) / 2


def test_a_small_support_among_many_generators_is_not_pivoted(rng, monkeypatch):
    """A factor of G costs n^3 / 3 whatever the support: the exact solver took a third."""
    calls = []
    plain = nnls_kernels.pivot
    monkeypatch.setattr(nnls_kernels, "pivot", lambda *a: (calls.append(len(a[2])), plain(*a))[1])
    A = rng.random((420, 1)) + 1e-3 * rng.standard_normal((420, 200))
    few = A @ (rng.random((200, 10)) * (rng.random((200, 10)) < 0.05))
    assert solve_nnls(A, few + 0.01 * rng.standard_normal(few.shape)).converged.all()
    assert not calls
    U, V = (np.linalg.qr(rng.standard_normal((k, 200)))[0] for k in (420, 200))
    A = (U * np.logspace(0, -2.5, 200)) @ V.T
    many = A @ rng.random((200, 10)) + 1e-4 * rng.standard_normal((420, 10))
    assert solve_nnls(A, many).converged.all()
    assert sum(calls) == 10
