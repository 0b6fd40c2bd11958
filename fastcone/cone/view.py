# SPDX-License-Identifier: BSD-3-Clause
"""A cone seen through an operator and a mask, prepared once for many batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import Array, Loss
from fastcone.cone.projection import Projection
from fastcone.operators.base import Operator


class View:
    """A cone seen through an operator and a mask, prepared once for many batches; see `through`."""

    def __init__(
        self, cone: Any, forward: Operator | None, mask: npt.NDArray[np.bool_] | None
    ) -> None:
        self._cone, self._forward, self._mask = cone, forward, mask

    def __repr__(self) -> str:
        return f"{self._cone!r}.through({self._forward!r})"

    def project(self, V: npt.ArrayLike, *, loss: Loss = "l2", l1: float = 0.0) -> Projection:
        """Find the point of the cone that explains each sample best; see `Cone.project`."""
        return self._cone.project(V, forward=self._forward, mask=self._mask, loss=loss, l1=l1)

    def distance(self, V: npt.ArrayLike, *, loss: Loss = "l2", l1: float = 0.0) -> Array:
        """Return the distance of each sample to the cone, in the space of the data."""
        return self._cone.distance(V, forward=self._forward, mask=self._mask, loss=loss, l1=l1)

    def encode(self, V: npt.ArrayLike, *, loss: Loss = "l2", l1: float = 0.0) -> Array:
        """Return the coefficients of each sample."""
        return self._cone.encode(V, forward=self._forward, mask=self._mask, loss=loss, l1=l1)
