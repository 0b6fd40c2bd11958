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

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from fastcone._nmf.problem import DRAWN, Block, Factors, Problem, Sums
from fastcone._runtime import threads
from fastcone._runtime.deadline import Expired
from fastcone._runtime.threads import Scratch

INITS = ("random", "nndsvd", "nndsvda", "nndsvdar", "exemplars")
EXTRA = 10  # dimensions of the subspace beyond the rank
STEPS = 4  # of the subspace iteration
LEAST = 1e-6  # of the largest entry of a factor: what is below counts as zero in nndsvd
POOL = 1024  # samples that exemplars are drawn from, beyond 8 for each


def mean(problem: Problem) -> float:
    """Return the mean of the known entries."""
    total, count = problem.over(totals).T.copy()
    return float(total.sum() / max(count.sum(), 1))


def totals(problem: Problem) -> np.ndarray:
    """Return the sum and the number of the known entries of every block."""
    parts = problem.per_block(problem.samples, 2)

    def work(block: Block, scratch: Scratch) -> None:
        X = problem.X.block(block.rows, scratch)
        total = problem.X.total(X)
        if problem.known is not None:
            parts[block.index] = total, np.count_nonzero(problem.known[block.rows])
        else:
            parts[block.index] = total, problem.X.known(X)

    problem.for_each_block(problem.samples, work)
    return parts


@dataclass(frozen=True)
class Draw:
    """Fills coefficients with |N(0, 1)| * size, one sample after the other."""

    rng: np.random.Generator
    size: float

    def __call__(self, Ht: np.ndarray) -> None:
        """Fill some of them."""
        for start in range(0, len(Ht), DRAWN):
            rows = Ht[start : start + DRAWN]
            rows[...] = self.size * np.abs(self.rng.standard_normal(rows.shape))


def random(problem: Problem, rng: np.random.Generator, size: float) -> Factors:
    """Return |N(0, 1)| * size, the coefficients drawn first."""
    factors = problem.factors()
    problem.draw_H(factors, Draw(rng, size))
    W = size * np.abs(rng.standard_normal((problem.m, problem.k)))
    factors.W[: problem.m, : problem.k] = W
    return factors


def unseen(problem: Problem, rng: np.random.Generator) -> Factors:
    """Return what takes no pass over the samples: a random dictionary, all coefficients alike."""
    factors = problem.factors()
    Draw(rng, problem.units[0])(factors.W[: problem.m, : problem.k])
    with contextlib.suppress(Expired):  # where H is held elsewhere, even that is a pass
        problem.set_H(factors, problem.units[1] / (2 * problem.k))
    return factors


