# SPDX-License-Identifier: BSD-3-Clause
"""fastcone: train a non-negative dictionary once, reuse its cone for every task.

Solvers speak columns (one problem a column), cones and tasks speak rows (one sample a row).
Submodules: `operators`, `tasks`, `green`, `study`; they load when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcone._nmf.api import Checkpoint, nmf
    from fastcone._nmf.online import OnlineNMF
    from fastcone._nmf.rank import RankSelection, select_rank
    from fastcone._nmf.result import ConvergenceWarning, NMFResult
    from fastcone._nnlad.api import solve_nnlad
    from fastcone._nnls.api import nnls_path, solve_nnls, solve_nnls_gram
    from fastcone._nnls.like_scipy import nnls
    from fastcone._nnls.projector import Projector
    from fastcone._nnls.result import ConvergenceError, Solution
    from fastcone._runtime.config import show_config
    from fastcone.cone import Cone, Projection

    __version__: str

# Where each public name lives; the solvers load when the first one is asked for, so that
# `fastcone.green`, which needs none of them, starts at once.
_HOMES = {
    "Checkpoint": "_nmf.api",
    "nmf": "_nmf.api",
    "OnlineNMF": "_nmf.online",
    "RankSelection": "_nmf.rank",
    "select_rank": "_nmf.rank",
    "ConvergenceWarning": "_nmf.result",
    "NMFResult": "_nmf.result",
    "solve_nnlad": "_nnlad.api",
    "nnls_path": "_nnls.api",
    "solve_nnls": "_nnls.api",
    "solve_nnls_gram": "_nnls.api",
    "nnls": "_nnls.like_scipy",
    "Projector": "_nnls.projector",
    "ConvergenceError": "_nnls.result",
    "Solution": "_nnls.result",
    "show_config": "_runtime.config",
    "Cone": "cone",
    "Projection": "cone",
}

__all__ = [
    "Checkpoint",
    "Cone",
    "ConvergenceError",
    "ConvergenceWarning",
    "NMFResult",
    "OnlineNMF",
    "Projection",
    "Projector",
    "RankSelection",
    "Solution",
    "nmf",
    "nnls",
    "nnls_path",
    "select_rank",
    "show_config",
    "solve_nnlad",
    "solve_nnls",
    "solve_nnls_gram",
]


def __getattr__(name: str) -> Any:
    if name in ("cone", "green", "operators", "study", "tasks"):
        return importlib.import_module(f"fastcone.{name}")
    if name == "__version__":
        value = importlib.import_module("fastcone._runtime.config").version_of("fastcone")
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"fastcone.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'fastcone' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__", "green", "operators", "study", "tasks"})
