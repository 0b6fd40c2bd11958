# SPDX-License-Identifier: BSD-3-Clause
"""Inpainting: a stripe of rows is missing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastcone import tasks
from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Array, Context, Method, Task
from fastcone.study.restoration import RestorationTask, each_image
from fastcone.study.tasks import register


@register("inpaint", position=60)
def inpaint(context: Context) -> Task:
    """A stripe of missing rows."""
    shape = context.data.shape
    known = corrupt.stripe(shape)
    missing = np.flatnonzero(~known.reshape(shape).all(axis=1))
    task = RestorationTask(context, "inpaint", each_image(lambda x, rng: x * known))

    def call(data: Array, cones: Any, *, l1: float, copy_back: bool) -> Array:
        return tasks.inpaint(data, cones, known, copy_back=copy_back, l1=l1).signal

    def with_known_pixels(method: Method) -> Method:
        return lambda items: np.where(known, items.data, method(items))

    return task.build(
        "Inpainting",
        f"Rows {missing[0]} to {missing[-1]} of {shape[0]} are missing.",
        [
            *task.cones(partial(call, copy_back=True), tag=", copy-back"),
            *task.cones(partial(call, copy_back=False), tag=", pure", oracle=False),
            *task.rivals(with_known_pixels),
            task.classical("biharmonic", classical.biharmonic, shape, known),
            task.untouched(),
        ],
    )