def leading_pairs(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return U (m, k) and the singular values (k,) of X, approximately."""
    k, q = problem.k, min(problem.k + EXTRA, problem.m, problem.N)
    Y = np.random.default_rng(0).standard_normal((problem.m, q))
    for _ in range(STEPS):
        Q = np.linalg.qr(Y)[0]
        Y = covariance_times(problem, Q)
    values, vectors = np.linalg.eigh((Q.T @ Y + Y.T @ Q) / 2)
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
    return Q @ vectors, np.sqrt(np.maximum(values, 0))


def widened(problem: Problem, Y: np.ndarray) -> np.ndarray:
    """Return Y in the working precision, its columns padded to whole panels."""
    wide = np.zeros((len(Y), problem.padded(Y.shape[1])), dtype=problem.dtype)
    wide[:, : Y.shape[1]] = Y
    return wide


@dataclass(frozen=True)
class Products:
    """Adds X_b X_b'Y of every block of samples to sums."""

    Y: np.ndarray

    def __call__(self, problem: Problem, sums: Sums) -> np.ndarray:
        """Make a pass over the samples; return X'Y, one sample a row."""
        n = self.Y.shape[1]
        A = problem.X.operand(widened(problem, self.Y), n)
        Zt = np.empty((problem.N, n), dtype=problem.dtype)

        def add(block: Block, scratch: Scratch) -> None:
            X = problem.X.block(block.rows, scratch)
            Zt[block.rows] = problem.X.product(X, A, scratch, "Z")[:, :n]
            sums.add(block, X, Zt[block.rows], scratch)

        problem.for_each_block(problem.samples, add)
        return Zt


def covariance_times(problem: Problem, Y: np.ndarray) -> np.ndarray:
    """Return X X'Y in one pass over the samples."""
    n = Y.shape[1]
    sums, total = problem.X.sums(problem, n), np.empty(Y.shape)
    Zt = problem.add_up(Products(Y), sums)

    def take(block: Block, scratch: Scratch) -> None:
        total[block.rows] = sums.rows(block.rows, Zt, scratch)[:, :n]

    problem.for_each_block(problem.features, take)
    return total


@dataclass(frozen=True)
class Scores:
    """Fills H' with X'U, and tells of the parts of either sign of its columns, in each block.

    What is told is (2, 2, k): for the positive and the negative part the square sum and the
    largest entry.
    """

    U: np.ndarray

    def __call__(self, problem: Problem, Ht: np.ndarray) -> np.ndarray:
        """Make a pass over the samples."""
        A, k = problem.X.operand(widened(problem, self.U), problem.k), problem.k
        parts = problem.per_block(problem.samples, 2, 2, k)

        def work(block: Block, scratch: Scratch) -> None:
            X = problem.X.block(block.rows, scratch)
            V = Ht[block.rows]
            V[...] = problem.X.product(X, A, scratch, "V")[:, :k]
            for told, sign in zip(parts[block.index], (1, -1), strict=True):
                signed = np.maximum(sign * V, 0)
                told[0] = np.einsum("ij,ij->j", signed, signed, dtype=np.float64)
                told[1] = signed.max(axis=0)

        problem.for_each_block(problem.samples, work)
        return parts


@dataclass(frozen=True)
class Signed:
    """Turns scores into coefficients: the part of one sign, scaled, what is tiny set to zero."""

    sign: np.ndarray
    scale: np.ndarray
    least: float

    def __call__(self, V: np.ndarray) -> None:
        """Do so in place."""
        V *= self.sign.astype(V.dtype)
        np.maximum(V, 0, out=V)
        V *= self.scale.astype(V.dtype)
        V[self.least > V] = 0


@dataclass(frozen=True)
class Fill:
    """Puts a value in place of the zeros of all columns but the leading one."""

    value: float

    def __call__(self, Ht: np.ndarray) -> None:
        """Do so in place."""
        rest = Ht[:, 1:]
        rest[rest == 0] = self.value


def norm(v: np.ndarray) -> float:
    """Return ||v||_2."""
    return math.sqrt(float(np.einsum("i,i->", v, v, dtype=np.float64)))


def nndsvd(problem: Problem) -> Factors:
    """Return the dominant signed parts of the leading singular pairs."""
    with threads.one_blas_thread():
        U, s = leading_pairs(problem)
    factors = problem.factors()
    told = problem.fill_H(factors, Scores(U))
    norms, most = np.sqrt(told[:, :, 0].sum(axis=0)), told[:, :, 1].max(axis=0)
    noise = 4 * math.sqrt(np.finfo(problem.dtype).eps) * s[0]
    sign, scale, largest = np.ones(problem.k), np.zeros(problem.k), 0.0
    for j in np.flatnonzero(s > noise):
        # u v' with v = s_j times a unit vector: its positive or its negative part
        parts = [(np.maximum(side * U[:, j], 0), i, side) for i, side in enumerate((1, -1))]
        u, i, side = max(parts, key=lambda part: norm(part[0]) * norms[part[1], j])
        root = math.sqrt(norm(u) * norms[i, j])
        if root > 0:
            factors.W[: problem.m, j] = u * (root / norm(u))
            sign[j], scale[j] = side, root / norms[i, j]
            largest = max(largest, most[i, j] * scale[j])
    Signed(np.ones(1), np.ones(1), LEAST * float(factors.W.max()))(factors.W)
    problem.change_H(factors, Signed(sign, scale, LEAST * largest))
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
        problem.deadline.check()
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
    unit_W, unit_H = problem.units
    if init == "nndsvda":
        Fill(average / unit_H)(factors.W[: problem.m, : problem.k])
        problem.change_H(factors, Fill(average / unit_W))
        return factors
    rest = (factors.W[: problem.m, 1 : problem.k], factors.Ht[:, 1:])
    for values, unit in zip(rest, (unit_H, unit_W), strict=True):
        zeros = values == 0
        small = average / unit / 100
        values[zeros] = small * np.abs(rng.standard_normal(np.count_nonzero(zeros)))
    return factors
