# SPDX-License-Identifier: BSD-3-Clause
"""Inpainting: a stripe of rows is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone import tasks
from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Array, Context, Items, Task
from fastcone.study.restoration import RestorationTask, each_image
from fastcone.study.tasks import register

NOISE = (0.02, 0.04, 0.08, 0.12)


@register("inpaint", position=60)
def inpaint(context: Context) -> Task:
    """A stripe of missing rows."""
    shape = context.data.shape
    known = corrupt.stripe(shape)
    missing = np.flatnonzero(~known.reshape(shape).all(axis=1))
    task = RestorationTask(context, "inpaint", each_image(lambda x, rng: x * known))

    def call(data: Array, cones: Any, **options: Any) -> Array:
        return tasks.inpaint(data, cones, known, copy_back=False, **options).signal

    def copied(answers: Array, items: Items) -> Array:
        return np.where(known, items.data, answers)

    return task.build(
        "Inpainting",
        f"Rows {missing[0]} to {missing[-1]} of {shape[0]} are missing.",
        [
            *task.cones(call, tag=", copy-back", finish=copied),
            *task.cones(call, tag=", pure", oracle=False),
            task.likeliest(call, NOISE, copied),
            *task.rivals(copied),
            task.classical("biharmonic", classical.biharmonic, shape, known),
            task.untouched(),
        ],
    )
