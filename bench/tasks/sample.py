# SPDX-License-Identifier: BSD-3-Clause
"""Samples of class cones, audited, beside generators that copy or collapse and beside real ones."""

import numpy as np

from fastcone import Cone
from fastcone.tasks import audit, sample

RANK = 64
DIGITS = range(10)


def show(name, found):
    """Print one audit, as means over the digits."""
    shares = [np.mean([getattr(a, k) for a in found]) for k in ("memorised", "told_apart")]
    support, real = (np.median([getattr(a, k) for a in found]) for k in ("support", "support_real"))
    p = np.median([a.p_distance for a in found])
    print(
        f"{name}: memorised {shares[0]:.3f}, told apart {shares[1]:.3f}, "
        f"p of the distances {p:.1e}, support {support:.0f} (real {real:.0f})",
        flush=True,
    )


def run(images):
    """Print the figures; all is compared within the cone, where nothing is noise."""
    generators = {
        "cone, copula": lambda cone, H, rng: sample(cone, H, 300, random_state=rng),
        "cone, each coefficient drawn alone": lambda cone, H, rng: cone.decode(
            np.take_along_axis(H, rng.integers(0, len(H), (300, H.shape[1])), axis=0)
        ),
        "training samples": lambda cone, H, rng: cone.decode(H[rng.integers(0, len(H), 300)]),
        "twenty samples of the copula": lambda cone, H, rng: sample(cone, H, 20, random_state=rng)[
            rng.integers(0, 20, 300)
        ],
        "real ones": None,
    }
    cones, rank = {}, RANK if images.X.shape[1] > 100 else 16
    for k in DIGITS:
        X, V = images.X[images.y == k], images.V[images.t == k]
        V = np.random.default_rng(0).permutation(V)  # the file has one group of writers first
        cone = Cone.fit(X, rank, max_iter=50, tol=0, random_state=0)
        cones[k] = cone, cone.encode(X), cone.project(V).signal
    for name, draw in generators.items():
        found = []
        for k, (cone, H, real) in cones.items():
            rng, half = np.random.default_rng(k), len(real) // 2
            made = real[:half] if draw is None else draw(cone, H, rng)
            found.append(audit(made, cone.decode(H), real[half:]))
        show(name, found)
