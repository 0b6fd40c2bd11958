# SPDX-License-Identifier: BSD-3-Clause
"""Compressed sensing: cones against the Lasso in a cosine basis, both tuned on training images."""

import itertools

import numpy as np
from scipy.fft import idctn

from fastcone import Cone, solve_nnls
from fastcone.operators import Sensing
from fastcone.tasks import sense

L1 = 0.0, 0.01, 0.03, 0.1, 0.3
LASSO = 0.003, 0.01, 0.03, 0.1
TUNED, TESTED = 60, 200


def psnr(found, truth):
    """Mean over images, peak 1."""
    return float(np.mean(-10 * np.log10(np.mean((np.clip(found, 0, 1) - truth) ** 2, axis=1))))


def lasso(rows, sensing, shape, l1):
    """Signals sparse in the cosine basis; a coefficient with a sign is two without."""
    size = np.prod(shape)
    basis = idctn(np.eye(size).reshape(-1, *shape), axes=(1, 2), norm="ortho").reshape(size, -1)
    A = sensing.forward(basis).T
    found = solve_nnls(np.hstack([A, -A]), rows.T, l1=l1, tol=1e-6, certify=False).x
    return (found[:size] - found[size:]).T @ basis


def run(images):
    """Print the mean PSNR of every number of measurements."""
    order = np.random.default_rng(0).permutation(len(images.X))
    tune, fit = images.X[order[:TUNED]], order[TUNED:]
    test = images.V[:TESTED]
    options = {"max_iter": 50, "tol": 0, "random_state": 0}
    sets = {
        f"class cones of rank {rank}": {
            k: Cone.fit(images.X[fit][images.y[fit] == k], rank, **options) for k in range(10)
        }
        for rank in (32, 96)
    }
    size = test.shape[1]
    for count in (25, 50, 100, 200) if size > 200 else (8, 16, 32):
        few = Sensing.random(count, size, random_state=0)
        seen = {"tune": few.forward(tune), "test": few.forward(test)}
        tried = {
            (name, l1): psnr(sense(seen["tune"], sets[name], few, l1=l1).signal, tune)
            for name, l1 in itertools.product(sets, L1)
        }
        best = max(tried, key=tried.get)
        ours = psnr(sense(seen["test"], sets[best[0]], few, l1=best[1]).signal, test)
        scores = [psnr(lasso(seen["tune"], few, images.shape, a), tune) for a in LASSO]
        price = LASSO[int(np.argmax(scores))]
        theirs = psnr(lasso(seen["test"], few, images.shape, price), test)
        line = f"{best[0]}, l1 {best[1]}: {ours:.1f} dB; Lasso {theirs:.1f} dB"
        print(f"{count} measurements: {line}", flush=True)
