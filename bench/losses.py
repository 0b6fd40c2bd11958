# SPDX-License-Identifier: BSD-3-Clause
"""Multiplicative updates of every loss against scikit-learn, same start, same process.

python -m bench.losses [--data FILE.npz] [--threads 2] [--losses 2 1 0] [--short] [--out bench-out]

An iteration is timed on the clock, `threads` threads on both sides (there in the BLAS): the least
of ROUNDS runs of many iterations less the least of few, so that set-up cancels. Beside it stands
the time that the multiply-adds of its products would take at the peak of this machine, which is
measured by a product of the kernels on data that stay in cache.
A curve is the loss over time: here as the callback is told it, there from runs of more and more
iterations; of each the seconds to the loss that scikit-learn has after its last.
`--short` takes one shape and few iterations, to see that all runs.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from bench import data
from bench.nmf import clock, ours, theirs
from bench.timing import machine, write
from fastcone._kernels.reference import nmf_objective
from fastcone._nmf.products import pack, product
from fastcone._runtime.threads import Scratch

DTYPES = (np.dtype(np.float64), np.dtype(np.float32))
ROUNDS = 3
FLOPS = 1e9  # of an iteration's products that are timed, about
COUNTS = (5, 10, 20, 40, 80)  # iterations of scikit-learn on a curve
SETTLE = 0.08  # seconds after which its BLAS threads no longer spin
NAMES = {2.0: "frobenius", 1.0: "kullback-leibler", 0.0: "itakura-saito"}


@dataclass(frozen=True)
class Shape:
    """A field's data: samples x features, and the rank asked for."""

    name: str
    samples: int
    features: int
    rank: int


SHAPES = (
    Shape("faces", 400, 4096, 16),
    Shape("faces", 400, 4096, 50),
    Shape("spectrogram", 2000, 513, 20),
    Shape("hyperspectral", 10000, 224, 12),
    Shape("mutations", 200, 96, 8),
    Shape("counts", 1183, 183, 10),
    Shape("panel", 5000, 38, 5),
    Shape("table", 30, 10, 3),
)


def generated(shape):
    """Samples without zeros: mixtures of as many sources as the rank asks for, and noise."""
    rng = np.random.default_rng(0)
    sources = rng.random((shape.rank, shape.features)) ** 2
    noise = 0.05 + 0.1 * rng.random((shape.samples, shape.features))
    return rng.random((shape.samples, shape.rank)) @ sources + noise


