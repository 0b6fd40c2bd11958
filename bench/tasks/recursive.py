# SPDX-License-Identifier: BSD-3-Clause
"""Recursive training: each generation of cones learns from samples of the one before."""

import numpy as np

from fastcone import Cone
from fastcone.tasks import audit, classify, sample

GENERATIONS = 9


def run(images):
    """Print what is left of the classes after each generation, with and without half real data."""
    rank = 32 if images.X.shape[1] > 100 else 12
    real = {k: images.X[images.y == k] for k in range(10)}
    for kept in (0.0, 0.5):
        data, rng = dict(real), np.random.default_rng(0)
        print(f"real samples kept: {kept:.0%}")
        for generation in range(GENERATIONS + 1):
            cones, support, apart = {}, [], []
            for k, X in data.items():
                cone = Cone.fit(X, rank, max_iter=30, tol=0, random_state=0)
                made = sample(cone, cone.encode(X), len(X), random_state=rng)
                found = audit(made, real[k], images.V[images.t == k])
                support.append(found.twins)
                apart.append(found.told_apart)
                old = real[k][rng.permutation(len(real[k]))[: int(kept * len(X))]]
                cones[k], data[k] = cone, np.vstack([old, made[len(old) :]])
            right = np.mean(classify(images.V, cones).labels == images.t)
            print(
                f"  generation {generation}: accuracy {right:.3f}, told apart from real "
                f"{np.mean(apart):.2f}, twins {np.mean(support):.0f}",
                flush=True,
            )
