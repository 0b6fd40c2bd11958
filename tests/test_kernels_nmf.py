# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of training against their NumPy twins, at every SIMD level and dtype."""

import itertools
import math

import numpy as np
import pytest
from naming import naming

from fastcone._kernels import reference
from fastcone._nmf import kernels as nmf_kernels
from fastcone._nmf.losses import Step
from fastcone._nmf.problem import Penalty
from fastcone._runtime import kernels as runtime_kernels
from fastcone._runtime.threads import aligned

SIZES = [(1, 1, 1), (2, 3, 5), (7, 8, 17), (48, 17, 33), (130, 100, 5)]
LEAST = 1e-25


def outer(B, H, C):
    """The kernel on padded copies of H and C."""
    (p, m), n, dtype = B.shape, H.shape[1], B.dtype
    ld = -(-n // runtime_kernels.panel(dtype)) * runtime_kernels.panel(dtype)
    wide, sums = aligned((p, ld), dtype), aligned((m, ld), dtype)
    wide[...], sums[...] = 0, 0
    wide[:, :n], sums[:, :n] = H, C
    work = aligned((nmf_kernels.outer_work(p, ld, dtype),), dtype)
    nmf_kernels.outer(B, wide, sums, work)
    assert np.all(sums[:, n:] == 0)
    return sums[:, :n].copy()


@pytest.mark.parametrize("p, m, n", SIZES)
def test_outer_is_its_twin(level, dtype, rng, p, m, n):
    B, H, C = (rng.standard_normal(s).astype(dtype) for s in ((p, m), (p, n), (m, n)))
    want = reference.nmf_outer(B.astype(float), H.astype(float), C.astype(float))
    size = np.linalg.norm(B, axis=0)[:, None] * np.linalg.norm(H, axis=0) + np.abs(C)
    error = np.abs(outer(B, H, C) - want)
    assert np.all(error <= 4 * (p + 1) * np.finfo(dtype).eps * size)


def test_outer_adds_samples_in_their_order(level, dtype, rng):
    B, H = rng.random((50, 21)).astype(dtype), rng.random((50, 9)).astype(dtype)
    C = rng.random((21, 9)).astype(dtype)
    parts = outer(B[20:].copy(), H[20:], outer(B[:20].copy(), H[:20], C))
    assert np.array_equal(outer(B, H, C), parts)


KINDS = [
    ("square", 2),
    ("kl", 1),
    ("is", 0),
    ("beta", 0.5),
    ("beta", 1.5),
    ("beta", 3),
    ("beta", -1),
]
kinds = pytest.mark.parametrize("kind, beta", KINDS)


def entries(kind, beta, X, Y, weight, extra=0):
    """The kernel, in place on a copy of Y with `extra` columns of padding."""
    dtype = X.dtype
    Y = np.pad(Y, ((0, 0), (0, extra)))
    P, value = np.zeros(Y.shape, dtype=dtype), np.empty(len(X), dtype=dtype)
    nmf_kernels.entries(kind, X, Y, weight, LEAST, beta, P, Y, value)
    assert np.all(Y[:, X.shape[1] :] == 0) and np.all(P[:, X.shape[1] :] == 0)
    return P[:, : X.shape[1]], Y[:, : X.shape[1]], value


@kinds
def test_entries_are_their_twin(level, dtype, kind, beta):
    shapes = [(1, 1), (3, 15), (2, 16), (5, 100)]
    for (p, m), weights in itertools.product(shapes, ["one row", "mask", "any"]):
        rng = np.random.default_rng(0)
        with naming(p=p, m=m, weights=weights):
            X = rng.gamma(0.5, 1, (p, m)) * (rng.random((p, m)) < 0.8)
            Y = rng.gamma(0.5, 1, (p, m)) + 1e-3
            w = rng.random((p, m))
            w = {"one row": np.ones((1, m)), "mask": (w < 0.7).astype(float), "any": w}[weights]
            if beta <= 0 and weights != "mask":
                X = X + 0.01
            else:
                X = np.where((w > 0) & (X == 0), 0.1, X * w)
            X, Y, w = (a.astype(dtype) for a in (X, Y, w))
            found = entries(kind, beta, X, Y, w, extra=3)
            want = reference.nmf_entries(beta, *(a.astype(float) for a in (X, Y, w)))
            eps = np.finfo(dtype).eps
            for ours, theirs in zip(found[:2], want[:2], strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=16 * eps)
            np.testing.assert_allclose(found[2], want[2], rtol=(m + 32) * eps, atol=1e-30)


def beta_of_ratio(beta, f):
    """phi(f) of the kernel's head in extended precision."""
    f, b = f.astype(np.longdouble), np.longdouble(beta)
    if beta == 0:
        return f - np.log(f) - 1
    return (f**b - b * f + b - 1) / (b * (b - 1))


@pytest.mark.parametrize("kind, beta", [pair for pair in KINDS if pair[0] in ("is", "beta")])
def test_beta_of_any_ratio(level, dtype, kind, beta):
    """Over the whole range, and without cancellation where the fit is good."""
    far = np.concatenate([10.0 ** np.linspace(-8, 8, 301), np.linspace(0.7, 1.3, 201)])
    X = far.astype(dtype)[:, None]
    one = np.ones((1, 1), dtype=dtype)
    value = entries(kind, beta, X, np.ones_like(X), one)[2]
    d = X[:, 0].astype(float) - 1
    seen = np.abs(d) > 1e-3
    want = beta_of_ratio(beta, X[:, 0]).astype(float)
    np.testing.assert_allclose(value[seen], want[seen], rtol=256 * np.finfo(dtype).eps)
    small = (1 + 2.0 ** -np.arange(9, 20 if dtype == np.float32 else 26)).astype(dtype)[:, None]
    d = small[:, 0].astype(float) - 1
    value = entries(kind, beta, small, np.ones_like(small), one)[2]
    series = d**2 / 2 * (1 + (beta - 2) * d / 3 * (1 + (beta - 3) * d / 4))
    np.testing.assert_allclose(value, series, rtol=1e-6)


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("power", [-3, -10, -30, -50])
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_exponent_beside_0_or_1_loses_no_digits(level, dtype, limit, power, sign):
    """phi in powers of the step from there, with those of the logarithm of the ratio."""
    f = np.concatenate([10.0 ** np.linspace(-8, 8, 161), np.linspace(0.7, 1.3, 101)])
    step = sign * 2.0**power
    X = f.astype(dtype)[:, None]
    value = entries("beta", limit + step, X, np.ones_like(X), np.ones((1, 1), dtype=dtype))[2]
    f, b = X[:, 0].astype(np.longdouble), np.longdouble(limit) + step
    L, one = np.log(f), f if limit else np.longdouble(1)
    terms = [one * L**n * np.longdouble(step) ** (n - 1) / math.factorial(n) for n in range(1, 40)]
    want = ((sum(terms) - f + 1) / (b if limit else b - 1)).astype(float)
    far = np.abs(f - 1) > 1e-3
    np.testing.assert_allclose(value[far], want[far], rtol=256 * np.finfo(dtype).eps)


@pytest.mark.parametrize("beta", [1e-3, 0.5, 0.999, 1 - 1e-15, 1 + 1e-15, 1.5, 3])
def test_beta_of_a_zero(level, dtype, beta):
    """phi(0) = 1 / beta."""
    zero, one = np.zeros((1, 1), dtype=dtype), np.ones((1, 1), dtype=dtype)
    value = entries("beta", beta, zero, one, one)[2]
    np.testing.assert_allclose(value, 1 / beta, rtol=4 * np.finfo(dtype).eps)


def test_kl_of_any_ratio(level, dtype):
    """x log(x / y) - x + y = y (f log f - f + 1) over the whole range, to a few roundings."""
    far = 30 if dtype == np.float32 else 150
    f = np.concatenate([10.0 ** np.linspace(-far, far, 501), np.linspace(0.6, 1.6, 101), [0.0]])
    X, Y = f.astype(dtype)[:, None], np.ones((len(f), 1), dtype=dtype)
    value = entries("kl", 1, X, Y, np.ones((1, 1), dtype=dtype))[2]
    x = X[:, 0].astype(np.longdouble)
    want = np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0) - x + 1
    np.testing.assert_allclose(value, want.astype(float), rtol=16 * np.finfo(dtype).eps)


