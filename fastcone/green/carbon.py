# SPDX-License-Identifier: BSD-3-Clause
"""Carbon of electricity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ._checks import number
from .reading import significant


@dataclass(frozen=True)
class Carbon:
    """Operational carbon of an energy, and the numbers it was computed from.

    Parameters
    ----------
    grams : float or None
        CO2e of everything the facility drew, g; None where the energy is absent.
    it_grams : float or None
        CO2e of the computers alone, without the facility's overhead, g.
    kwh : float or None
        Energy as given, kWh.
    intensity : float
        Carbon intensity of the electricity, g CO2e per kWh.
    pue : float
        Power usage effectiveness of the facility.
    energy_includes_pue : bool
        Whether `kwh` held the facility's overhead already.
    """

    grams: float | None
    it_grams: float | None
    kwh: float | None
    intensity: float
    pue: float
    energy_includes_pue: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if self.grams is None or self.kwh is None:
            return "carbon unknown (no energy)"
        factor, unit = 1.0, "g"
        for limit, name in ((1e6, "t"), (1e3, "kg")):
            if self.grams >= limit:
                factor, unit = limit, name
                break
        how = "included" if self.energy_includes_pue else "applied"
        return (
            f"{significant(self.grams / factor, 3)} {unit} CO2e, operational only "
            f"({self.kwh:.4g} kWh x {self.intensity:g} g/kWh, PUE {self.pue:g} {how})"
        )


def carbon(
    *,
    kwh: float | None,
    intensity: float,
    pue: float = 1.0,
    energy_includes_pue: bool = False,
) -> Carbon:
    """Return the operational carbon of an energy.

    ``grams = kwh * intensity`` if the energy includes the facility's overhead already, else
    ``kwh * pue * intensity``.  Applying the PUE to an energy that includes it is a known error of
    published figures (see docs/green.md).  Making the hardware is not in it, so this is not an
    SCI score.

    Parameters
    ----------
    kwh : float or None
        Energy, kWh; `Reading.kwh` fits.  None (absent) gives ``grams=None``, not 0.
    intensity : float
        Carbon intensity, g CO2e per kWh.  There is no default: it differs tenfold between
        countries, and between years, hours and accounting rules.  Record its source and year.
    pue : float
        Power usage effectiveness of the facility, >= 1.  1 is a desk, 1.56 a surveyed mean of
        data centres in 2024.
    energy_includes_pue : bool
        True if `kwh` was taken at the facility's meter.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If one is negative, not finite, or `pue` is below 1.

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
    if kwh is None:
        return Carbon(None, None, None, intensity, pue, energy_includes_pue)
    kwh = number("kwh", kwh)
    grams = kwh * intensity if energy_includes_pue else kwh * pue * intensity
    it_grams = kwh / pue * intensity if energy_includes_pue else kwh * intensity
    return Carbon(grams, it_grams, kwh, intensity, pue, energy_includes_pue)
