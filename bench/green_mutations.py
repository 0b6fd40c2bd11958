# SPDX-License-Identifier: BSD-3-Clause
"""Break the profiler in one place at a time and tell which test notices.

    python bench/green_mutations.py [NAME ...]

Every mutation is applied to a copy of `fastcone/green`, laid over the package in a temporary
folder; the repository is not touched.  The exit status is 1 if a mutation survives.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# name: file, what stands there, what stands there instead, the test files to ask
_POWERCAP = ("powercap", "faults")
MUTATIONS = {
    "no modulo": (
        "meters/base.py",
        "        delta += domain.modulus\n",
        "        pass\n",
        _POWERCAP,
    ),
    "modulus without a unit": (
        "meters/zones.py",
        "return (_COUNTS + 1) * unit",
        "return range_uj * 1000",
        _POWERCAP,
    ),
    "wrap on a failed read": (
        "meters/base.py",
        "    if now.raw is None:\n",
        "    if now.raw is None:\n        now = Sample(0, now.t_ns)\n    if now.raw is None:\n",
        _POWERCAP,
    ),
    "every fall is a wrap": (
        "meters/base.py",
        "if wrapped and delta > _fitting(domain, watts) * longest:",
        "if False:",
        (*_POWERCAP, "doubt", "traces"),
    ),
    "psys summed": (
        "meters/zones.py",
        'if label and (label == "psys") == psys:',
        "if label:",
        _POWERCAP,
    ),
    "psys added to packages": (
        "reading.py",
        'if "psys" in scope.split("+") and scope != "psys":',
        "if False:",
        ("reading", "doubt"),
    ),
    "core and uncore summed": (
        "meters/zones.py",
        'if name != "dram":\n        return None',
        'if name != "dram":\n        return name',
        _POWERCAP,
    ),
    "dies summed": (
        "meters/powercap.py",
        "            if twin is None:",
        "            if True:",
        (*_POWERCAP, "probe"),
    ),
    "idle subtracted twice": (
        "reading.py",
        'if "net-of-idle" in self.flags or "net-of-idle" in idle.flags:',
        "if False:",
        ("reading",),
    ),
    "absent is 0": (
        "reading.py",
        "joules=_both(self.joules, other.joules) if known else None,\n            lo=",
        "joules=(self.joules or 0) + (other.joules or 0),\n            lo=",
        ("reading",),
    ),
    "a model is measured": (
        "meters/cputime.py",
        'kind = "modelled"',
        'kind = "measured"',
        ("doctor", "cputime", "profiler"),
    ),
    "best kind of a sum": (
        "reading.py",
        "kind = max(self.kind",
        "kind = min(self.kind",
        ("reading",),
    ),
    "a frozen counter counts": (
        "meters/counted.py",
        'return "frozen"',
        'return ""',
        _POWERCAP,
    ),
    "a stall is steady": (
        "meters/base.py",
        "if delta == 0 and elapsed >= ",
        "if False and elapsed >= ",
        (*_POWERCAP, "doubt", "traces"),
    ),
    "no doubt beside a fault": (
        "meters/base.py",
        "_DOUBTED_SPANS = 3",
        "_DOUBTED_SPANS = 0",
        ("doubt", "traces"),
    ),
    "no lag at the ends": (
        "meters/counted.py",
        "counter.unit_nj + ceiling * domain.refresh_ns",
        "counter.unit_nj",
        (*_POWERCAP, "doubt", "traces"),
    ),
    "sleep is no gap": (
        "meters/base.py",
        '        return 0, False, "slept"',
        "        pass",
        _POWERCAP,
    ),
    "children counted never": (
        "meters/children.py",
        "        total += below or 0\n",
        "        total = 0\n",
        ("cputime",),
    ),
    "inside is counted twice": (
        "profiler.py",
        "own = cost if opened.inside is None else cost - opened.inside",
        "own = cost",
        ("profiler",),
    ),
    "a new count may be a reset": (
        "meters/perf.py",
        "may_reset=False",
        "may_reset=True",
        ("perf",),
    ),
    "cards follow every millisecond": (
        "meters/nvml.py",
        "_REFRESH_NS = 100_000_000",
        "_REFRESH_NS = 1_000_000",
        ("nvml",),
    ),
    "a card without counter is left out": (
        "meters/nvml.py",
        "            return Availability(False, self._reason)\n        self._cards",
        "            pass\n        self._cards",
        ("nvml",),
    ),
    "codecarbon is measured": (
        "meters/codecarbon.py",
        'kind = "modelled"',
        'kind = "measured"',
        ("codecarbon",),
    ),
    "no warning of a cross-check": (
        "crosscheck.py",
        "abs(ratio - 1) > tolerance",
        "False",
        ("codecarbon",),
    ),
    "Ctrl-C leaves a region open": (
        "profiler.py",
        "            finally:  # Ctrl-C",
        "            except ZeroDivisionError:\n                raise\n            else:  # Ctrl-C",
        ("interrupt",),
    ),
}


def copy_to(folder: Path) -> None:
    """Lay out a package that differs from ours by its `green` alone."""
    package = folder / "fastcone"
    package.mkdir()
    for entry in (ROOT / "fastcone").iterdir():
        if entry.name == "green":
            shutil.copytree(entry, package / "green", ignore=shutil.ignore_patterns("*.pyc"))
        elif entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    (folder / "tests").mkdir()
    for test in (ROOT / "tests").glob("*.py"):
        shutil.copy(test, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)


def failing(folder: Path, suites: Iterable[str]) -> str | None:
    """Return the first test of these files that fails, None if none does."""
    tests = [f"tests/test_green_{suite}.py" for suite in suites]
    run = [sys.executable, "-B", "-m", "pytest", "-xq", "-p", "no:cacheprovider", *tests]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(run, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found else f"pytest itself, status {done.returncode}"


def killer(folder: Path, name: str) -> str | None:
    """Return the first test that fails under a mutation, None if none does."""
    file, old, new, suites = MUTATIONS[name]
    target = folder / "fastcone" / "green" / file
    source = target.read_text()
    if source.count(old) != 1:
        raise SystemExit(f"{name}: {file} holds the text {source.count(old)} times, not once")
    target.write_text(source.replace(old, new))
    try:
        return failing(folder, suites)
    finally:
        target.write_text(source)


def main(names: list[str]) -> int:
    """Print a line per mutation; return 1 if one survives."""
    survivors = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_to(folder)
        asked = sorted({s for name in names or MUTATIONS for s in MUTATIONS[name][3]})
        broken = failing(folder, asked)
        if broken:
            raise SystemExit(f"fails without a mutation: {broken}")
        for mutation in names or MUTATIONS:
            found = killer(folder, mutation)
            survivors += found is None
            print(f"{mutation:36} {found or 'SURVIVES'}", flush=True)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
