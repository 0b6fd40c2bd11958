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
from fastcone._runtime.validation import choice, nonnegative, real_array, sparse_array
from fastcone.cone.arguments import MANY, Noisy, Options, check_operator
from fastcone.cone.model import Cone
from fastcone.cone.projection import Projection, kept
from fastcone.operators import Operator
from fastcone.tasks.curve import Curve

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
    trust : ndarray, shape (N, m'), or None
        With `noise`: how far each entry of the data is a value as it stands, see `Projection`.
    nuisance : ndarray, shape (N, m'), or None
        What of the data the nuisance explains.
    """

    signal: Array
    labels: Array | None
    distance: Array
    trust: Array | None = None
    nuisance: Array | None = None


class Restoring(Noisy, total=False):
    """Keywords of every restoration.

    Those of `Cone.project` that say what is wrong with the data: noise, clip, outliers, nuisance,
    keep.  blend: T > 0 averages the cones' signals with weights ``exp(-energy / 2T)``, 0 takes the
    likeliest; it wants noise.  curve: a `Curve`, applied before data are kept.
    """

    blend: float
    curve: Curve | None


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


class Ask(Options, Restoring, total=False):
    """The keywords of `restore`."""


def restore(V: npt.ArrayLike, cones: Cones, **ask: Unpack[Ask]) -> Restoration:
    """Project each sample on every cone and keep the best, the first one among equals.

    Best is the nearest, or with `noise` the likeliest; with `blend` all have a say.
    """
    options: dict[str, Any] = dict(ask)
    table, curve = cone_dict(cones), options.pop("curve", None)
    blend = nonnegative("blend", options.pop("blend", 0.0))
    if curve is not None and not isinstance(curve, Curve):
        raise TypeError(f"curve must be a fastcone.tasks.Curve, found {type(curve).__name__}")
    if ask.get("noise") is not None:
        return _probable(V, table, isinstance(cones, Cone), curve, blend, options)
    if blend:
        raise ValueError("blend wants noise, the standard deviation of the data, found None")
    found = projections(V, table, **options)
    best = next(found)
    signal, distance = best.signal, best.distance
    nearest = np.zeros(distance.shape, np.intp)
    for k, other in enumerate(found, start=1):
        better = other.distance < distance
        signal = np.where(better[..., None], other.signal, signal)
        distance = np.where(better, other.distance, distance)[()]
        nearest = np.where(better, k, nearest)
    signal = signal if curve is None else curve(signal)
    if isinstance(cones, Cone):
        return Restoration(signal, None, distance)
    return Restoration(signal, label_array(list(table))[nearest], distance)


def _probable(
    V: npt.ArrayLike,
    table: dict[Hashable, Cone],
    single: bool,
    curve: Curve | None,
    blend: float,
    options: dict[str, Any],
) -> Restoration:
    """Return what the likeliest cones say, all of them weighted if `blend` is positive."""
    keep = choice("keep", options.pop("keep", "cone"), ("cone", "data"))
    if keep == "data" and options.get("forward") is not None:
        raise ValueError(f"keep='data' wants no forward operator, found {options['forward']!r}")
    if isinstance(options["noise"], str) and len(table) > 1:  # the data's level, not the cones'
        levels = (p.noise for p in projections(V, table, **options))
        options["noise"] = min(level for level in levels if level is not None)
    found = list(projections(V, table, **options))
    energy = np.stack([np.asarray(p.energy) for p in found])
    least = energy.argmin(axis=0)
    if blend:
        with np.errstate(over="ignore"):  # to -inf, which weighs nothing
            weights = np.exp(-(energy - energy.min(axis=0)) / (2 * blend))
        weights /= weights.sum(axis=0)
    else:
        weights = np.equal.outer(np.arange(len(found)), least).astype(float)

    def mean(arrays: list[Any]) -> Array:
        total = sum(w[..., None] * array for w, array in zip(weights, arrays, strict=True))
        return np.asarray(total).astype(arrays[0].dtype, copy=False)

    signal, trust = mean([p.signal for p in found]), mean([p.trust for p in found])
    free = None if found[0].nuisance is None else mean([p.nuisance for p in found])
    signal = signal if curve is None else curve(signal)
    if keep == "data":
        rows = real_array("V", V, ndim=MANY, finite=False).astype(signal.dtype, copy=False)
        signal = kept(rows, signal, trust, free)
    distance = np.take_along_axis(np.stack([p.distance for p in found]), least[None], 0)[0][()]
    labels = None if single else label_array(list(table))[least]
    return Restoration(signal, labels, distance, trust, free)


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
