# SPDX-License-Identifier: BSD-3-Clause
"""What a task of the study is: items to work on, contenders, and a judge.

Items       what a method may look at, and what it is judged against
Contender   an arm, a name, and a method: ready, or to be trained first
Task        items, contenders, and how answers become a quality
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone.study.data import Dataset, Images
from fastcone.study.metrics import Quality
from fastcone.study.model import Model

Array = npt.NDArray[Any]

ARMS = ("reuse", "retrain", "training-free")


@dataclass(frozen=True, eq=False)
class Items:
    """The items of a task, as rows.

    Parameters
    ----------
    data : ndarray, shape (N, ...)
        What a method works on.
    truth : ndarray, shape (N, ...)
        What its answer is compared with.
    labels : ndarray, shape (N,), or None
        Classes of the items, if they have one; only for methods that are marked as oracles.
    """

    data: Array
    truth: Array
    labels: Array | None


Method = Callable[[Items], Any]
Settings = dict[str, Any]
Training = Callable[[], tuple[Method, Settings]]


@dataclass(frozen=True, eq=False)
class Contender:
    """A method that takes part in a task.

    Parameters
    ----------
    arm : str
        One of `ARMS`.
    name : str
        As shown in tables.
    method : callable, optional
        Takes `Items`, returns answers. Missing if `train` makes it.
    train : callable, optional
        Returns the method and the settings it chose. Its cost is the contender's training cost.
    oracle : bool
        Whether the method knows something that is not known in practice.
    """

    arm: str
    name: str
    method: Method | None = None
    train: Training | None = None
    oracle: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """A task of the study.

    Parameters
    ----------
    name, title, metric : str
        Key in ``study.json``, heading, and ``"accuracy"``, ``"psnr_db"`` or ``"auroc"``.
    about : str
        One sentence: what is given, what is wanted.
    tune, test : Items
        The items that choose between methods, and those that judge them.
    contenders : sequence of Contender
    judge : callable
        Takes answers and `Items`, returns a quality and its interval.
    n_items : int
        Answers that one use of a method on `test` gives.
    each : callable, optional
        Takes answers and `Items`, returns the quality of each item; missing where only all items
        together have one.
    pairs : sequence of pairs of str
        Names of contenders to compare item by item.
    """

    name: str
    title: str
    metric: str
    about: str
    tune: Items
    test: Items
    contenders: Sequence[Contender]
    judge: Callable[[Any, Items], Quality]
    n_items: int
    each: Callable[[Any, Items], Array] | None = None
    pairs: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Size:
    """How much work a study does.

    Parameters
    ----------
    n_restore, n_tune : int
        Test and tuning images of the tasks that are judged by PSNR, and of `detect`.
    width, rounds : int
        Hidden units of the rival networks, most rounds of some 100 updates.
    n_svm : int
        Training images of the one-class support vector machines.
    """

    n_restore: int
    n_tune: int
    width: int
    rounds: int
    n_svm: int


@dataclass(frozen=True, eq=False)
class Context:
    """What all tasks share: the data, the trained cones, the size of the work and the seed."""

    data: Dataset
    model: Model
    size: Size
    seed: int

    @cached_property
    def test(self) -> Images:
        """The test images of the tasks that do not use all of them."""
        return self.data.test.mixed(self.size.n_restore)

    @cached_property
    def tune(self) -> Images:
        """The tuning images of those tasks."""
        return self.data.tune.mixed(self.size.n_tune)

    def rng(self, *names: str) -> np.random.Generator:
        """Return the random numbers of one purpose, the same whatever else is run."""
        return np.random.default_rng([self.seed, zlib.crc32("/".join(names).encode())])


def on_data(
    train: Callable[..., tuple[Callable[[Array], Any], Settings]], *args: Any, **options: Any
) -> Training:
    """Return the training, ``train(*args, **options)``, of a function of the items' data."""

    def start() -> tuple[Method, Settings]:
        model, settings = train(*args, **options)
        return lambda items: model(items.data), settings

    return start


def tuned(
    method: Callable[..., Any],
    grid: Mapping[str, Sequence[Any]],
    tune: Items,
    quality: Callable[[Any, Items], float],
) -> Training:
    """Return the training of a method that only has settings to choose.

    Parameters
    ----------
    method : callable
        Takes `Items` and the settings.
    grid : mapping
        Values of each setting; all combinations are tried on `tune`, the first best one is kept.
    tune : Items
    quality : callable
        Takes answers and `Items`.
    """

    def train() -> tuple[Method, Settings]:
        trials = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
        best = max(trials, key=lambda settings: quality(method(tune, **settings), tune))
        return lambda items: method(items, **best), best

    return train
