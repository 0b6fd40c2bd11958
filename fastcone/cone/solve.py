# SPDX-License-Identifier: BSD-3-Clause
"""The projection itself: samples that share their known entries are solved together."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastcone._nnlad.api import solve_nnlad
from fastcone._nnls.result import Solution
from fastcone._runtime.rows import Array, Loss, groups
from fastcone._runtime.validation import choice, nonnegative
from fastcone.cone.arguments import check_operator, checked_samples
from fastcone.cone.prepared import Prepared, Views
from fastcone.cone.prior import Prior
from fastcone.cone.probable import asked, most_probable
from fastcone.cone.projection import Projection, Solved
from fastcone.operators.base import Operator


def solve(
    W: Array,
    prior: Prior | None,
    views: Views,
    V: Any,
    *,
    forward: Operator | None = None,
    mask: npt.ArrayLike | Literal["nan"] | None = None,
    loss: Loss = "l2",
    l1: float = 0.0,
    **noisy: Any,
) -> Solved | Projection:
    """Return the coefficients of samples, or with `noise` all there is to say of them.

    The arguments are those of `Cone.project`.
    """
    choice("loss", loss, ("l2", "l1"))
    l1 = nonnegative("l1", l1)
    m, rank = W.shape
    if forward is not None:
        forward = check_operator("forward", forward, m)
    size = m if forward is None else forward.size_out
    want = asked(size, loss, l1, **noisy)
    if want is not None:
        return most_probable(W, prior, views, V, forward, mask, want)
    samples = checked_samples(V, mask, size, loss)
    rows = samples.rows
    whole = views.of(W, rows.dtype, forward, None)
    plain = whole if forward is None else views.of(W, rows.dtype, None, None)
    if samples.known is None and 0 not in rows.shape:
        found = _coefficients(whole, rows, loss, l1)
        return Solved(samples, loss, plain, whole, found.x.T, found.gap)
    n = rows.shape[0]
    coef, gap = np.zeros((n, rank), rows.dtype), np.zeros(n)
    for group, seen in groups(samples.known):
        part = rows[group][:, seen]
        if 0 not in part.shape:
            view = views.of(W, rows.dtype, forward, seen)
            found = _coefficients(view, part, loss, l1)
            coef[group], gap[group] = found.x.T, found.gap
    return Solved(samples, loss, plain, whole, coef, gap)


def _coefficients(view: Prepared, rows: Any, loss: Loss, l1: float) -> Solution:
    """Return the answer for samples, of which all entries are known."""
    if loss == "l2":
        return view.projector.solve(rows.T, l1=l1)
    return solve_nnlad(view.A, rows.T, l1=l1)
