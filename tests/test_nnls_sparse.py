# SPDX-License-Identifier: BSD-3-Clause
"""Sparse generators and targets: the answers of the dense ones, without their memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

import fastcone

FORMS = [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array]


def sparse_problem(rng, m=120, n=15, p=40, density=0.2):
    A = sp.random_array((m, n), density=density, rng=rng).toarray()
    return A, sp.random_array((m, p), density=density, rng=rng).toarray()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("which", ["A", "B", "both"])
def test_sparse_equals_dense(form, which, rng, dtype):
    A, B = (matrix.astype(dtype) for matrix in sparse_problem(rng))
    tol = 1e-6 if dtype == np.float32 else 1e-9
    want = fastcone.solve_nnls(A, B, l1=0.01, l2=0.001, tol=tol)
    sparse_A, sparse_B = (
        form(M) if which in (name, "both") else M for M, name in ((A, "A"), (B, "B"))
    )
    got = fastcone.solve_nnls(sparse_A, sparse_B, l1=0.01, l2=0.001, tol=tol)
    assert got.converged.all() and got.x.dtype == dtype
    at_zero = (B.astype(float) ** 2).sum(axis=0) / 2
    assert np.all(np.abs(got.objective - want.objective) <= 2 * tol * at_zero)


@pytest.mark.parametrize("method", ["cd", "active_set"])
def test_a_gap_is_never_smaller_than_the_truth(rng, method):
    A, B = sparse_problem(rng, m=30, n=25)
    A[:, 3] = 0
    A[:, 5] = A[:, 6]
    best = fastcone.solve_nnls(A, B, method="active_set").objective
    got = fastcone.solve_nnls(sp.csc_array(A), sp.csc_array(B), method=method, max_epochs=300)
    at_zero = (B**2).sum(axis=0) / 2
    value = ((A @ got.x - B) ** 2).sum(axis=0) / 2
    assert np.all((value - best)[at_zero > 0] <= (got.gap * at_zero + 1e-13)[at_zero > 0])


def test_unsorted_duplicate_entries_are_summed_and_the_input_stays(rng):
    A = sp.csr_array(
        (np.array([2.0, -1, 1, 1, 3]), np.array([1, 0, 0, 1, 1]), np.array([0, 2, 4, 5])),
        shape=(3, 2),
    )
    before = A.data.copy(), A.indices.copy()
    b = np.array([1.0, 2, 3])
    want = fastcone.solve_nnls(A.toarray(), b).x
    np.testing.assert_allclose(fastcone.solve_nnls(A, b).x, want, atol=1e-12)
    assert np.array_equal(before[0], A.data) and np.array_equal(before[1], A.indices)


@pytest.mark.parametrize("scale", [1e-180, 1e180])
def test_extreme_units(scale, rng):
    A, B = sparse_problem(rng)
    want = fastcone.solve_nnls(A, B).x
    got = fastcone.solve_nnls(sp.csr_array(A), sp.csc_array(B * scale)).x
    np.testing.assert_allclose(got / scale, want, atol=1e-7)


def test_batches_and_threads_change_no_bit(rng):
    A, B = (sp.csc_array(M) for M in sparse_problem(rng, p=3000))
    whole = fastcone.solve_nnls(A, B, n_threads=1)
    assert np.array_equal(whole.x, fastcone.solve_nnls(A, B, n_threads=3).x)
    assert np.array_equal(whole.x[:, 700:710], fastcone.solve_nnls(A, B[:, 700:710]).x)


def test_nothing_of_the_size_of_a_dense_matrix_is_made(rng):
    m, n, p = 200_000, 20, 300
    A = sp.random_array((m, n), density=1e-3, rng=rng, format="csc")
    B = sp.random_array((m, p), density=1e-4, rng=rng, format="csc")
    tracemalloc.start()
    solution = fastcone.solve_nnls(A, B, n_threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert solution.converged.all()
    assert peak < 64e6 < 8 * m * p / 4


def broken(what):
    A = sp.csc_array(np.eye(3))
    if what == "index":
        A.indices[1] = 7
    elif what == "pointer":
        A.indptr[1] = 9
    elif what == "negative":
        A.indices[0] = -1
    elif what == "nan":
        A.data[2] = np.nan
    return A


@pytest.mark.parametrize("what", ["index", "pointer", "negative", "nan"])
def test_a_malformed_matrix_is_named(what):
    message = "A holds NaN" if what == "nan" else "A is not a well-formed sparse matrix"
    with pytest.raises(ValueError, match=message):
        fastcone.solve_nnls(broken(what), np.ones(3))


def test_other_bad_sparse_input_is_named():
    with pytest.raises(TypeError, match="A has dtype complex128"):
        fastcone.solve_nnls(sp.csc_array(np.eye(2, dtype=complex)), np.ones(2))
    with pytest.raises(ValueError, match="B has 3 rows, want 2"):
        fastcone.solve_nnls(sp.csc_array(np.eye(2)), np.ones(3))
    with pytest.raises(ValueError, match="B holds nan at"):
        fastcone.solve_nnls(sp.csc_array(np.eye(2)), np.array([1.0, np.nan]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_targets_of_dense_generators(rng, dtype):
    """Products of sparse targets with generators that are full: the answer is that of arrays."""
    A = rng.random((300, 15)).astype(dtype)
    B = sp.random_array((300, 80), density=0.05, rng=rng, dtype=dtype, format="csc")
    found, want = fastcone.solve_nnls(A, B), fastcone.solve_nnls(A, B.toarray())
    np.testing.assert_allclose(found.x, want.x, atol=1e-4 if dtype == np.float32 else 1e-9)
    some = fastcone.solve_nnls(A, B[:, 7:12])
    assert np.array_equal(some.x, found.x[:, 7:12])


def test_very_sparse_generators_are_solved_on_their_columns(rng):
    """700 generators of 3 entries: no product of two of them is worth its time."""
    A = sp.random_array((1500, 700), density=0.002, rng=rng, format="csc")
    b = A @ rng.random(700) + 0.01 * rng.standard_normal(1500)
    found = fastcone.solve_nnls(A, b)
    want = scipy.optimize.nnls(A.toarray(), b)[1]
    assert found.converged and found.residual == pytest.approx(want, rel=1e-6)
