# SPDX-License-Identifier: BSD-3-Clause
"""Compressed sensing: the signal behind a few weighted sums of its entries."""

from __future__ import annotations

from typing import Unpack

import numpy.typing as npt

from fastcone.cone.arguments import Options
from fastcone.operators import Operator
from fastcone.tasks._restore import Cones, Restoration, check_operator_on, restore


def sense(
    V: npt.ArrayLike, cones: Cones, sensing: Operator, **options: Unpack[Options]
) -> Restoration:
    """Restore signals from few measurements ``v = A u``, fewer than entries.

        u = W h*,        h* = argmin_{h >= 0} 1/2 ||A W h - v||_2^2 + l1 sum(h)

    Where Lasso asks for a signal that is sparse in a fixed basis, the cone asks for one that is
    like the training samples; as many measurements as generators in use are enough.

    Parameters
    ----------
    V : array_like, shape (N, sensing.size_out) or (sensing.size_out,)
        Measurements as rows.
    cones : Cone or dict of label: Cone
        Of several cones, seen through `sensing`, each sample takes the nearest: with fewer
        measurements than generators all are near, and one cone for all samples, or an `l1`, is
        the better answer.
    sensing : Operator
        `fastcone.operators.Sensing`, or any other operator or matrix, signs included.
    **options
        Of `Cone.project`, all but `forward`: with more generators than measurements give an `l1`.

    Returns
    -------
    Restoration

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    References
    ----------
    A. Bora, A. Jalal, E. Price, A. Dimakis, "Compressed sensing using generative models", ICML
    2017: the same with a neural network in the place of the cone.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.operators import Sensing
    >>> from fastcone.tasks import sense
    >>> cone = Cone([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    >>> once = Sensing([[1.0, -1.0, 0.5, 0.0], [0.0, 1.0, 0.0, 1.0]])
    >>> sense(once.forward([2.0, 4.0, 3.0, 1.0]), cone, once).signal.round(6)
    array([2., 4., 3., 1.])
    """
    if "forward" in options:
        raise TypeError("forward must be left out, as sensing is the operator; compose the two")
    options["forward"] = check_operator_on("sensing", sensing, cones)
    return restore(V, cones, **options)
