# SPDX-License-Identifier: BSD-3-Clause
"""Ratings not seen, foretold: mask="stored" against exact half-steps in NumPy, same start.

The same table as a dense array with a mask runs too: the fuller it is, the better for the mask.

python -m bench.ratings [--data u.data] [--users 943] [--items 1682] [--count 100000]
                        [--rank 10] [--l2 5] [--iterations 30] [--threads N] [--out bench-out]

The data are a file in the format of MovieLens 100k, or generated: ratings of a planted low rank,
noise, a few popular items. A tenth of the ratings is held out.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import fastcone
from bench import references
from bench.data import movielens, ratings
from bench.timing import write

HELD_OUT = 0.1
BEYOND = 30  # iterations of ours for each of the reference, at most


def split(X, rng, share=HELD_OUT):
    """Ratings to learn from and ratings held out, both of X's shape."""
    X = X.tocoo()
    hidden = rng.random(X.nnz) < share
    where = [axis[~hidden] for axis in X.coords], [axis[hidden] for axis in X.coords]
    return (sp.csr_array((X.data[~hidden], tuple(where[0])), shape=X.shape),
            sp.coo_array((X.data[hidden], tuple(where[1])), shape=X.shape))  # fmt: skip


def start(X, rank, seed=0):
    """W (items, k) and H (k, users), random, of the ratings' size."""
    rng, size = np.random.default_rng(seed), 2 * np.sqrt(X.data.mean() / rank)
    return size * rng.random((X.shape[1], rank)), size * rng.random((rank, X.shape[0]))


def rmse(test, W, H):
    """Root mean square error of what W H foretells of held-out ratings."""
    user, item = test.coords
    return float(np.sqrt(np.mean((np.sum(W[item] * H.T[user], axis=1) - test.data) ** 2)))


def objective(X, W, H, l2):
    """What training minimises, here in NumPy."""
    residual = rmse(X.tocoo(), W, H) ** 2 * X.nnz
    return (residual + l2 * (np.sum(W**2) + np.sum(H**2))) / 2


def measure(X, options):
    """Seconds and held-out error of the reference, and of ours at the reference's objective."""
    train, test = split(X, np.random.default_rng(0))
    W, H = start(train, options.rank)
    begin = time.perf_counter()
    *_, (plain_W, plain_H) = itertools.islice(
        references.rated(train, W, H, options.l2), options.iterations
    )
    seconds = time.perf_counter() - begin
    goal = objective(train, plain_W, plain_H, options.l2)
    found = {"reference": {"seconds": seconds, "iterations": options.iterations, "reached": True,
                           "rmse": rmse(test, plain_W, plain_H)}}  # fmt: skip
    known = np.zeros(train.shape, dtype=bool)
    known[train.nonzero()] = True
    forms = {"stored": (train.T, "stored"), "mask": (train.toarray().T, known.T)}
    for form, solver in itertools.product(forms, ("cd", "mu")):
        data, mask = forms[form]
        begin = time.perf_counter()
        fit = fastcone.nmf(
            data, options.rank, mask=mask, solver=solver, W=W, H=H, l2_W=options.l2,
            l2_H=options.l2, tol=0, max_iter=BEYOND * options.iterations,
            n_threads=options.threads, callback=lambda _, value: value <= goal,
        )  # fmt: skip
        found[f"{form}, {solver}"] = {
            "seconds": time.perf_counter() - begin, "iterations": fit.n_iter,
            "reached": bool(fit.objective <= goal), "rmse": rmse(test, fit.W, fit.H),
        }  # fmt: skip
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--users", type=int, default=943)
    parser.add_argument("--items", type=int, default=1682)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rank", type=int, default=10)
    parser.add_argument("--l2", type=float, default=5.0)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    given = (options.users, options.items, options.count)
    X = movielens(options.data) if options.data else ratings(*given)
    print(f"{X.shape[0]} users, {X.shape[1]} items, {X.nnz} ratings, rank {options.rank}")
    found = measure(X, options)
    for name, each in found.items():
        late = "" if each["reached"] else ", goal not reached"
        print(f"{name:11s} {each['iterations']:5d} iterations {each['seconds']:8.2f} s, "
              f"held-out RMSE {each['rmse']:.4f}{late}")  # fmt: skip
    write(options.out / "ratings.json", {"ratings": int(X.nnz), "figures": found})


if __name__ == "__main__":
    main()
