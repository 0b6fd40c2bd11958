# SPDX-License-Identifier: BSD-3-Clause
"""Training on a memory-mapped file larger than the memory allowed: speed and resident memory.

python -m bench.outofcore [--samples 1000000] [--features 784] [--rank 64] [--iterations 5]
                          [--init nndsvda] [--threads N] [--directory /tmp] [--out bench-out]

The file (3 GB at the defaults) is generated, read once per iteration and deleted. Resident memory
is what /proc says: RssAnon is the process's own, VmRSS counts the mapped pages it holds as well.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import fastcone
from bench.timing import write

BLOCK = 10_000  # samples generated at a time


def generate(path, samples, features, rank):
    """Non-negative float32 samples of a noisy cone, one a row."""
    rng = np.random.default_rng(0)
    W = rng.random((rank, features), dtype=np.float32) ** 8
    with open(path, "wb") as file:
        for start in range(0, samples, BLOCK):
            H = rng.standard_exponential((min(BLOCK, samples - start), rank), dtype=np.float32)
            X = H @ W
            X += rng.standard_normal(X.shape, dtype=np.float32)
            np.maximum(X, 0, out=X).tofile(file)


class Watch(threading.Thread):
    """The largest values of some lines of /proc/self/status, in bytes."""

    NAMES = ("VmRSS", "RssAnon", "RssFile")

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.over = dict.fromkeys(self.NAMES, 0), threading.Event()

    def run(self):
        """Look every 10 ms until `over`."""
        while not self.over.wait(0.01):
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in self.most:
                    self.most[name] = max(self.most[name], int(value.split()[0]) * 1024)


def train(path, options):
    """Time per iteration and the most memory held."""
    X = np.memmap(path, np.float32, "r", shape=(options.samples, options.features))
    stamps, watch = [], Watch()
    watch.start()
    begin = time.perf_counter()
    fit = fastcone.nmf(
        X.T, options.rank, init=options.init, random_state=0, tol=0, max_iter=options.iterations,
        n_threads=options.threads, callback=lambda *_: stamps.append(time.perf_counter()),
    )  # fmt: skip
    watch.over.set()
    watch.join()
    each = float(np.median(np.diff(stamps)))
    return {
        "bytes": path.stat().st_size,
        "start_seconds": stamps[0] - begin - each,
        "seconds_per_iteration": each,
        "samples_per_second": options.samples / each,
        "gigabytes_per_second": path.stat().st_size / each / 1e9,
        "history": fit.history.tolist(),
        **{f"{name}_megabytes": value / 1e6 for name, value in watch.most.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=784)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--init", default="nndsvda")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        path = Path(directory) / "samples.f32"
        generate(path, options.samples, options.features, options.rank)
        figures = train(path, options)
    for name, value in figures.items():
        print(f"{name:24s}{value if isinstance(value, list) else format(value, '14,.2f')}")
    record = {name: value for name, value in vars(options).items() if name not in ("directory",)}
    record["out"] = str(record["out"])
    write(options.out / "outofcore.json", {"options": record, "figures": figures})


if __name__ == "__main__":
    main()