def test_kl_does_not_cancel_where_the_fit_is_good(level, dtype):
    step = 2.0 ** -np.arange(3, 10 if dtype == np.float32 else 24)
    X, Y = (1 + step).astype(dtype)[:, None], np.ones((len(step), 1), dtype=dtype)
    value = entries("kl", 1, X, Y, np.ones((1, 1), dtype=dtype))[2]
    n = np.arange(2, 40)[:, None]  # (1 + d) log(1 + d) - d = sum (-d)^n / (n (n - 1))
    want = np.sum((-step) ** n / (n * (n - 1)), axis=0)
    np.testing.assert_allclose(value, want, rtol=8 * np.finfo(dtype).eps)


def test_kl_below_least_counts_as_least(level, dtype):
    X, Y = np.array([[2.0, 0.0]], dtype=dtype), np.zeros((1, 2), dtype=dtype)
    out, _, value = entries("kl", 1, X, Y, np.ones((1, 2), dtype=dtype))
    np.testing.assert_allclose(out, [[2 / LEAST, 0]], rtol=1e-6)
    np.testing.assert_allclose(value, 2 * np.log(2 / LEAST) - 2, rtol=1e-6)


@pytest.mark.parametrize("beta", [2.0, 1.0, 0.0, 0.5, 1.5, 3.0])
def test_steps_are_their_twin(level, dtype, beta):
    penalties = [(0, 0), (0.3, 0), (0, 0.7), (0.2, 0.5)]
    for (l1, l2), shared in itertools.product(penalties, [True, False]):
        rng = np.random.default_rng(0)
        with naming(l1=l1, l2=l2, shared=shared):
            H, num = (rng.random((6, 20)).astype(dtype) for _ in range(2))
            den = rng.random((1 if shared else 6, 20)).astype(dtype)
            H[0, :4], num[1, :4], den[0, 3] = 0, 0, 0
            want = reference.nmf_mu(beta, *(a.astype(float) for a in (H, num, den)), l1, l2, 1e-3)
            got = H.copy()
            Step(beta, Penalty(l1, l2, 1e-3), 17)(got, num, den)
            np.testing.assert_allclose(got[:, :17], want[:, :17], rtol=16 * np.finfo(dtype).eps)
            assert np.array_equal(got[:, 17:], H[:, 17:])


