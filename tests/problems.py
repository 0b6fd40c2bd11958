# SPDX-License-Identifier: BSD-3-Clause
"""Named instances, one generator per theme of failure; `tests/test_problems.py` tests them."""

import numpy as np


def tall(rng):
    return rng.standard_normal((30, 8)), rng.standard_normal(30)


def wide(rng):
    return rng.random((8, 30)), rng.standard_normal(8)


def square(rng):
    return rng.random((12, 12)), rng.random(12)


def rank_deficient(rng):
    """Rank 3 exactly: small integers, so that no rounding hides or makes rank."""
    left = rng.integers(0, 4, (20, 3)).astype(float)
    return left @ rng.integers(0, 4, (3, 9)).astype(float), rng.integers(-9, 9, 20).astype(float)


def duplicate_columns(rng):
    A = rng.random((15, 5))
    return A[:, rng.integers(0, 5, 12)], rng.standard_normal(15)


def zero_columns(rng):
    A = rng.standard_normal((12, 9))
    A[:, rng.permutation(9)[:3]] = 0
    return A, rng.standard_normal(12)


def negative_target(rng):
    """Non-negative generators and b < 0: the answer is x = 0."""
    return rng.random((10, 6)), -rng.random(10) - 0.1


def column_scales(rng):
    return rng.standard_normal((20, 8)) * 10.0 ** rng.uniform(-9, 9, 8), rng.standard_normal(20)


def integer_ties(rng):
    A = rng.integers(-3, 4, (6, 6)).astype(float)
    return A, rng.integers(-3, 4, 6).astype(float)


def prefix_sums(rng):
    return np.tril(np.ones((15, 15))), rng.standard_normal(15)


def exponentials(rng):
    """Multi-exponential decay, condition beyond 1e16: relaxometry."""
    echo, decay = 8.0 * np.arange(1, 49), np.geomspace(8, 2000, 60)
    A = np.exp(-echo[:, None] / decay)
    x = np.zeros(60)
    x[rng.integers(0, 60, 3)] = rng.random(3)
    b = A @ x
    return A, b + 0.005 * b.max() * rng.standard_normal(48)


def near_parallel(rng):
    a = rng.random(10)
    nearly = a * (1 + 1e-9 * rng.standard_normal(10))
    return np.stack([a, nearly, rng.random(10)], 1), rng.random(10)


def in_the_cone(rng):
    A = rng.random((20, 7))
    return A, A @ (rng.random(7) * (np.arange(7) % 2))


def row_weights(rng):
    """Rows of very different weight: rounding in a heavy one must not drown a light one."""
    weight = 10.0 ** rng.uniform(-5, 5, 12)
    return rng.standard_normal((12, 6)) * weight[:, None], rng.standard_normal(12) * weight


NNLS = (
    tall, wide, square, rank_deficient, duplicate_columns, zero_columns, negative_target,
    column_scales, integer_ties, prefix_sums, exponentials, near_parallel, in_the_cone, row_weights,
)  # fmt: skip


def salt_and_pepper(rng):
    """A sparse non-negative dictionary, a third of the target at 0 or 1, empty rows."""
    A = rng.random((60, 10)) * (rng.random((60, 10)) < 0.3)
    b = A @ (rng.random(10) * (rng.random(10) < 0.5))
    hit = rng.random(60) < 0.3
    b[hit] = rng.integers(0, 2, hit.sum())
    A[rng.random(60) < 0.1] = 0
    return A, b


def outliers(rng):
    """Regression with generators of both signs, a fifth of the rows spoiled."""
    A = rng.standard_normal((50, 12))
    b = A @ np.maximum(rng.standard_normal(12), 0)
    hit = rng.random(50) < 0.2
    b[hit] += 5 * rng.standard_normal(hit.sum())
    return A, b


def duplicate_rows(rng):
    rows = rng.integers(0, 8, 24)
    return rng.random((8, 6))[rows], rng.random(8)[rows]


def zero_rows(rng):
    A = rng.random((20, 5))
    A[rng.permutation(20)[:8]] = 0
    return A, rng.standard_normal(20)


def zero_one(rng):
    """Counts: nearly every vertex is shared by many rows."""
    A = rng.integers(0, 2, (40, 12)).astype(float)
    return A, rng.integers(0, 3, 40).astype(float)


def row_scales(rng):
    """Once went through a wall: x of 1e4 beside rows of 1e-9."""
    A = rng.standard_normal((34, 28)) * 10.0 ** rng.integers(-9, 10, (34, 1))
    return A, rng.random(34) * (rng.random(34) < 0.3)


def plus_and_minus(rng):
    """Every generator with its negative: coefficients of any sign, no shift exists."""
    half = rng.standard_normal((20, 5))
    return np.hstack([half, -half]), rng.standard_normal(20)


NNLAD = (
    *NNLS, salt_and_pepper, outliers, duplicate_rows, zero_rows, zero_one, row_scales,
    plus_and_minus,
)  # fmt: skip


def spectra(rng, m, n, p):
    """A batch (m, n), (m, p): broad peaks that overlap, of which a few are in each mixture."""
    t = np.linspace(0, 1, m)[:, None]
    A = np.exp(-0.5 * ((t - rng.random(n)) / (0.05 + 0.2 * rng.random(n))) ** 2)
    A += 0.01 * rng.random((m, n))
    X = rng.random((n, p)) * (rng.random((n, p)) < 0.3)
    return A, A @ X + 0.01 * rng.standard_normal((m, p))
