# SPDX-License-Identifier: BSD-3-Clause
"""Super-resolution: project on the downsampled cone, read off the full signal."""

from __future__ import annotations

from typing import Unpack

import numpy.typing as npt

from fastcone._runtime.scaling import may_underflow
from fastcone.operators import Operator
from fastcone.tasks._restore import Cones, Restoration, Restoring, check_operator_on, restore


@may_underflow
def super_resolve(
    V: npt.ArrayLike,
    cones: Cones,
    downsample: Operator,
    *,
    l1: float = 0.0,
    **restoring: Unpack[Restoring],
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
    **restoring
        noise, clip, outliers, nuisance, keep: what is wrong with the data, see `Cone.project`; with
        `noise` the most probable signal is sought, and of several cones the likeliest. blend: T > 0
        averages the cones by ``exp(-energy / 2T)``. curve: a `Curve` of this task, applied before
        data are kept.

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
    forward = check_operator_on("downsample", downsample, cones)
    return restore(V, cones, forward=forward, l1=l1, **restoring)
