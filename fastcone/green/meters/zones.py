# SPDX-License-Identifier: BSD-3-Clause
"""Which powercap zones to read, so that no energy is counted twice and none is left out.

    read     every package, by name `package-*`, and the `dram` zone inside it
    leave    core and uncore (inside the package), psys (around it), everything unknown
    twins    MSR and MMIO zones of one name are one counter: the first readable is taken

A counter holds 32 bits in a hardware unit; the files show microjoules, cut to an integer.  The
range file shows the largest value, 2^32 - 1 units, so the counter wraps at range + one unit.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .base import Domain

Opener = Callable[[str], int]

_COUNTS = 2**32 - 1
_SMALLEST_RANGE_NJ = 65_532_610_987_000
_LEAST_CEILING_W = 100.0
_MOST_CEILING_W = 1000.0
_MOST_PSYS_W = 4000.0


@dataclass(frozen=True)
class Zone:
    """One counter: its label, its folder, its step in nJ, its range in uJ (None: unknown).

    ``ends_line`` tells that its file ends with a newline, so that one without is half-written.
    """

    label: str
    path: str
    ends_line: bool
    unit_nj: int
    range_uj: int | None
    domain: Domain

    @property
    def energy_path(self) -> str:
        """Path of the counter."""
        return os.path.join(self.path, "energy_uj")


def open_readonly(path: str) -> int:
    """Open a file for reading and return its descriptor.

    Examples
    --------
    >>> os.close(open_readonly(os.devnull))
    """
    return os.open(path, os.O_RDONLY)


def modulus_nj(range_uj: int) -> int:
    """Return where a counter wraps, nJ, from the largest microjoules it shows.

    ``range_uj = floor((2^32 - 1) * unit)``.  The kernel keeps the unit as an integer number of
    nJ, or exactly as 2^-k J; the one that reproduces the range gives ``2^32 * unit``.  For a
    range that neither explains the unit is rounded to uJ, at least 1.

    Examples
    --------
    >>> modulus_nj(262143328850) == 2**32 * 61035
    True
    >>> modulus_nj(262143999938) == 2**18 * 10**9
    True
    """
    unit = -(-range_uj * 1000 // _COUNTS)
    if _COUNTS * unit // 1000 == range_uj:
        return (_COUNTS + 1) * unit
    for bits in range(10, 21):
        if _COUNTS * 10**6 >> bits == range_uj:
            return 10**9 << (32 - bits)
    return (range_uj + max(1, round(range_uj / _COUNTS))) * 1000


def discover(root: str, opener: Opener, *, psys: bool = False) -> tuple[list[Zone], str]:
    """Return the zones to read and, where there are none or some cannot be read, the reason.

    Parameters
    ----------
    root : str
        Folder of the powercap class, or of its devices.
    opener : callable
        Opens a path for reading, returns a descriptor, raises OSError.
    psys : bool
        Take the platform zone, and it alone.

    Returns
    -------
    zones : list of Zone
        Empty if any package cannot be read: a sum without one would not be the machine's.
    reason : str
        What stands in the way, empty if nothing does.

    Examples
    --------
    >>> discover("/no/such/folder", open_readonly)
    ([], 'cannot list /no/such/folder: ENOENT')
    """
    found, problems = _find(root, opener)
    if not found:
        return [], problems[0] if problems else f"{root} holds no power zones"
    groups: dict[str, list[str]] = {}
    for path in sorted(found, key=_preference):
        label = _label(path, found)
        if label and (label == "psys") == psys:
            groups.setdefault(label, []).append(path)
    zones, failures = [], []
    for label in sorted(groups, key=lambda label: (label.startswith("dram"), label)):
        chosen, said = _first_readable(groups[label], opener)
        if chosen:
            zones.append(_zone(label, chosen, said.endswith("\n"), opener))
        else:
            failures.append((label, said))
    main = "psys" if psys else "package-"
    lost = [why for label, why in failures if label.startswith(main)]
    if lost:
        return [], lost[0]
    if not any(zone.label.startswith(main) for zone in zones):
        names = ", ".join(sorted(set(found.values())))
        return [], f"no {main.rstrip('-')} zone under {root}, only {names}"
    return zones, "; ".join([*(f"{label} left out, {why}" for label, why in failures), *problems])


def _find(root: str, opener: Opener) -> tuple[dict[str, str], list[str]]:
    """Map the path of every zone, each once, to its name; and tell what could not be read."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for path in _folders(root, problems):
        try:
            found[path] = read_text(os.path.join(path, "name"), opener).strip()
        except (OSError, ValueError) as error:
            problems.append(explain(os.path.join(path, "name"), error))
    return found, problems


