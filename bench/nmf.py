# SPDX-License-Identifier: BSD-3-Clause
"""Training against scikit-learn from the same start, one thread, CPU seconds.

python -m bench.nmf [--data FILE.npz] [--columns 5000] [--rank 64]

cd   seconds and iterations to the error that scikit-learn's cd has after 200 iterations
mu   an iteration of the squared error, over its floor: the four products it cannot avoid
kl   an iteration of Kullback-Leibler, over scikit-learn's
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import non_negative_factorization
from sklearn.decomposition._nmf import _initialize_nmf
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from bench import data
from bench.timing import machine
from fastcone import _dispatch, nmf
from fastcone._nmf.problem import outer
from fastcone._panels import pack, product
from fastcone._threads import Scratch, aligned

DTYPES = (np.dtype(np.float64), np.dtype(np.float32))
PEER_ITERATIONS = 200
ROUNDS = 3


def cpu(run):
    """CPU seconds of a call, and what it returns."""
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def theirs(X, W, H, iterations, **options):
    """scikit-learn on rows: its W is our H'."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        Ht, Wt, _ = non_negative_factorization(
            X, H.T.copy(), W.T.copy(), n_components=W.shape[1], init="custom", tol=0,
            max_iter=iterations, **options,
        )  # fmt: skip
    return Ht, Wt


def ours(X, W, H, iterations, callback=None, **options):
    """The same start here."""
    return nmf(
        X.T, W.shape[1], W=W, H=H, tol=0, max_iter=iterations, n_threads=1, callback=callback,
        **options,
    )  # fmt: skip


def per_iteration(run, few=4, many=12):
    """CPU seconds of an iteration, the least of a few differences: set-up cancels."""
    return min(cpu(lambda: run(many))[0] - cpu(lambda: run(few))[0] for _ in range(ROUNDS)) / (
        many - few
    )


def descent(X, W, H):
    """Print how soon coordinate descent reaches the peer's error."""
    seconds, (Ht, Wt) = cpu(lambda: theirs(X, W, H, PEER_ITERATIONS, solver="cd"))
    size = np.linalg.norm(X.astype(float))
    error = np.linalg.norm(X - Ht.astype(float) @ Wt) / size
    print(f"  cd  scikit-learn {PEER_ITERATIONS} iterations: {seconds:.2f} s, error {error:.5f}")
    limit, used = (error * size) ** 2 / 2, []

    def stop(iteration, value):
        used.append(iteration)
        return value <= limit

    mine = min(cpu(lambda: ours(X, W, H, 500, callback=stop))[0] for _ in range(ROUNDS))
    print(f"      fastcone {used[-1]} iterations: {mine:.2f} s, {seconds / mine:.1f} times sooner")


def floor(X, W, H, block=320):
    """The products of an iteration of multiplicative updates, in the house's own kernel."""
    panels, gram, scratch = pack(W), pack(np.ascontiguousarray(W.T @ W)), Scratch()
    C, G = (aligned((n, W.shape[1]), W.dtype) for n in W.shape)
    for begin in range(0, len(X), block):
        rows, coefficients = X[begin : begin + block], H[begin : begin + block]
        product(panels, rows, scratch, "C")
        product(gram, coefficients, scratch, "below")
        outer(rows, coefficients, C, scratch)
        outer(coefficients, coefficients, G, scratch)


def padded(A):
    """A, aligned, its columns filled up with zeros to whole panels."""
    width = _dispatch.panel(A.dtype)
    out = aligned((len(A), -(-A.shape[1] // width) * width), A.dtype)
    out[:, : A.shape[1]], out[:, A.shape[1] :] = A, 0
    return out


def multiplication(X, W, H):
    """Print what an iteration costs over its products, and over the peer's."""
    square = per_iteration(lambda n: ours(X, W, H, n, solver="mu"))
    wide = padded(W), padded(H.T)
    least = min(cpu(lambda: floor(X, *wide))[0] for _ in range(4 * ROUNDS))
    print(f"  mu  {square * 1e3:.1f} ms, floor {least * 1e3:.1f} ms: {square / least:.2f}")
    options = {"solver": "mu"}
    mine = per_iteration(lambda n: ours(X, W, H, n, loss="kullback-leibler", **options))
    peer = per_iteration(
        lambda n: theirs(X, W, H, n, beta_loss="kullback-leibler", **options), few=2, many=8
    )
    print(f"  kl  {mine * 1e3:.1f} ms, scikit-learn {peer * 1e3:.1f} ms: {peer / mine:.1f} times")


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.nmf", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test; default: small digits")
    parser.add_argument("--columns", type=int, default=5000)
    parser.add_argument("--rank", type=int, default=64)
    options = parser.parse_args()
    samples = data.digits(options.data)[0][: options.columns]
    with threadpool_limits(1):
        rank = min(options.rank, *samples.shape)
        Ht, Wt = _initialize_nmf(samples, rank, init="nndsvda", random_state=0)
        for dtype in DTYPES:
            X = np.ascontiguousarray(samples, dtype=dtype)
            W, H = (np.ascontiguousarray(a.T, dtype=dtype) for a in (Wt, Ht))
            print(f"{dtype}, {X.shape[1]} x {len(X)}, rank {rank}")
            descent(X, W, H)
            multiplication(X, W, H)
    print(machine()["cpu"])


if __name__ == "__main__":
    main()
