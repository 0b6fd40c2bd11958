# SPDX-License-Identifier: BSD-3-Clause
"""Deblurring: project on the blurred cone, read off the sharp signal."""

from __future__ import annotations

from typing import Unpack

import numpy.typing as npt

from fastcone._runtime.scaling import may_underflow
from fastcone.operators import Operator
from fastcone.tasks._restore import Cones, Restoration, Restoring, check_operator_on, restore


@may_underflow
def deblur(
    V: npt.ArrayLike,
    cones: Cones,
    blur: Operator,
    *,
    l1: float = 0.0,
    **restoring: Unpack[Restoring],
) -> Restoration:
    """Undo a known blur ``A``.

        u = W h*,        h* = argmin_{h >= 0} ||A W h - v||_2

    Parameters
    ----------
    V : array_like, shape (N, blur.size_out) or (blur.size_out,)
        Blurred samples as rows.
    cones : Cone or dict of label: Cone
        Trained on sharp samples; of several cones, seen through `blur`, each sample takes the
        nearest.
    blur : Operator
        `fastcone.operators.Blur`, or any other operator.
    l1 : float
        Weight of the sum of the coefficients, >= 0; needed where the blur makes generators alike.
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
    >>> from fastcone.operators import Blur
    >>> from fastcone.tasks import deblur
    >>> blur = Blur((4,), [0.25, 0.5, 0.25])
    >>> deblur([1.0, 2.0, 1.0, 0.0], Cone([[0.0], [1.0], [0.0], [0.0]]), blur).signal
    array([0., 4., 0., 0.])
    """
    forward = check_operator_on("blur", blur, cones)
    return restore(V, cones, forward=forward, l1=l1, **restoring)