def _folders(root: str, problems: list[str]) -> Iterator[str]:
    """Yield zone folders, `TYPE:i` and `TYPE:i:j`, whether laid flat or nested; links once."""
    todo, seen = [root], {os.path.realpath(root)}
    while todo:
        folder = todo.pop()
        try:
            names = sorted(os.listdir(folder))
        except NotADirectoryError:
            continue
        except OSError as error:
            problems.append(explain(folder, error))
            continue
        if ":" in os.path.basename(os.path.realpath(folder)):
            yield os.path.realpath(folder)
        for name in names:
            path = os.path.join(folder, name)
            real = os.path.realpath(path)
            if (":" in name or folder == root) and real not in seen:
                seen.add(real)
                todo.append(path)


def _preference(path: str) -> tuple[bool, str]:
    """Order twins: the MSR interface first, it alone has the dram zones."""
    zone_id = os.path.basename(path)
    return zone_id.split(":")[0] != "intel-rapl", zone_id


def _label(path: str, found: dict[str, str]) -> str | None:
    """Name the counter a zone shows, None for one that is not to be read."""
    name = found[path]
    if name.startswith("package-") or name == "psys":
        return name
    if name != "dram":
        return None
    parent_id = os.path.basename(path).rpartition(":")[0]
    parent = next((n for p, n in found.items() if os.path.basename(p) == parent_id), "")
    return "dram-" + parent.removeprefix("package-") if parent.startswith("package-") else None


def _first_readable(paths: list[str], opener: Opener) -> tuple[str | None, str]:
    """Return the first zone whose counter can be read and what it says, or None and why not."""
    why = ""
    for path in paths:
        counter = os.path.join(path, "energy_uj")
        try:
            text = read_text(counter, opener)
            int(text)
        except (OSError, ValueError) as error:
            why = why or explain(counter, error)
        else:
            return path, text
    return None, why


def _zone(label: str, path: str, ends_line: bool, opener: Opener) -> Zone:
    range_uj = _number(os.path.join(path, "max_energy_range_uj"), opener) or None
    modulus = modulus_nj(range_uj) if range_uj else None
    unit = modulus - range_uj * 1000 if modulus and range_uj else 61_035
    domain = Domain(modulus, _ceiling(label, path, opener), _SMALLEST_RANGE_NJ)
    return Zone(label, path, ends_line, max(unit, 1000), range_uj, domain)


def _ceiling(label: str, path: str, opener: Opener) -> float:
    """Return a power the zone cannot exceed, W: twice its largest constraint, within reason.

    Twice, because short bursts go beyond what the constraints, running averages, allow; within
    reason, because firmware is known to state none, a few watts for a processor that bursts to
    ten times as much, or kilowatts for a memory module.
    """
    declared = max(
        _number(os.path.join(path, f"constraint_{i}_{key}_uw"), opener) or 0
        for i in range(3)
        for key in ("max_power", "power_limit")
    )
    most = _MOST_PSYS_W if label == "psys" else _MOST_CEILING_W
    return min(max(2 * declared / 1e6, _LEAST_CEILING_W), most) if declared > 0 else most


def _number(path: str, opener: Opener) -> int | None:
    try:
        return int(read_text(path, opener))
    except (OSError, ValueError):
        return None


def read_text(path: str, opener: Opener) -> str:
    """Return the first 64 bytes of a file as text.

    Examples
    --------
    >>> read_text(os.devnull, open_readonly)
    ''
    """
    descriptor = opener(path)
    try:
        return os.read(descriptor, 64).decode("ascii")
    finally:
        os.close(descriptor)


def explain(path: str, error: Exception) -> str:
    """Say what an error on a file of the tree means and what helps.

    Examples
    --------
    >>> explain("/x/energy_uj", PermissionError(errno.EACCES, ""))
    'permission denied (EACCES): /x/energy_uj is for root only since Linux 5.10; a udev rule helps'
    """
    if not isinstance(error, OSError):
        return f"{path} does not hold a number"
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    if error.errno in (errno.EACCES, errno.EPERM):
        what = "is for root only since Linux 5.10; a udev rule helps"
        return f"permission denied ({code}): {path} {what}"
    folder = path if os.path.islink(path) else os.path.dirname(path)
    if error.errno == errno.ENOENT and os.path.islink(folder) and not os.path.exists(folder):
        what = "leads nowhere: a container hides it; mount or unmask /sys/devices/virtual/powercap"
        return f"dangling link ({code}): {folder} {what}"
    verb = "list" if os.path.isdir(path) or path == folder or code == "ENOENT" else "read"
    return f"cannot {verb} {path}: {code}"
