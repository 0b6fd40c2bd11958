# SPDX-License-Identifier: BSD-3-Clause
"""What a cone keeps prepared: its generators as data shows them, through an operator and a mask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._nnls.projector import Projector
from fastcone._runtime.layout import pack, product
from fastcone._runtime.rows import Array, narrowed
from fastcone._runtime.threads import Scratch
from fastcone.operators.base import Operator

# Of generators that a cone keeps prepared; five times this with what they need.
KEPT_BYTES = 1 << 26


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
    def projector(self) -> Projector:
        """The projector of A."""
        if self._projector is None:
            self._projector = Projector.checked(self.A, 0.0)
        return self._projector


class Views:
    """What a cone keeps prepared: the least recently used goes when KEPT_BYTES are passed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, tuple[Any, Prepared]] = OrderedDict()
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
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        A = W if forward is None else forward.apply_to(W)
        A = narrowed(A, dtype)
        made = Prepared(A if known is None else A[known])
        with self._lock:
            self._kept[key] = forward, made  # the operator is held: its id stays its own
            self._bytes += made.A.nbytes
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                _, (_, old) = self._kept.popitem(last=False)
                self._bytes -= old.A.nbytes
        return made
