# SPDX-License-Identifier: BSD-3-Clause
"""The products and whole passes of training against their twins, at every SIMD level and dtype."""

import itertools

import numpy as np
import pytest
from naming import naming

from fastcone._kernels import reference
from fastcone._nmf import kernels
from fastcone._nmf.products import outer, pack, padded, product
from fastcone._runtime.threads import Scratch, aligned

SIZES = [(1, 1, 1), (2, 3, 5), (7, 8, 17), (48, 17, 33), (130, 100, 5), (261, 70, 9), (9, 300, 40)]
LEAST = 1e-25
sizes = pytest.mark.parametrize("p, m, n", SIZES)


def wide(A, rows):
    """A, aligned, its rows filled up with zeros to whole panels."""
    out = aligned((rows, padded(A.shape[1], A.dtype)), A.dtype)
    out[...] = 0
    out[: len(A), : A.shape[1]] = A
    return out


def close(found, want, size, terms):
    """Whether sums of so many terms, their absolute values `size`, are right to rounding."""
    return np.all(np.abs(found - want) <= 4 * (terms + 1) * np.finfo(found.dtype).eps * size)


def added(B, H, C):
    """C + B'H by the kernel, on a padded copy of C."""
    sums = wide(C, len(C))
    outer(B, H, sums, Scratch())
    assert np.all(sums[:, H.shape[1] :] == 0)
    return sums[:, : H.shape[1]].copy()


