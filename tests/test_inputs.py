# SPDX-License-Identifier: BSD-3-Clause
"""Arrays as users have them: every solver takes them as it takes their clean copies."""

import numpy as np
import pytest

from fastcone import solve_nnlad, solve_nnls
from fastcone._runtime.validation import real_array

KINDS = ["read-only", "strided", "big-endian", "integer", "list", "memmap"]


@pytest.mark.parametrize("solve", [solve_nnls, solve_nnlad])
@pytest.mark.parametrize("kind", KINDS)
def test_every_input_equals_its_clean_copy_and_stays_as_it_was(solve, kind, rng, tmp_path):
    A, B = rng.integers(0, 9, (12, 5)), rng.integers(-5, 9, (12, 7))
    want = solve(A.astype(float), B.astype(float)).x
    if kind == "read-only":
        A, B = A.astype(float), B.astype(float)
        A.flags.writeable = B.flags.writeable = False
    elif kind == "strided":
        A, B = np.repeat(A.astype(float), 2, axis=1)[:, ::2], B.astype(float)[::-1][::-1, :]
    elif kind == "big-endian":
        A, B = A.astype(">f8"), B.astype(">i2")
    elif kind == "list":
        A, B = A.tolist(), B.tolist()
    elif kind == "memmap":
        np.save(tmp_path / "B.npy", B.astype(float))
        B = np.load(tmp_path / "B.npy", mmap_mode="r")
    before = np.array(A), np.array(B)
    assert np.array_equal(solve(A, B).x, want)
    assert np.array_equal(before[0], A) and np.array_equal(before[1], B)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", ">f8"])
def test_a_large_array_copied_in_parts_is_the_same_array(order, dtype, rng):
    array = rng.integers(0, 99, (700, 2100)).astype(dtype)
    given = array if order == "F" else np.asfortranarray(array)
    found = real_array("X", given, ndim=(2,), order=order)
    assert found.flags[f"{order}_CONTIGUOUS"] and found.dtype == ("f4" if dtype == "f4" else "f8")
    assert np.array_equal(found, array)
    assert np.shares_memory(real_array("X", found, ndim=(2,), order=order), found)
