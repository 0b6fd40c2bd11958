# SPDX-License-Identifier: BSD-3-Clause
"""Training against scikit-learn from the same start.

python -m bench.nmf [--data FILE.npz] [--columns 5000] [--rank 64] [--threads 2] [--out bench-out]

cd      seconds on the clock to the error that scikit-learn's cd has after 200 iterations, in turns;
        here `threads` threads, there 1 or `threads` in the BLAS; peak memory beyond X, W, H
talk    the training of the talk, its start included, to an error TALK times that one
mu      an iteration of the squared error, over its floor: the four products it cannot avoid
kl      an iteration of Kullback-Leibler, over scikit-learn's; both in CPU seconds of one thread
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
from bench.growth import peak_of
from bench.timing import machine, median, write
from fastcone import nmf
from fastcone._nmf.products import outer, pack, padded, product
from fastcone._runtime.threads import Scratch, aligned

DTYPES = (np.dtype(np.float64), np.dtype(np.float32))
PEER_ITERATIONS = 200
ROUNDS = 3
TALK = 0.3460 / 0.34356  # its error over the one after PEER_ITERATIONS, on the digits of the talk


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


def ours(X, W, H, iterations, n_threads=1, **options):
    """The same start here."""
    options |= {"W": W, "H": H, "n_threads": n_threads}
    return nmf(X.T, W.shape[1], tol=0, max_iter=iterations, **options)


def per_iteration(run, few=4, many=12):
    """CPU seconds of an iteration, the least of a few differences: set-up cancels."""
    return min(cpu(lambda: run(many))[0] - cpu(lambda: run(few))[0] for _ in range(ROUNDS)) / (
        many - few
    )


def clock(run):
    """Seconds on the clock of a call, and what it returns."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def error_of(X, W, H, block=1000):
    """||X' - W H|| / ||X||, in float64."""
    W, square = W.astype(float), 0.0
    for begin in range(0, len(X), block):
        rows = X[begin : begin + block].astype(float)
        square += np.sum((rows - H[:, begin : begin + block].T @ W.T) ** 2)
    return float(np.sqrt(square) / np.linalg.norm(X.astype(float)))


def until(X, limit, **options):
    """Train until the objective is that small; None where it never is."""
    fit = nmf(X.T, tol=0, max_iter=5 * PEER_ITERATIONS, callback=lambda _, f: f <= limit, **options)
    return fit if fit.objective <= limit else None


def descent(X, W, H, threads):
    """Seconds of both to the peer's error, in turns; the talk's; the peak of memory in bytes."""
    peers = {count: f"scikit-learn, {count} BLAS threads" for count in (1, threads)}
    seconds = {name: [] for name in (*peers.values(), "fastcone", "talk")}
    both, half = {"rank": W.shape[1], "n_threads": threads}, np.sum(X.astype(float) ** 2) / 2
    for _ in range(ROUNDS):
        for count, name in peers.items():
            with threadpool_limits(count, "blas"):
                taken, (Ht, Wt) = clock(lambda: theirs(X, W, H, PEER_ITERATIONS, solver="cd"))
            seconds[name].append(taken)
        error = error_of(X, Wt.T, Ht.T)
        goal, less = half * error**2, half * (TALK * error) ** 2
        taken, fit = clock(lambda: until(X, goal, W=W, H=H, **both))  # noqa: B023
        seconds["fastcone"].append(taken if fit else np.inf)
        taken, talk = clock(lambda: until(X, less, random_state=0, **both))  # noqa: B023
        seconds["talk"].append(taken if talk else np.inf)
    most, result = peak_of(lambda: ours(X, W, H, 5, n_threads=threads))
    return {
        "error": error,
        "iterations": {"scikit-learn": PEER_ITERATIONS, "fastcone": fit and fit.n_iter},
        "seconds": {name: median(values) for name, values in seconds.items()},
        "peak_bytes": most - result.W.nbytes - result.H.nbytes,
    }


def tell(found):
    """Print what `descent` returns."""
    seconds = found["seconds"]
    *peers, mine, talk = seconds.values()
    both = ", ".join(f"{peer:.2f}" for peer in peers)
    print(f"  cd    error {found['error']:.5f}: scikit-learn {PEER_ITERATIONS} iterations, "
          f"{both} s (1 and more BLAS threads); fastcone {found['iterations']['fastcone']}, "
          f"{mine:.3f} s: {min(peers) / mine:.1f} times sooner than the better; "
          f"{found['peak_bytes'] / 1e6:.0f} MB")  # fmt: skip
    print(f"  talk  error {TALK * found['error']:.5f}, start included: {talk:.3f} s")


def floor(X, W, H, block=320):
    """The products of an iteration of multiplicative updates, in the house's own kernel."""
    panels, gram, scratch = pack(W), pack(W.T @ W), Scratch()
    C, G = (aligned((n, padded(W.shape[1], W.dtype)), W.dtype) for n in W.shape)
    for begin in range(0, len(X), block):
        rows, coefficients = X[begin : begin + block], H[begin : begin + block]
        product(panels, rows, scratch, "C")
        product(gram, coefficients, scratch, "below")
        outer(rows, coefficients, C, scratch)
        outer(coefficients, coefficients, G, scratch)


def multiplication(X, W, H):
    """Milliseconds of an iteration, of its products, and of the peer's."""
    square = per_iteration(lambda n: ours(X, W, H, n, solver="mu"))
    Ht = np.ascontiguousarray(H.T)
    least = min(cpu(lambda: floor(X, W, Ht))[0] for _ in range(4 * ROUNDS))
    print(f"  mu    {square * 1e3:.1f} ms, floor {least * 1e3:.1f} ms: {square / least:.2f}")
    loss = "kullback-leibler"
    mine = per_iteration(lambda n: ours(X, W, H, n, loss=loss, solver="mu"))
    peer = per_iteration(lambda n: theirs(X, W, H, n, beta_loss=loss, solver="mu"), 2, 8)
    print(f"  kl    {mine * 1e3:.1f} ms, scikit-learn {peer * 1e3:.1f} ms: {peer / mine:.1f} times")
    found = {"mu": square, "floor": least, "kl": mine, "kl, scikit-learn": peer}
    return {name: 1e3 * seconds for name, seconds in found.items()}


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.nmf", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test; default: small digits")
    parser.add_argument("--columns", type=int, default=5000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    samples, figures = data.digits(options.data)[0][: options.columns], {}
    with threadpool_limits(1, "blas"):
        rank = min(options.rank, *samples.shape)
        Ht, Wt = _initialize_nmf(samples, rank, init="nndsvda", random_state=0)
        for dtype in DTYPES:
            X = np.ascontiguousarray(samples, dtype=dtype)
            W, H = (np.ascontiguousarray(a.T, dtype=dtype) for a in (Wt, Ht))
            print(f"{dtype}, {X.shape[1]} x {len(X)}, rank {rank}, threads {options.threads}")
            found = descent(X, W, H, options.threads)
            tell(found)
            figures[str(dtype)] = found | {"milliseconds": multiplication(X, W, H)}
    print(machine()["cpu"])
    write(options.out / "nmf.json", {"threads": options.threads, "figures": figures})


if __name__ == "__main__":
    main()
