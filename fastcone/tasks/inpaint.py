# SPDX-License-Identifier: BSD-3-Clause
"""Inpainting and imputation: fit the known entries, read off the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import numpy as np
import numpy.typing as npt

from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import flag, real_array
from fastcone.cone.arguments import MANY, check_known
from fastcone.tasks._restore import Cones, Restoration, Restoring, restore


@may_underflow
def inpaint(
    V: npt.ArrayLike,
    cones: Cones,
    known: npt.ArrayLike,
    *,
    copy_back: bool = True,
    l1: float = 0.0,
    **restoring: Unpack[Restoring],
) -> Restoration:
    """Fill in the unknown entries of each sample.

        u = W h*,        h* = argmin_{h >= 0} || (W h - v)[known] ||_2

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m)
        Samples as rows; unknown entries may be NaN.
    cones : Cone or dict of label: Cone
        Of several cones each sample takes the one nearest to its known entries.
    known : array_like of bool, shape (m,) or (N, m)
        True where `V` is known, for all samples or for each.
    copy_back : bool
        Return the known entries as they were given; with False, all entries come from the cone.
    l1 : float
        Weight of the sum of the coefficients, >= 0.
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
    >>> import numpy as np
    >>> from fastcone import Cone
    >>> from fastcone.tasks import inpaint
    >>> v = np.array([2.0, np.nan, 8.0])
    >>> inpaint(v, Cone([[1.0], [2.0], [4.0]]), ~np.isnan(v)).signal
    array([2., 4., 8.])
    """
    samples = real_array("V", V, ndim=MANY, finite=False)
    known = check_known("known", known, samples.shape)
    found = restore(samples, cones, mask=known, l1=l1, **restoring)
    if not flag("copy_back", copy_back):
        return found
    return replace(found, signal=np.where(known, samples, found.signal))
