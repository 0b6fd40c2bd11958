# SPDX-License-Identifier: BSD-3-Clause
"""Super-resolution: project on the downsampled cone, read off the full signal."""

from __future__ import annotations

import numpy.typing as npt

from fastcone._runtime.scaling import may_underflow
from fastcone.operators import Operator
from fastcone.tasks._restore import Cones, Restoration, check_operator_on, restore


@may_underflow
def super_resolve(
    V: npt.ArrayLike, cones: Cones, downsample: Operator, *, l1: float = 0.0
) -> Restoration:
    """Restore samples at full resolution from samples at low resolution.

        u = W h*,        h* = argmin_{h >= 0} ||A W h - v||_2

    Parameters
    ----------
    V : array_like, shape (N, downsample.size_out) or (downsample.size_out,)
        Samples at low resolution as rows.
    cones : Cone or dict of label: Cone
        Trained at full resolution; of several cones each sample takes the nearest, seen through
        `downsample`.
    downsample : Operator
        `fastcone.operators.Downsample`, or any other operator.
    l1 : float
        Weight of the sum of the coefficients, >= 0; needed where there are more generators than
        entries of `V`.

    Returns
    -------
    Restoration

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.operators import Downsample
    >>> from fastcone.tasks import super_resolve
    >>> super_resolve([1.0, 3.0], Cone([[0.0], [1.0], [2.0], [1.0]]), Downsample((4,), 2)).signal
    array([0., 2., 4., 2.])
    """
    return restore(V, cones, forward=check_operator_on("downsample", downsample, cones), l1=l1)
