# SPDX-License-Identifier: BSD-3-Clause
"""Deblurring: a box blur and a little noise."""

from __future__ import annotations

from typing import Any

from fastcone import tasks
from fastcone.operators import Blur
from fastcone.study import corrupt
from fastcone.study.methods.classical import exact_deblur, fourier_deblur
from fastcone.study.problem import Array, Context, Task
from fastcone.study.restoration import RestorationTask, each_image
from fastcone.study.tasks import register

NOISE = (0.005, 0.007, 0.01)
WEIGHTS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


@register("deblur", position=70)
def deblur(context: Context) -> Task:
    """A box blur and a little noise."""
    shape = context.data.shape
    kernel = corrupt.box(shape)
    blur = Blur(shape, kernel, "zero")
    blurred = each_image(lambda x, rng: corrupt.read_noise(blur.forward(x), rng))
    task = RestorationTask(context, "deblur", blurred)

    def call(data: Array, cones: Any, **options: Any) -> Array:
        return tasks.deblur(data, cones, blur, **options).signal

    return task.build(
        "Deblurring",
        f"A {len(kernel)} x {len(kernel)} box blur, then normal noise of standard deviation "
        f"{corrupt.BLUR_NOISE:g}.",
        [
            *task.cones(call),
            task.likeliest(call, NOISE),
            *task.rivals(),
            task.classical("L2 in Fourier space", fourier_deblur, shape, kernel, weight=WEIGHTS),
            task.classical("L2, edges known", exact_deblur, shape, kernel, weight=WEIGHTS),
            task.untouched(),
        ],
    )
