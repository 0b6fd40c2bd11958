# SPDX-License-Identifier: BSD-3-Clause
"""Classification: the class of an image is that of the cone nearest to it."""

from __future__ import annotations

from fastcone import tasks
from fastcone.study.methods import classical, trained
from fastcone.study.metrics import accuracy_quality
from fastcone.study.problem import Array, Contender, Context, Items, Task, on_data
from fastcone.study.tasks import register

WIDTH = 300


@register("classify_0_1", position=10)
def classify_two(context: Context) -> Task:
    """The class of an image, one of the first two."""
    labels = context.data.labels[:2]
    return _classify(context, labels, "classify_0_1", "Classification, two classes")


@register("classify_10", position=20)
def classify_all(context: Context) -> Task:
    """The class of an image, any of them."""
    labels = context.data.labels
    return _classify(context, labels, "classify_10", "Classification, all classes")


def _classify(context: Context, labels: list[int], name: str, title: str) -> Task:
    data = context.data
    fit, tune, test = (part.of(*labels) for part in (data.fit, data.tune, data.test))
    cones = {label: context.model.classes[label] for label in labels}

    def nearest(items: Items) -> Array:
        return tasks.classify(items.data, cones).labels

    def neighbour(items: Items) -> Array:
        return classical.nearest_neighbour_label(items.data, fit.x, fit.y)

    logistic = on_data(trained.train_logistic, fit, tune)
    options = {"width": WIDTH, "rounds": context.size.rounds}
    mlp = on_data(trained.train_mlp_classifier, fit, tune, context.seed, **options)
    return Task(
        name=name,
        title=title,
        metric="accuracy",
        about=f"The class of an image, one of {len(labels)}; all test images.",
        tune=Items(tune.x, tune.y, tune.y),
        test=Items(test.x, test.y, test.y),
        contenders=[
            Contender("reuse", "nearest class cone", nearest),
            Contender("retrain", "logistic regression", train=logistic),
            Contender("retrain", f"MLP ({WIDTH})", train=mlp),
            Contender("training-free", "nearest neighbour", neighbour),
        ],
        judge=lambda answers, items: accuracy_quality(answers, items.truth),
        n_items=len(test),
        each=lambda answers, items: (answers == items.truth).astype(float),
    )
