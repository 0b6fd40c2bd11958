# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of projection against their NumPy twins, at every SIMD level and dtype."""

import numpy as np
import pytest

from fastcone._kernels import reference
from fastcone._nnls import kernels as nnls_kernels
from fastcone._nnls.active_set import Exact
from fastcone._nnls.descent import first_schedule
from fastcone._nnls.prepare import Gram, Packed, Shift
from fastcone._runtime.threads import Scratch, aligned

SIZES = [(1, 1, 1), (3, 2, 5), (16, 4, 48), (17, 5, 49), (63, 33, 7), (520, 31, 10), (1030, 70, 3)]


def tolerance(dtype, terms):
    return 8 * terms * np.finfo(dtype).eps


@pytest.mark.parametrize("m, n, p", SIZES)
def test_product_is_its_twin(level, dtype, rng, m, n, p):
    A = rng.standard_normal((m, n)).astype(dtype)
    B = rng.standard_normal((p, m)).astype(dtype)
    packed = Packed(A)
    C, norm2 = packed.product(B, Scratch(), "C")
    want, want_norm2 = reference.product(A.astype(float), B.astype(float))
    size = np.linalg.norm(B, axis=1)[:, None] * np.linalg.norm(A, axis=0)
    assert np.all(np.abs(C[:, :n] - want) <= tolerance(dtype, m) * size)
    assert np.all(C[:, n:] == 0)
    np.testing.assert_allclose(norm2, want_norm2, rtol=tolerance(dtype, m))


def test_a_product_does_not_depend_on_its_neighbours(level, dtype, rng):
    A = rng.standard_normal((700, 40)).astype(dtype)
    B = rng.standard_normal((37, 700)).astype(dtype)
    packed = Packed(A)
    together = packed.product(B, Scratch(), "C")
    for r in (0, 5, 36):
        alone = packed.product(B[r : r + 1].copy(), Scratch(), "C")
        assert np.array_equal(alone[0][0], together[0][r])
        assert alone[1][0] == together[1][r]


def quadratic(rng, n, p, dtype):
    """A well-conditioned G with one zero generator, and p linear terms."""
    A = rng.standard_normal((3 * n + 5, n))
    A /= np.linalg.norm(A, axis=0)
    if n > 2:
        A[:, 1] = 0
    G = A.T @ A
    gram = Gram(G, np.arange(n) % 3 - 1, 3 * n + 5)
    C = aligned((p, Packed(np.zeros((0, n), dtype)).ld), dtype)
    C[...] = 0
    C[:, :n] = rng.standard_normal((p, 3 * n + 5)) @ A
    return gram, C


def work(gram, dtype):
    return aligned((nnls_kernels.nnls_work(gram.n_padded, np.dtype(dtype)),), dtype)


def descend(gram, C, X, stop, max_epochs):
    used, packed = np.zeros(len(C), dtype=np.intc), gram.packed(C.dtype)
    stop = np.full(len(C), stop, dtype=C.dtype)
    last = np.zeros_like(stop)
    most, pace = np.full(len(C), max_epochs, dtype=np.intc), first_schedule(len(C))
    left = nnls_kernels.nnls_cd(
        packed.G, packed.inverse, packed.weight, C, X, stop, pace, last, most, used,
        work(gram, C.dtype),
    )  # fmt: skip
    assert np.array_equal(last <= stop, used > 0)
    return left, used


@pytest.mark.parametrize("n, p", [(1, 1), (2, 3), (4, 60), (7, 25), (30, 130)])
def test_descent_is_its_twin_epoch_by_epoch(level, dtype, rng, n, p):
    gram, C = quadratic(rng, n, p, dtype)
    start = np.zeros_like(C)
    start[:, :n] = rng.random((p, n)) * (gram.diagonal > 0)
    for epochs in (1, 2, 5):
        X = start.copy()
        left, used = descend(gram, C, X, 0.0, epochs)
        for r in range(0, p, 7):
            want, _ = reference.nnls_cd(gram.matrix, C[r, :n], start[r, :n], -1.0, epochs)
            np.testing.assert_allclose(X[r, :n], want, atol=tolerance(dtype, 4 * n * epochs))
        assert np.all(np.abs(used) <= epochs) and left == np.count_nonzero(used < 0)
        assert np.all(X >= 0) and np.all(X[:, n:] == 0)


