# SPDX-License-Identifier: BSD-3-Clause
"""Super-resolution: half the height and width are given."""

from __future__ import annotations

from typing import Any

from fastcone import tasks
from fastcone.operators import Downsample
from fastcone.study.methods import classical
from fastcone.study.problem import Array, Context, Task
from fastcone.study.restoration import RestorationTask, each_image
from fastcone.study.tasks import register

NOISE = (0.003, 0.01, 0.03)


@register("super_resolve", position=80)
def super_resolve(context: Context) -> Task:
    """Half the height and width."""
    shape = context.data.shape
    downsample = Downsample(shape, 2)
    smaller = each_image(lambda x, rng: downsample.forward(x))
    task = RestorationTask(context, "super_resolve", smaller)

    def call(data: Array, cones: Any, **options: Any) -> Array:
        return tasks.super_resolve(data, cones, downsample, **options).signal

    return task.build(
        "Super-resolution",
        f"Images of {shape[0] // 2} x {shape[1] // 2} pixels, wanted at {shape[0]} x {shape[1]}.",
        [
            *task.cones(call),
            task.likeliest(call, NOISE),
            *task.rivals(),
            task.classical("bicubic", classical.bicubic, shape),
            task.classical("pixels repeated", classical.repeated, shape),
        ],
    )