@sizes
def test_times_is_its_twin(level, dtype, rng, p, m, n):
    B, A = rng.standard_normal((p, 2 * m)).astype(dtype)[:, m // 2 : m // 2 + m], rng.random((m, n))
    A = A.astype(dtype)
    found = product(pack(A), B, Scratch(), "C")
    want = reference.product(A.astype(float), B.astype(float))[0]
    assert close(found[:, :n], want, np.abs(B) @ A, m) and np.all(found[:, n:] == 0)
    alone = [product(pack(A), B[r : r + 1], Scratch(), "C")[0] for r in range(p)]
    assert np.array_equal(found, alone)


@sizes
def test_outer_is_its_twin(level, dtype, rng, p, m, n):
    B, H, C = (rng.standard_normal(s).astype(dtype) for s in ((p, m), (p, n), (m, n)))
    want = reference.nmf_outer(B.astype(float), H.astype(float), C.astype(float))
    assert close(added(B, H, C), want, np.abs(B).T @ np.abs(H) + np.abs(C), p)


def test_outer_adds_samples_in_their_order(level, dtype, rng):
    B, H = rng.random((300, 21)).astype(dtype), rng.random((300, 9)).astype(dtype)
    C = rng.random((21, 9)).astype(dtype)
    parts = added(B[20:], H[20:], added(B[:20], H[:20], C))
    assert np.array_equal(added(B, H, C), parts)


@pytest.mark.parametrize("edges", [[0, 30], [0, 8, 30], [0, 1, 2, 29, 30]])
def test_groups_are_added_in_their_order(level, dtype, rng, edges):
    """The same bits as sums kept per group, of features that lie between others too."""
    B, H = rng.random((30, 50)).astype(dtype), rng.random((30, 9)).astype(dtype)
    want = np.zeros((20, 9), dtype=dtype)
    for a, b in itertools.pairwise(edges):
        want += added(B[a:b, 11:31], H[a:b], np.zeros_like(want))
    C, part = (wide(np.full((20, 9), 7, dtype=dtype), 20) for _ in range(2))
    work = aligned((kernels.outer_work(C.shape[1], dtype.itemsize),), dtype)
    kernels.outer_groups(B[:, 11:31], H, np.array(edges, dtype=np.intp), C, part, work)
    assert np.array_equal(C[:, :9], want)


def half_step(rng, p, m, k, dtype):
    """X, A, G, F and a matrix to add to: every number positive, some of F and X zero."""
    X, A, F, GG = (rng.random(s).astype(dtype) for s in ((p, m), (m, k), (p, k), (k, k)))
    X[0], F[:, 0] = 0, 0
    return X, A, (A.T @ A), F, GG


@pytest.mark.parametrize("p, m, k", [(1, 1, 1), (5, 3, 2), (40, 9, 17), (270, 20, 5), (130, 7, 33)])
@pytest.mark.parametrize("fixed", [0, 1])
@pytest.mark.parametrize("l1, l2", [(0, 0), (0.2, 0.3)])
def test_multiply_is_its_twin(level, dtype, rng, p, m, k, fixed, l1, l2):
    X, A, G, F, GG = half_step(rng, p, m, k, dtype)
    C, sums, Z = product(pack(A), X, Scratch(), "C"), wide(GG, k), np.full_like(F, 7)
    work = aligned((kernels.multiply_work(C.shape[1], dtype.itemsize),), dtype)
    total = kernels.multiply(C, pack(G), F, Z, fixed, l1, l2, 1e-3, sums, work)
    c, g, f = (a.astype(float) for a in (C[:, :k], G, F))
    want = reference.nmf_mu(2, f, c, f @ g, l1, l2, 1e-3)
    want[:, :fixed] = f[:, :fixed]
    np.testing.assert_allclose(Z, want, rtol=4 * (k + 8) * np.finfo(dtype).eps)
    z = Z.astype(float)
    assert close(sums[:, :k], GG + z.T @ z, GG + z.T @ z, p) and np.all(sums[:, k:] == 0)
    np.testing.assert_allclose(total, np.sum(c * z), rtol=1e-12)
    if not fixed:
        again, into, features = np.empty_like(F), wide(GG, k), wide(np.zeros((m, k), dtype), m)
        room = aligned(C.shape, dtype)
        mine = kernels.mu_samples(
            X, pack(A), pack(G), F, again, l1, l2, 1e-3, into, features, room, work
        )
        assert mine == total and np.array_equal(again, Z) and np.array_equal(into, sums)
        assert np.array_equal(features[:, :k], added(X, Z, np.zeros((m, k), dtype)))


# --- the fused passes of Kullback-Leibler ------------------------------------------------------


def by_tiles(X, W, H, C, stages, l1=0.0, l2=0.0, floor=1e-20):
    """The kernel `kl` on padded copies: the losses, the new H, the sums."""
    (p, m), k, dtype = X.shape, W.shape[1], X.dtype
    Ww, Hw, Cw = wide(W, m), wide(H, p), wide(C, m)
    n = Ww.shape[1]
    loss = np.empty(p, dtype=dtype)
    work = aligned((kernels.kl_work(m, n, dtype.itemsize),), dtype)
    index = np.empty(m + n, dtype=np.intp)
    kernels.kl(k, X, Ww, Ww.sum(axis=0), Hw, Cw, stages, l1, l2, floor, LEAST, loss, work, index)
    assert np.all(Hw[:, k:] == 0) and np.all(Cw[:, k:] == 0)
    return loss, Hw[:, :k].copy(), Cw[:, :k].copy()


def by_rows(X, W, H, C, stages, l1=0.0, l2=0.0, floor=1e-20):
    """The kernel `kl_rows`: the same."""
    (p, m), k, dtype = X.shape, W.shape[1], X.dtype
    sums, loss, Z = wide(C, m), np.empty(p, dtype=dtype), H.copy()
    work = aligned((kernels.kl_rows_work(sums.shape[1], dtype.itemsize),), dtype)
    kernels.kl_rows(
        X, pack(W.T), pack(W), W.sum(axis=0), H, Z, sums, stages, l1, l2, floor, LEAST, loss, work
    )
    assert np.all(sums[:, k:] == 0)
    return loss, Z, sums[:, :k].copy()


passes = pytest.mark.parametrize("kl", [by_tiles, by_rows])


def kl_instance(rng, p, m, k, density, dtype):
    X = rng.gamma(0.5, 1, (p, m)) * (rng.random((p, m)) < density)
    parts = X, *(rng.random(shape) + 0.01 for shape in ((m, k), (p, k), (m, k)))
    return [a.astype(dtype) for a in parts]


@passes
@pytest.mark.parametrize(
    "p, m, k", [(1, 1, 1), (5, 3, 2), (16, 9, 17), (37, 50, 5), (70, 40, 33), (9, 600, 4)]
)
def test_the_kl_pass_is_its_twin(level, dtype, kl, p, m, k):
    penalties = [(0.0, 0.0), (0.2, 0.3)]
    for density, (l1, l2) in itertools.product([0.0, 0.03, 0.3, 1.0], penalties):
        rng = np.random.default_rng(0)
        with naming(density=density, l1=l1, l2=l2):
            X, W, H, C = kl_instance(rng, p, m, k, density, dtype)
            loss, new, sums = kl(X, W, H, C, 2, l1, l2)
            x, w, h = (a.astype(float) for a in (X, W, H))
            ones = np.ones((1, m))
            num, _, want = reference.nmf_entries(1, x, h @ w.T, ones)
            eps = np.finfo(dtype).eps
            np.testing.assert_allclose(loss, want, rtol=4 * (m + k + 16) * eps)
            step = reference.nmf_mu(1, h, num @ w, w.sum(axis=0), l1, l2, 1e-20)
            np.testing.assert_allclose(new, step, rtol=4 * (m + k + 16) * eps, atol=1e-20)
            ratio = reference.nmf_entries(1, x, new.astype(float) @ w.T, ones)[0]
            want = reference.nmf_outer(ratio, new.astype(float), C.astype(float))
            np.testing.assert_allclose(sums, want, rtol=4 * (p + k + 16) * eps)


@passes
def test_the_stages_of_the_kl_pass_agree(level, dtype, kl, rng):
    X, W, H, C = kl_instance(rng, 37, 50, 5, 0.3, dtype)
    whole, step, loss = (kl(X, W, H, C, stages) for stages in (2, 1, 0))
    assert np.array_equal(whole[0], step[0]) and np.array_equal(whole[0], loss[0])
    assert np.array_equal(whole[1], step[1]) and np.array_equal(loss[1], H)
    assert np.array_equal(step[2], C) and np.array_equal(loss[2], C)


@passes
def test_a_samples_step_does_not_depend_on_its_neighbours(level, dtype, kl, rng):
    X, W, H, C = kl_instance(rng, 40, 50, 5, 0.1, dtype)
    together = kl(X, W, H, C, 1)[1]
    alone = [kl(X[r : r + 1], W, H[r : r + 1], C, 1)[1][0] for r in range(40)]
    assert np.array_equal(together, alone)
