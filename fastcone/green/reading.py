# SPDX-License-Identifier: BSD-3-Clause
"""A reading: an energy that carries its kind, its scope and its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

KINDS = ("measured", "modelled", "absent")

_PREFIXES = ((1e9, "GJ"), (1e6, "MJ"), (1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ"))


@dataclass(frozen=True)
class Reading:
    """An energy in joules that says how it is known.

    ``kind`` is one of

    - ``"measured"``: a hardware counter counted it,
    - ``"modelled"``: it was computed from something else, such as CPU time,
    - ``"absent"``: it is not known; ``joules`` is None, never 0.

    Where a part was not seen of which nothing is known, such as a child process that cannot be
    looked into, ``hi`` is None: ``joules`` is then the least, and printed so.

    The sum of two readings is of the worse kind, so one modelled part makes a sum modelled and
    one absent part makes it absent: ``lo`` then keeps what was seen and ``hi`` is None.

    Parameters
    ----------
    joules : float or None
        The energy, J.  After a gap in the record this counts what was seen, a lower bound.
    lo, hi : float or None
        Interval, J.  For a measured reading: resolution of the counter, and for every second not
        seen the most the hardware could have drawn.  For a modelled one: the model's range.
    kind : str
        ``"measured"``, ``"modelled"`` or ``"absent"``.
    meter, scope : str
        Which meter spoke, and for what, e.g. ``"rapl-powercap"``, ``"package-0+dram-0"``.
    window_s : float
        Length of the window, s.
    resolution_j : float or None
        Half-width that the step and the refresh of the counter leave in this window, J.
    samples, wraps, gaps : int
        Counter reads used, counter wraps resolved, spans that were not seen.
    flags : tuple of str
        What a reader must know, e.g. ``"gap"``, ``"failed-read"``, ``"vm"``, ``"shared-host"``.
    params : mapping
        Parameters of the model, or the reason of an absence.  Plain JSON values.

    Raises
    ------
    ValueError
        If the kind is unknown, a number is negative or not finite, ``lo <= joules <= hi`` fails,
        two scopes that are added overlap (``psys`` holds the packages),
        or an absent reading carries joules.

    Examples
    --------
    >>> model = Reading(31.0, 15.5, 62.0, "modelled", "cpu-time", "process CPU",
    ...                 params={"watts_per_core": [3, 6, 12]})
    >>> print(model)
    ~31 J (16-62; CPU-time model, 3/6/12 W per core, not measured)
    >>> counter = Reading(10.0, 9.9, 10.1, "measured", "rapl-powercap", "package-0")
    >>> (counter + model).kind
    'modelled'
    >>> lost = Reading.absent("rapl-powercap", "package-1", reason="permission denied")
    >>> total = counter + lost
    >>> total.kind, total.joules, total.lo, total.hi
    ('absent', None, 9.9, None)
    """

    joules: float | None
    lo: float | None
    hi: float | None
    kind: str
    meter: str
    scope: str
    window_s: float = 0.0
    resolution_j: float | None = None
    samples: int = 0
    wraps: int = 0
    gaps: int = 0
    flags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, found {self.kind!r}")
        for name in ("joules", "lo", "hi", "window_s", "resolution_j"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be finite and >= 0, found {value!r}")
        if self.kind == "absent":
            if self.joules is not None or self.hi is not None:
                raise ValueError("an absent reading must have joules=None and hi=None")
        elif self.joules is None or self.lo is None:
            raise ValueError(f"a {self.kind} reading needs joules and lo, found None")
        elif not self.lo <= self.joules <= (math.inf if self.hi is None else self.hi):
            raise ValueError(
                f"joules must lie in [lo, hi], found {self.joules!r} in [{self.lo!r}, {self.hi!r}]"
            )

    @classmethod
    def absent(
        cls,
        meter: str,
        scope: str,
        *,
        reason: str,
        lo: float | None = None,
        window_s: float = 0.0,
        flags: tuple[str, ...] = (),
        **counts: int,
    ) -> Reading:
        """Return a reading that is not known, with the reason.

        Parameters
        ----------
        meter, scope : str
            As in `Reading`.
        reason : str
            Why there is no number.
        lo : float, optional
            What was seen all the same, J.
        window_s : float
            Length of the window, s.
        flags : tuple of str
            As in `Reading`.
        **counts : int
            ``samples``, ``wraps``, ``gaps``.

        Examples
        --------
        >>> print(Reading.absent("rapl-powercap", "none", reason="no zones"))
        absent (rapl-powercap: no zones)
        """
        return cls(
            None,
            lo,
            None,
            "absent",
            meter,
            scope,
            window_s=window_s,
            flags=flags,
            params={"reason": reason},
            **counts,
        )

    @property
    def kwh(self) -> float | None:
        """The energy in kWh, or None where it is absent."""
        return None if self.joules is None else self.joules / 3.6e6

    def __add__(self, other: Reading) -> Reading:
        if not isinstance(other, Reading):
            return NotImplemented
        scope = _union(self.scope, other.scope)
        if "psys" in scope.split("+") and scope != "psys":
            raise ValueError(f"psys holds the packages, so {scope} would count twice")
        kind = max(self.kind, other.kind, key=KINDS.index)
        known = kind != "absent"
        return Reading(
            joules=_both(self.joules, other.joules) if known else None,
            lo=_either(self.lo, other.lo),
            hi=_both(self.hi, other.hi) if known else None,
            kind=kind,
            meter=_union(self.meter, other.meter),
            scope=scope,
            window_s=self.window_s + other.window_s,
            resolution_j=_both(self.resolution_j, other.resolution_j),
            samples=self.samples + other.samples,
            wraps=self.wraps + other.wraps,
            gaps=self.gaps + other.gaps,
            flags=tuple(dict.fromkeys((*self.flags, *other.flags))),
            params=_merged(self.params, other.params),
        )

    def __radd__(self, other: object) -> Reading:
        if other == 0 and not isinstance(other, Reading):
            return self
        return NotImplemented

    def __truediv__(self, count: float) -> Reading:
        """Return the share of one of `count` equal parts; the window and the interval shrink alike.

        Parameters
        ----------
        count : float
            Above 0.

        Examples
        --------
        >>> ten = Reading(20.0, 10.0, 40.0, kind="modelled", meter="cpu-time", scope="process")
        >>> (ten / 10).joules, (ten / 10).lo, (ten / 10).hi, (ten / 10).kind
        (2.0, 1.0, 4.0, 'modelled')
        """
        if isinstance(count, Reading) or not isinstance(count, int | float):
            return NotImplemented
        if not (count > 0 and math.isfinite(count)):
            raise ValueError(f"count must be a finite number > 0, found {count!r}")

        def share(joules: float | None) -> float | None:
            return None if joules is None else joules / count

        return replace(
            self,
            joules=share(self.joules),
            lo=share(self.lo),
            hi=share(self.hi),
            window_s=self.window_s / count,
            resolution_j=share(self.resolution_j),
        )

    def net_of(self, idle: Reading) -> Reading:
        """Return this measured reading less what the idle machine would have drawn.

        ``net = gross - P_idle * window``, with ``P_idle = idle.joules / idle.window_s``; the
        intervals subtract end to end.  A net energy below 0 is reported as 0 and flagged
        ``"below-idle"``.  The gross reading stays the headline; this is the second line.

        Parameters
        ----------
        idle : Reading
            A measured reading of the quiet machine, same meter and scope, window of 30 s or more.

        Raises
        ------
        ValueError
            If either is not measured (a CPU-time model holds no idle power to subtract), if this
            one is net already, or if meter, scope or window do not fit.

        Examples
        --------
        >>> gross = Reading(100.0, 99.0, 101.0, "measured", "rapl-powercap", "package-0",
        ...                 window_s=2.0)
        >>> idle = Reading(300.0, 297.0, 303.0, "measured", "rapl-powercap", "package-0",
        ...                window_s=30.0)
        >>> net = gross.net_of(idle)
        >>> net.joules, net.flags
        (80.0, ('net-of-idle',))
        """
        if self.kind != "measured" or idle.kind != "measured":
            raise ValueError(
                f"idle power can be subtracted from a measured reading by a measured one only, "
                f"found {self.kind} and {idle.kind}"
            )
        if "net-of-idle" in self.flags or "net-of-idle" in idle.flags:
            raise ValueError("idle power has already been subtracted from this reading")
        if (self.meter, self.scope) != (idle.meter, idle.scope):
            raise ValueError(
                f"idle must be read by {self.meter} on {self.scope}, "
                f"found {idle.meter} on {idle.scope}"
            )
        if idle.window_s <= 0:
            raise ValueError(f"idle must span some time, found window_s={idle.window_s!r}")
        times = self.window_s / idle.window_s
        assert self.joules is not None and self.lo is not None
        assert idle.joules is not None and idle.lo is not None
        net = self.joules - idle.joules * times
        flags = (*self.flags, "net-of-idle", *(("below-idle",) if net < 0 else ()))
        return replace(
            self,
            joules=max(net, 0.0),
            lo=0.0 if idle.hi is None else min(max(self.lo - idle.hi * times, 0.0), max(net, 0.0)),
            hi=None if self.hi is None else max(self.hi - idle.lo * times, net, 0.0),
            flags=flags,
        )

    def flagged(self, flag: str) -> Reading:
        """Return this reading with one more flag."""
        return replace(self, flags=tuple(dict.fromkeys((*self.flags, flag))))

    def as_dict(self) -> dict[str, Any]:
        """Return the reading as plain JSON values; None where nothing is known."""
        return {
            "joules": self.joules,
            "lo": self.lo,
            "hi": self.hi,
            "kind": self.kind,
            "meter": self.meter,
            "scope": self.scope,
            "window_s": self.window_s,
            "resolution_j": self.resolution_j,
            "samples": self.samples,
            "wraps": self.wraps,
            "gaps": self.gaps,
            "flags": list(self.flags),
            "params": _plain(self.params),
        }

    def __str__(self) -> str:
        if self.joules is None:
            seen = "" if self.lo is None else f"; at least {_si(self.lo, 2)} seen"
            why = self.params.get("reason") or ", ".join(self.flags) or "a part is absent"
            return f"absent ({self.meter}: {why}{seen})"
        assert self.lo is not None
        modelled = self.kind == "modelled"
        digits = 2 if modelled else 4
        factor, unit = _prefix(self.joules)
        ends = [significant(e / factor, digits) for e in (self.lo, self.hi) if e is not None]
        value = f"{significant(self.joules / factor, digits)} {unit}"
        if self.hi is None:
            value, ends = f"at least {value}", [ends[0], "?"]
        if modelled:
            value, said = f"~{value}", f"{_model(self)}, not measured"
        else:
            said = f"{self.meter}, {self.scope}, measured"
        return f"{value} ({'-'.join(ends)}; {', '.join([said, *self.flags])})"


def significant(value: float, digits: int) -> str:
    """Format a number with so many significant digits and no exponent.

    Examples
    --------
    >>> significant(15.5, 2), significant(1234.5, 2), significant(0.0999, 2), significant(0.0, 2)
    ('16', '1200', '0.10', '0')
    """
    if value == 0:
        return "0"
    mantissa = f"{value:.{digits - 1}e}"
    places = digits - 1 - int(mantissa.split("e")[1])
    return f"{float(mantissa):.{max(places, 0)}f}"


def _prefix(joules: float) -> tuple[float, str]:
    if joules == 0:
        return 1.0, "J"
    return next((p for p in _PREFIXES if joules >= p[0]), _PREFIXES[-1])


def _si(joules: float, digits: int) -> str:
    factor, unit = _prefix(joules)
    return f"{significant(joules / factor, digits)} {unit}"


def _model(reading: Reading) -> str:
    watts = reading.params.get("watts_per_core")
    if reading.meter == "cpu-time" and isinstance(watts, (list, tuple)):
        return f"CPU-time model, {'/'.join(f'{w:g}' for w in watts)} W per core"
    return f"{reading.meter}, in part a model"


def _both(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def _either(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b


def _union(a: str, b: str) -> str:
    return "+".join(dict.fromkeys([*a.split("+"), *b.split("+")]))


def _merged(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**a, **b}
    return {k: "mixed" if k in a and k in b and a[k] != b[k] else v for k, v in merged.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
