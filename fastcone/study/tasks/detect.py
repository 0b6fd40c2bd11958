# SPDX-License-Identifier: BSD-3-Clause
"""Detection: images of a class that the model has not seen."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastcone import tasks
from fastcone.study.methods import classical, trained
from fastcone.study.metrics import auroc_quality
from fastcone.study.problem import Array, Contender, Context, Items, Task, on_data
from fastcone.study.tasks import register


@register("detect", position=100)
def detect(context: Context) -> Task:
    """Images of a class that the model has not seen; answers are scores, one row per class."""
    classes, labels, fit = context.model.classes, context.data.labels, context.data.fit
    tune, test = context.tune, context.test

    def distances(items: Items, relative: bool) -> Array:
        rows = []
        for label in labels:
            others = {other: cone for other, cone in classes.items() if other != label}
            rows.append(tasks.detect(items.data, others, relative=relative))
        return np.stack(rows)

    def neighbours(items: Items) -> Array:
        known = (fit.x[fit.y != label] for label in labels)
        return np.stack([classical.nearest_neighbour_distance(items.data, x) for x in known])

    absolute, relative = (partial(distances, relative=relative) for relative in (False, True))
    pca = on_data(trained.train_pca_detectors, fit, tune, labels)
    svm = on_data(trained.train_svm_detectors, fit, tune, labels, most=context.size.n_svm)
    return Task(
        name="detect",
        title="Detection of a new class",
        metric="auroc",
        about="Each class in turn is left out of the model and has to be told from the others.",
        tune=Items(tune.x, tune.y, tune.y),
        test=Items(test.x, test.y, test.y),
        contenders=[
            Contender("reuse", "distance to the cones", absolute),
            Contender("reuse", "relative distance to the cones", relative),
            Contender("retrain", "PCA residual", train=pca),
            Contender("retrain", "one-class SVM", train=svm),
            Contender("training-free", "nearest training image", neighbours),
        ],
        judge=lambda answers, items: auroc_quality(answers, items.truth, labels),
        n_items=len(labels) * len(test),
    )
