# SPDX-License-Identifier: BSD-3-Clause
"""The tasks of the study, one module each: a new module here is a new task.

A module registers a function that takes a `Context` and returns a `Task`:

    @register("inpaint", position=60)
    def inpaint(context: Context) -> Task: ...
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from fastcone.study.problem import Context, Task

Builder = Callable[[Context], Task]

_registered: dict[str, tuple[int, Builder]] = {}


def register(name: str, *, position: int) -> Callable[[Builder], Builder]:
    """Return the decorator that adds a task to the study.

    Parameters
    ----------
    name : str
        Key of the task in ``study.json`` and name of its picture.
    position : int
        Tasks are run and shown in ascending order.

    Raises
    ------
    ValueError
        The name or the position is taken.
    """

    def add(build: Builder) -> Builder:
        for other, (taken, _) in _registered.items():
            if name == other or position == taken:
                raise ValueError(f"task {name!r} at {position} meets task {other!r} at {taken}")
        _registered[name] = (position, build)
        return build

    return add


def names() -> list[str]:
    """Return the names of all tasks in the order in which they are shown."""
    return sorted(_registered, key=lambda name: _registered[name][0])


def build_tasks(context: Context) -> list[Task]:
    """Return all tasks in the order in which they are shown.

    Raises
    ------
    ValueError
        A task does not bear the name under which it is registered.
    """
    tasks = [_registered[name][1](context) for name in names()]
    for name, task in zip(names(), tasks, strict=True):
        if task.name != name:
            raise ValueError(f"the task registered as {name!r} must bear that name: {task.name!r}")
    return tasks


for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
