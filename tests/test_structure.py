# SPDX-License-Identifier: BSD-3-Clause
"""Broken sparse matrices of every format are refused by name, and no one's arrays are changed."""

import numpy as np
import pytest
import scipy.sparse as sp

import fastcone

FORMATS = ("csr", "csc", "bsr", "coo", "lil", "dok", "dia")
CALLS = {
    "A": lambda M: fastcone.solve_nnls(M, np.ones(M.shape[0])),
    "B": lambda M: fastcone.solve_nnls(np.eye(M.shape[0]), M),
    "X": lambda M: fastcone.nmf(M, 2, max_iter=1, tol=0),
    "X of fit": lambda M: fastcone.Cone.fit(M, 2, max_iter=1, tol=0),
    "V": lambda M: fastcone.Cone(np.eye(M.shape[1])).project(M),
}


def matrix(kind, n=30):
    return sp.random_array((n, n), density=0.2, rng=np.random.default_rng(0)).asformat(kind)


def coo(M):
    M.coords = (M.coords[0], M.coords[1] + 10**7)


def coo_short(M):
    M.coords = (M.coords[0][:-1], M.coords[1])


def negative_end(M):
    M.indptr[-1], M.indptr[5] = -1, 10**7


def falling(M):
    M.indptr[3] = M.indptr[4] + 1


def beyond(M):
    M.indptr[-1] = len(M.indices) + 7


def late_begin(M):
    M.indptr[0] = 1


def far_index(M):
    M.indices[2] = 10**7


def negative_index(M):
    M.indices[2] = -1


def short_data(M):
    M.data = M.data[:-5]


def long_pointers(M):
    M.indptr = np.append(M.indptr, M.indptr[-1])


def lil_index(M):
    M.rows[3] = [10**7, *M.rows[3][1:]]


def lil_lengths(M):
    M.data[3] = [*M.data[3], 1.0]


def lil_text(M):
    M.rows[3] = ["a"] * len(M.data[3])


def dok_key(M):
    dict.__setitem__(M._dict, (3, 10**7), 1.0)


def dia_rows(M):
    M.offsets = M.offsets[:-1]


def dia_twice(M):
    M.offsets = np.zeros_like(M.offsets)


BROKEN = [("coo", coo), ("coo", coo_short), ("lil", lil_index), ("lil", lil_lengths),
          ("lil", lil_text), ("dok", dok_key), ("dia", dia_rows), ("dia", dia_twice)]  # fmt: skip
BROKEN += [
    (kind, breaks)
    for kind in ("csr", "csc", "bsr")
    for breaks in (negative_end, falling, beyond, late_begin, far_index, negative_index,
                   short_data, long_pointers)
]  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind, breaks", BROKEN, ids=lambda v: getattr(v, "__name__", v))
def test_a_broken_matrix_is_refused_by_name(kind, breaks, name):
    M = matrix(kind)
    breaks(M)
    with pytest.raises(ValueError, match=f"{name[0]} is not a well-formed sparse matrix"):
        CALLS[name](M)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", CALLS)
def test_every_format_gives_the_answer_of_its_dense_array_and_stays_as_it_was(kind, name):
    M = matrix(kind)
    before = {k: np.array(v) for k, v in vars(M).items() if isinstance(v, np.ndarray)}
    CALLS[name](M)
    for key, array in before.items():
        assert np.array_equal(getattr(M, key), array) and getattr(M, key).dtype == array.dtype
    if name == "A":
        found, want = (fastcone.solve_nnls(A, np.ones(30)).x for A in (M, matrix(kind).toarray()))
        np.testing.assert_allclose(found, want, atol=1e-8)


def test_entries_beyond_the_last_pointer_are_left_in_place():
    M = matrix("csc")
    M.indices = np.append(M.indices, 10**7)
    M.data = np.append(M.data, np.nan)
    size = len(M.data)
    x = fastcone.solve_nnls(M, np.ones(30)).x
    assert len(M.data) == size and np.array_equal(
        x, fastcone.solve_nnls(matrix("csc"), np.ones(30)).x
    )
