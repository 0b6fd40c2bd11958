# SPDX-License-Identifier: BSD-3-Clause
"""Source separation: one projection on all cones at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import flag, real_array
from fastcone.cone import Cone, Prior
from fastcone.cone.arguments import MANY
from fastcone.tasks._restore import Array, cone_dict
from fastcone.tasks.curve import Curve


@dataclass(frozen=True, eq=False)
class Separation:
    """What `separate` returns; for one sample ``v`` or a cube, N stands for its leading axes.

    Attributes
    ----------
    signals : dict of label: ndarray, shape (N, m)
        The part of each source.
    distance : ndarray, shape (N,)
        ``||sum_s W_s h_s - v||_2``, what the cones together leave unexplained.
    """

    signals: dict[Any, Array]
    distance: Array


@may_underflow
def separate(
    V: npt.ArrayLike,
    cones: Mapping[Any, Cone],
    *,
    wiener: bool = True,
    l1: float = 0.0,
    noise: float | None = None,
    curve: Curve | None = None,
) -> Separation:
    """Split each sample into one part per cone.

        u_s = W_s h_s,        (h_1, ..., h_S) = argmin_{h >= 0} ||[W_1 ... W_S] h - v||_2

    With `wiener`, every entry of ``v`` is then shared out in proportion,

        u_s <- v u_s / sum_t u_t,

    so that the parts sum to ``v`` up to rounding. Where all parts are 0 each gets ``v / S``.
    With `noise` the most probable parts are sought, ``u_s = W_s h_s + r_s`` by the cones' priors;
    where one is negative it has no share.

    Parameters
    ----------
    V : array_like, shape (N, m), (m,) or (..., m)
        Sums of sources, as rows.
    cones : dict of label: Cone
        One cone per source.
    wiener : bool
        Share out ``v`` as above; with False the parts are points of their cones.
    l1 : float
        Weight of the sum of the coefficients, >= 0.
    noise : float, optional
        Standard deviation > 0 of what is no source; every cone must have a prior.
    curve : Curve, optional
        Applied to the parts, before `v` is shared out.

    Returns
    -------
    Separation

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    References
    ----------
    M. Ludvigsen et al., "Maximum discrepancy generative regularization and non-negative matrix
    factorization for single channel source separation", arXiv 2404.15296.

    Examples
    --------
    >>> from fastcone import Cone
    >>> from fastcone.tasks import separate
    >>> cones = {"low": Cone([[1.0], [1.0], [0.0]]), "high": Cone([[0.0], [1.0], [1.0]])}
    >>> parts = separate([2.0, 3.0, 1.0], cones).signals
    >>> parts["low"].round(6).tolist(), parts["high"].round(6).tolist()
    ([2.0, 2.0, 0.0], [0.0, 1.0, 1.0])
    """
    if not isinstance(cones, Mapping):
        raise TypeError(f"cones must be a dict of cones, found {type(cones).__name__}")
    table = cone_dict(cones)
    samples = real_array("V", V, ndim=MANY)
    if curve is not None and not isinstance(curve, Curve):
        raise TypeError(f"curve must be a fastcone.tasks.Curve, found {type(curve).__name__}")
    priors = None if noise is None else _priors(table)
    W = np.hstack([cone.W for cone in table.values()])
    together = Cone(W, prior=None if priors is None else Prior.of_sum(priors))
    found = together.project(samples, l1=l1, noise=noise)
    ends = np.cumsum([cone.W.shape[1] for cone in table.values()])[:-1]
    parts = [
        cone.decode(coef)
        for cone, coef in zip(table.values(), np.split(found.coef, ends, axis=-1), strict=True)
    ]
    if priors is not None and found.noise is not None:
        # g of fastcone/cone/whitened.py: what the noise leaves of v goes back to the sources
        back = (samples - found.signal).astype(np.float64) / found.noise**2
        more = [(back @ p.factor) @ p.factor.T + back * p.diagonal for p in priors]
        parts = [u + r.astype(u.dtype) for u, r in zip(parts, more, strict=True)]
    if curve is not None:
        parts = [curve(part) for part in parts]
    if flag("wiener", wiener):
        parts = _shares(samples, parts)
    return Separation(dict(zip(table, parts, strict=True)), found.distance)


def _priors(table: Mapping[Any, Cone]) -> list[Prior]:
    bare = [label for label, cone in table.items() if cone.prior is None]
    if bare:
        raise ValueError(f"noise wants cones with a prior, found none in cones[{bare[0]!r}]")
    return [cone.prior for cone in table.values() if cone.prior is not None]


def _shares(V: Array, parts: list[Array]) -> list[Array]:
    parts = [np.maximum(part, 0) for part in parts]
    total = np.sum(parts, axis=0)
    equal = np.full_like(total, 1 / len(parts))
    return [V * np.divide(part, total, out=equal.copy(), where=total > 0) for part in parts]
