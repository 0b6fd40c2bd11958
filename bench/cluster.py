# SPDX-License-Identifier: BSD-3-Clause
"""Training on a Dask cluster of this machine: 1, 2, ... workers of one thread each.

    python -m bench.cluster [--samples 1000000] [--features 200] [--rank 16] [--workers 1 2]
                           [--loss frobenius] [--at-hand] [--no-persist]

Blocks of samples are made on the workers from seeds. Told are seconds per iteration after the
first, the same of `fastcone.nmf` on one thread in this process (with --at-hand, needs the memory),
the peak memory of a worker, and whether the bits of W agree.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import fastcone
import fastcone.dask


def block(seed: int, count: int, m: int, rank: int) -> np.ndarray:
    """Samples (count, m) of a fixed dictionary, with noise."""
    W = np.random.default_rng(0).gamma(0.5, size=(rank, m)).astype(np.float32)
    rng = np.random.default_rng([1, seed])
    X = rng.random((count, rank), np.float32) @ W
    X += 0.1 * rng.random((count, m), np.float32)
    return X


def samples(N: int, m: int, rank: int, chunk: int) -> da.Array:
    """The samples (N, m) as a Dask array."""

    def part(block_info=None):
        (lo, hi), _ = block_info[None]["array-location"]
        return block(lo, hi - lo, m, rank)

    return da.map_blocks(part, chunks=(da.core.normalize_chunks(chunk, (N,))[0], (m,)), dtype="f4")


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def clocked(call, X, options, **more):
    """Seconds per iteration after the first, and W."""
    ticks = []
    fit = call(
        X, options.rank, loss=options.loss, init="random", random_state=0, tol=0,
        max_iter=options.iterations, callback=lambda *_: ticks.append(time.perf_counter()), **more,
    )  # fmt: skip
    steps = np.diff(ticks)
    np.asarray(fit.H[0, ::1000])  # nothing is under way when the cluster closes
    return float(np.median(steps)), float(steps.min()), fit.W


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--loss", default="frobenius")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--no-persist", action="store_true")
    parser.add_argument("--at-hand", action="store_true")
    options = parser.parse_args()
    N, m, k = options.samples, options.features, options.rank
    print(f"{N} x {m} float32, rank {k}, {options.loss}", flush=True)
    first, chunk = None, min(25_000, 5_000_000 // m)
    if options.at_hand:
        X = np.concatenate([block(lo, min(chunk, N - lo), m, k) for lo in range(0, N, chunk)])
        median, least, W = clocked(fastcone.nmf, X.T, options, n_threads=1)
        print(f"at hand, 1 thread: {median:.3f} s an iteration (least {least:.3f})", flush=True)
    for count in options.workers:
        with (
            LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            before = max(client.run(peak).values())
            begin = time.perf_counter()
            X = samples(N, m, k, chunk).T
            median, least, W = clocked(
                fastcone.dask.nmf, X, options, persist=not options.no_persist
            )
            whole = time.perf_counter() - begin
            most = max(client.run(peak).values())
        first = first or median
        bits = hashlib.sha256(W.tobytes()).hexdigest()[:12]
        print(
            f"{count} workers: {median:.3f} s an iteration (least {least:.3f}), "
            f"{first / median:.2f} x, whole call {whole:.1f} s, "
            f"memory of a worker {before:.0f} -> {most:.0f} MB, W {bits}",
            flush=True,
        )


if __name__ == "__main__":
    main()
