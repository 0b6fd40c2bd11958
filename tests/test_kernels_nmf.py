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

LEAST = 1e-25

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


@pytest.mark.parametrize("n", range(-8, 13))
def test_multiples_of_one_half_are_their_twin(level, dtype, n):
    """In the dtype's own arithmetic, and, in the pieces with an entry out of range, in float64."""
    kind = {0: "is", 2: "kl", 4: "square"}.get(n, "beta")
    rng = np.random.default_rng(0)
    for far in (None, 1e-9, 1e5):
        with naming(far=far):
            Y = rng.gamma(4, 0.25, (3, 600)) + 0.05
            X = Y * rng.gamma(4, 0.25, Y.shape) + 0.01
            if far:
                Y[1, 300] = X[1, 300] = far
            X, Y, one = (A.astype(dtype) for A in (X, Y, np.ones((1, 600))))
            found = entries(kind, n / 2, X, Y, one)
            want = reference.nmf_entries(n / 2, *(A.astype(float) for A in (X, Y, one)))
            with np.errstate(over="ignore"):
                want = [w.astype(dtype) for w in want]
            eps = np.finfo(dtype).eps
            tiny = np.finfo(dtype).tiny
            for ours, theirs in zip(found[:2], want[:2], strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=32 * eps, atol=8 * tiny)
            np.testing.assert_allclose(found[2], want[2], rtol=640 * eps)


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


@pytest.mark.parametrize("beta", [1.5, 3])
def test_beta_of_models_whose_powers_are_below_the_dtype(level, dtype, beta):
    """y^(beta - 1) may be 0 in float32 where y^beta phi(x / y) is x^beta / (beta (beta - 1))."""
    X = np.linspace(0.1, 2, 40, dtype=dtype)[None]
    Y = np.full_like(X, LEAST)
    value = entries("beta", beta, X, Y, np.ones_like(X))[2]
    x, y = X.astype(np.longdouble), Y.astype(np.longdouble)
    want = float((y**beta * beta_of_ratio(beta, x / y)).sum())
    np.testing.assert_allclose(value, want, rtol=64 * np.finfo(dtype).eps)


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
