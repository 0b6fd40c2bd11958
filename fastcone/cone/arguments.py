# SPDX-License-Identifier: BSD-3-Clause
"""What a projection takes, checked, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import Array, Loss, filled
from fastcone._runtime.validation import real_array
from fastcone.operators.base import Operator, as_operator, boolean_array


class Options(TypedDict, total=False):
    """The keywords of `Cone.project`."""

    forward: Operator | None
    mask: npt.ArrayLike | None
    loss: Loss
    l1: float


@dataclass(frozen=True, eq=False)
class Projection:
    """What `Cone.project` returns; for one sample ``v`` the first axis is missing.

    Attributes
    ----------
    signal : ndarray, shape (N, m)
        The restored signals ``W h``, rows as in the data.
    coef : ndarray, shape (N, d)
        The coefficients ``h >= 0``.
    distance : ndarray, shape (N,)
        ``||A W h - v||`` in the norm of the loss, over the known entries.
    gap : ndarray, shape (N,)
        Proven bound on how far the objective is from its optimum, relative to the objective at
        ``h = 0``, as in `fastcone.Solution`. In the 2-norm the exact projection, seen through the
        forward operator, then lies within ``sqrt(gap) ||v||`` of the one returned.
    """

    signal: Array
    coef: Array
    distance: Array
    gap: Array


def check_operator(name: str, value: Any, size: int) -> Operator:
    """Return `value` as an operator on signals of `size` entries."""
    value = as_operator(name, value)
    if value.size_in != size:
        raise ValueError(f"{name} must take signals of {size} entries, found {value!r}")
    return value


def check_known(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return `value` if it is a boolean array of this shape, or of its last axis alone."""
    known = boolean_array(name, value)
    if known.shape not in (shape, shape[-1:]):
        raise ValueError(f"{name} must have shape {shape[-1:]} or {shape}, found {known.shape}")
    return known


def checked_samples(
    V: npt.ArrayLike, mask: npt.ArrayLike | None, size: int
) -> tuple[Array, npt.NDArray[np.bool_] | None, bool]:
    """Return samples as rows, zeros for the unknown, the mask, and whether V was one sample."""
    rows = real_array("V", V, ndim=(1, 2), finite=mask is None)
    if rows.shape[-1] != size:
        raise ValueError(f"V must have {size} entries per row, found shape {rows.shape}")
    known = None
    if mask is not None:
        known = check_known("mask", mask, rows.shape)
        rows = filled("V", rows, known)
    return np.atleast_2d(rows), known, rows.ndim == 1
