# SPDX-License-Identifier: BSD-3-Clause
"""Periodic noise: a diagonal wave over the whole image."""

from __future__ import annotations

from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Contender, Context, Task
from fastcone.study.restoration import RestorationTask, denoised, each_image
from fastcone.study.tasks import register

CONTRASTS = (2.0, 3.0, 4.0, 6.0, 10.0)


@register("denoise_periodic", position=50)
def denoise_periodic(context: Context) -> Task:
    """A diagonal wave over the whole image."""
    shape = context.data.shape
    waves = each_image(lambda x, rng: corrupt.periodic(x, shape, rng))
    task = RestorationTask(context, "denoise_periodic", waves)
    told = Contender(
        "training-free",
        "notch filter, wave known (oracle)",
        lambda items: classical.oracle_notch(items.data, shape),
        oracle=True,
    )
    return task.build(
        "Periodic noise",
        "A diagonal wave of height 2/7 and random phase was added, clipped to [0, 1].",
        [
            *task.cones(denoised),
            *task.rivals(),
            task.classical("notch filter, blind", classical.blind_notch, shape, contrast=CONTRASTS),
            told,
            task.untouched(),
        ],
    )
