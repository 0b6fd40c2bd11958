# SPDX-License-Identifier: BSD-3-Clause
"""A monotone curve of intensity: what a restored value stands for, on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from fastcone._runtime.rows import Array
from fastcone._runtime.validation import check_shape, real_array

BINS = 1024


@dataclass(frozen=True, eq=False)
class Curve:
    """One non-decreasing function for all entries, fitted to restored signals and the truth.

    A restoration that is linear at heart cannot know that most entries are 0 and none is negative;
    the curve learns it from a few samples that were spoilt and restored. It belongs to a task and
    its settings, and to nothing else.

    Attributes
    ----------
    x, y : ndarray, shape (k,)
        Knots, both ascending; the curve is linear between them and constant beyond.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.tasks import Curve
    >>> curve = Curve.fit([[-0.2, 0.1, 0.8, 1.1]], [[0.0, 0.0, 1.0, 1.0]])
    >>> curve([0.1, 0.45, 3.0]).round(3)
    array([0. , 0.5, 1. ])
    """

    x: Array
    y: Array

    @classmethod
    def fit(cls, restored: npt.ArrayLike, truth: npt.ArrayLike) -> Curve:
        """Fit the curve by isotonic regression of the truth on what was restored.

        Parameters
        ----------
        restored, truth : array_like of the same shape, one entry or more
            Of samples that neither the cone nor the settings have seen.

        Raises
        ------
        ValueError, TypeError
            Not finite real arrays of one shape.
        """
        axes = range(1, 33)
        restored = real_array("restored", restored, ndim=axes, dtype=np.float64, min_size=1)
        truth = real_array("truth", truth, ndim=axes, dtype=np.float64)
        check_shape("truth", truth, restored.shape)
        order = np.argsort(restored, axis=None, kind="stable")
        bins = min(BINS, len(order))
        ends = np.linspace(0, len(order), bins + 1).astype(int)[:-1]
        counts = np.diff(ends, append=len(order))
        x, y = (np.add.reduceat(a.ravel()[order], ends) / counts for a in (restored, truth))
        return cls(x, np.asarray(isotonic_regression(y, weights=counts).x))

    def __call__(self, signal: npt.ArrayLike) -> Array:
        """Return what restored values stand for; float32 for float32 values."""
        signal = real_array("signal", signal, ndim=range(33))
        return np.asarray(np.interp(signal, self.x, self.y)).astype(signal.dtype, copy=False)
