# SPDX-License-Identifier: BSD-3-Clause
"""Where an iteration starts: random factors, or the signs of a truncated SVD.

    random     |N(0, 1)| sqrt(mean(X) / k), H before W
    nndsvd     pair j of the SVD, u v', s_j: the larger of s_j u+ v+' and s_j u- v-', split evenly
    nndsvda    its zeros filled with mean(X), for X of order 1
    nndsvdar   its zeros filled with |N(0, 1)| mean(X) / 100, likewise
    exemplars  samples as columns, H = 0: each is drawn with a probability proportional to its
               squared distance from the rays of those before (k-means++ on directions)

The leading pair is non-negative by itself (Perron): its zeros are the data's and stay.

The SVD comes from a subspace iteration on XX' that reads X once per step, in fixed blocks and from
a fixed random subspace: `nndsvd` and `nndsvda` do not draw from `random_state`.

Reference: Boutsidis, Gallopoulos, Pattern Recognition 41, 2008; Halko, Martinsson, Tropp, SIAM
Review 53, 2011; Arthur, Vassilvitskii, SODA 2007.
"""

from __future__ import annotations

import math

import numpy as np

from fastcone._nmf.problem import Block, Factors, Problem
from fastcone._runtime import threads
from fastcone._runtime.threads import Scratch

INITS = ("random", "nndsvd", "nndsvda", "nndsvdar", "exemplars")
EXTRA = 10  # dimensions of the subspace beyond the rank
STEPS = 4  # of the subspace iteration
LEAST = 1e-6  # of the largest entry of a factor: what is below counts as zero in nndsvd
ROWS = 1 << 14  # samples drawn at a time
POOL = 1024  # samples that exemplars are drawn from, beyond 8 for each


def mean(problem: Problem) -> float:
    """Return the mean of the known entries."""
    total = problem.per_block(problem.samples)
    count = np.zeros(len(total))

    def work(block: Block, scratch: Scratch) -> None:
        X = problem.X.block(block.rows, scratch)
        total[block.index] = problem.X.total(X)
        if problem.known is not None:
            count[block.index] = np.count_nonzero(problem.known[block.rows])
        else:
            count[block.index] = problem.X.known(X)

    problem.for_each_block(problem.samples, work)
    return float(total.sum() / max(count.sum(), 1))


def random(problem: Problem, rng: np.random.Generator, size: float) -> Factors:
    """Return |N(0, 1)| * size, the coefficients drawn first."""
    factors = problem.factors()
    for start in range(0, problem.N, ROWS):
        rows = factors.Ht[start : start + ROWS]
        rows[...] = size * np.abs(rng.standard_normal(rows.shape))
    W = size * np.abs(rng.standard_normal((problem.m, problem.k)))
    factors.W[: problem.m, : problem.k] = W
    return factors


