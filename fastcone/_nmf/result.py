# SPDX-License-Identifier: BSD-3-Clause
"""What training returns, and how it says that it ended early."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field

import numpy as np

PACKAGE = __name__.partition(".")[0]


class ConvergenceWarning(UserWarning):
    """Training ended at `max_iter` before `tol` was met, or at `time_limit` before it had begun.

    It is not given where `tol` is 0 (a run of so many iterations was asked for), nor where a time
    limit or a callback ended the run after an iteration or more: who sets these knows. The result
    tells in all cases (`NMFResult.converged`, `Cone.training`). ::

        warnings.simplefilter("ignore", fastcone.ConvergenceWarning)

    Examples
    --------
    >>> import warnings, numpy as np, fastcone
    >>> with warnings.catch_warnings(record=True) as given:
    ...     warnings.simplefilter("always")
    ...     fit = fastcone.nmf(np.random.default_rng(0).random((20, 30)), 5, max_iter=3)
    >>> given[0].category.__name__, fit.converged
    ('ConvergenceWarning', False)
    """


def warn_of_end(end: str, max_iter: int, tol: float) -> None:
    """Warn the caller of the package of an end at "max_iter" or at the "start".

    In words that do not depend on the data.
    """
    said = (
        "time_limit came before the end of the first iteration: W and H are the start, raise it"
        if end == "start"
        else f"training ended after max_iter={max_iter} iterations, none of which lowered the "
        f"objective by less than tol={tol:g} of it: raise max_iter or tol, see the result's history"
    )
    depth, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(said, ConvergenceWarning, stacklevel=depth)


@dataclass(frozen=True, eq=False)
class Training:
    """How the training of a cone went.

    Attributes
    ----------
    history : ndarray, (n_iter + 1,)
        The objective at the start and after each iteration.
    converged : bool
        As of `NMFResult`.
    """

    history: np.ndarray
    converged: bool

    @property
    def n_iter(self) -> int:
        """Iterations done."""
        return len(self.history) - 1


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
