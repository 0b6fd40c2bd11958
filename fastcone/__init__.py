# SPDX-License-Identifier: BSD-3-Clause
"""fastcone: train a non-negative dictionary once, reuse its cone for every task.

Solvers speak columns (one problem a column), cones and tasks speak rows (one sample a row).
"""

from fastcone.nnlad import solve_nnlad
from fastcone.nnls import nnls, solve_nnls, solve_nnls_gram
from fastcone.result import ConvergenceError, NMFResult, Solution

__version__ = "0.1.0"

__all__ = [
    "ConvergenceError",
    "NMFResult",
    "Solution",
    "nnls",
    "solve_nnlad",
    "solve_nnls",
    "solve_nnls_gram",
]
