# SPDX-License-Identifier: BSD-3-Clause
"""Hashes of answers: two trees that print the same lines compute the same bits.

`python -m bench.bits [--data FILE.npz]` solves the README's problem, relaxometry, the 1-norm and
four fits, and prints one hash for each. Only the public API and the problems of `bench.data` are
used, so that the file can be copied beside any earlier tree.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fastcone
from bench import data


def digest(*arrays: object) -> str:
    """Return a short hash of the bytes of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def solution(found: fastcone.Solution) -> str:
    """Return the hash of all that a solution tells."""
    return digest(found.x, found.objective, found.gap, found.violation, found.epochs)


def answers(U: np.ndarray) -> Iterator[tuple[str, str]]:
    """Yield a name and a hash for each problem."""
    rank = 48
    W = fastcone.nmf(U, rank, max_iter=20, random_state=0).W
    noisy = np.where(np.random.default_rng(1).random(U.shape) < 0.3, 1.0, U)
    for dtype in (np.float64, np.float32):
        A, B, name = W.astype(dtype), U.astype(dtype), np.dtype(dtype).name
        for l1 in (0.0, 0.1):
            yield f"nnls {name} l1={l1}", solution(fastcone.solve_nnls(A, B, l1=l1))
        yield (
            f"nnls {name} uncertified",
            solution(fastcone.solve_nnls(A, B, tol=1e-6, certify=False)),
        )
        yield f"nmf cd {name}", fit(B, rank)
    A, B = data.relaxometry(200)
    yield "nnls relaxometry", solution(fastcone.solve_nnls(A, B))
    yield "nnls one by one", digest(*(fastcone.nnls(A, b)[0] for b in B.T[:50]))
    yield "nnls gram", solution(fastcone.solve_nnls_gram(W.T @ W, W.T @ U[:, :500]))
    yield "nnlad", solution(fastcone.solve_nnlad(W, noisy[:, :200]))
    yield "nmf mu", fit(U, rank, solver="mu")
    yield "nmf kl", fit(U, rank, solver="mu", loss="kullback-leibler")
    yield "nmf masked", fit(U, rank, solver="mu", mask=(noisy == U)[:, :1000])


def fit(X: np.ndarray, rank: int, **options: object) -> str:
    """Return the hash of a fit of some iterations."""
    found = fastcone.nmf(X[:, :1000], rank, max_iter=12, random_state=0, **options)
    return digest(found.W, found.H, found.history)


def main() -> None:
    """Print the hashes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="MNIST as .npz")
    U = data.digits(parser.parse_args().data)[0][:3000].T
    print("level", fastcone.show_config().level)
    for name, value in answers(U):
        print(f"{name:<28}{value}")


if __name__ == "__main__":
    main()