def slow(n, p, seed=0):
    """Well-scaled problems with a slowest mode: neighbours of a chain nearly cancel."""
    rng = np.random.default_rng(seed)
    A = np.eye(n) + 0.45 * (np.eye(n, k=1) + np.eye(n, k=-1))
    gram = Gram(A.T @ A, np.zeros(n, dtype=np.intc), 3)
    C = aligned((p, Packed(np.zeros((0, n), float)).ld), float)
    C[...] = 0
    C[:, :n] = rng.random((p, n)) @ A
    return gram, C


def test_extrapolations_are_those_of_the_twin(level):
    gram, C = slow(12, 40)
    X = np.zeros_like(C)
    left, used = descend(gram, C, X, 1e-16, 2000)
    assert left == 0
    for r in range(40):
        want, epochs = reference.nnls_cd(gram.matrix, C[r, :12], np.zeros(12), 1e-16, 2000)
        assert abs(epochs - used[r]) <= 1  # rounding may decide the last one
        np.testing.assert_allclose(X[r, :12], want, atol=1e-7)


@pytest.mark.parametrize("make", ["uniform", "chain"])
def test_leaps_pay_and_never_go_round_in_a_circle(make, level):
    if make == "chain":
        gram, C = slow(40, 60)
        n = 40
    else:
        rng, n = np.random.default_rng(0), 30
        A = rng.random((80, n))  # one strong mode beside many weak ones
        gram = Gram(A.T @ A, np.zeros(n, dtype=np.intc), 80)
        C = aligned((60, Packed(np.zeros((0, n), float)).ld), float)
        C[...] = 0
        C[:, :n] = rng.random((60, 80)) @ A
    X, plain = np.zeros_like(C), np.zeros_like(C)
    left, used = descend(gram, C, X, 1e-18, 30_000)
    assert left == 0
    descend(gram, C, plain, 0.0, int(used.mean()))
    leapt, walked = (
        np.einsum("ij,ij->", x[:, :n] @ gram.matrix / 2 - C[:, :n], x[:, :n]) for x in (X, plain)
    )
    assert leapt <= walked


def test_units_are_their_twins(level, dtype, rng):
    p, n, ld = 9, 5, 32
    C, allow = rng.standard_normal((p, ld)).astype(dtype), rng.random(p).astype(dtype)
    k, E = (rng.integers(-30, 30, p).astype(np.intc) for _ in range(2))
    e, rootinv = rng.integers(-20, 20, n).astype(np.intc), rng.random(n)
    l1 = rng.random(p) * (np.arange(p) % 3 > 0)
    l1[1], l1[2] = 1e-290, 1e290
    largest = float(np.finfo(dtype).max) ** 0.5
    got, size = C.copy(), allow.copy()
    nnls_kernels.units_in(got, k, E, l1, e, rootinv, size, largest, np.empty(n))
    for r in range(p):
        want, penalty = reference.units_in(C[r, :n].astype(float), k[r], E[r], l1[r], e, largest)
        np.testing.assert_allclose(got[r, :n], want, rtol=4 * np.finfo(dtype).eps)
        assert np.array_equal(got[r, n:], np.ldexp(C[r, n:], -k[r]))
        np.testing.assert_allclose(
            size[r], allow[r] + np.max(penalty * rootinv), rtol=4 * np.finfo(dtype).eps
        )


def test_each_lane_stops_by_its_own_rule(level, dtype, rng):
    gram, C = quadratic(rng, 12, 200, dtype)
    limit = 1e-10 if dtype == np.float32 else 1e-20
    X = np.zeros_like(C)
    left, used = descend(gram, C, X, limit, 500)
    assert left == 0 and used.min() > 0
    assert len(set(used.tolist())) > 1
    for r in range(0, 200, 23):
        alone = np.zeros_like(C[:1])
        _, epochs = descend(gram, C[r : r + 1].copy(), alone, limit, 500)
        assert epochs[0] == used[r]
        assert np.array_equal(alone[0], X[r])


