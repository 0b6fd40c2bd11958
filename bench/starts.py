# SPDX-License-Identifier: BSD-3-Clause
"""Where training ends from each start, on data of ten kinds.

python -m bench.starts [--loss kl] [--seeds 7]

Objectives relative to the best that any start found; of random starts and exemplars the median and
the least over the seeds.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import fastcone


def kinds(rng):
    """Data (m, N) and a rank for each kind."""
    eye = np.eye(8)
    W = np.kron(eye, np.ones((15, 1))) * rng.gamma(2, size=(120, 8))
    H = np.kron(eye, np.ones((1, 50))) * rng.gamma(2, size=(8, 400))
    yield "blocks of counts", rng.poisson(W @ H), 8
    yield "the same in noise", rng.poisson(W @ H + 0.3), 8
    H = rng.dirichlet(np.full(10, 0.1), 400).T * 200
    yield "topics in documents", rng.poisson(rng.dirichlet(np.full(500, 0.05), 10).T @ H), 10
    W = rng.gamma(0.3, size=(600, 8)) * rng.lognormal(0, 1.5, (600, 1))
    H = rng.gamma(0.3, size=(8, 300)) * rng.lognormal(0, 0.7, 300)
    yield "genes in cells", rng.poisson(W @ H), 8
    f, tones = np.arange(200)[:, None], np.linspace(8, 30, 8)
    W = sum(np.exp(-(((f - h * tones) / 1.5) ** 2) / 2) / h for h in range(1, 7))
    H = np.maximum(0, np.cumsum(rng.standard_normal((8, 400)), 1)) * (rng.random((8, 400)) < 0.5)
    yield "sound, power", (W @ H) * rng.exponential(size=(200, 400)) + 1e-3, 8
    lines = [(rng.random((1, 6)), rng.random((1, 6))) for _ in range(4)]
    W = sum(a * np.exp(-(((f / 199 - x) / 0.03) ** 2) / 2) for a, x in lines) + 0.05
    yield "spectra", rng.poisson(50 * W @ rng.dirichlet(np.ones(6), 500).T), 6
    H = rng.lognormal(5, 1, (6, 150)) * (rng.random((6, 150)) < 0.5)
    yield "mutations", rng.poisson(rng.dirichlet(np.full(96, 0.2), 6).T @ H), 6
    yield "digits, 8 x 8", load_digits().data.T, 16
    yield "uniform numbers", rng.random((80, 300)), 8
    rates = np.outer(rng.lognormal(0, 1, 60), rng.lognormal(0, 1, 200))
    yield "traffic, bursts", rng.poisson(rates * rng.choice([0.2, 3.0], (60, 200))), 5


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loss", default="kl")
    parser.add_argument("--seeds", type=int, default=7)
    given = parser.parse_args()
    options = {"loss": given.loss, "max_iter": 1000, "tol": 1e-6}
    names = ("data", "nndsvda", "nndsvd", "random", "exemplars", "default, n_init=4")
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for name, X, k in kinds(np.random.default_rng(0)):
        X = X[X.sum(1) > 0][:, X.sum(0) > 0].astype(float)
        found = {}
        for init in ("nndsvda", "nndsvd", "random", "exemplars"):
            seeds = range(1 if "svd" in init else given.seeds)
            found[init] = [
                fastcone.nmf(X, k, init=init, random_state=s, **options).objective for s in seeds
            ]
        found["default"] = [fastcone.nmf(X, k, n_init=4, random_state=0, **options).objective]
        best = min(min(values) for values in found.values())
        cells = [
            f"{np.median(values) / best:.3f}" + f" ({min(values) / best:.3f})" * (len(values) > 1)
            for values in found.values()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