def start(X, rank):
    """W and H, positive, at the scale of X."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(X.mean() / rank)
    shapes = (X.shape[1], rank), (rank, len(X))
    return tuple((scale * rng.random(s) + 0.01).astype(X.dtype) for s in shapes)


def peak(dtype):
    """Multiply-adds in a second of one thread: a product whose operands stay in cache."""
    rng = np.random.default_rng(0)
    A, rows = rng.random((128, 64)).astype(dtype), rng.random((64, 128)).astype(dtype)
    panels, scratch, repeats = pack(A), Scratch(), 200

    def run():
        for _ in range(repeats):
            product(panels, rows, scratch, "C")

    return repeats * rows.size * A.shape[1] / min(clock(run)[0] for _ in range(10))


def options(beta):
    """The loss as both want it told."""
    return {"solver": "mu"}, NAMES.get(beta, beta)


def least(run, counts):
    """Seconds of runs of so many iterations, the least of ROUNDS each."""
    found = []
    for count in counts:
        times = []
        for _ in range(ROUNDS):
            time.sleep(SETTLE)
            times.append(clock(lambda: run(count))[0])  # noqa: B023
        found.append(min(times))
    return found


def iteration(X, W, H, beta, threads, many):
    """Milliseconds of an iteration, and of a whole run of `many`, of both."""
    solver, loss = options(beta)
    runs = {
        "fastcone": lambda n: ours(X, W, H, n, n_threads=threads, loss=loss, **solver),
        "scikit-learn": lambda n: theirs(X, W, H, n, beta_loss=loss, **solver),
    }
    found = {}
    for name, run in runs.items():
        run(2)
        few, whole = least(run, (many // 4, many))
        found[name] = {
            "iteration": 1e3 * (whole - few) / (many - many // 4),
            "run": 1e3 * whole,
        }
    return found


def curve(X, W, H, beta, threads, counts):
    """Points (seconds, loss) of both."""
    solver, loss = options(beta)
    mine, theirs_ = [], []
    began = time.perf_counter()

    def look(_, value):
        mine.append((time.perf_counter() - began, value))
        return False

    time.sleep(SETTLE)
    began = time.perf_counter()
    ours(X, W, H, 2 * max(counts), n_threads=threads, loss=loss, callback=look, **solver)
    for count in counts:
        time.sleep(SETTLE)
        taken, (Ht, Wt) = clock(lambda: theirs(X, W, H, count, beta_loss=loss, **solver))  # noqa: B023
        value = nmf_objective(beta, X.T.astype(float), Wt.T.astype(float), Ht.T.astype(float))
        theirs_.append((taken, value))
    return {"fastcone": mine, "scikit-learn": theirs_}


def sooner(found):
    """How many times sooner fastcone is at the last loss of scikit-learn; None if it never is."""
    seconds, goal = found["scikit-learn"][-1]
    reached = [t for t, value in found["fastcone"] if value <= goal * (1 + 1e-6)]
    return seconds / reached[0] if reached else None


def study(shape, X, beta, threads, rate, short):
    """The figures of one shape, dtype and loss, told as they are found."""
    W, H = start(X, shape.rank)
    products = (2 if beta == 2 else 4) * X.size * shape.rank  # multiply-adds
    many = 8 if short else int(np.clip(FLOPS / products, 12, 600)) // 4 * 4
    counts = COUNTS[:2] if short else COUNTS
    found = iteration(X, W, H, beta, threads, many)
    points = curve(X, W, H, beta, threads, counts)
    mine, peer = (found[name]["iteration"] for name in ("fastcone", "scikit-learn"))
    floor = 1e3 * products / (rate * threads)
    times = sooner(points)
    print(f"  {NAMES.get(beta, f'beta {beta:g}'):17s}{mine:9.3f} ms {peer:9.3f} ms "
          f"{peer / mine:6.2f} x{found['scikit-learn']['run'] / found['fastcone']['run']:7.2f} x"
          f"{mine / floor:8.2f}{times or float('nan'):9.2f} x", flush=True)  # fmt: skip
    return {**found, "floor": floor, "sooner": times, "curve": points}


def cases(path, short):
    """Shapes and their samples; digits from a file too."""
    for shape in SHAPES[-2:-1] if short else SHAPES:
        yield shape, generated(shape)
    if path is not None:
        samples = data.digits(path)[0][:5000]
        yield Shape("digits", *samples.shape, 64), samples


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.losses", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz of digits, taken beside the generated data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--losses", type=float, nargs="+", default=[2.0, 1.0, 0.0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rates, figures = {str(dtype): peak(dtype) for dtype in DTYPES}, []
    peaks = ", ".join(f"{rate / 1e9:.1f} ({name})" for name, rate in rates.items())
    print(f"10^9 multiply-adds a second and thread: {peaks}; {given.threads} threads")
    print("  loss               fastcone  scikit-learn  iteration     run  / floor  same loss")
    with threadpool_limits(given.threads, "blas"):
        for shape, samples in cases(given.data, given.short):
            for dtype in DTYPES:
                X = np.ascontiguousarray(samples, dtype=dtype)
                print(f"{shape.name}, {len(X)} x {X.shape[1]}, rank {shape.rank}, {dtype}")
                for beta in given.losses:
                    if beta <= 0 and not X.all():
                        continue
                    rate = rates[str(dtype)]
                    row = study(shape, X, beta, given.threads, rate, given.short)
                    about = {"shape": vars(shape), "dtype": str(dtype), "beta": beta}
                    figures.append(about | row)
    print(machine()["cpu"])
    record = {"threads": given.threads, "multiply-adds": rates, "figures": figures}
    write(given.out / "losses.json", record)


if __name__ == "__main__":
    main()
