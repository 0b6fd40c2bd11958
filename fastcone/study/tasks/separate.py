# SPDX-License-Identifier: BSD-3-Clause
"""Source separation: the two images in a mixture of the first two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcone import tasks
from fastcone.study.data import Images
from fastcone.study.problem import Array, Contender, Context, Items, Task
from fastcone.study.restoration import RestorationTask
from fastcone.study.tasks import register

NOISE = (0.05, 0.1, 0.15, 0.2)


@register("separate", position=90)
def separate(context: Context) -> Task:
    """The two images in a mixture of the first two classes."""
    first, second = context.data.labels[:2]
    cones = {label: context.model.classes[label] for label in (first, second)}

    def mixtures(images: Images, rng: np.random.Generator) -> Items:
        sources = [images.of(label).x for label in (first, second)]
        pick = [x[_shuffled(len(x), len(images) // 2, rng)] for x in sources]
        return Items((pick[0] + pick[1]) / 2, np.hstack(pick), None)

    def parts(items: Items) -> Array:
        found = tasks.separate(items.data, cones, wiener=False)
        return 2 * np.hstack([found.signals[first], found.signals[second]])

    def probable(data: Array, cones: Any, *, noise: float, blend: float) -> Array:
        found = tasks.separate(2 * data, cones, noise=noise, wiener=False)
        return np.hstack([found.signals[first], found.signals[second]])

    task = RestorationTask(context, "separate", mixtures, parts=2, only=(first, second))
    return task.build(
        "Source separation",
        f"The mean of an image of class {first} and one of class {second}; both are wanted.",
        [
            Contender("reuse", "both class cones, Wiener", train=task.curved(parts, _shared_out)),
            Contender("reuse", "both class cones", train=task.curved(parts)),
            task.likeliest(probable, NOISE, _shared_out, cones),
            *task.rivals(_shared_out),
            task.classical("half each", lambda data: np.hstack([data, data])),
        ],
    )


def _shared_out(answers: Array, items: Items) -> Array:
    """Share the mixtures out in proportion to guesses of their parts."""
    guess = np.maximum(answers, 0).reshape(len(items.data), 2, -1)
    total = guess.sum(axis=1, keepdims=True)
    share = np.divide(guess, total, out=np.full_like(guess, 0.5), where=total > 0)
    return np.asarray((2 * items.data[:, None] * share).reshape(len(items.data), -1))


def _shuffled(size: int, count: int, rng: np.random.Generator) -> Array:
    """Return `count` positions below `size` in random order, none used again before all are."""
    rounds = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate(rounds)[:count]
