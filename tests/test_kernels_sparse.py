# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of sparse training against their NumPy twins, at every SIMD level and dtype."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastcone._kernels import reference
from fastcone._nmf import kernels as nmf_kernels
from fastcone._runtime import kernels as runtime_kernels
from fastcone._runtime.threads import aligned

LEAST = 1e-25
RANKS = [1, 3, 16, 20, 33, 70]


def padded(A):
    """A copy in rows on lane boundaries, zeros beyond its columns."""
    width = runtime_kernels.panel(A.dtype)
    wide = aligned((len(A), -(-A.shape[1] // width) * width), A.dtype)
    wide[...] = 0
    wide[:, : A.shape[1]] = A
    return wide


def rows(rng, dtype, p=7, m=40):
    """Rows of 0, 1, 2, ... entries, two of them longer than a chunk of ratios, one full."""
    counts = [0, 1, 2, 16, 17, 33, m]
    X = np.zeros((p, m))
    for r, count in enumerate(counts):
        X[r, rng.choice(m, count, replace=False)] = rng.gamma(0.5, 1, count) + 1e-3
    return sp.csr_array(X.astype(dtype))


def parts(X):
    return X.indptr.astype(np.intp), X.indices.astype(np.int32), X.data


@pytest.mark.parametrize("k", RANKS)
def test_product_is_its_twin(level, dtype, rng, k):
    X, A = rows(rng, dtype), rng.standard_normal((40, k)).astype(dtype)
    A_wide = padded(A)
    C = np.full((7, A_wide.shape[1]), np.nan, dtype=dtype)
    C_wide = padded(C)
    nmf_kernels.sparse_product(*parts(X), k, A_wide, C_wide)
    want = reference.product(A.astype(float), X.toarray())[0]
    size = reference.product(np.abs(A).astype(float), X.toarray())[0]
    assert np.all(np.abs(C_wide[:, :k] - want) <= 45 * np.finfo(dtype).eps * size)
    assert np.all(C_wide[:, k:] == 0)


@pytest.mark.parametrize("k", RANKS)
def test_kl_is_its_twin(level, dtype, rng, k):
    X = rows(rng, dtype)
    A, H = ((rng.random((n, k)) + 0.1).astype(dtype) for n in (40, 7))
    want, want_loss = reference.sparse_kl(
        X.toarray().astype(float), A.astype(float), H.astype(float)
    )
    loss = np.full(7, np.nan)
    sums = [padded(np.full((7, k), np.nan, dtype=dtype)) for _ in range(2)]
    nmf_kernels.sparse_kl(*parts(X), k, padded(A), padded(H), LEAST, sums[0], loss)
    nmf_kernels.sparse_kl(*parts(X), k, padded(A), padded(H), LEAST, sums[1], None)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(sums[0][:, :k], want, rtol=(k + 60) * eps)
    np.testing.assert_allclose(loss, want_loss, rtol=(k + 60) * eps, atol=100 * (k + 2) * eps)
    assert np.array_equal(sums[0], sums[1]) and np.all(sums[0][:, k:] == 0)


def test_kl_below_least_counts_as_least(level, dtype):
    X, zero = sp.csr_array(np.array([[2.0]], dtype=dtype)), padded(np.zeros((1, 1), dtype=dtype))
    C, loss = zero.copy(), np.empty(1)
    C = padded(C)
    nmf_kernels.sparse_kl(*parts(X), 1, zero, zero, LEAST, C, loss)
    np.testing.assert_allclose(loss, 2 * np.log(2 / LEAST) - 2, rtol=1e-6)
    assert C[0, 0] == 0


def test_a_part_of_the_rows_is_that_part(level, dtype, rng):
    X, A = rows(rng, dtype), padded(rng.random((40, 5)).astype(dtype))
    start, index, x = parts(X)
    whole, part = (padded(np.zeros((n, 5), dtype=dtype)) for n in (7, 3))
    nmf_kernels.sparse_product(start, index, x, 5, A, whole)
    nmf_kernels.sparse_product(start[3:7], index, x, 5, A, part)
    assert np.array_equal(whole[3:6], part)


@pytest.mark.parametrize("k", RANKS)
def test_models_are_their_twin(level, dtype, rng, k):
    X = rows(rng, dtype)
    start, index, _ = parts(X)
    A, H = (rng.standard_normal((n, k)).astype(dtype) for n in (40, 7))
    for first, last in ((0, 7), (3, 7)):
        part = start[first : last + 1]
        y = np.full(part[-1] - part[0] + 1, np.nan, dtype=dtype)
        nmf_kernels.sparse_models(part, index, k, padded(A), padded(H[first:last]), y)
        known = X.toarray()[first:last] != 0
        want = (H.astype(float) @ A.T)[first:last][known]
        size = (np.abs(H).astype(float) @ np.abs(A).T)[first:last][known]
        in_order = y[:-1][np.argsort(_by_row(part, index), kind="stable")]
        assert np.all(np.abs(in_order - want) <= (k + 5) * np.finfo(dtype).eps * size)
        assert np.isnan(y[-1])


def _by_row(start, index):
    """A key that sorts the entries of these rows by row, then by index."""
    which = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return which * 1000 + index[start[0] : start[-1]]


@pytest.mark.parametrize("k, fixed", [*((k, 0) for k in RANKS), (3, 2), (33, 2), (70, 69)])
@pytest.mark.parametrize("penalties", [(0, 0), (0.3, 0), (0, 0.5), (0.2, 0.1)], ids=str)
def test_descent_is_its_twin(level, dtype, rng, k, fixed, penalties):
    X = rows(rng, dtype)
    A, H = ((rng.random((n, k)) + 0.1).astype(dtype) for n in (40, 7))
    A[:, k // 2] = 0
    ours = padded(H)
    start, index, x = parts(X)
    work = aligned((nmf_kernels.sparse_cd_work(start, k, ours.shape[1], dtype.itemsize),), dtype)
    args = start, index, x, k, padded(A), ours, fixed, 3, *map(float, penalties), work
    nmf_kernels.sparse_cd(*args)
    dense = X.toarray().astype(float)
    want = reference.sparse_cd(
        dense, dense > 0, A.astype(float), H.astype(float), 3, penalties, fixed
    )
    tol = 2e-3 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(ours[:, :k], want, rtol=tol, atol=tol)
    assert np.array_equal(ours[:, :fixed], H[:, :fixed]) and np.all(ours[:, k:] == 0)
    assert np.all(ours[0, fixed:k] == 0)  # a row without entries
