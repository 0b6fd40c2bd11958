# SPDX-License-Identifier: BSD-3-Clause
"""Periodic noise: a diagonal wave over the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone import tasks
from fastcone.study import corrupt
from fastcone.study.methods import classical
from fastcone.study.problem import Array, Contender, Context, Task
from fastcone.study.restoration import Raw, RestorationTask, denoised, each_image
from fastcone.study.tasks import register

NOISE = (0.02, 0.05)
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

    def less_wave(data: Array, cones: Any, **options: Any) -> Raw:
        found = tasks.denoise(data, cones, clip=(-1.0, 1.0), nuisance=waves_at(shape), **options)
        clean, trust = data - np.asarray(found.nuisance), np.asarray(found.trust)
        return Raw(found.signal, lambda u: np.where(trust > 0, clean, u))

    return task.build(
        "Periodic noise",
        "A diagonal wave of height 2/7 and random phase was added, clipped to [0, 1].",
        [
            *task.cones(denoised),
            task.likeliest(less_wave, NOISE, cones=context.model.common),
            *task.rivals(),
            task.classical("notch filter, blind", classical.blind_notch, shape, contrast=CONTRASTS),
            told,
            task.untouched(),
        ],
    )


def waves_at(shape: tuple[int, int]) -> Array:
    """Return what a wave of known frequency is made of: the constant, sine and cosine."""
    i, j = np.indices(shape)
    waves = [corrupt.wave_number(side) / side for side in shape]
    turns = waves[0] * i + waves[1] * j
    angle = 2 * np.pi * turns.ravel()
    return np.stack([np.ones_like(angle), np.sin(angle), np.cos(angle)], axis=1)
