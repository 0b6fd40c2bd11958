# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks share: project on every cone, keep the nearest."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

from fastcone._runtime.rows import Loss, row_norms
from fastcone._runtime.scaling import exponent
from fastcone._runtime.validation import real_array, sparse_array
from fastcone.cone.arguments import MANY, Options, check_operator
from fastcone.cone.model import Cone
from fastcone.cone.projection import Projection
from fastcone.operators import Operator

Array = npt.NDArray[Any]
Cones = Cone | Mapping[Any, Cone]


@dataclass(frozen=True, eq=False)
class Restoration:
    """Restored signals; for one sample ``v`` or a cube, N stands for its leading axes.

    Attributes
    ----------
    signal : ndarray, shape (N, m)
        The restored signals.
    labels : ndarray, shape (N,), or None
        Label of the cone each was restored by; None where a single cone was given.
    distance : ndarray, shape (N,)
        Distance of each sample to that cone, over the known entries, as `Cone.project` defines it.
    """

    signal: Array
    labels: Array | None
    distance: Array


def check_cone(name: str, value: Any) -> Cone:
    """Return `value` if it is a cone."""
    if not isinstance(value, Cone):
        raise TypeError(f"{name} must be a Cone, found {type(value).__name__}")
    return value


def check_operator_on(name: str, value: Any, cones: Cones) -> Operator:
    """Return `value` if it is an operator on the signals of the cones."""
    return check_operator(name, value, next(iter(cone_dict(cones).values())).W.shape[0])


def cone_dict(cones: Cones) -> dict[Hashable, Cone]:
    """Return the cones by label, one cone under the label None, after checking that they fit."""
    table = {None: cones} if isinstance(cones, Cone) else cones
    if not isinstance(table, Mapping):
        raise TypeError(f"cones must be a Cone or a dict of cones, found {type(cones).__name__}")
    if not table:
        raise ValueError("cones must have at least one cone, found none")
    for label, cone in table.items():
        check_cone(f"cones[{label!r}]", cone)
    sizes = {label: cone.W.shape[0] for label, cone in table.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"cones must all have the same number of rows, found {sizes}")
    return dict(table)


def label_array(labels: list[Any]) -> Array:
    """Return labels as an array: numbers or strings as such, anything else as objects."""
    kinds = {type(label) for label in labels}
    if len(kinds) == 1 and issubclass(kinds.pop(), int | float | str | np.generic):
        return np.array(labels)
    array = np.empty(len(labels), object)
    array[:] = labels
    return array


def projections(V: npt.ArrayLike, cones: Cones, **options: Unpack[Options]) -> Iterator[Projection]:
    """Project the samples on each cone in turn, in the order of the dict."""
    return (cone.project(V, **options) for cone in cone_dict(cones).values())


def restore(V: npt.ArrayLike, cones: Cones, **options: Unpack[Options]) -> Restoration:
    """Project each sample on every cone and keep the nearest, the first one among equals."""
    table = cone_dict(cones)
    found = projections(V, table, **options)
    best = next(found)
    signal, distance = best.signal, best.distance
    nearest = np.zeros(distance.shape, np.intp)
    for k, other in enumerate(found, start=1):
        better = other.distance < distance
        signal = np.where(better[..., None], other.signal, signal)
        distance = np.where(better, other.distance, distance)[()]
        nearest = np.where(better, k, nearest)
    if isinstance(cones, Cone):
        return Restoration(signal, None, distance)
    return Restoration(signal, label_array(list(table))[nearest], distance)


def relative_to(V: Any, distance: Array, loss: Loss) -> Array:
    """Return distances (..., S) over the norms of their samples, 0 for the zero sample."""
    if issparse(V):
        rows = csr_array(sparse_array("V", V))
        e, power = exponent(abs(rows).max(axis=1).toarray().ravel()), 1 if loss == "l1" else 2
        rows.data = np.abs(np.ldexp(rows.data, -np.repeat(e, np.diff(rows.indptr)))) ** power
        norm = np.ldexp(np.asarray(rows.sum(axis=1)).ravel() ** (1 / power), e)[:, None]
    else:
        V = real_array("V", V, ndim=MANY)
        norm = row_norms(V.reshape(-1, V.shape[-1]), loss).reshape(*V.shape[:-1], 1)
    return np.divide(distance, norm, out=np.zeros_like(distance), where=norm > 0)
