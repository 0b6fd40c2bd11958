# SPDX-License-Identifier: BSD-3-Clause
"""What a projection returns: signals and distances, from the coefficients of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from fastcone._runtime import threads
from fastcone._runtime.rows import Array, Loss, row_norms
from fastcone._runtime.threads import Scratch
from fastcone.cone.arguments import Samples
from fastcone.cone.prepared import Prepared

PIECE = 1 << 18  # entries of signals that are formed at a time


@dataclass(frozen=True, eq=False)
class Projection:
    """What `Cone.project` returns; for one sample ``v`` or a cube, N stands for its leading axes.

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
    energy : ndarray, shape (N,), or None
        With `noise`: minus twice the logarithm of the likelihood of the data, by Laplace's
        approximation; the least among cones is that of the most likely one.
    noise : float or None
        The noise's standard deviation, as given or estimated.
    trust : ndarray, shape (N, m'), or None
        With `noise`: the probability that the entry is a value as it stands; 0 where it is unknown
        or, `outliers` left aside, saturated.
    nuisance : ndarray, shape (N, m'), or None
        ``N b``: what of the data the nuisance explains.
    """

    signal: Array
    coef: Array
    distance: Array
    gap: Array
    energy: Array | None = None
    noise: float | None = None
    trust: Array | None = None
    nuisance: Array | None = None


def kept(rows: Array, signal: Array, trust: Array, nuisance: Array | None) -> Array:
    """Return the data less the nuisance as far as entries are trusted, the signal elsewhere."""
    data = rows if nuisance is None else rows - nuisance
    return np.asarray(np.where(trust > 0, trust * data, 0) + (1 - trust) * signal)


class Solved(NamedTuple):
    """Coefficients (N, d) of samples, with the generators as signals, and as data shows them."""

    samples: Samples
    loss: Loss
    plain: Prepared
    data: Prepared
    coef: Array
    gap: Array


def explained(solved: Solved, whole: bool) -> tuple[Array, Array]:
    """Return the signals, none unless `whole`, and the distances, some rows at a time."""
    rows, known, coef = solved.samples.rows, solved.samples.known, solved.coef
    n, step = len(coef), max(1, PIECE // len(solved.data.A))
    signal = np.empty((n if whole else 0, len(solved.plain.A)), rows.dtype)
    distance = np.empty(n, rows.dtype)

    def piece(k: int, scratch: Scratch) -> None:
        part = slice(k * step, (k + 1) * step)
        seen = solved.data.signals(coef[part], scratch, "seen")
        if whole:
            same = solved.plain is solved.data
            signal[part] = seen if same else solved.plain.signals(coef[part], scratch, "signal")
        seen -= rows[part].toarray() if issparse(rows) else rows[part]
        if known is not None:
            seen[~np.broadcast_to(known, rows.shape)[part]] = 0
        distance[part] = row_norms(seen, solved.loss)

    threads.run(-(-n // step), piece)
    return signal, distance
