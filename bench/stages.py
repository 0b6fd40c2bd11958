# SPDX-License-Identifier: BSD-3-Clause
"""The stages of a block of NNLS: time per column and rate, for the SIMD level in use.

FASTCONE_LEVEL=v3 python -m bench.stages [--data FILE.npz] [--columns 768]
"""

import argparse
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench import data
from bench.timing import machine, rounds
from fastcone import Projector
from fastcone._nnls import kernels as nnls_kernels
from fastcone._nnls.dense import DenseGenerators
from fastcone._nnls.descent import first_schedule
from fastcone._runtime import dispatch
from fastcone._runtime.threads import Scratch, aligned

EPOCHS = 20


def stages(W, U, dtype):
    """Best microseconds per column of each stage, and the flops of it."""
    A, B = W.astype(dtype), np.asfortranarray(U.astype(dtype))
    (m, n), p = A.shape, B.shape[1]
    generators, projector, scratch = DenseGenerators(A, 0.0), Projector(A), Scratch()
    packed = generators.gram.packed(dtype)
    C = generators.plain.packed(dtype).product(B.T, scratch, "C")[0].copy()
    X = np.zeros_like(C)
    work = aligned((nnls_kernels.nnls_work(generators.gram.n_padded, dtype),), dtype)
    used, last, never = np.zeros(p, np.intc), np.zeros(p, dtype), np.full(p, -1, dtype)

    def epochs():
        X[...] = 0
        nnls_kernels.nnls_cd(
            packed.G, packed.inverse, packed.weight, C, X, never, first_schedule(p), last,
            np.full(p, EPOCHS, np.intc), used, work,
        )  # fmt: skip

    times = rounds(
        {
            "A'B by BLAS, the floor": lambda: A.T @ B,
            "product": lambda: generators.plain.packed(dtype).product(B.T, scratch, "C"),
            f"{EPOCHS} epochs": epochs,
            "all, tol 1e-9": lambda: projector.solve(B, tol=1e-9, n_threads=1),
            "all, full accuracy": lambda: projector.solve(B, n_threads=1),
        }
    )
    flops = dict(zip(times, (2 * m * n, 2 * m * n, EPOCHS * 2 * n**2, None, None), strict=True))
    return {name: (min(t) / p * 1e6, flops[name]) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test; default: small digits")
    parser.add_argument("--columns", type=int, default=768)
    options = parser.parse_args()
    train, test, _ = data.digits(options.data)
    W, U = data.dictionary(train[:5000], 64), test[: options.columns].T
    with threadpool_limits(1):
        for dtype in (np.dtype(np.float64), np.dtype(np.float32)):
            print(f"{dtype}, {W.shape[0]} x {W.shape[1]}, level {dispatch.level()}")
            for name, (us, flops) in stages(W, U, dtype).items():
                rate = f"{flops / us / 1e3:6.0f} Gflop/s" if flops else ""
                print(f"  {name:<24}{us:7.3f} us per column {rate}")
    print(machine()["cpu"])


if __name__ == "__main__":
    main()
