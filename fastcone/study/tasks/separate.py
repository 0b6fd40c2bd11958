# SPDX-License-Identifier: BSD-3-Clause
"""Source separation: the two images in a mixture of the first two classes."""

from __future__ import annotations

import numpy as np

from fastcone import tasks
from fastcone.study.data import Images
from fastcone.study.problem import Array, Contender, Context, Items, Method, Task
from fastcone.study.restoration import RestorationTask
from fastcone.study.tasks import register


@register("separate", position=90)
def separate(context: Context) -> Task:
    """The two images in a mixture of the first two classes."""
    first, second = context.data.labels[:2]
    cones = {label: context.model.classes[label] for label in (first, second)}

    def mixtures(images: Images, rng: np.random.Generator) -> Items:
        sources = [images.of(label).x for label in (first, second)]
        pick = [x[_shuffled(len(x), len(images) // 2, rng)] for x in sources]
        return Items((pick[0] + pick[1]) / 2, np.hstack(pick), None)

    def parts(items: Items, wiener: bool) -> Array:
        found = tasks.separate(items.data, cones, wiener=wiener)
        return 2 * np.hstack([found.signals[first], found.signals[second]])

    task = RestorationTask(context, "separate", mixtures, parts=2, only=(first, second))
    return task.build(
        "Source separation",
        f"The mean of an image of class {first} and one of class {second}; both are wanted.",
        [
            Contender("reuse", "both class cones, Wiener", lambda items: parts(items, True)),
            Contender("reuse", "both class cones", lambda items: parts(items, False)),
            *task.rivals(_shared_out),
            task.classical("half each", lambda data: np.hstack([data, data])),
        ],
    )


def _shared_out(method: Method) -> Method:
    """Share the mixture out in proportion to the method's guesses of its parts."""

    def shares(items: Items) -> Array:
        guess = np.maximum(method(items), 0).reshape(len(items.data), 2, -1)
        total = guess.sum(axis=1, keepdims=True)
        share = np.divide(guess, total, out=np.full_like(guess, 0.5), where=total > 0)
        return (2 * items.data[:, None] * share).reshape(len(items.data), -1)

    return shares


def _shuffled(size: int, count: int, rng: np.random.Generator) -> Array:
    """Return `count` positions below `size` in random order, none used again before all are."""
    rounds = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate(rounds)[:count]
