# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark's own peers are right."""

import numpy as np
import pytest
import scipy.optimize

pytest.importorskip("bench", reason="the benchmarks are not beside this checkout")
from bench.solvers import fnnls_, pivoting_


@pytest.mark.parametrize("peer", [fnnls_, pivoting_], ids=lambda peer: peer.NAME)
@pytest.mark.parametrize("shape", [(30, 8), (40, 40), (100, 30), (10, 1)], ids=str)
@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_the_reference_peers_agree_with_scipy(peer, shape, l1, rng):
    m, n = shape
    A = rng.standard_normal((m, n)) + 3 * np.eye(m, n)
    B = np.concatenate([A @ np.maximum(rng.standard_normal((n, 20)), 0),
                        rng.standard_normal((m, 20)), -A @ np.ones((n, 1))], axis=1)  # fmt: skip
    # with a penalty: the same minimiser from a square system
    L = np.linalg.cholesky(A.T @ A)
    best = [scipy.optimize.nnls(L.T, c)[0] for c in np.linalg.solve(L, A.T @ B - l1).T]
    X = peer.solve(A, B, l1)
    assert (X >= 0).all()
    np.testing.assert_allclose(X, np.stack(best, axis=1), atol=1e-8)


def test_columns_that_share_a_passive_set_are_solved_together_and_right(rng):
    A = rng.random((20, 6)) + np.eye(20, 6)
    B = np.repeat(A @ (rng.random((6, 3)) + 1), 5, axis=1)
    np.testing.assert_allclose(A @ pivoting_.solve(A, B, 0.0), B, atol=1e-10)
