# SPDX-License-Identifier: BSD-3-Clause
"""What all tasks that are judged by PSNR have in common: items, cone variants, rivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone.study.data import Images
from fastcone.study.metrics import mean_quality, psnr
from fastcone.study.problem import (
    Contender,
    Items,
    Method,
    Settings,
    Task,
    Training,
    World,
    tuned,
)
from fastcone.study.rivals import train_mlp, train_ridge

Array = npt.NDArray[Any]
Spoil = Callable[[Images, np.random.Generator], Items]
Wrap = Callable[[Method], Method]

L1 = (0.0, 0.003, 0.01, 0.03, 0.1)


class Bench:
    """Build one task that is judged by PSNR.

    Parameters
    ----------
    world : World
        Data, cones, size, seed.
    name : str
        Of the task.
    spoil : callable
        Takes clean images and a generator, returns items.
    parts : int
        Images in one row of the truth.
    only : tuple of labels
        Classes of the tuning and test images; all if empty.
    """

    def __init__(
        self, world: World, name: str, spoil: Spoil, *, parts: int = 1, only: tuple[int, ...] = ()
    ) -> None:
        self._world, self._name, self._spoil, self._parts = world, name, spoil, parts
        tune, test = world.tune, world.test
        if only:
            tune = world.data.tune.of(*only)
            test = world.data.test.of(*only).mixed(world.size.n_restore)
        self.tune = spoil(tune, world.rng(name, "tune"))
        self.test = spoil(test, world.rng(name, "test"))

    def quality(self, answers: Array, items: Items) -> float:
        """Return the mean PSNR, by which settings are chosen."""
        return float(psnr(answers, items.truth, self._parts).mean())

    def tuned(self, method: Callable[..., Array], **grid: Sequence[Any]) -> Training:
        """Return the training of a method that only has settings to choose, by mean PSNR."""
        return tuned(method, grid, self.tune, self.quality)

    def free(
        self, name: str, function: Callable[..., Array], *args: Any, **grid: Sequence[Any]
    ) -> Contender:
        """Return a classical method ``function(data, *args, **settings)``, its settings tuned."""

        def method(items: Items, **settings: Any) -> Array:
            return function(items.data, *args, **settings)

        if grid:
            return Contender("free", name, train=self.tuned(method, **grid))
        return Contender("free", name, method)

    def untouched(self, name: str = "left as it is") -> Contender:
        """Return the data themselves as answers."""
        return Contender("free", name, lambda items: items.data)

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
        model = self._world.model

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
        world = self._world
        tune = (self.tune.data, self.tune.truth)

        def pairs(rng: np.random.Generator) -> tuple[Array, Array]:
            items = self._spoil(world.data.fit, rng)
            return items.data, items.truth

        def as_method(model: Callable[[Array], Array]) -> Method:
            def method(items: Items) -> Array:
                return model(items.data)

            return finish(method) if finish else method

        def ridge() -> tuple[Method, Settings]:
            spoilt = pairs(world.rng(self._name, "ridge"))
            model, settings = train_ridge(spoilt, tune, parts=self._parts)
            return as_method(model), settings

        def mlp() -> tuple[Method, Settings]:
            rng = world.rng(self._name, "mlp")
            model, settings = train_mlp(
                lambda: pairs(rng),
                tune,
                world.seed,
                width=world.size.width,
                rounds=world.size.rounds,
                parts=self._parts,
            )
            return as_method(model), settings

        return [
            Contender("retrain", "ridge regression", train=ridge),
            Contender("retrain", f"MLP ({world.size.width})", train=mlp),
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
