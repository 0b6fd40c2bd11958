# SPDX-License-Identifier: BSD-3-Clause
"""Training on sparse counts, words in documents: fastcone against scikit-learn, same start.

python -m bench.sparse [--documents 13700] [--words 2600] [--rank 20] [--iterations 50]
                       [--threads N] [--out bench-out]

Time per iteration, and the time to the objective that scikit-learn has after its iterations.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import non_negative_factorization
from sklearn.decomposition._nmf import _initialize_nmf
from sklearn.exceptions import ConvergenceWarning

import fastcone
from bench.timing import median, write

WAYS = {"cd": ("frobenius", "cd"), "kl": ("kullback-leibler", "mu")}
LENGTH = 170  # words of a typical document
TOPICS = 40


def counts(documents, words, rng):
    """Documents of mixed topics over words whose frequencies follow a power law."""
    frequency = np.arange(1, words + 1) ** -0.6
    topics = rng.dirichlet(300 * frequency / frequency.sum(), TOPICS)
    rows = np.zeros((documents, words), dtype=np.int32)
    for row in rows:
        p = rng.dirichlet(np.full(TOPICS, 0.1)) @ topics
        row[:] = rng.multinomial(rng.lognormal(np.log(LENGTH), 0.5), p / p.sum())
    return sp.csr_array(rows)


def start(X, rank):
    """W (m, k) and H (k, N) where scikit-learn starts."""
    Ht, Wt = _initialize_nmf(X, rank, init="nndsvda", random_state=0)
    return Wt.T, Ht.T


def theirs(X, W, H, way, iterations):
    loss, solver = WAYS[way]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        Ht, Wt, _ = non_negative_factorization(
            X, H.T.copy(), W.T.copy(), n_components=W.shape[1], init="custom", tol=0,
            max_iter=iterations, solver=solver, beta_loss=loss,
        )  # fmt: skip
    return Wt.T, Ht.T


def ours(X, W, H, way, iterations, threads):
    loss, solver = WAYS[way]
    return fastcone.nmf(X.T, W.shape[1], loss=loss, solver=solver, W=W, H=H, tol=0,
                        max_iter=iterations, n_threads=threads)  # fmt: skip


def measure(X, rank, way, iterations, threads, rounds=3):
    """Seconds per iteration of both, and their ratio at scikit-learn's objective, in turns."""
    W, H = start(X, rank)
    goal = ours(X, *theirs(X, W, H, way, iterations), way, 1, threads).history[0]
    history = ours(X, W, H, way, 2 * iterations, threads).history
    reached = history <= goal * (1 + 1e-6)
    needed = int(np.argmax(reached)) if reached.any() else 2 * iterations
    seconds = {"scikit-learn": [], "fastcone": []}
    for _ in range(rounds):
        begin = time.perf_counter()
        theirs(X, W, H, way, iterations)
        middle = time.perf_counter()
        ours(X, W, H, way, needed, threads)
        seconds["scikit-learn"].append(middle - begin)
        seconds["fastcone"].append(time.perf_counter() - middle)
    both = {name: median(values) for name, values in seconds.items()}
    return {
        "iterations": {"scikit-learn": iterations, "fastcone": needed},
        "reached": bool(reached.any()),
        "seconds": both,
        "milliseconds_per_iteration": {
            "scikit-learn": 1e3 * both["scikit-learn"] / iterations,
            "fastcone": 1e3 * both["fastcone"] / max(needed, 1),
        },
        "times_faster": both["scikit-learn"] / both["fastcone"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--documents", type=int, default=13_700)
    parser.add_argument("--words", type=int, default=2_600)
    parser.add_argument("--rank", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    X = counts(options.documents, options.words, np.random.default_rng(0))
    print(f"{X.shape[1]} words, {X.shape[0]} documents, {X.nnz} entries, rank {options.rank}")
    figures = {}
    for dtype in (np.float64, np.float32):
        for way in WAYS:
            few = options.iterations if way == "cd" else max(options.iterations // 5, 1)
            found = measure(X.astype(dtype), options.rank, way, few, options.threads)
            figures[f"{way} {dtype.__name__}"] = found
            each = found["milliseconds_per_iteration"]
            print(f"{way} {dtype.__name__:8s} scikit-learn {each['scikit-learn']:7.1f} ms x {few},"
                  f" fastcone {each['fastcone']:6.1f} ms x {found['iterations']['fastcone']}:"
                  f" {found['times_faster']:.1f} times sooner")  # fmt: skip
    write(options.out / "sparse.json", {"entries": int(X.nnz), "figures": figures})


if __name__ == "__main__":
    main()
