# SPDX-License-Identifier: BSD-3-Clause
"""Imbalance: one class is cut to a twentieth; its recall, with and without oversampling."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from fastcone.tasks import LocalCones, class_cones, classify


def run(images, share=0.05):
    """Print the recall of the rare class and of the others, means over the ten choices of it."""
    V, t = images.V, images.t
    options = {"max_iter": 20, "tol": 0, "random_state": 0}
    models = {
        "local cones": lambda X, y: classify(V, LocalCones(X, y)).labels,
        "class cones of rank 8": lambda X, y: classify(V, class_cones(X, y, 8, **options)).labels,
        "logistic regression": lambda X, y: LogisticRegression(max_iter=200).fit(X, y).predict(V),
    }
    for name, model in models.items():
        rows = []
        for rare in range(10):
            own = np.flatnonzero(images.y == rare)
            few = np.random.default_rng(rare).permutation(own)[: max(2, int(share * len(own)))]
            rest = np.flatnonzero(images.y != rare)
            row = []
            for kept in (own, few, np.resize(few, len(own))):
                rows_kept = np.concatenate([rest, kept])
                found = model(images.X[rows_kept], images.y[rows_kept])
                row += [np.mean(found[t == rare] == rare), np.mean((found == t)[t != rare])]
            rows.append(row)
        all_of, others, cut, others_cut, over, others_over = np.mean(rows, axis=0)
        print(
            f"{name}: recall of the rare class {all_of:.3f} with all, {cut:.3f} with "
            f"{share:.0%}, {over:.3f} with these repeated; of the others {others:.3f}, "
            f"{others_cut:.3f}, {others_over:.3f}",
            flush=True,
        )