def leading_pairs(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U (m, k), singular values (k,) and V (N, k) of X, approximately."""
    k, q = problem.k, min(problem.k + EXTRA, problem.m, problem.N)
    Y = np.random.default_rng(0).standard_normal((problem.m, q))
    for _ in range(STEPS):
        Q = np.linalg.qr(Y)[0]
        Y = covariance_times(problem, Q)
    values, vectors = np.linalg.eigh((Q.T @ Y + Y.T @ Q) / 2)
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
    U = Q @ vectors
    s = np.sqrt(np.maximum(values, 0))
    V = np.empty((problem.N, k), dtype=problem.dtype)
    A = problem.X.operand(widened(problem, U), k)

    def work(block: Block, scratch: Scratch) -> None:
        X = problem.X.block(block.rows, scratch)
        V[block.rows] = problem.X.product(X, A, scratch, "V")[:, :k]

    problem.for_each_block(problem.samples, work)
    return U, s, V


def widened(problem: Problem, Y: np.ndarray) -> np.ndarray:
    """Return Y in the working precision, its columns padded to whole panels."""
    wide = np.zeros((len(Y), problem.padded(Y.shape[1])), dtype=problem.dtype)
    wide[:, : Y.shape[1]] = Y
    return wide


def covariance_times(problem: Problem, Y: np.ndarray) -> np.ndarray:
    """Return X X'Y in one pass over the samples."""
    A = problem.X.operand(widened(problem, Y), Y.shape[1])
    n = Y.shape[1]
    sums, total = problem.X.sums(problem, n), np.empty(Y.shape)
    Zt = np.empty((problem.N, n), dtype=problem.dtype)

    def add(block: Block, scratch: Scratch) -> None:
        X = problem.X.block(block.rows, scratch)
        Zt[block.rows] = problem.X.product(X, A, scratch, "Z")[:, :n]
        sums.add(block, X, Zt[block.rows], scratch)

    def take(block: Block, scratch: Scratch) -> None:
        total[block.rows] = sums.rows(block.rows, Zt, scratch)[:, :n]

    problem.for_each_block(problem.samples, add)
    problem.for_each_block(problem.features, take)
    return total


def norm(v: np.ndarray) -> float:
    """Return ||v||_2."""
    return math.sqrt(float(np.einsum("i,i->", v, v, dtype=np.float64)))


def nndsvd(problem: Problem) -> Factors:
    """Return the dominant signed parts of the leading singular pairs."""
    with threads.one_blas_thread():
        U, s, V = leading_pairs(problem)
    factors = problem.factors()
    noise = 4 * math.sqrt(np.finfo(problem.dtype).eps) * s[0]
    for j in np.flatnonzero(s > noise):
        # u v' with v = s_j times a unit vector: its positive or its negative part
        parts = [(np.maximum(sign * U[:, j], 0), np.maximum(sign * V[:, j], 0)) for sign in (1, -1)]
        u, v = max(parts, key=lambda pair: norm(pair[0]) * norm(pair[1]))
        root = math.sqrt(norm(u) * norm(v))
        if root > 0:
            factors.W[: problem.m, j] = u * (root / norm(u))
            factors.Ht[:, j] = v * (root / norm(v))
    for values in (factors.W, factors.Ht):
        values[values < LEAST * values.max()] = 0
    return factors


def exemplars(problem: Problem, rng: np.random.Generator, size: float) -> Factors:
    """Return samples as dictionary; random columns where too few samples differ."""
    count = min(problem.N, 8 * problem.k + POOL)
    chosen = np.sort(rng.choice(problem.N, count, replace=False))
    pool = problem.X.some(chosen)
    squares = (pool * pool).sum(axis=1)
    left = squares.copy()
    factors = random(problem, rng, size)
    factors.Ht[...] = 0
    for j in range(problem.k):
        left[left <= squares * np.finfo(problem.dtype).eps] = 0
        if not left.any():
            break
        i = rng.choice(count, p=left / left.sum())
        ray = (pool[[i]].toarray() if problem.X.sparse else pool[[i]])[0]
        ray /= norm(ray)
        left = np.minimum(left, squares - (pool @ ray) ** 2)
        left[i] = 0
        factors.W[: problem.m, j] = ray * (problem.units[0] / ray.max())
    return factors


def start(problem: Problem, init: str, rng: np.random.Generator) -> Factors:
    """Return the start of this name."""
    average = mean(problem)
    if init == "random":
        return random(problem, rng, math.sqrt(average / problem.k))
    if init == "exemplars":
        with threads.one_blas_thread():
            return exemplars(problem, rng, math.sqrt(average / problem.k))
    factors = nndsvd(problem)
    if init == "nndsvd":
        return factors
    parts = (factors.W[: problem.m, 1 : problem.k], factors.Ht[:, 1:])
    for values, unit in zip(parts, problem.units[::-1], strict=True):
        zeros = values == 0
        if init == "nndsvda":
            values[zeros] = average / unit
        else:
            small = average / unit / 100
            values[zeros] = small * np.abs(rng.standard_normal(np.count_nonzero(zeros)))
    return factors
