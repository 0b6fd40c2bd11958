# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian noise: normal, of standard deviation 0.2."""

from __future__ import annotations

from functools import partial

from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Context, Task
from fastcone.study.restoration import RestorationTask, denoised, each_image
from fastcone.study.tasks import register

SIGMAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
TIMES = tuple(sigma**2 / 2 for sigma in SIGMAS)
TV_WEIGHTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)


@register("denoise_gaussian", position=30)
def denoise_gaussian(context: Context) -> Task:
    """Normal noise of standard deviation 0.2."""
    shape = context.data.shape
    task = RestorationTask(context, "denoise_gaussian", each_image(corrupt.gaussian))
    return task.build(
        "Gaussian noise",
        f"Normal noise of standard deviation {corrupt.SIGMA:g} was added, clipped to [0, 1].",
        [
            *task.cones(denoised),
            task.likeliest(partial(denoised, clip=(0.0, 1.0)), (corrupt.SIGMA,)),
            *task.rivals(),
            task.classical("Gaussian filter", classical.gaussian_filter, shape, sigma=SIGMAS),
            task.classical("heat equation", classical.heat_equation, shape, t=TIMES),
            task.classical("total variation", classical.total_variation, shape, weight=TV_WEIGHTS),
            task.untouched(),
        ],
    )
