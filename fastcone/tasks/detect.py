# SPDX-License-Identifier: BSD-3-Clause
"""Anomaly detection: the distance to the cone is the score."""

from __future__ import annotations

import numpy.typing as npt

from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import flag
from fastcone.tasks._restore import Array, Cones, relative_to, restore
from fastcone.tasks.local import LocalCones, local_only


@may_underflow
def detect(
    V: npt.ArrayLike, cones: Cones | LocalCones, *, relative: bool = False, l1: float = 0.0
) -> Array:
    """Score each sample by how far it lies from everything the cones can make.

        score(v) = min_k D_k(v),        D_k(v) = ||W_k h_k - v||_2

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m), or sparse matrix, shape (N, m)
        Samples as rows.
    cones : Cone or dict of label: Cone, or LocalCones
        Trained on normal samples. `LocalCones` take no `l1`.
    relative : bool
        Divide by ``||v||_2``; the score is then in [0, 1] at ``l1 = 0`` and does not depend on the
        brightness of the sample. The zero sample scores 0.
    l1 : float
        Weight of the sum of the coefficients in the projection, >= 0.

    Returns
    -------
    ndarray, shape (N,)
        Large for anomalies. Threshold it at a quantile of the scores of normal samples that the
        cones have not seen.

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.tasks import detect
    >>> detect([[5.0, 0.0], [0.0, 5.0], [3.0, 4.0]], Cone([[1.0], [0.0]]), relative=True)
    array([0. , 1. , 0.8])
    """
    if isinstance(cones, LocalCones):
        local_only("l2", l1)
        distance = cones.distances(V).min(axis=-1)
    else:
        distance = restore(V, cones, l1=l1).distance
    if flag("relative", relative):
        return relative_to(V, distance[..., None], "l2")[..., 0][()]
    return distance
