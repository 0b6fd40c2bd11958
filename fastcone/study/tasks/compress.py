# SPDX-License-Identifier: BSD-3-Clause
"""Compression: images in as many bytes as the code of the nearest class cone takes on average."""

from __future__ import annotations

import numpy as np

from fastcone import tasks
from fastcone.study.methods import classical, trained
from fastcone.study.problem import Array, Contender, Context, Items, Method, Settings, Task, on_data
from fastcone.study.restoration import RestorationTask, each_image
from fastcone.study.tasks import register

LABEL_BYTES = 1
DCT_STEPS = tuple(np.geomspace(0.05, 3.2, 19).round(4).tolist())


@register("compress", position=110)
def compress(context: Context) -> Task:
    """Images in as many bytes as the code of the nearest class cone takes on average."""
    classes, shape, fit = context.model.classes, context.data.shape, context.data.fit
    task = RestorationTask(context, "compress", each_image(lambda x, rng: x))
    length = {label: tasks.compress(fit.x[0], cone).nbytes for label, cone in classes.items()}
    nearest = tasks.classify(task.tune.data, classes).labels
    n_bytes = int(np.mean([length[label] for label in nearest])) + LABEL_BYTES

    def by_cones(items: Items) -> Array:
        nearest = tasks.classify(items.data, classes).labels
        answers = np.empty_like(items.data)
        for label, cone in classes.items():
            here = nearest == label
            if here.any():
                answers[here] = tasks.compress(items.data[here], cone).decompress(cone)
        return answers

    def packed() -> tuple[Method, Settings]:
        """Choose the finest step whose codes fit, else the coarsest."""
        fits = (
            step
            for step in DCT_STEPS
            if classical.deflated_dct(task.tune.data, shape, step)[1] <= n_bytes
        )
        step = next(fits, DCT_STEPS[-1])
        return lambda items: classical.deflated_dct(items.data, shape, step)[0], {"step": step}

    pca = on_data(trained.train_pca_code, fit, n_bytes)
    return task.build(
        "Compression",
        f"About {n_bytes} bytes per image, the class included; the cones or the basis are shared "
        "and not counted.",
        [
            Contender("reuse", "nearest class cone, 8 bits", train=task.curved(by_cones)),
            Contender("retrain", "PCA, 8 bits", train=task.with_curve(pca)),
            task.classical("cosine transform, 8 bits", classical.dct_code, shape, n_bytes),
            Contender("training-free", "cosine transform, zlib", train=task.with_curve(packed)),
        ],
    )
