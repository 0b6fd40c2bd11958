# SPDX-License-Identifier: BSD-3-Clause
"""What a projection takes, checked."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

from fastcone._runtime.rows import Array, Loss, filled, nan_mask
from fastcone._runtime.validation import (
    boolean_array,
    check_nonnegative,
    check_shape,
    real_array,
    sparse_array,
    well_formed,
)
from fastcone.operators.base import Operator, as_operator

MANY = range(1, 33)  # axes of samples: the last one is the entries


class Noisy(TypedDict, total=False):
    """The keywords of `Cone.project` that say what is wrong with the data."""

    noise: float | Literal["estimate"] | None
    clip: tuple[float | None, float | None] | None
    outliers: float
    nuisance: npt.ArrayLike | None
    keep: Literal["cone", "data"]


class Solving(Noisy, total=False):
    """The keywords of `Cone.project` that a view leaves open."""

    loss: Loss
    l1: float


class Options(Solving, total=False):
    """The keywords of `Cone.project`."""

    forward: Operator | None
    mask: npt.ArrayLike | Literal["nan"] | None


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


def known_entries(options: dict[str, Any]) -> npt.NDArray[np.bool_] | None:
    """Return which entries (N, m) of training samples are known, given `mask` and `weights`."""
    known = options.get("mask")
    if options.get("weights") is not None:
        trusted = options["weights"] > 0
        known = trusted if known is None else known & trusted
    return None if known is None else known.T


def training_samples(X: Any, mask: Any, weights: Any) -> tuple[Any, dict[str, Any]]:
    """Check samples (N, m) to train on; return them, filled, and `mask` and `weights` of `nmf`."""
    if issparse(X):  # its mask can only be "stored"
        well_formed("X", X)  # before it is transposed
        return X, {"mask": mask, "weights": weights}
    alike = mask is None and weights is None
    if alike and isinstance(X, np.memmap):
        return X, {}
    samples = real_array("X", X, ndim=(2,), finite=alike)
    known: npt.NDArray[np.bool_] = np.ones((1, 1), dtype=bool)
    options: dict[str, Any] = {}
    if isinstance(mask, str):
        mask = nan_mask("mask", mask, samples)
    if mask is not None:
        known = boolean_array("mask", mask)
        check_shape("mask", known, samples.shape)
        options["mask"] = known.T
    if weights is not None:
        trust = real_array("weights", weights, ndim=(2,), nonnegative=True)
        check_shape("weights", trust, samples.shape)
        options["weights"], known = trust.T, known & (trust > 0)
    if not alike:
        samples = filled("X", samples, known)
    check_nonnegative("X", samples)
    return samples, options


class Samples(NamedTuple):
    """Checked samples: one a row, zeros for the unknown, and the axes that came before.

    rows: (N, m), an array or in CSR form.  known: (m,) or (N, m), None if all are.
    """

    rows: Any
    known: npt.NDArray[np.bool_] | None
    lead: tuple[int, ...]

    def shaped(self, array: Array) -> Any:
        """Return an array of N rows with the axes that the samples came with."""
        return array.reshape(self.lead + array.shape[1:])[()]


def checked_samples(
    V: Any, mask: npt.ArrayLike | Literal["nan"] | None, size: int, loss: Loss
) -> Samples:  # fmt: skip
    """Check samples (..., m) or sparse ones (N, m) and their mask."""
    if issparse(V):
        if mask is not None or loss == "l1":
            found = "loss='l1'" if mask is None else "a mask"
            raise ValueError(f"V is sparse: want loss='l2' and no mask, found {found}")
        rows = V = csr_array(sparse_array("V", V))
    else:
        rows = V = real_array("V", V, ndim=MANY, finite=mask is None)
    if V.shape[-1] != size:
        raise ValueError(f"V must have {size} entries per row, found shape {V.shape}")
    known = None
    if isinstance(mask, str):
        mask = nan_mask("mask", mask, V)
    if mask is not None:
        known = check_known("mask", mask, V.shape)
        rows = filled("V", V, known)
        known = known if known.ndim == 1 else known.reshape(-1, size)
    if rows.ndim != 2:
        rows = rows.reshape(-1, size)
    return Samples(rows, known, V.shape[:-1])
