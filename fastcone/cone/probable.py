# SPDX-License-Identifier: BSD-3-Clause
"""The most probable signal behind noisy data: `Cone.project` with `noise`."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.sparse import issparse

from fastcone._runtime.rows import Array, groups
from fastcone._runtime.threads import one_blas_thread
from fastcone._runtime.validation import choice, number, real_array
from fastcone.cone.arguments import Samples, checked_samples
from fastcone.cone.em import Spoilt
from fastcone.cone.noise import DENSE, Known, seen
from fastcone.cone.prepared import Views
from fastcone.cone.prior import Prior
from fastcone.cone.projection import Projection, Solved, explained, kept
from fastcone.operators.base import Operator

BATCH = 4096  # samples that are worked on at a time
LEAST = 1e-150  # noise
RANGE = 1e-4, 2.0  # where `level` looks for the noise, relative to the size of the data


class Asked(NamedTuple):
    """What is asked of the data, checked.  noise: None if it is to be estimated."""

    noise: float | None
    spoilt: Spoilt
    nuisance: Array | None
    keep: str


def asked(
    size: int,
    loss: str,
    l1: float,
    noise: Any = None,
    clip: Any = None,
    outliers: Any = 0.0,
    nuisance: Any = None,
    keep: str = "cone",
) -> Asked | None:
    """Return what is asked of data of `size` entries, None if it is the plain projection."""
    plain = noise is None and clip is None and nuisance is None
    if plain and type(outliers) is float and outliers == 0 and type(keep) is str and keep == "cone":
        return None  # one sample takes some 50 us: no check of what was not given
    choice("keep", keep, ("cone", "data"))
    spoilt = Spoilt.checked(clip, outliers)
    if noise is None:
        given = {"clip": clip is not None, "outliers": spoilt.outliers > 0, "keep": keep != "cone"}
        given["nuisance"] = nuisance is not None
        for name in (name for name, here in given.items() if here):
            raise ValueError(f"{name} wants noise, the standard deviation of the data, found None")
        return None
    if loss != "l2" or l1 != 0:
        found = f"loss={loss!r}" if loss != "l2" else f"l1={l1!r}"
        raise ValueError(
            f"noise wants loss='l2' (for gross errors: outliers) and l1=0, found {found}"
        )
    if isinstance(noise, str):
        choice("noise", noise, ("estimate",))
        if clip is not None or spoilt.outliers or nuisance is not None:
            raise ValueError("noise='estimate' wants no clip, outliers or nuisance: give a number")
    else:
        noise = number("noise", noise, positive=True)
        if not LEAST <= noise <= 1 / LEAST:
            found = f"found {noise:g}: its square must be a number too"
            raise ValueError(f"noise must lie within {LEAST:g} and {1 / LEAST:g}, {found}")
    if nuisance is not None:
        nuisance = real_array("nuisance", nuisance, ndim=(2,), dtype=np.float64, min_size=1)
        if len(nuisance) != size:
            raise ValueError(f"nuisance must have {size} rows, found shape {nuisance.shape}")
    return Asked(None if isinstance(noise, str) else noise, spoilt, nuisance, keep)


def most_probable(
    W: Array,
    prior: Prior | None,
    views: Views,
    V: Any,
    forward: Operator | None,
    mask: npt.ArrayLike | Literal["nan"] | None,
    want: Asked,
) -> Projection:
    """Return the most probable signals and what can be said of them."""
    if prior is None:
        raise ValueError(
            "noise wants a cone with a prior, found none: Cone.fit learns it from samples that are "
            "known as a whole; a given W has one if it is given, older files have none"
        )
    if want.keep == "data" and forward is not None:
        raise ValueError(f"keep='data' wants no forward operator, found {forward!r}")
    if issparse(V):
        raise ValueError("V is sparse: want a dense array with noise")
    samples = checked_samples(V, mask, len(W) if forward is None else forward.size_out, "l2")
    return _answer(W, prior, views, samples, forward, want)


def _answer(
    W: Array,
    prior: Prior,
    views: Views,
    samples: Samples,
    forward: Operator | None,
    want: Asked,
) -> Projection:
    rows, shaped = np.asarray(samples.rows, np.float64), samples.shaped
    (n, size), (m, rank) = rows.shape, W.shape
    sigma = level(W, prior, forward, samples) if want.noise is None else want.noise
    coef, signal = np.zeros((n, rank)), np.empty((n, m))
    energy, gap = np.zeros(n), np.zeros(n)
    trust = np.zeros((n, size))
    nuisance = None if want.nuisance is None else np.zeros((n, size))
    every: list[tuple[Any, Known]] = [(slice(None), None)]
    for group, known in every if samples.known is None else groups(samples.known):
        members, entries = np.arange(n)[group], slice(None) if known is None else known
        if not rows[members][:, entries].size:  # nothing known: the mean
            coef[members] = np.maximum(prior.mean, 0)
            signal[members] = coef[members] @ np.asarray(W, np.float64).T
            continue
        view = views.whitened(W, prior, forward, known, sigma, want.nuisance)
        for start in range(0, len(members), BATCH):
            part = members[start : start + BATCH]
            given = np.ascontiguousarray(rows[part][:, entries])
            found, good = want.spoilt.restored(view, given, sigma)
            coef[part], signal[part] = found.coef, found.signal
            energy[part], gap[part] = found.energy, found.gap
            trust[np.ix_(part, np.arange(size)[entries])] = good
            if nuisance is not None:
                nuisance[part] = found.nuisance
    whole = views.of(W, rows.dtype, forward, None)
    plain = whole if forward is None else views.of(W, rows.dtype, None, None)
    as_given = samples._replace(rows=rows)
    distance = explained(Solved(as_given, "l2", plain, whole, coef, gap), whole=False)[1]
    if want.keep == "data":
        signal = kept(rows, signal, trust, nuisance)
    dtype = samples.rows.dtype

    def narrow(array: Array) -> Array:
        return np.asarray(shaped(array.astype(dtype, copy=False)))

    return Projection(
        narrow(signal),
        narrow(coef),
        shaped(distance.astype(dtype, copy=False)),
        shaped(gap),
        energy=shaped(energy),
        noise=sigma,
        trust=narrow(trust),
        nuisance=None if nuisance is None else narrow(nuisance),
    )


def level(W: Array, prior: Prior, forward: Operator | None, samples: Samples) -> float:
    """Return the noise's deviation under which samples are most likely, signs left aside.

    v ~ N(A W mu, A (W S W' + R) A' + sigma^2 I): with the eigenvalues of the covariance of the
    signals, a function of sigma alone.
    """
    known = samples.known
    if known is not None and known.ndim > 1:
        raise ValueError("noise='estimate' wants one mask for all samples, found one for each")
    if len(W) > DENSE:
        raise ValueError(f"noise='estimate' wants signals of up to {DENSE} entries, found {len(W)}")
    rows = samples.rows if known is None else samples.rows[:, known]
    rows = rows.astype(np.float64)
    size = float(np.sqrt(np.mean(rows**2))) if rows.size else 0.0
    if size == 0:
        raise ValueError("noise='estimate' wants samples that are not all zero, found none")
    with one_blas_thread():
        wide = np.asarray(W, np.float64)
        signals = wide @ prior.covariance @ wide.T + prior.residual
        shown = seen(seen(signals, forward, known).T, forward, known)
        values, vectors = np.linalg.eigh((shown + shown.T) / 2)
        centre = seen((wide @ prior.mean)[:, None], forward, known)[:, 0]
        power = np.mean(((rows - centre) @ vectors) ** 2, axis=0)
    values = np.maximum(values, 0)

    def unlikely(log_sigma: float) -> float:
        spread = values + np.exp(2 * log_sigma)
        return float(np.sum(np.log(spread) + power / spread))

    grid = np.log(size) + np.linspace(np.log(RANGE[0]), np.log(RANGE[1]), 64)
    best = int(np.argmin([unlikely(x) for x in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(np.exp(minimize_scalar(unlikely, bounds=bounds, method="bounded").x))
