# SPDX-License-Identifier: BSD-3-Clause
"""The multiplicative pass of any loss against its twins, at every SIMD level and dtype."""

import itertools

import numpy as np
import pytest
from naming import naming
from test_kernels_nmf import KINDS
from test_kernels_products import LEAST, close, wide

from fastcone._kernels import reference
from fastcone._nmf import passes
from fastcone._nmf.losses import Step
from fastcone._nmf.problem import Penalty
from fastcone._nmf.products import pack
from fastcone._runtime.threads import aligned

kinds = pytest.mark.parametrize("kind, beta", KINDS)
FLOOR = 1e-20


def look(kind, beta, X, weight, W, H, sums, stages, l1=0.0, l2=0.0):
    """Losses, the stepped H', and both sums, added to copies of `sums`."""
    dtype, (m, k) = X.dtype, W.shape
    step = Step(beta, Penalty(l1, l2, FLOOR), k)
    num, den = (wide(C, m) for C in sums)
    loss, Z = np.empty(len(X), dtype=dtype), H.copy()
    work = aligned((passes.look_work(num.shape[1], dtype.itemsize),), dtype)
    passes.look(
        kind, beta, step.kind, step.exponent, X, weight, pack(W.T), pack(W), H, Z, num, den,
        stages, l1, l2, FLOOR, LEAST, loss, work,
    )  # fmt: skip
    assert np.all(num[:, k:] == 0) and np.all(den[:, k:] == 0)
    return loss, Z, num[:, :k].copy(), den[:, :k].copy()


def instance(p, m, k, weights, dtype):
    """Samples without zeros, weights, factors, and sums to add to."""
    rng = np.random.default_rng(0)
    W, H = rng.random((m, k)) + 0.1, rng.random((p, k)) + 0.1
    X = (H @ W.T) * rng.gamma(4, 0.25, (p, m)) + 1e-3
    w = {"none": np.ones((1, m)), "mask": rng.random((p, m)) < 0.7, "any": rng.random((p, m))}
    parts = X, w[weights], W, H, rng.random((m, k)), rng.random((m, k))
    return [np.ascontiguousarray(a, dtype=dtype) for a in parts]


@kinds
@pytest.mark.parametrize("p, m, k", [(1, 1, 1), (5, 3, 2), (70, 40, 17), (9, 600, 4)])
def test_the_pass_is_its_twin(level, dtype, kind, beta, p, m, k):
    for weights, (l1, l2) in itertools.product(["none", "mask", "any"], [(0, 0), (0.2, 0.3)]):
        with naming(weights=weights, l1=l1, l2=l2):
            X, w, W, H, *sums = instance(p, m, k, weights, dtype)
            loss, new, num, den = look(kind, beta, X, w, W, H, sums, 2, l1, l2)
            x, a, h, weight = (A.astype(float) for A in (X, W, H, w))
            P, Q, want = reference.nmf_entries(beta, x, h @ a.T, np.broadcast_to(weight, x.shape))
            error = 8 * (m + k + 16) * np.finfo(dtype).eps
            size = np.sum((x - h @ a.T) ** 2 * weight, axis=1) if beta == 2 else want
            np.testing.assert_allclose(loss, want, rtol=4 * error, atol=error * (size.max() + 1))
            step = reference.nmf_mu(beta, h, P @ a, Q @ a, l1, l2, FLOOR)
            np.testing.assert_allclose(new, step, rtol=4 * error, atol=FLOOR)
            h = new.astype(float)
            P, Q, _ = reference.nmf_entries(beta, x, h @ a.T, np.broadcast_to(weight, x.shape))
            for found, entry, C in zip((num, den), (P, Q), sums, strict=True):
                want = reference.nmf_outer(entry, h, C.astype(float))
                assert close(found, want, 4 * want, p + k + 16)


@kinds
def test_the_stages_of_the_pass_agree(level, dtype, kind, beta):
    X, w, W, H, *sums = instance(70, 300, 5, "any", dtype)
    whole, step, loss = (look(kind, beta, X, w, W, H, sums, stages) for stages in (2, 1, 0))
    assert np.array_equal(whole[0], step[0]) and np.array_equal(whole[0], loss[0])
    assert np.array_equal(whole[1], step[1]) and np.array_equal(loss[1], H)
    for found, given in zip(step[2:] + loss[2:], sums + sums, strict=True):
        assert np.array_equal(found, given)


@kinds
def test_a_samples_step_does_not_depend_on_its_neighbours(level, dtype, kind, beta):
    X, w, W, H, *sums = instance(70, 300, 5, "any", dtype)
    X[3, 7] = 1e30 if dtype == np.float32 else 1e290  # takes its own row out of easy range
    with np.errstate(all="ignore"):
        together = look(kind, beta, X, w, W, H, sums, 1)[1]
        for r in range(0, 70, 9):
            one = slice(r, r + 1)
            alone = look(kind, beta, X[one], w[one], W, H[one], sums, 1)[1]
            assert np.array_equal(together[one], alone, equal_nan=True)
