# SPDX-License-Identifier: BSD-3-Clause
"""fastcone: train a non-negative dictionary once, reuse its cone for every task.

Solvers speak columns (one problem a column), cones and tasks speak rows (one sample a row).
Submodules: `operators`, `tasks`, `green`, `study`; they load when first used.
"""

import importlib
from typing import Any

from fastcone._nmf.api import Checkpoint, nmf
from fastcone._nmf.online import OnlineNMF
from fastcone._nmf.rank import RankSelection, select_rank
from fastcone._nmf.result import ConvergenceWarning, NMFResult
from fastcone._nnlad.api import solve_nnlad
from fastcone._nnls.api import nnls_path, solve_nnls, solve_nnls_gram
from fastcone._nnls.like_scipy import nnls
from fastcone._nnls.projector import Projector
from fastcone._nnls.result import ConvergenceError, Solution
from fastcone._runtime.config import show_config, version_of
from fastcone.cone import Cone, Projection

__version__ = version_of("fastcone")

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
    if name in ("green", "operators", "study", "tasks"):
        return importlib.import_module(f"fastcone.{name}")
    raise AttributeError(f"module 'fastcone' has no attribute {name!r}")
