# SPDX-License-Identifier: BSD-3-Clause
"""Salt and pepper noise: a quarter of the pixels black or white; 1-norm against 2-norm."""

from __future__ import annotations

from functools import partial

from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Context, Task
from fastcone.study.restoration import RestorationTask, denoised, each_image
from fastcone.study.tasks import register

L1 = (0.0, 0.003, 0.01)


@register("denoise_salt_pepper", position=40)
def denoise_salt_pepper(context: Context) -> Task:
    """A quarter of the pixels black or white."""
    shape = context.data.shape
    task = RestorationTask(context, "denoise_salt_pepper", each_image(corrupt.salt_pepper))
    return task.build(
        "Salt and pepper noise",
        f"{corrupt.SHARE:.0%} of the pixels were set to black or white.",
        [
            *task.cones(partial(denoised, loss="l1"), tag=", 1-norm", l1=L1),
            *task.cones(denoised, tag=", 2-norm"),
            *task.rivals(),
            task.classical("median filter", classical.median_filter, shape, size=(3, 5)),
            task.untouched(),
        ],
        pairs=[
            (f"{cones}, 1-norm", f"{cones}, 2-norm")
            for cones in ("nearest class cone", "common cone")
        ],
    )
