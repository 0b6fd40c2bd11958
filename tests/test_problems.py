# SPDX-License-Identifier: BSD-3-Clause
"""The generators of test instances do what their names say."""

import numpy as np
import pytest
from problems import NNLAD


@pytest.mark.parametrize("make", NNLAD, ids=lambda make: make.__name__)
def test_instances_are_finite_and_differ(make):
    A, b = make(np.random.default_rng(1))
    other, _ = make(np.random.default_rng(2))
    assert A.ndim == 2 and b.shape == (len(A),)
    assert np.isfinite(A).all() and np.isfinite(b).all() and b.any()
    if make.__name__ not in ("prefix_sums", "exponentials"):
        assert not np.array_equal(A, other)


def test_names_hold():
    made = {make.__name__: make(np.random.default_rng(3)) for make in NNLAD}
    assert np.linalg.matrix_rank(made["rank_deficient"][0]) < 9
    assert len(np.unique(made["duplicate_columns"][0], axis=1).T) < 12
    assert not made["zero_columns"][0].any(axis=0).all()
    assert (made["negative_target"][1] < 0).all() and (made["negative_target"][0] >= 0).all()
    assert np.ptp(np.log10(np.abs(made["column_scales"][0]).max(axis=0))) > 3
    assert np.linalg.cond(made["exponentials"][0]) > 1e15
    assert np.linalg.cond(made["near_parallel"][0]) > 1e8
    assert not made["zero_rows"][0].any(axis=1).all()
    assert len(np.unique(made["duplicate_rows"][0], axis=0)) < 24
    assert np.ptp(np.log10(np.abs(made["row_scales"][0]).max(axis=1))) > 9
    assert np.isin(made["salt_and_pepper"][1], (0, 1)).mean() > 0.2
    half = made["plus_and_minus"][0]
    assert np.array_equal(half[:, :5], -half[:, 5:])