# --- the fused pass of Kullback-Leibler ------------------------------------------------------


def wide(A, rows, dtype):
    """A, aligned, its rows filled up with zeros to whole panels."""
    out = aligned(
        (rows, -(-A.shape[1] // runtime_kernels.panel(dtype)) * runtime_kernels.panel(dtype)), dtype
    )
    out[...] = 0
    out[: len(A), : A.shape[1]] = A
    return out


def kl(X, W, H, C, stages, l1=0.0, l2=0.0, floor=1e-20):
    """The kernel on padded copies: the losses, the new H, the sums."""
    (p, m), k, dtype = X.shape, W.shape[1], X.dtype
    Ww, Hw, Cw = wide(W, m, dtype), wide(H, p, dtype), wide(C, m, dtype)
    n = Ww.shape[1]
    loss = np.empty(p, dtype=dtype)
    work = aligned((nmf_kernels.kl_work(m, n, dtype.itemsize),), dtype)
    index = np.empty(m + runtime_kernels.panel(dtype), dtype=np.intp)
    nmf_kernels.kl(
        k, X, Ww, Ww.sum(axis=0), Hw, Cw, stages, l1, l2, floor, LEAST, loss, work, index
    )
    assert np.all(Hw[:, k:] == 0) and np.all(Cw[:, k:] == 0)
    return loss, Hw[:, :k].copy(), Cw[:, :k].copy()


def kl_instance(rng, p, m, k, density, dtype):
    X = rng.gamma(0.5, 1, (p, m)) * (rng.random((p, m)) < density)
    parts = X, *(rng.random(shape) + 0.01 for shape in ((m, k), (p, k), (m, k)))
    return [a.astype(dtype) for a in parts]


@pytest.mark.parametrize("p, m, k", [(1, 1, 1), (5, 3, 2), (16, 9, 17), (37, 50, 5), (70, 40, 33)])
def test_the_kl_pass_is_its_twin(level, dtype, p, m, k):
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


def test_the_stages_of_the_kl_pass_agree(level, dtype, rng):
    X, W, H, C = kl_instance(rng, 37, 50, 5, 0.3, dtype)
    whole, step, loss = (kl(X, W, H, C, stages) for stages in (2, 1, 0))
    assert np.array_equal(whole[0], step[0]) and np.array_equal(whole[0], loss[0])
    assert np.array_equal(whole[1], step[1]) and np.array_equal(loss[1], H)
    assert np.array_equal(step[2], C) and np.array_equal(loss[2], C)


def test_a_samples_step_does_not_depend_on_its_neighbours(level, dtype, rng):
    X, W, H, C = kl_instance(rng, 40, 50, 5, 0.1, dtype)
    together = kl(X, W, H, C, 1)[1]
    alone = [kl(X[r : r + 1], W, H[r : r + 1], C, 1)[1][0] for r in range(40)]
    assert np.array_equal(together, alone)
