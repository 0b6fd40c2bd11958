# SPDX-License-Identifier: BSD-3-Clause
"""fastcone: train a non-negative dictionary once, reuse its cone for every task.

Solvers speak columns (one problem a column), cones and tasks speak rows (one sample a row).
Submodules: `operators`, `tasks`, `green`, `study`; they load when first used.
"""

import importlib
import importlib.metadata
from typing import Any

from fastcone._config import show_config
from fastcone.cone import Cone, Projection
from fastcone.nmf import Checkpoint, nmf
from fastcone.nnlad import solve_nnlad
from fastcone.nnls import nnls, nnls_path, solve_nnls, solve_nnls_gram
from fastcone.online import OnlineNMF
from fastcone.result import ConvergenceError, NMFResult, Solution

try:
    __version__ = importlib.metadata.version("fastcone")
except importlib.metadata.PackageNotFoundError:
    __version__ = "0+unknown"

__all__ = [
    "Checkpoint",
    "Cone",
    "ConvergenceError",
    "NMFResult",
    "OnlineNMF",
    "Projection",
    "Solution",
    "nmf",
    "nnls",
    "nnls_path",
    "show_config",
    "solve_nnlad",
    "solve_nnls",
    "solve_nnls_gram",
]


def __getattr__(name: str) -> Any:
    if name in ("green", "operators", "study", "tasks"):
        return importlib.import_module(f"fastcone.{name}")
    raise AttributeError(f"module 'fastcone' has no attribute {name!r}")