def test_unfinished_lanes_are_marked_and_can_go_on(level, dtype, rng):
    gram, C = quadratic(rng, 12, 60, dtype)
    whole, pieces = np.zeros_like(C), np.zeros_like(C)
    descend(gram, C, whole, 0.0, 9)
    left, used = descend(gram, C, pieces, 0.0, 4)
    assert left == 60 and np.all(used == -4)
    descend(gram, C, pieces, 0.0, 5)
    assert np.array_equal(whole, pieces)


@pytest.mark.parametrize("n, p", [(1, 1), (6, 50), (21, 97)])
def test_report_is_its_twin(level, dtype, rng, n, p):
    gram, C = quadratic(rng, n, p, dtype)
    used = gram.used
    shift = np.where(used, 0.5 + rng.random(n), 0.0)
    gram.shift = Shift(shift, shift, 1.0, True)
    X = np.zeros_like(C)
    X[:, :n] = np.maximum(rng.standard_normal((p, n)), 0) * used
    size = (1 + rng.random(p)).astype(dtype)
    out = np.zeros((p, len(nnls_kernels.REPORT)), dtype=dtype)
    packed = gram.packed(np.dtype(dtype))
    nnls_kernels.nnls_report(
        packed.G, gram.coord(np.dtype(dtype)), C, X, size, 1e-3, out, work(gram, dtype)
    )
    for r in range(0, p, 9):
        want = reference.nnls_report(
            gram.matrix[np.ix_(used, used)],
            C[r, :n][used].astype(float),
            X[r, :n][used].astype(float),
            size=float(size[r]),
            rounding=1e-3,
            lam=gram.lam,
            shift=shift[used],
            scale=2.0 ** gram.exponent[used],
        )
        np.testing.assert_allclose(out[r], want, rtol=tolerance(dtype, 40 * n), atol=1e-5)


@pytest.mark.parametrize("m, n", [(1, 1), (6, 4), (20, 7), (9, 25), (40, 40)])
def test_active_set_is_its_twin(level, rng, m, n):
    A = rng.standard_normal((m, n))
    B = rng.standard_normal((5, m))
    l1 = np.abs(rng.standard_normal((5, n))) * 0.1
    X, steps = Exact(A).solve(B, l1, 100 * n)
    assert np.all(steps >= 0) and np.all(X >= 0)
    for b, x, penalty in zip(B, X, l1, strict=True):
        want, _ = reference.active_set(A, b, penalty)
        ours, best = (0.5 * np.sum((A @ y - b) ** 2) + penalty @ y for y in (x, want))
        assert ours <= best + 1e-12 * (b @ b)


def test_active_set_honours_its_limit(level, rng):
    A, b = rng.random((30, 20)), rng.random((1, 30))
    X, steps = Exact(A).solve(b, np.zeros((1, 20)), 1)
    assert steps[0] == -2
    assert np.count_nonzero(X) == 1


@pytest.mark.parametrize("m, n", [(6, 4), (20, 7), (9, 25), (40, 40)])
def test_active_set_takes_any_start_over(level, rng, m, n):
    A, B = rng.random((m, n)), rng.standard_normal((8, m))
    l1 = np.zeros((8, n))
    l1[4:] = 0.1
    start = rng.random((8, n)) * (rng.random((8, n)) < 0.5)
    cold, _ = Exact(A).solve(B, l1, 100 * n)
    warm, _ = Exact(A).solve(B, l1, 100 * n, start)
    again, steps = Exact(A).solve(B, l1, 100 * n, cold)
    assert np.all(steps <= 1)
    for X in (warm, again):
        value, best = (
            0.5 * np.sum((Y @ A.T - B) ** 2, axis=1) + np.sum(l1 * Y, axis=1) for Y in (X, cold)
        )
        np.testing.assert_allclose(value, best, rtol=1e-11)
