# SPDX-License-Identifier: BSD-3-Clause
"""Learning curves: accuracy over images per class, cones beside models trained to discriminate."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from fastcone.tasks import LocalCones, class_cones, classify

COUNTS = 5, 10, 20, 50, 100, 300, 900
TESTED = 2000


def run(images, draws=3):
    """Print the means over draws; nobody has copies."""
    some = np.random.default_rng(0).permutation(len(images.V))[:TESTED]
    V, t = images.V[some], images.t[some]
    options = {"max_iter": 20, "tol": 0, "random_state": 0}
    models = {
        "local cones": lambda X, y: classify(V, LocalCones(X, y)).labels,
        "class cones of rank 10": lambda X, y: (
            classify(V, class_cones(X, y, min(10, len(X) // 10), **options)).labels
        ),
        "logistic regression": lambda X, y: LogisticRegression(max_iter=200).fit(X, y).predict(V),
        "nearest neighbour": lambda X, y: KNeighborsClassifier(1).fit(X, y).predict(V),
    }
    least = np.bincount(images.y).min()
    for count in (count for count in COUNTS if count <= least):
        rows = []
        for seed in range(draws):
            known, _ = images.labelled(count, seed)
            rows.append(
                [np.mean(m(images.X[known], images.y[known]) == t) for m in models.values()]
            )
        means = zip(models, np.mean(rows, axis=0), strict=True)
        print(f"{count} a class: " + ", ".join(f"{n} {m:.3f}" for n, m in means), flush=True)
