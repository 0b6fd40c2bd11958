# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of training against their NumPy twins, at every SIMD level and dtype."""

import numpy as np
import pytest

from fastcone import _dispatch, reference
from fastcone._threads import aligned

SIZES = [(1, 1, 1), (2, 3, 5), (7, 8, 17), (48, 17, 33), (130, 100, 5)]
LEAST = 1e-25


def outer(B, H, C):
    """The kernel on padded copies of H and C."""
    (p, m), n, dtype = B.shape, H.shape[1], B.dtype
    ld = -(-n // _dispatch.panel(dtype)) * _dispatch.panel(dtype)
    wide, sums = aligned((p, ld), dtype), aligned((m, ld), dtype)
    wide[...], sums[...] = 0, 0
    wide[:, :n], sums[:, :n] = H, C
    work = aligned((_dispatch.nmf_outer_work(p, ld, dtype),), dtype)
    _dispatch.nmf_outer(B, wide, sums, work)
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


def entries(loss, X, Y, weight, extra=0):
    """The kernel, in place on a copy of Y with `extra` columns of padding."""
    dtype = X.dtype
    Y = np.pad(Y, ((0, 0), (0, extra)))
    value = np.empty(len(X), dtype=dtype)
    _dispatch.nmf_entries(loss, X, Y, weight, LEAST, Y, value)
    assert np.all(Y[:, X.shape[1] :] == 0)
    return Y[:, : X.shape[1]], value


@pytest.mark.parametrize("loss", ["kl", "square"])
@pytest.mark.parametrize("p, m", [(1, 1), (3, 15), (2, 16), (5, 100)])
@pytest.mark.parametrize("weights", ["one row", "mask"])
def test_entries_are_their_twin(level, dtype, rng, loss, p, m, weights):
    X = rng.gamma(0.5, 1, (p, m)) * (rng.random((p, m)) < 0.8)
    Y = rng.gamma(0.5, 1, (p, m)) + 1e-3
    w = np.ones((1, m)) if weights == "one row" else (rng.random((p, m)) < 0.7).astype(float)
    X, Y, w = (a.astype(dtype) for a in (X, Y, w))
    out, value = entries(loss, X, Y, w, extra=3)
    want_out, want = reference.nmf_entries(loss, X.astype(float), Y.astype(float), w.astype(float))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(out, want_out, rtol=4 * eps)
    np.testing.assert_allclose(value, want, rtol=(m + 16) * eps, atol=1e-30)


def test_kl_of_any_ratio(level, dtype):
    """x log(x / y) - x + y = y (f log f - f + 1) over the whole range, to a few roundings."""
    far = 30 if dtype == np.float32 else 150
    f = np.concatenate([10.0 ** np.linspace(-far, far, 501), np.linspace(0.6, 1.6, 101), [0.0]])
    X, Y = f.astype(dtype)[:, None], np.ones((len(f), 1), dtype=dtype)
    _, value = entries("kl", X, Y, np.ones((1, 1), dtype=dtype))
    x = X[:, 0].astype(np.longdouble)
    want = np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0) - x + 1
    np.testing.assert_allclose(value, want.astype(float), rtol=16 * np.finfo(dtype).eps)


def test_kl_does_not_cancel_where_the_fit_is_good(level, dtype):
    step = 2.0 ** -np.arange(3, 10 if dtype == np.float32 else 24)
    X, Y = (1 + step).astype(dtype)[:, None], np.ones((len(step), 1), dtype=dtype)
    _, value = entries("kl", X, Y, np.ones((1, 1), dtype=dtype))
    n = np.arange(2, 40)[:, None]  # (1 + d) log(1 + d) - d = sum (-d)^n / (n (n - 1))
    want = np.sum((-step) ** n / (n * (n - 1)), axis=0)
    np.testing.assert_allclose(value, want, rtol=8 * np.finfo(dtype).eps)


def test_kl_below_least_counts_as_least(level, dtype):
    X, Y = np.array([[2.0, 0.0]], dtype=dtype), np.zeros((1, 2), dtype=dtype)
    out, value = entries("kl", X, Y, np.ones((1, 2), dtype=dtype))
    np.testing.assert_allclose(out, [[2 / LEAST, 0]], rtol=1e-6)
    np.testing.assert_allclose(value, 2 * np.log(2 / LEAST) - 2, rtol=1e-6)


@pytest.mark.parametrize("loss", ["kl", "square"])
@pytest.mark.parametrize("l1, l2", [(0, 0), (0.3, 0), (0, 0.7), (0.2, 0.5)])
@pytest.mark.parametrize("shared", [True, False])
def test_steps_are_their_twin(level, dtype, rng, loss, l1, l2, shared):
    H, num = (rng.random((6, 20)).astype(dtype) for _ in range(2))
    den = rng.random((1 if shared else 6, 20)).astype(dtype)
    H[0, :4], num[1, :4], den[0, 3] = 0, 0, 0
    want = reference.nmf_mu(loss, *(a.astype(float) for a in (H, num, den)), l1, l2, 1e-3)
    got = H.copy()
    _dispatch.nmf_mu(loss, 17, got, num, den, l1, l2, 1e-3)
    np.testing.assert_allclose(got[:, :17], want[:, :17], rtol=16 * np.finfo(dtype).eps)
    assert np.array_equal(got[:, 17:], H[:, 17:])
