# SPDX-License-Identifier: BSD-3-Clause
"""Denoising: the projection itself."""

from __future__ import annotations

from typing import Unpack

import numpy.typing as npt

from fastcone._runtime.rows import Loss
from fastcone._runtime.scaling import may_underflow
from fastcone.tasks._restore import Cones, Restoration, Restoring, restore


@may_underflow
def denoise(
    V: npt.ArrayLike,
    cones: Cones,
    *,
    loss: Loss = "l2",
    l1: float = 0.0,
    **restoring: Unpack[Restoring],
) -> Restoration:
    """Replace each noisy sample by the nearest point of the cone.

        u = W h*,        h* = argmin_{h >= 0} ||W h - v||

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m), or sparse matrix, shape (N, m)
        Noisy samples as rows.
    cones : Cone or dict of label: Cone
        Trained on clean samples; of several cones each sample takes the nearest.
    loss : {'l2', 'l1'}
        'l2' for noise that is small everywhere (Gaussian, periodic), 'l1' for noise that is gross
        in some entries (salt and pepper).
    l1 : float
        Weight of the sum of the coefficients, >= 0; it grows with the noise.
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
    >>> from fastcone.tasks import denoise
    >>> denoise([2.0, 2.0, 9.0], Cone([[1.0], [1.0], [1.0]]), loss="l1").signal
    array([2., 2., 2.])
    """
    return restore(V, cones, loss=loss, l1=l1, **restoring)
