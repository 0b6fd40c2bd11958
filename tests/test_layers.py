# SPDX-License-Identifier: BSD-3-Clause
"""No arrow points up: a file imports only from the floors below it (docs/architecture.md)."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fastcone"
FLOORS = [  # the first pattern that matches a module's name gives its floor
    (r"_kernels(\..*)?", 1),
    (r"_validation|_threads|_panels|_dispatch|_dispatch_nmf|_config|_modelfile|cy", 2),
    (r"result|_nnls(\..*)?|_nnlad(\..*)?|_nmf(\..*)?|nnls|nnlad|nmf|online", 3),
    (r"_stencils|_rows|operators|cone", 4),
    (r"tasks(\..*)?", 5),
    (r"cli|study(\..*)?|sklearn|dask|__main__", 6),
]
BESIDE = [  # imports allowed on one floor: from, to
    (r"_kernels\..*", r"_kernels\.(lanes|tables|sums|dense|span|vertex|basis|edges|factors)"),
    (r"_kernels\..*", r"_kernels\.(panels|divergence|steps)"),
    (r"_threads", r"_validation"),
    (r"_config|_panels", r"_threads|_dispatch"),
    (r"cy|_dispatch_nmf", r"_dispatch"),
    (r"_(nnls|nnlad|nmf)(\..*)?|nnls|nnlad|nmf", r"result|_nnls(\..*)?|_nnlad(\..*)?|_nmf(\..*)?"),
    (r"online", r"nmf|_nmf\..*"),
    (r"operators|cone", r"_stencils|_rows|operators"),
    (r"tasks\..*", r"tasks\..*"),
    (r"tasks", r"tasks\..*"),
    (r"cli|study(\..*)?|__main__", r"cli|study(\..*)?"),
]
TWINS = ("reference", "reference_nmf")  # the twins: for tests alone
IMPORT = re.compile(
    r"^\s*(?:from\s+(fastcone[\w.]*)\s+c?import\s+(\([^)]*\)|.*)|c?import\s+(fastcone[\w.]*))", re.M
)


def modules():
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxd"):
            name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            yield re.sub(r"\.?__init__$", "", name), path.read_text()


def imports(text, known):
    """Module names, below `fastcone`, that a source file imports or cimports."""
    for base, names, plain in IMPORT.findall(text):
        base = (base or plain).removeprefix("fastcone").lstrip(".")
        parts = [name.split()[0] for name in re.split(r"[(),\n]", names) if name.strip()]
        inner = [f"{base}.{part}".lstrip(".") for part in parts]
        yield from [name for name in inner if name in known] or [base]


def complaints(sources):
    known = dict(sources)
    floor = {n: next((f for p, f in FLOORS if re.fullmatch(p, n)), None) for n in known}
    for name, text in known.items():
        for target in sorted(set(imports(text, known))):
            same = any(re.fullmatch(a, name) and re.fullmatch(b, target) for a, b in BESIDE)
            if name.startswith("green"):
                if not target.startswith("green"):
                    yield f"{name} stands alone but imports {target}"
            elif target.startswith("green"):
                if not re.fullmatch(r"cli|study(\..*)?", name):
                    yield f"{name} imports {target}"
            elif name in ("", *TWINS):
                if target.startswith(("study", "cli", "sklearn", "dask")):
                    yield f"the package imports its face {target}"
            elif floor[name] is None:
                yield f"{name} stands on no floor"
            elif target in TWINS or floor.get(target) is None:
                yield f"{name} imports {target or 'the package'}"
            elif not (floor[target] < floor[name] or same or target == name):
                yield f"{name} (floor {floor[name]}) imports {target} (floor {floor[target]})"


def test_no_arrow_points_up():
    assert list(complaints(modules())) == []


@pytest.mark.parametrize(
    "name, line",
    [
        ("result", "from fastcone.nnls import solve_nnls"),
        ("_threads", "from fastcone._nnls.gram import Gram"),
        ("_kernels.nnls", "from fastcone._dispatch cimport _nnls"),
        ("cone", "from fastcone import tasks"),
        ("nnls", "from fastcone import reference"),
        ("_nnls.gram", "import fastcone.cone"),
        ("green.profiler", "from fastcone._threads import run"),
        ("tasks.classify", "from fastcone.green import Profiler"),
    ],
)
def test_an_arrow_turned_round_is_seen(name, line):
    sources = dict(modules())
    assert name in sources
    sources[name] += "\n" + line + "\n"
    assert any(complaint.startswith(name) for complaint in complaints(sources.items()))
