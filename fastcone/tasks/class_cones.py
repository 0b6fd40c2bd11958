# SPDX-License-Identifier: BSD-3-Clause
"""Class cones: one cone per class, trained on its samples and their copies at unit length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import row_norms
from fastcone._runtime.validation import integer, nonnegative, real_array
from fastcone.cone.model import Cone
from fastcone.tasks._restore import Array
from fastcone.tasks.augment import Copy, augment
from fastcone.tasks.local import checked_labels


def class_cones(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    rank: int,
    *,
    copies: Sequence[Copy] = (),
    l1_H: float = 0.0,
    **options: Any,
) -> dict[Any, Cone]:
    """Train one cone per class, for `classify`, on samples and copies at unit length.

        min_{W, H >= 0}  1/2 ||X' - W H||_F^2 + l1_H sum(H) + l2_W/2 ||W||_F^2,      ||x_i|| = 1

    Generators are returned at unit length, so that an ``l1`` of the projection means the same for
    all classes; give `classify` samples of unit length with it. Without ``l1_H`` a cone of a high
    rank holds what lies between its samples, other classes among it; with it, generators stay
    like samples. `l2_W` keeps them from growing to escape the price; left out it is
    ``l1_H N / (2 rank)``, at which they have about unit length.

    Parameters
    ----------
    X : array_like, shape (N, m)
        Non-negative samples as rows; rows of zeros are left out.
    labels : array_like, shape (N,)
        The class of each sample, numbers or strings.
    rank : int
        Generators of each class.
    copies : sequence of callable
        Changes that keep the class, as in `augment`.
    l1_H : float
        Price of the coefficients in training, >= 0, for samples of unit length.
    **options
        Of `Cone.fit`: init, max_iter, random_state, ...

    Returns
    -------
    dict of label: Cone
        In the order of the sorted labels. A class is added or dropped by itself.

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range, or a class without a sample that is not zero.

    Examples
    --------
    >>> from fastcone.tasks import class_cones, classify
    >>> X = [[2.0, 0.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 2.0]]
    >>> cones = class_cones(X, ["a", "a", "b", "b"], 2, random_state=0)
    >>> classify([[3.0, 2.0, 0.0], [0.0, 1.0, 9.0]], cones).labels.tolist()
    ['a', 'b']
    """
    samples = real_array("X", X, ndim=(2,), nonnegative=True, min_size=1)
    which = checked_labels("labels", labels, len(samples))
    rank, l1_H = integer("rank", rank, minimum=1), nonnegative("l1_H", l1_H)
    return {
        label.item(): _cone(samples[which == label], label, rank, copies, l1_H, options)
        for label in np.unique(which)
    }


def _cone(
    samples: Array, label: Any, rank: int, copies: Sequence[Copy], l1_H: float, options: Any
) -> Cone:
    rows = augment(samples[samples.any(axis=1)], copies)
    norm = row_norms(rows, "l2")
    rows = rows[norm > 0] / norm[norm > 0][:, None]
    if not len(rows):
        raise ValueError(f"X must have a sample of class {label!r} that is not zero, found none")
    options = {"l2_W": l1_H * len(rows) / (2 * rank), **options}
    cone = Cone.fit(rows, rank, l1_H=l1_H, **options)
    length = row_norms(cone.W.T, "l2")
    return Cone(cone.W / np.where(length > 0, length, 1))
