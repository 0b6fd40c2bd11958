# SPDX-License-Identifier: BSD-3-Clause
"""Self-training from few labels: accuracy on test images round after round, and where it drifts."""

import numpy as np

from bench.tasks.local import copies
from fastcone.tasks import LocalCones, class_cones, classify, self_train, shifts

ROUNDS, UNLABELLED, TESTED = 5, 2000, 2000


def run(images, draws=2):
    """Print the curves, means over draws of the labelled images."""
    options = {"l1_H": 0.06, "init": "exemplars", "max_iter": 10, "tol": 0, "random_state": 0}
    size = images.X.shape[1] > 100
    fits = {
        "local cones, copies": lambda X, y: LocalCones(X, y, copies=copies(images.shape)),
        "class cones, copies": lambda X, y: class_cones(
            X, y, 48 if size else 32, copies=shifts(images.shape), **options
        ),
        "class cones of rank 1": lambda X, y: class_cones(X, y, 1, max_iter=20, tol=0),
    }
    for count in (1, 10):
        for name, fit in fits.items():
            curves, changed = [], []
            for seed in range(draws):
                known, others = images.labelled(count, seed)
                others = np.random.default_rng(seed).permutation(others)[:UNLABELLED]
                ours = images.X[known], images.y[known], images.X[others], fit
                run = self_train(*ours, rounds=ROUNDS)
                some = np.random.default_rng(0).permutation(len(images.V))[:TESTED]
                curves.append(
                    [np.mean(classify(images.V[some], m).labels == images.t[some])
                     for m in run.models]
                )  # fmt: skip
                changed.append(run.changed)
            line = " ".join(f"{100 * value:.1f}" for value in np.mean(curves, axis=0))
            moved = " ".join(f"{100 * value:.0f}" for value in np.mean(changed, axis=0))
            print(f"{count} labels a class, {name}: {line} % (labels changed: {moved} %)",
                  flush=True)  # fmt: skip
