# SPDX-License-Identifier: BSD-3-Clause
"""How often `select_rank` finds a planted rank: python -m bench.rank."""

import time

import numpy as np

import fastcone

RANK, RANKS, SEEDS = 5, range(1, 11), range(10)
CASES = (("frobenius", 0.05), ("frobenius", 0.2), ("kl", 20), ("kl", 5))


def planted(loss, noise, seed):
    """60 x 200: normal noise of a share of the data's deviation, or counts at an exposure."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(1, 1, (60, RANK)) @ rng.gamma(1, 1, (RANK, 200))
    if loss == "kl":
        return rng.poisson(noise * X).astype(float)
    return np.maximum(X + noise * X.std() * rng.standard_normal(X.shape), 0)


def main():
    for loss, noise in CASES:
        start = time.perf_counter()
        found = [
            fastcone.select_rank(planted(loss, noise, seed), RANKS, loss=loss, random_state=seed)
            for seed in SEEDS
        ]
        seconds = (time.perf_counter() - start) / len(found)
        told = f"exposure {noise}" if loss == "kl" else f"noise {noise:g} of the deviation"
        hits, best = (sum(getattr(s, name) == RANK for s in found) for name in ("rank", "best"))
        print(f"{loss}, {told}: rank {RANK} chosen {hits} of {len(found)} times, best {best}, "
              f"{seconds:.1f} s a choice")  # fmt: skip


if __name__ == "__main__":
    main()
