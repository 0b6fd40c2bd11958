# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks judged by PSNR have in common: items, cone variants, rivals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
)
from fastcone.tasks import Curve

Corruption = Callable[[Images, np.random.Generator], Items]
Finish = Callable[[Array, Items], Array]

L1 = (0.0, 0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True, eq=False)
class Raw:
    """A restoration before its curve: the signal, and what else is done to it afterwards."""

    signal: Array
    finish: Callable[[Array], Array]


def finished(signal: Array, items: Items, finish: Finish | None) -> Array:
    """Return a signal after `finish`, if there is one."""
    return signal if finish is None else finish(signal, items)


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

    def curved(
        self,
        method: Callable[..., Array | Raw],
        finish: Finish | None = None,
        **grid: Sequence[Any],
    ) -> Training:
        """Return the training of a method that has settings to choose, and of its curve.

        Every setting is tried on the tuning images with a curve of its own, fitted to them: a
        monotone function of intensity, `fastcone.tasks.Curve`. All arms are treated alike.
        """

        def answer(raw: Array | Raw, curve: Curve, items: Items) -> Array:
            whole = raw if isinstance(raw, Raw) else Raw(raw, lambda u: u)
            return finished(whole.finish(curve(whole.signal)), items, finish)

        def trial(settings: Settings) -> tuple[float, Curve]:
            raw = method(self.tune, **settings)
            signal = raw.signal if isinstance(raw, Raw) else raw
            curve = Curve.fit(signal, self.tune.truth)
            return self.quality(answer(raw, curve, self.tune), self.tune), curve

        def train() -> tuple[Method, Settings]:
            trials = [dict(zip(grid, v, strict=True)) for v in itertools.product(*grid.values())]
            tried = [trial(settings) for settings in trials]
            best = max(range(len(tried)), key=lambda k: tried[k][0])
            settings, curve = trials[best], tried[best][1]
            return lambda items: answer(method(items, **settings), curve, items), settings

        return train

    def with_curve(self, training: Training, finish: Finish | None = None) -> Training:
        """Return a training followed by that of a curve."""

        def train() -> tuple[Method, Settings]:
            method, settings = training()
            return self.curved(method, finish)()[0], settings

        return train

    def classical(
        self, name: str, function: Callable[..., Array], *args: Any, **grid: Sequence[Any]
    ) -> Contender:
        """Return a classical method ``function(data, *args, **settings)``, tuned, with a curve."""

        def method(items: Items, **settings: Any) -> Array:
            return function(items.data, *args, **settings)

        return Contender("training-free", name, train=self.curved(method, None, **grid))

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
        finish: Finish | None = None,
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
        finish : callable, optional
            As for `rivals`.
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
            Contender("reuse", f"{name}{tag}", train=self.curved(method, finish, l1=l1))
            for name, method in (("nearest class cone", nearest), ("common cone", common))
        ]
        if oracle:
            name = f"cone of the true class{tag} (oracle)"
            train = self.curved(told, finish, l1=l1)
            found.append(Contender("reuse", name, train=train, oracle=True))
        return found

    def likeliest(
        self,
        call: Callable[..., Array | Raw],
        noise: Sequence[float],
        finish: Finish | None = None,
        cones: Any = None,
    ) -> Contender:
        """Return the most probable images: all cones with their priors, weighted by likelihood.

        Parameters
        ----------
        call : callable
            ``call(data, cones, noise=..., blend=...)`` restores images.
        noise : sequence of float
            Standard deviations to try; of all cones also those of `Model.blends`.
        finish : callable, optional
            As for `rivals`.
        cones : Cone or mapping, optional
            All cones of the model if missing.
        """
        model = self._context.model
        several = cones is None
        cones = model.every if several else cones

        blend = model.blends if several else model.blends[:1]

        def method(items: Items, noise: float, blend: float) -> Array | Raw:
            return call(items.data, cones, noise=noise, blend=blend)

        train = self.curved(method, finish, noise=noise, blend=blend)
        return Contender("reuse", "likeliest cones, prior", train=train)

    def rivals(self, finish: Finish | None = None) -> list[Contender]:
        """Return the models that are trained for this task alone: ridge regression and an MLP.

        Parameters
        ----------
        finish : callable, optional
            ``finish(answers, items)`` uses what else is known about the data, after the curve.
        """
        context = self._context
        tune = (self.tune.data, self.tune.truth)

        def pairs(rng: np.random.Generator) -> tuple[Array, Array]:
            items = self._corruption(context.data.fit, rng)
            return items.data, items.truth

        def ridge() -> tuple[Method, Settings]:
            spoilt = pairs(context.rng(self._name, "ridge"))
            model, settings = train_ridge(spoilt, tune, parts=self._parts)
            return lambda items: model(items.data), settings

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
            return lambda items: model(items.data), settings

        return [
            Contender("retrain", name, train=self.with_curve(train, finish))
            for name, train in (("ridge regression", ridge), (f"MLP ({context.size.width})", mlp))
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
            each=lambda answers, items: psnr(answers, items.truth, self._parts),
            pairs=pairs,
        )


def each_image(corrupt: Callable[[Array, np.random.Generator], Array]) -> Corruption:
    """Return the corruption that spoils images one by one and wants them back."""

    def items(images: Images, rng: np.random.Generator) -> Items:
        return Items(corrupt(images.x, rng), images.x, images.y)

    return items


def denoised(data: Array, cones: Any, **options: Any) -> Array:
    """Return the nearest points of the cones, or the most probable images."""
    return tasks.denoise(data, cones, **options).signal
