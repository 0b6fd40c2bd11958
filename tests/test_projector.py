# SPDX-License-Identifier: BSD-3-Clause
"""Generators prepared once: the answers of one-off calls, and what must not be remembered."""

import copy
import gc
import pickle
import threading
import time

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from problems import spectra

import fastcone
from fastcone import Cone, Projector, solve_nnls
from fastcone.cone import prepared
from fastcone.operators import Mask


@pytest.mark.parametrize("shape", [(10, 5), (200, 12), (120, 60), (60, 90)])
def test_the_default_answer_is_that_of_an_exact_solver(level, shape, rng):
    for A, B in (spectra(rng, *shape, 12), (rng.random(shape), rng.random((shape[0], 12)))):
        solution = solve_nnls(A, B)
        assert solution.converged.all()
        if shape[0] >= shape[1]:  # else there may be many optima
            for r in range(12):
                x, _ = scipy.optimize.nnls(A, B[:, r], maxiter=100 * shape[1])
                np.testing.assert_allclose(solution.x[:, r], x, rtol=1e-7, atol=1e-9)


def test_a_projector_gives_the_bits_of_single_calls(level, rng):
    A, B = rng.random((50, 20)), rng.random((50, 300))
    projector = Projector(A, l2=0.1)
    together = projector.solve(B, l1=0.05)
    assert np.array_equal(together.x, solve_nnls(A, B, l1=0.05, l2=0.1).x)
    for r in (0, 17, 299):
        alone = projector.solve(B[:, r], l1=0.05)
        assert np.array_equal(alone.x, together.x[:, r]) and alone.gap == together.gap[r]


def test_layouts_and_dtypes_of_targets_change_no_bit(level, rng):
    A, B = rng.random((33, 7)), rng.random((33, 130))
    projector = Projector(A)
    want = projector.solve(np.asfortranarray(B)).x
    wide = np.zeros((66, 260))
    wide[::2, ::2] = B
    for same in (np.ascontiguousarray(B), wide[::2, ::2], B.astype(">f8"), B[::-1][::-1]):
        assert np.array_equal(projector.solve(same).x, want)
    narrow = B.astype(np.float32)
    assert np.array_equal(projector.solve(narrow).x, projector.solve(narrow.astype(float)).x)


def test_a_projector_does_not_see_later_changes_of_its_matrix(rng):
    A, b = rng.random((20, 6)), rng.random(20)
    projector, want = Projector(A), solve_nnls(A, b).x
    A[...] = 0
    assert np.array_equal(projector.solve(b).x, want)
    assert np.array_equal(projector.solve(b.astype(np.float32)).x,
                          projector.solve(b.astype(np.float32).astype(float)).x)  # fmt: skip


def test_a_projector_is_copied_and_pickled(rng):
    A, b = rng.random((20, 6)), rng.random(20)
    for sparse in (False, True):
        projector = Projector(sp.csc_array(A) if sparse else A, l2=0.5)
        want = projector.solve(b).x
        for other in (copy.deepcopy(projector), pickle.loads(pickle.dumps(projector))):
            assert np.array_equal(other.solve(b).x, want)


