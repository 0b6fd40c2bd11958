# SPDX-License-Identifier: BSD-3-Clause
"""Salt and pepper noise: a quarter of the pixels black or white; 1-norm against 2-norm."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastcone import tasks
from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Array, Context, Task
from fastcone.study.restoration import Raw, RestorationTask, denoised, each_image
from fastcone.study.tasks import register

L1 = (0.0, 0.003, 0.01)
NOISE = (0.06, 0.09, 0.12, 0.16)


@register("denoise_salt_pepper", position=40)
def denoise_salt_pepper(context: Context) -> Task:
    """A quarter of the pixels black or white."""
    shape = context.data.shape
    task = RestorationTask(context, "denoise_salt_pepper", each_image(corrupt.salt_pepper))

    def doubted(data: Array, cones: Any, **options: Any) -> Raw:
        found = tasks.denoise(data, cones, clip=(0.0, 1.0), outliers=corrupt.SHARE, **options)
        trust = np.asarray(found.trust)
        return Raw(found.signal, lambda u: trust * data + (1 - trust) * u)

    return task.build(
        "Salt and pepper noise",
        f"{corrupt.SHARE:.0%} of the pixels were set to black or white.",
        [
            *task.cones(partial(denoised, loss="l1"), tag=", 1-norm", l1=L1),
            *task.cones(denoised, tag=", 2-norm"),
            task.likeliest(doubted, NOISE),
            *task.rivals(),
            task.classical("median filter", classical.median_filter, shape, size=(3, 5)),
            task.untouched(),
        ],
        pairs=[
            (f"{cones}, 1-norm", f"{cones}, 2-norm")
            for cones in ("nearest class cone", "common cone")
        ],
    )
