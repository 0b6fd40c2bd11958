# SPDX-License-Identifier: BSD-3-Clause
"""Classification: the label of the nearest cone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import Loss
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import flag
from fastcone.cone.model import Cone
from fastcone.tasks._restore import Array, label_array, projections, relative_to
from fastcone.tasks.local import LocalCones, local_only


@dataclass(frozen=True, eq=False)
class Classification:
    """What `classify` returns; for one sample ``v`` or a cube, N stands for its leading axes.

    Attributes
    ----------
    labels : ndarray, shape (N,)
        Label of the nearest cone.
    distances : ndarray, shape (N, S)
        Distance to each cone, in the order of the dict.
    """

    labels: Array
    distances: Array


@may_underflow
def classify(
    V: npt.ArrayLike,
    cones: Mapping[Any, Cone] | LocalCones,
    *,
    relative: bool = False,
    loss: Loss = "l2",
    l1: float = 0.0,
) -> Classification:
    """Give each sample the label of the cone nearest to it, the first one among equals.

        label(v) = argmin_k D_k(v),        D_k(v) = ||W_k h_k - v||

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m), or sparse matrix, shape (N, m)
        Samples as rows.
    cones : dict of label: Cone, or LocalCones
        One cone per class, trained on that class alone. A class is added by adding its cone.
        `LocalCones` take neither `loss` nor `l1`.
    relative : bool
        Return ``D_k(v) / ||v||`` as distances, 0 for ``v = 0``. The labels stay the same.
    loss : {'l2', 'l1'}
        Norm of the projection and the distance.
    l1 : float
        Weight of the sum of the coefficients in the projection, >= 0; `distances` leaves it out.

    Returns
    -------
    Classification

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    References
    ----------
    L. Elden, Matrix Methods in Data Mining and Pattern Recognition, SIAM 2007, chapter 10.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.tasks import classify
    >>> cones = {"x": Cone([[1.0], [0.0]]), "y": Cone([[0.0], [1.0]])}
    >>> found = classify([[4.0, 3.0], [1.0, 2.0]], cones)
    >>> found.labels.tolist(), found.distances.tolist()
    (['x', 'y'], [[3.0, 4.0], [2.0, 1.0]])
    """
    distances = _distances(V, cones, loss, l1)
    known = cones.labels if isinstance(cones, LocalCones) else label_array(list(cones))
    labels = known[np.argmin(distances, axis=-1)]
    if flag("relative", relative):
        distances = relative_to(V, distances, loss)
    return Classification(labels, distances)


def _distances(V: Any, cones: Any, loss: Loss, l1: float) -> Array:
    if isinstance(cones, LocalCones):
        local_only(loss, l1)
        return cones.distances(V)
    if not isinstance(cones, Mapping):
        found = type(cones).__name__
        raise TypeError(f"cones must be a dict of cones or LocalCones, found {found}")
    return np.stack([p.distance for p in projections(V, cones, loss=loss, l1=l1)], axis=-1)
