# SPDX-License-Identifier: BSD-3-Clause
"""Intervals of where two straight lines of uncertain costs cross (Fieller 1954, Welch 1947).

A break-even count is the root of a difference that is linear in it and in every mean cost m:

    D(x) = (a + x b)'m            se(x)^2 = (a + x b)' C (a + x b)      C covariance of the means

Its interval holds every x at which D could be 0:  |D(x)| <= t(df(x)) se(x).  For independent
costs of R_i runs each the degrees of freedom are Welch's and Satterthwaite's,
df = se^4 / sum_i (c_i^2 v_i)^2 / (R_i - 1), with c = a + x b and v the diagonal of C; for paired
ones R - 1.  No simulation, so no seed; where the slope b'm may be 0 the interval has no end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]
_FAR = 1e300


@lru_cache
def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def t_quantile(level: float, df: float) -> float:
    """Return the half-width of Student's t that holds `level`, to 1e-3 from 4 degrees on.

    The expansion of Cornish and Fisher around the normal quantile z, to the fourth order in 1/df.

    Examples
    --------
    >>> round(t_quantile(0.95, 4), 2), round(t_quantile(0.95, 29), 3)
    (2.78, 2.045)
    """
    z = _normal(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / df ** (k + 1) for k, term in enumerate(terms))


@dataclass(frozen=True)
class Means:
    """Mean costs, the covariance of the means, and the degrees of freedom of each.

    ``dofs`` are R_i - 1, infinite for a cost given as one number; ``paired`` says that run i of
    all costs was taken side by side.
    """

    values: _Array
    covariance: _Array
    dofs: _Array
    level: float
    paired: bool = False

    def resolves(self, c: _Array) -> bool:
        """Return whether the sign of c'm is known: its interval is a point or without 0.

        Examples
        --------
        >>> two = Means(np.array([10.0, 1.0]), np.diag([1.0, 1.0]), np.array([9.0, 9.0]), 0.95)
        >>> two.resolves(np.array([1.0, 0.0])), two.resolves(np.array([0.0, 1.0]))
        (True, False)
        """
        line = _Line(self, c, np.zeros_like(c))
        return line.variances[0] <= 0 or line.excess(0.0) > 0


class _Line:
    """Where (a + x b)'m is 0 within its error; all as polynomials in x, in homogeneous form."""

    def __init__(self, means: Means, a: _Array, b: _Array) -> None:
        covariance, v = means.covariance, np.diag(means.covariance)
        self.value = (float(a @ means.values), float(b @ means.values))
        self.variances = tuple(float(p @ covariance @ q) for p, q in ((a, a), (a, b), (b, b)))
        weight = v * v / means.dofs
        powers = (a**4, 4 * a**3 * b, 6 * a * a * b * b, 4 * a * b**3, b**4)
        self.fourths = [float((weight * p).sum()) for p in powers]
        self.paired_df = float(means.dofs.min()) if means.paired else None
        self.level = means.level

    def excess(self, x: float) -> float:
        """Return |(a + x b)'m| - t se, scaled by max(1, x): <= 0 where it may be 0."""
        u, v = (1.0, x) if x <= 1 else (1 / x, 1.0)
        size = abs(u * self.value[0] + v * self.value[1])
        vaa, vab, vbb = self.variances
        variance = u * u * vaa + 2 * u * v * vab + v * v * vbb
        if variance <= 0:
            return size
        df = self.paired_df
        if df is None:
            total = sum(k * u ** (4 - i) * v**i for i, k in enumerate(self.fourths))
            df = variance * variance / total if total > 0 else math.inf
        return size - t_quantile(self.level, df) * math.sqrt(variance)


def crossing(means: Means, a: _Array, b: _Array) -> tuple[float, float]:
    """Return the interval of the x >= 0 with (a + x b)'m = 0; its end is infinite where open.

    Examples
    --------
    The ratio of 60 +- 3 to 25 +- 1, ten runs each.

    >>> two = Means(np.array([60.0, 25.0]), np.diag([9.0, 1.0]), np.array([9.0, 9.0]), 0.95)
    >>> lo, hi = crossing(two, np.array([1.0, 0.0]), np.array([0.0, -1.0]))
    >>> round(lo, 2), round(hi, 2)
    (2.09, 2.74)
    """
    line = _Line(means, a, b)
    excess, (height, slope) = line.excess, line.value
    root = -height / slope if slope else math.inf
    inside = root if 0 <= root < _FAR else None
    open_above = not means.resolves(b)
    if excess(0.0) <= 0:
        low = 0.0
    elif inside is not None:
        low = _bisect(excess, inside, 0.0)
    elif open_above:
        far = _beyond(excess, 1.0, want_inside=True)
        low = _bisect(excess, far, 0.0) if far is not None else 0.0
    else:
        return 0.0, 0.0
    if open_above:
        return low, math.inf
    start = inside if inside is not None else 0.0
    far = _beyond(excess, max(2 * start, 1e-300), want_inside=False)
    return low, math.inf if far is None else _bisect(excess, start, far)


def _beyond(excess: Callable[[float], float], start: float, *, want_inside: bool) -> float | None:
    """Return the first of start, 2 start, 4 start ... that lies inside, or outside."""
    x = start
    while x < _FAR:
        if (excess(x) <= 0) == want_inside:
            return x
        x *= 2
    return None


def _bisect(excess: Callable[[float], float], inside: float, outside: float) -> float:
    """Return the edge between a point inside and one outside, to twelve digits."""
    while abs(outside - inside) > 1e-12 * max(inside, outside):
        middle = (inside + outside) / 2
        if excess(middle) <= 0:
            inside = middle
        else:
            outside = middle
    return inside
