# SPDX-License-Identifier: BSD-3-Clause
"""Whether what a region surrounds may be suspended while foreign work runs inside it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def gives_suspended(function: Callable[..., Any]) -> bool:
    """Return whether a call runs nothing yet, also behind `partial`, `wraps` and ``__call__``.

    Examples
    --------
    >>> def letters():
    ...     yield "a"
    >>> gives_suspended(letters), gives_suspended(len)
    (True, False)
    """
    for name in ("func", "__wrapped__"):
        inner = getattr(function, name, None)
        if callable(inner) and not isinstance(function, type):
            return gives_suspended(inner)
    if not hasattr(function, "__code__") and not isinstance(function, type):
        function = type(function).__call__
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _SUSPENDED)


def suspended(frame: FrameType) -> tuple[str, ...]:
    """Return flags for a frame that may be suspended while a region is open in it.

    Examples
    --------
    >>> suspended(sys._getframe())
    ()
    """
    code = frame.f_code
    is_helper = frame.f_back is not None and frame.f_back.f_globals.get("__name__") == "contextlib"
    generates = code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR)
    return (("generator",) if generates and not is_helper else ()) + other_tasks()


def other_tasks() -> tuple[str, ...]:
    """Return a flag where this thread runs an event loop with tasks besides this one.

    Examples
    --------
    >>> other_tasks()
    ()
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return ()
    return ("other-tasks",) if len(asyncio.all_tasks()) > 1 else ()
