# SPDX-License-Identifier: BSD-3-Clause
"""Carbon of electricity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ._checks import number
from .reading import Reading, significant


@dataclass(frozen=True)
class Carbon:
    """Carbon of an energy, and the numbers it was computed from.

    Parameters
    ----------
    grams : float or None
        CO2e of everything the facility drew, g; None where the energy is absent.
    it_grams : float or None
        CO2e of the computers alone, without the facility's overhead, g.
    lo, hi : float or None
        Interval of ``grams`` from that of the energy, g; ``hi`` is None where a part was not
        seen.  The intensity is taken as exact.
    kwh : float or None
        Energy as given, kWh.
    intensity : float
        Carbon intensity of the electricity, g CO2e per kWh.
    pue : float
        Power usage effectiveness of the facility.
    energy_includes_pue : bool
        Whether `kwh` held the facility's overhead already.
    kind, scope, flags : str, str, tuple of str
        Those of the energy; ``"given"`` where it was a number.
    embodied_grams : float or None
        Share of the hardware's making, g, as given; None: not in it.
    """

    grams: float | None
    it_grams: float | None
    lo: float | None
    hi: float | None
    kwh: float | None
    intensity: float
    pue: float
    energy_includes_pue: bool
    kind: str = "given"
    scope: str = ""
    flags: tuple[str, ...] = ()
    embodied_grams: float | None = None

    def sci(self, units: float) -> float | None:
        """Return the SCI score, g CO2e per functional unit: ``(O + M) / R``.

        Parameters
        ----------
        units : float
            R, how many functional units (images, requests ...) the energy served, > 0.

        Raises
        ------
        ValueError
            If no embodied carbon was given: the specification (ISO/IEC 21031:2024) says M shall
            be included, so without it there is no score.

        Examples
        --------
        >>> carbon(kwh=2, intensity=100, embodied_grams=50).sci(units=500)
        0.5
        """
        if self.embodied_grams is None:
            raise ValueError("an SCI score needs embodied_grams; without it say operational carbon")
        if number("units", units) == 0:
            raise ValueError("units must be > 0, found 0")
        return None if self.grams is None else (self.grams + self.embodied_grams) / units

    def as_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON."""
        return {**asdict(self), "flags": list(self.flags)}

    def __str__(self) -> str:
        if self.grams is None or self.kwh is None:
            return "carbon unknown (no energy)"
        factor, unit = 1.0, "g"
        for limit, name in ((1e6, "t"), (1e3, "kg")):
            if self.grams >= limit:
                factor, unit = limit, name
                break
        how = "included" if self.energy_includes_pue else "applied"
        notes = [f"{self.kwh:.4g} kWh x {self.intensity:g} g/kWh, PUE {self.pue:g} {how}"]
        if self.kind != "given":
            ends = [
                significant(e / factor, 3) if e is not None else "?" for e in (self.lo, self.hi)
            ]
            notes = ["-".join(ends), *notes, self.kind, self.scope, *self.flags]
        what = "operational only"
        if self.embodied_grams is not None:
            what = f"operational, and {significant(self.embodied_grams, 3)} g embodied as given"
        least = "at least " if self.kind != "given" and self.hi is None else ""
        return (
            f"{least}{significant(self.grams / factor, 3)} {unit} CO2e, {what} ({', '.join(notes)})"
        )


def carbon(
    energy: Reading | None = None,
    *,
    kwh: float | None = None,
    intensity: float,
    pue: float = 1.0,
    energy_includes_pue: bool = False,
    embodied_grams: float | None = None,
) -> Carbon:
    """Convert energy to grams of CO2e.

    ``grams = kwh * intensity`` if the energy includes the facility's overhead (PUE) already, else
    ``grams = kwh * pue * intensity``.  Applying the overhead twice is the usual mistake.

    This is operational carbon; making the hardware is in it only as `embodied_grams`, which you
    give, and only then is there an SCI score.

    Parameters
    ----------
    energy : Reading, optional
        An energy with its label; the result carries its kind, scope, interval and flags.
    kwh : float or None
        Energy as a number, kWh, in place of `energy`.  None (absent) gives ``grams=None``, not 0.
    intensity : float
        Carbon intensity, g CO2e per kWh.  There is no default: it differs tenfold between
        countries, and between years, hours and accounting rules.  Record its source and year.
    pue : float
        Power usage effectiveness of the facility, >= 1.  1 is a desk, 1.56 a surveyed mean of
        data centres in 2024.
    energy_includes_pue : bool
        True if the energy was taken at the facility's meter.
    embodied_grams : float, optional
        This work's share of making the hardware, g CO2e:
        ``total * (time reserved / lifetime) * (resources reserved / total resources)``.

    Raises
    ------
    TypeError
        If an argument is not a number, or `energy` no Reading.
    ValueError
        If one is negative, not finite, `pue` is below 1, or both energies are given.

    Examples
    --------
    GPT-3 (Luccioni et al., JMLR 24(253), 2023): 1287 MWh include a PUE of 1.1, 429 g/kWh.

    >>> total = carbon(kwh=1.287e6, intensity=429, pue=1.1, energy_includes_pue=True)
    >>> print(total)
    552 t CO2e, operational only (1.287e+06 kWh x 429 g/kWh, PUE 1.1 included)
    >>> round(total.it_grams / 1e6, 1)
    501.9
    """
    if intensity is None:
        raise TypeError("intensity must be given in g CO2e per kWh, there is no default country")
    intensity = number("intensity", intensity)
    pue = number("pue", pue, minimum=1.0)
    if not isinstance(energy_includes_pue, bool):
        found = type(energy_includes_pue).__name__
        raise TypeError(f"energy_includes_pue must be a bool, found {found}")
    if embodied_grams is not None:
        embodied_grams = number("embodied_grams", embodied_grams)
    if energy is not None and not isinstance(energy, Reading):
        raise TypeError(
            f"energy must be a Reading, found {type(energy).__name__}; numbers go to kwh"
        )
    if energy is not None and kwh is not None:
        raise ValueError("give energy or kwh, found both")
    flags: tuple[str, ...]
    if energy is None:
        kwh = None if kwh is None else number("kwh", kwh)
        ends, kind, scope, flags = [kwh, kwh], "given", "", ()
    else:
        kwh, kind, scope = energy.kwh, energy.kind, energy.scope
        ends = [None if e is None else e / 3.6e6 for e in (energy.lo, energy.hi)]
        flags = energy.flags
    shared = intensity * (1.0 if energy_includes_pue else pue)
    own = intensity / pue if energy_includes_pue else intensity
    grams, it_grams = (None if kwh is None else kwh * factor for factor in (shared, own))
    lo, hi = (None if end is None else end * shared for end in ends)
    return Carbon(
        grams,
        it_grams,
        lo,
        hi,
        kwh,
        intensity,
        pue,
        energy_includes_pue,
        kind,
        scope,
        flags,
        embodied_grams,
    )
