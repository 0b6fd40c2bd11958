# SPDX-License-Identifier: BSD-3-Clause
"""What training returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class NMFResult:
    """A non-negative factorisation X ~ W H.

    Attributes
    ----------
    W : ndarray, (m, k)
        The dictionary, W >= 0.
    H : ndarray, (k, N)
        The coefficients, H >= 0, one sample a column.
    objective : float
        The objective at W, H.
    history : ndarray, (n_iter + 1,)
        The objective at the start and after each iteration.
    n_iter : int
        Iterations done.
    converged : bool
        The stopping rule was met before `max_iter`, `time_limit` or the callback ended the run.
    restarts : ndarray, (n_init,)
        The objective of each start; `objective` is the least of them.
    """

    W: np.ndarray
    H: np.ndarray
    objective: float
    history: np.ndarray
    n_iter: int
    converged: bool
    restarts: np.ndarray = field(default_factory=lambda: np.empty(0))
