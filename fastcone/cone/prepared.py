# SPDX-License-Identifier: BSD-3-Clause
"""What a cone keeps prepared: its generators as data shows them, through an operator and a mask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fastcone._nnls.projector import Projector
from fastcone._runtime.layout import pack, product
from fastcone._runtime.rows import Array, narrowed
from fastcone._runtime.threads import Scratch
from fastcone.cone.prior import Prior
from fastcone.cone.whitened import Whitened
from fastcone.operators.base import Operator

# Of generators that a cone keeps prepared; five times this with what they need (all of it where a
# prior is used).
KEPT_BYTES = 1 << 26


T = TypeVar("T", "Prepared", Whitened)


class Prepared:
    """Generators A (m', d) in one dtype, their projector and A' packed, made on first need."""

    def __init__(self, A: Array) -> None:
        self.A = A
        self._projector: Projector | None = None
        self._panels: Array | None = None

    def signals(self, coef: Array, scratch: Scratch, name: str) -> Array:
        """Return coef @ A', in `scratch`; a row's bits do not depend on the others."""
        if self._panels is None:
            self._panels = pack(self.A.T)
        return product(self._panels, coef, scratch, name)[:, : len(self.A)]

    @property
    def nbytes(self) -> int:
        """Bytes of the generators."""
        return self.A.nbytes

    @property
    def projector(self) -> Projector:
        """The projector of A."""
        if self._projector is None:
            self._projector = Projector.checked(self.A, 0.0)
        return self._projector


class Views:
    """What a cone keeps prepared: the least recently used goes when KEPT_BYTES are passed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, tuple[Any, Prepared | Whitened]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(
        self,
        W: Array,
        dtype: np.dtype,
        forward: Operator | None,
        known: npt.NDArray[np.bool_] | None,
    ) -> Prepared:
        """Return the generators seen through an operator, with the known entries alone."""
        key = (dtype, id(forward), None if known is None else known.tobytes())

        def make() -> Prepared:
            A = narrowed(W if forward is None else forward.apply_to(W), dtype)
            return Prepared(A if known is None else A[known])

        return self._found(key, forward, make)

    def whitened(
        self,
        W: Array,
        prior: Prior,
        forward: Operator | None,
        known: npt.NDArray[np.bool_] | None,
        sigma: float,
        nuisance: Array | None,
    ) -> Whitened:
        """Return the cone with its prior seen through an operator, a mask and noise."""
        parts = (None if array is None else array.tobytes() for array in (known, nuisance))
        key = (sigma, id(forward), *parts)
        return self._found(
            key, forward, lambda: Whitened(W, prior, forward, known, sigma, nuisance)
        )

    def _found(self, key: Any, forward: Operator | None, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return cast(T, self._kept[key][1])
        made = make()
        with self._lock:
            if key in self._kept:  # another thread was faster
                return cast(T, self._kept[key][1])
            self._kept[key] = forward, made  # the operator is held: its id stays its own
            self._bytes += made.nbytes
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                _, (_, old) = self._kept.popitem(last=False)
                self._bytes -= old.nbytes
        return made
