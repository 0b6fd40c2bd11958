# SPDX-License-Identifier: BSD-3-Clause
"""A cone seen through an operator and a mask, prepared once for many batches."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import Array
from fastcone.cone.arguments import Noisy, Solving, check_known, check_operator
from fastcone.cone.projection import Projection
from fastcone.operators.base import Operator


class View:
    """A cone seen through an operator and a mask, prepared once for many batches; see `through`."""

    def __init__(
        self, cone: Any, forward: Operator | None, mask: npt.NDArray[np.bool_] | None
    ) -> None:
        self._cone, self._forward, self._mask = cone, forward, mask

    @classmethod
    def of(cls, cone: Any, forward: Operator | None, mask: npt.ArrayLike | None) -> View:
        """Return the view of a cone, its arguments checked."""
        size = cone.W.shape[0]
        if forward is not None:
            forward = check_operator("forward", forward, size)
            size = forward.size_out
        return cls(
            cone, forward, None if mask is None else check_known("mask", mask, (size,)).copy()
        )

    def __repr__(self) -> str:
        return f"{self._cone!r}.through({self._forward!r})"

    def project(self, V: npt.ArrayLike, **options: Unpack[Solving]) -> Projection:
        """Find the point of the cone that explains each sample best; see `Cone.project`."""
        return self._cone.project(V, forward=self._forward, mask=self._mask, **options)

    def distance(self, V: npt.ArrayLike, **options: Unpack[Solving]) -> Array:
        """Return the distance of each sample to the cone, in the space of the data."""
        return self._cone.distance(V, forward=self._forward, mask=self._mask, **options)

    def energy(self, V: npt.ArrayLike, **options: Unpack[Noisy]) -> Array:
        """Return how unlikely each sample is; see `Cone.energy`."""
        return self._cone.energy(V, forward=self._forward, mask=self._mask, **options)

    def encode(self, V: npt.ArrayLike, **options: Unpack[Solving]) -> Array:
        """Return the coefficients of each sample."""
        return self._cone.encode(V, forward=self._forward, mask=self._mask, **options)