def test_a_projector_serves_several_threads(rng):
    A, B = rng.random((60, 30)), rng.random((60, 40))
    projector, found = Projector(A), {}
    want = solve_nnls(A, B).x

    def work(k):
        found[k] = [projector.solve(B[:, r]).x for r in range(40)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answers in found.values():
        assert all(np.array_equal(x, want[:, r]) for r, x in enumerate(answers))


def test_a_transposed_target_is_told(rng):
    with pytest.raises(ValueError, match="transpose, targets are columns"):
        Projector(rng.random((20, 6))).solve(rng.random((5, 20)))


def test_many_sparse_generators_are_solved_on_their_columns(rng):
    A = sp.random(4000, 1600, 0.005, format="csc", random_state=rng)
    b = A @ (rng.random(1600) * (rng.random(1600) < 0.1)) + 0.01 * rng.standard_normal(4000)
    for l1, l2 in ((0.0, 0.0), (0.05, 0.0), (0.0, 0.3)):
        solution = solve_nnls(A, b, l1=l1, l2=l2, tol=1e-9)
        assert solution.converged and solution.gap <= 1e-9
        g = A.T @ (A @ solution.x - b) + l1 + l2 * solution.x
        assert np.all(g >= -1e-4) and np.abs(g * solution.x).max() < 1e-4
    warm = solve_nnls(A, b, l2=0.3, tol=1e-9, x0=solution.x)
    assert warm.epochs < solution.epochs
    both = solve_nnls(A, sp.csc_array(np.column_stack([b, 2 * b])), tol=1e-9)
    np.testing.assert_allclose(both.x[:, 1], 2 * both.x[:, 0], atol=1e-3)
    assert not solve_nnls(A, np.zeros(4000)).x.any()


def test_a_time_limit_is_kept_where_nothing_can_be_prepared(rng):
    A, b = rng.random((3000, 2000)), rng.random(3000)
    start = time.monotonic()
    solution = solve_nnls(A, b, time_limit=0.1)
    assert time.monotonic() - start < 1.0  # 0.15 s on an idle machine
    assert np.all(solution.x >= 0) and solution.objective < (b @ b) / 4
    assert solution.gap == pytest.approx(2 * solution.objective / (b @ b))


def test_a_cone_prepares_once_and_forgets_the_oldest(rng, monkeypatch):
    cone, V = Cone(rng.random((30, 4))), rng.random((5, 30))
    made = []
    plain = Projector.checked.__func__
    monkeypatch.setattr(
        Projector, "checked", classmethod(lambda cls, A, l2: made.append(1) or plain(cls, A, l2))
    )
    first = cone.project(V).coef
    assert np.array_equal(cone.project(V).coef, first) and len(made) == 1
    mask = rng.random(30) < 0.5
    seen = cone.through(mask=mask)
    assert np.array_equal(seen.project(V).coef, cone.project(V, mask=mask).coef)
    assert np.array_equal(seen.encode(V), seen.project(V).coef) and len(made) == 2
    operator = Mask(mask)
    a = cone.through(operator).distance(V[:, mask])
    np.testing.assert_allclose(a, seen.distance(V), rtol=1e-9)
    monkeypatch.setattr(prepared, "KEPT_BYTES", 1)
    cone.project(V, mask=~mask)
    before = len(made)
    cone.project(V, mask=mask)
    assert len(made) == before + 1
    assert np.array_equal(pickle.loads(pickle.dumps(cone)).project(V).coef, first)


def test_a_heavy_row_costs_the_others_no_digit(level):
    """Constrained unmixing, a sum-to-one row weighted 1e8: once wrong in the first digit."""
    rng = np.random.default_rng(0)
    A, x = rng.random((30, 8)), rng.dirichlet(np.ones(8))
    b = A @ x + 0.01 * rng.standard_normal(30)
    want = solve_nnls(A, b, sum_to=1.0).x
    for weight in (1e7, 1e8, 1e10, 1e12):
        heavy, target = np.vstack([A, weight * np.ones(8)]), np.r_[b, weight]
        for found in (fastcone.nnls(heavy, target)[0], solve_nnls(heavy, target).x):
            np.testing.assert_allclose(found, want, atol=1e-9)


def test_row_weights_are_roots_on_the_rows(level, rng):
    A, B, w = rng.random((30, 5)), rng.random((30, 4)), 10.0 ** rng.integers(-3, 4, 30)
    w[3] = 0
    root = np.sqrt(w)
    want = solve_nnls(A * root[:, None], B * root[:, None]).x
    assert np.array_equal(solve_nnls(A, B, row_weights=w).x, want)
    np.testing.assert_allclose(solve_nnls(A, B[:, 0], row_weights=w).x, want[:, 0])
    sparse = solve_nnls(sp.csc_array(A), sp.csc_array(B), row_weights=w)
    np.testing.assert_allclose(sparse.x, want, atol=1e-7)
    for bad in (w[:-1], -w, np.full(30, np.nan)):
        with pytest.raises(ValueError, match="row_weights"):
            solve_nnls(A, B, row_weights=bad)


def test_an_answer_leaves_nothing_to_the_garbage_collector(rng):
    """Prepared generators are as large as A: they are freed at once, not when cycles are sought."""
    A, b = rng.random((30, 6)), rng.random(30)
    fastcone.solve_nnls(A, b)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            fastcone.solve_nnls(A, b), fastcone.solve_nnls(A[:4], b[:4], l1=0.1)
            fastcone.Projector(A).solve(np.c_[b, -b], n_threads=1)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_gap_proved_of_products_in_float32_holds(level, rng):
    """The products A'b are then formed in float32: the gap allows for the worst roundings."""
    proved = 0
    for m in (1, 7, 130, 784, 3000):
        for kind in range(6):
            n = int(rng.integers(1, 40))
            A = np.abs(rng.standard_normal((m, n))) ** rng.choice([1, 3])
            A *= rng.random((m, n)) < rng.choice([0.2, 1.0])
            A = (A * 2.0 ** rng.integers(-20, 20, n)).astype(np.float32)
            B = A @ rng.random((n, 9)) if kind % 2 else rng.standard_normal((m, 9))
            B = (B * 10.0 ** rng.uniform(-12, 12, 9)).astype(np.float32)
            l1 = rng.random(9) * np.abs(A.T @ B).max(axis=0) * (kind > 2)
            found = fastcone.solve_nnls(A, B, l1=l1)
            wide, targets, x = A.astype(float), B.astype(float), found.x.astype(float)
            best = fastcone.solve_nnls(wide, targets, l1=l1)
            objective = ((wide @ x - targets) ** 2).sum(axis=0) / 2 + l1 * x.sum(axis=0)
            at_zero = (targets**2).sum(axis=0) / 2
            true = (objective - best.objective) / np.where(at_zero > 0, at_zero, 1)
            assert np.all(true <= found.gap + best.gap + 1e-13)
            assert np.all(np.abs(found.objective - objective) <= 1e-5 * at_zero)
            proved += found.converged.sum()
    assert proved > 200


def test_a_repeated_row_of_a_register_block_is_added_once(level, rng):
    """Blocks of problems that are not full repeat one of them: its partial sums came twice."""
    A, B = rng.random((700, 9)), rng.random((700, 5))
    for dtype in (np.float32, np.float64):
        found = fastcone.solve_nnls(A.astype(dtype), B.astype(dtype))
        want = np.stack([scipy.optimize.nnls(A, b)[0] for b in B.T], axis=1)
        np.testing.assert_allclose(found.x, want, atol=1e-4 if dtype == np.float32 else 1e-9)


def test_the_residual_is_that_of_the_answer(rng):
    A, B, l1 = rng.random((30, 6)), rng.standard_normal((30, 4)), rng.random(4)

    def residual(found, norm=2):
        return np.linalg.norm(A @ found.x - B, ord=norm, axis=0)

    weights = rng.random(30)
    for options in ({}, {"l1": l1}, {"l2": 0.3}, {"l1": l1, "l2": 0.2}, {"upper": 0.1},
                    {"sum_to": 1.0}, {"method": "active_set"}):  # fmt: skip
        found = solve_nnls(A, B, **options)
        np.testing.assert_allclose(found.residual, residual(found), rtol=1e-9)
        one = solve_nnls(A, B[:, 0], **(options | ({"l1": l1[0]} if "l1" in options else {})))
        assert np.ndim(one.residual) == 0 and one.residual == found.residual[0]
    found = solve_nnls(A, B, row_weights=weights)
    scaled = np.sqrt(weights)[:, None] * (A @ found.x - B)
    np.testing.assert_allclose(found.residual, np.linalg.norm(scaled, axis=0), rtol=1e-9)
    found = fastcone.solve_nnlad(A, B, l1=l1)
    np.testing.assert_allclose(found.residual, residual(found, 1), rtol=1e-9)
    gram = {"G": A.T @ A, "C": A.T @ B}
    found = fastcone.solve_nnls_gram(**gram, b_norm2=(B**2).sum(axis=0))
    np.testing.assert_allclose(found.residual, residual(found), rtol=1e-9)
    assert np.isnan(fastcone.solve_nnls_gram(**gram).residual).all()
    exact = solve_nnls(A, A @ np.ones(6))
    assert exact.residual <= 1e-7 * np.linalg.norm(A @ np.ones(6))
    stack = solve_nnls(np.stack([A, 2 * A]), B[:, :2].T)
    want = [scipy.optimize.nnls(M, b)[1] for M, b in zip((A, 2 * A), B.T[:2], strict=True)]
    np.testing.assert_allclose(stack.residual, want, rtol=1e-9)
