# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks judged by PSNR have in common: items, cone variants, rivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastcone import tasks
from fastcone.study.data import Images
from fastcone.study.methods.trained import train_mlp, train_ridge
from fastcone.study.metrics import mean_quality, psnr
from fastcone.study.problem import (
    Array,
    Contender,
    Context,
    Items,
    Method,
    Settings,
    Task,
    Training,
    tuned,
)

Corruption = Callable[[Images, np.random.Generator], Items]
Wrap = Callable[[Method], Method]

L1 = (0.0, 0.003, 0.01, 0.03, 0.1)


class RestorationTask:
    """Build one task that is judged by PSNR.

    Parameters
    ----------
    context : Context
        Data, cones, size, seed.
    name : str
        Of the task.
    corruption : callable
        Takes clean images and a generator, returns items.
    parts : int
        Images in one row of the truth.
    only : tuple of labels
        Classes of the tuning and test images; all if empty.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        corruption: Corruption,
        *,
        parts: int = 1,
        only: tuple[int, ...] = (),
    ) -> None:
        self._context, self._name, self._corruption, self._parts = context, name, corruption, parts
        tune, test = context.tune, context.test
        if only:
            tune = context.data.tune.of(*only)
            test = context.data.test.of(*only).mixed(context.size.n_restore)
        self.tune = corruption(tune, context.rng(name, "tune"))
        self.test = corruption(test, context.rng(name, "test"))

    def quality(self, answers: Array, items: Items) -> float:
        """Return the mean PSNR, by which settings are chosen."""
        return float(psnr(answers, items.truth, self._parts).mean())

    def tuned(self, method: Callable[..., Array], **grid: Sequence[Any]) -> Training:
        """Return the training of a method that only has settings to choose, by mean PSNR."""
        return tuned(method, grid, self.tune, self.quality)

    def classical(
        self, name: str, function: Callable[..., Array], *args: Any, **grid: Sequence[Any]
    ) -> Contender:
        """Return a classical method ``function(data, *args, **settings)``, its settings tuned."""

        def method(items: Items, **settings: Any) -> Array:
            return function(items.data, *args, **settings)

        if grid:
            return Contender("training-free", name, train=self.tuned(method, **grid))
        return Contender("training-free", name, method)

    def untouched(self, name: str = "left as it is") -> Contender:
        """Return the data themselves as answers."""
        return Contender("training-free", name, lambda items: items.data)

    def cones(
        self,
        call: Callable[..., Array],
        *,
        tag: str = "",
        l1: Sequence[float] = L1,
        oracle: bool = True,
    ) -> list[Contender]:
        """Return the ways to reuse the cones: nearest class, common, and class known (oracle).

        Parameters
        ----------
        call : callable
            ``call(data, cones, l1=...)`` restores images.
        tag : str
            Appended to the names.
        l1 : sequence of float
            Penalties to try, in units of the brightness of the training images.
        oracle : bool
            Whether to add the variant that is told the class.
        """
        model = self._context.model

        def nearest(items: Items, l1: float) -> Array:
            return call(items.data, model.classes, l1=l1 * model.brightness)

        def common(items: Items, l1: float) -> Array:
            return call(items.data, model.common, l1=l1 * model.brightness)

        def told(items: Items, l1: float) -> Array:
            answers = np.empty(items.truth.shape)
            for label, cone in model.classes.items():
                here = np.flatnonzero(np.asarray(items.labels) == label)
                if here.size:
                    answers[here] = call(items.data[here], cone, l1=l1 * model.brightness)
            return answers

        found = [
            Contender("reuse", f"nearest class cone{tag}", train=self.tuned(nearest, l1=l1)),
            Contender("reuse", f"common cone{tag}", train=self.tuned(common, l1=l1)),
        ]
        if oracle:
            name = f"cone of the true class{tag} (oracle)"
            found.append(Contender("reuse", name, train=self.tuned(told, l1=l1), oracle=True))
        return found

    def rivals(self, finish: Wrap | None = None) -> list[Contender]:
        """Return the models that are trained for this task alone: ridge regression and an MLP.

        Parameters
        ----------
        finish : callable, optional
            Turns a method into one that also uses what is known about the data.
        """
        context = self._context
        tune = (self.tune.data, self.tune.truth)

        def pairs(rng: np.random.Generator) -> tuple[Array, Array]:
            items = self._corruption(context.data.fit, rng)
            return items.data, items.truth

        def as_method(model: Callable[[Array], Array]) -> Method:
            def method(items: Items) -> Array:
                return model(items.data)

            return finish(method) if finish else method

        def ridge() -> tuple[Method, Settings]:
            spoilt = pairs(context.rng(self._name, "ridge"))
            model, settings = train_ridge(spoilt, tune, parts=self._parts)
            return as_method(model), settings

        def mlp() -> tuple[Method, Settings]:
            rng = context.rng(self._name, "mlp")
            model, settings = train_mlp(
                lambda: pairs(rng),
                tune,
                context.seed,
                width=context.size.width,
                rounds=context.size.rounds,
                parts=self._parts,
            )
            return as_method(model), settings

        return [
            Contender("retrain", "ridge regression", train=ridge),
            Contender("retrain", f"MLP ({context.size.width})", train=mlp),
        ]

    def build(
        self,
        title: str,
        about: str,
        contenders: Sequence[Contender],
        pairs: Sequence[tuple[str, str]] = (),
    ) -> Task:
        """Return the task; `pairs` of contenders are compared image by image."""
        return Task(
            name=self._name,
            title=title,
            metric="psnr_db",
            about=about,
            tune=self.tune,
            test=self.test,
            contenders=contenders,
            judge=lambda answers, items: mean_quality(psnr(answers, items.truth, self._parts)),
            n_items=len(self.test.data),
            parts=self._parts,
            pairs=pairs,
        )


def each_image(corrupt: Callable[[Array, np.random.Generator], Array]) -> Corruption:
    """Return the corruption that spoils images one by one and wants them back."""

    def items(images: Images, rng: np.random.Generator) -> Items:
        return Items(corrupt(images.x, rng), images.x, images.y)

    return items


def denoised(data: Array, cones: Any, *, l1: float, loss: Any = "l2") -> Array:
    """Return the nearest points of the cones."""
    return tasks.denoise(data, cones, loss=loss, l1=l1).signal
