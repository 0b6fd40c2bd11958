# SPDX-License-Identifier: BSD-3-Clause
"""Data that are not what they say: saturated entries, gross errors. A few rounds of EM.

    x = v;  then, in each round:  p = what the cone explains of x,   x = E[the entry | v, p]

Saturated   v = lo says x <= lo:    E = p - sigma phi(a) / Phi(a),      a = (lo - p) / sigma
            and at hi the same, mirrored
Gross       an entry is as the cone says with probability 1 - share, else it is anything in a
            range; r = P(good | v, p) by Bayes,  E = r v + (1 - r) p.  Its deviation falls from
            2 sigma, or the misfit, to sigma over the rounds: to begin with, p is not believed.

EM for saturated entries is slow where sigma is small, so every second step is extrapolated.
R. Varadhan, C. Roland, Scandinavian Journal of Statistics 35 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from fastcone._runtime.rows import Array
from fastcone._runtime.validation import number
from fastcone.cone.whitened import Fitted, Whitened

CLIP_CYCLES = 12
SETTLED = 0.03  # sigmas by which a sample's entries move in its last step
OUTLIER_ROUNDS = 12
WIDE, NARROW = 2.0, 1.0  # deviations of good entries, in sigmas: in the first round and the last
CERTAIN = 0.5  # the last one where bounds tell the suspects: the others are taken as they are
LONGEST = 50.0  # steps of EM that a leap may stand for
FAR = 30.0  # sigmas beyond which the mean of a tail is taken from its asymptotic series

Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spoilt:
    """What may have happened to entries: saturation at `clip`, gross errors to a `share`."""

    clip: tuple[float, float] | None = None
    outliers: float = 0.0

    @classmethod
    def checked(cls, clip: Any, outliers: Any) -> Spoilt:
        """Return the two, checked."""
        share = number("outliers", outliers, minimum=0.0)
        if share >= 1:
            raise ValueError(f"outliers must be a share below 1, found {share:g}")
        if clip is None:
            return cls(None, share)
        try:
            low, high = clip
            pair = (
                -np.inf if low is None else number("clip[0]", low),
                np.inf if high is None else number("clip[1]", high),
            )
        except (TypeError, ValueError) as error:
            wanted = "two numbers (lo, hi), None for a side without a bound"
            raise type(error)(f"clip must be {wanted}, found {clip!r}") from None
        if not pair[0] < pair[1]:
            raise ValueError(f"clip must be (lo, hi) with lo < hi, found {clip!r}")
        return cls(pair, share)

    def restored(self, view: Whitened, rows: Array, sigma: float) -> tuple[Fitted, Array]:
        """Return the answers for samples, and how far each entry is a value as it stands."""
        if self.outliers:
            return self._without_gross(view, rows, sigma)
        if self.clip is None:
            return view.fit(rows), np.ones_like(rows)
        low, high = rows <= self.clip[0], rows >= self.clip[1]
        return view.fit(unsaturated(view, rows, low, high, self.clip, sigma)), 1.0 - (low | high)

    def _without_gross(self, view: Whitened, rows: Array, sigma: float) -> tuple[Fitted, Array]:
        suspect: Marks = np.ones(rows.shape, bool)
        if self.clip is not None:
            suspect = (rows <= self.clip[0]) | (rows >= self.clip[1])
        found, good = view.fit(rows), np.ones_like(rows)
        misfit = np.sqrt(np.mean((rows - found.seen) ** 2, axis=1, keepdims=True))
        first = np.maximum(WIDE * sigma, misfit)
        if self.clip is not None and np.isfinite(self.clip).all():
            width = np.full((len(rows), 1), self.clip[1] - self.clip[0])
        else:  # a flat sample has no range: what is anywhere in it is never the likelier
            width = np.maximum(np.ptp(rows, axis=1, keepdims=True), first * np.sqrt(2 * np.pi))
        last = sigma * (NARROW if self.clip is None else CERTAIN)
        for part in np.linspace(0, 1, OUTLIER_ROUNDS):
            deviation = first * (last / first) ** part
            good = np.where(suspect, trust(rows, found.seen, deviation, self.outliers, width), 1)
            found = view.fit(good * rows + (1 - good) * found.seen)
        return found, good


def unsaturated(
    view: Whitened, rows: Array, low: Marks, high: Marks, clip: tuple[float, float], sigma: float
) -> Array:
    """Return samples with saturated entries replaced by what is expected of them."""
    rows = rows.copy()
    left = np.flatnonzero((low | high).any(axis=1))
    for _ in range(CLIP_CYCLES):
        if not len(left):
            break
        at, x = (low[left], high[left]), rows[left]
        once = unclipped(x, view.fit(x).seen, *at, clip, sigma)
        twice = unclipped(once, view.fit(once).seen, *at, clip, sigma)
        far = extrapolated(x, once, twice)
        far = np.where(
            at[0], np.minimum(far, clip[0]), np.where(at[1], np.maximum(far, clip[1]), x)
        )
        rows[left] = far
        left = left[np.abs(twice - once).max(axis=1) > SETTLED * sigma]
    return rows


def extrapolated(x: Array, once: Array, twice: Array) -> Array:
    """Return where two steps of EM lead, for each row (SQUAREM)."""
    r, bend = once - x, twice - 2 * once + x
    long, size = (np.sqrt((a**2).sum(axis=1, keepdims=True)) for a in (r, bend))
    leap = np.clip(np.divide(long, size, out=np.ones_like(size), where=size > 0), 1, LONGEST)
    return np.asarray(x + 2 * leap * r + leap**2 * bend)


def unclipped(
    rows: Array,
    seen: Array,
    low: Marks,
    high: Marks,
    clip: tuple[float, float],
    sigma: float,
) -> Array:
    """Return samples with saturated entries replaced by what is expected beyond the bound."""
    rows = rows.copy()
    rows[low] = below(clip[0], seen[low], sigma)
    rows[high] = -below(-clip[1], -seen[high], sigma)
    return rows


def below(bound: float, mean: Array, sigma: float) -> Array:
    """Return E[x | x <= bound] of normal x, at any distance from the bound."""
    a = (bound - mean) / sigma
    near, far = np.maximum(a, -FAR), np.minimum(a, -FAR)
    ratio = np.exp(-0.5 * near**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(near))
    beyond = np.where(a < -FAR, far**-1 - 2 * far**-3, -near - ratio)
    return np.asarray(bound + sigma * beyond)


def trust(rows: Array, seen: Array, deviation: float | Array, share: float, width: Array) -> Array:
    """Return P(good) of entries: normal about what is seen, or a share `share` anywhere."""
    with np.errstate(over="ignore"):
        good = -0.5 * ((rows - seen) / deviation) ** 2 - np.log(deviation * np.sqrt(2 * np.pi))
        gross = np.log(share) - np.log(width)
        return np.asarray(1 / (1 + np.exp(gross - good - np.log1p(-share))))
