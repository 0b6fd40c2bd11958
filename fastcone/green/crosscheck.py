# SPDX-License-Identifier: BSD-3-Clause
"""One meter beside another."""

from __future__ import annotations

import warnings

from ._checks import number
from .reading import Reading


def cross_check(ours: Reading, theirs: Reading, *, tolerance: float = 0.1) -> float | None:
    """Return the ratio of two readings of one window, and warn where they differ.

    Parameters
    ----------
    ours, theirs : Reading
        Of one region, e.g. two of its ``readings``.  That scopes differ is told in the warning:
        codecarbon's holds memory and cards.
    tolerance : float
        Largest ``|theirs / ours - 1|`` that is let pass.

    Returns
    -------
    float or None
        ``theirs.joules / ours.joules``; None where either is absent or ours is 0.

    Warns
    -----
    UserWarning
        If they differ by more.

    Examples
    --------
    >>> a = Reading(100.0, 99.0, 101.0, "measured", "rapl-powercap", "package-0")
    >>> b = Reading(105.0, 75.0, 175.0, "modelled", "codecarbon", "machine")
    >>> cross_check(a, b)
    1.05
    """
    tolerance = number("tolerance", tolerance)
    if ours.joules is None or theirs.joules is None or ours.joules == 0:
        return None
    ratio = theirs.joules / ours.joules
    if abs(ratio - 1) > tolerance:
        warnings.warn(
            f"{theirs.meter} says {ratio:.3g} times what {ours.meter} says: {theirs} for {ours}; "
            f"scopes {theirs.scope} and {ours.scope}",
            stacklevel=2,
        )
    return ratio
