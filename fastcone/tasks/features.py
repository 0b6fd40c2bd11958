# SPDX-License-Identifier: BSD-3-Clause
"""Features of samples for a model of your own: distances to the cones, and coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import numpy.typing as npt

from fastcone._runtime.validation import choice
from fastcone.cone.arguments import Options
from fastcone.tasks._restore import Array, Cones, cone_dict

KINDS = ("distance", "coef")


def features(
    V: npt.ArrayLike, cones: Cones, kinds: Sequence[str] = KINDS, **options: Unpack[Options]
) -> Array:
    """Return what each cone says about each sample, side by side.

        (D_1, ..., D_S, h_1, ..., h_S),        h_k = argmin_{h >= 0} ||W_k h - v||

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m), or sparse matrix, shape (N, m)
        Samples as rows.
    cones : Cone or dict of label: Cone
        In whose order the features stand.
    kinds : sequence of str
        Of 'distance' (one number per cone) and 'coef' (as many as the cone has generators).
    **options
        Of `Cone.project`: l1, loss, mask, forward.

    Returns
    -------
    ndarray, shape (N, F)
        All features of the first kind, cone after cone, then those of the next.

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.tasks import features
    >>> cones = {"x": Cone([[2.0], [0.0]]), "y": Cone([[0.0], [1.0]])}
    >>> features([4.0, 3.0], cones)
    array([3., 4., 2., 3.])
    """
    if isinstance(kinds, str) or not len(kinds):
        raise TypeError(f"kinds must be a list of {', '.join(KINDS)}, found {kinds!r}")
    for kind in kinds:
        choice("kinds", kind, KINDS)
    found = [cone.project(V, **options) for cone in cone_dict(cones).values()]
    parts = {
        "distance": [p.distance[..., None] for p in found],
        "coef": [p.coef for p in found],
    }
    return np.concatenate([part for kind in kinds for part in parts[kind]], axis=-1)
