# SPDX-License-Identifier: BSD-3-Clause
"""No arrow points up: a file imports only from the floors below it (docs/architecture.md)."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fastcone"
FLOORS = {  # a folder or file of the package's root, and its floor
    "_kernels": 1,
    "_runtime": 2,
    "_nnls": 3,
    "_nnlad": 3,
    "_nmf": 4,
    "operators": 4,
    "cone": 5,
    "tasks": 6,
    "cy": 7,
    "study": 7,
    "__main__": 7,
    "dask": 7,
    "sklearn": 7,
}
BESIDE = {  # arrows on one floor: from a folder, to another
    ("_nnlad", "_nnls"),
    ("__main__", "study"),
}
FACES = (
    "green",
    "study",
    "__main__",
    "cy",
    "dask",
    "sklearn",
)  # what the package's own __init__ does not import
TWINS = "_kernels.reference"
IMPORT = re.compile(
    r"^\s*(?:from\s+(fastcone[\w.]*)\s+c?import\s+(\([^)]*\)|.*)|c?import\s+(fastcone[\w.]*))", re.M
)


def modules():
    """Names below `fastcone` and sources; a .pxd and its .pyx are one module."""
    texts = {}
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxd"):
            name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            name = re.sub(r"\.?__init__$", "", name)
            texts[name] = texts.get(name, "") + "\n" + path.read_text()
    return texts.items()


def imports(text, known):
    """Module names, below `fastcone`, that a source file imports or cimports."""
    for base, names, plain in IMPORT.findall(text):
        base = (base or plain).removeprefix("fastcone").lstrip(".")
        parts = [name.split()[0] for name in re.split(r"[(),\n]", names) if name.strip()]
        inner = [f"{base}.{part}".lstrip(".") for part in parts]
        yield from [name for name in inner if name in known] or [base]


def folder(name):
    """The folder or file of the package's root that a module belongs to."""
    return name.split(".")[0]


def may(name, target):
    """Whether module `name` may import `target`."""
    here, there = folder(name), folder(target)
    if here == "green" or there == "green":
        return here == there or here in ("study", "__main__")
    if name == "":
        return there not in FACES
    if TWINS in (name[: len(TWINS)], target[: len(TWINS)]):  # imported by tests alone
        return name.startswith(TWINS) and target.startswith(TWINS)
    if here == there == "_kernels":
        return name.split(".")[1:2] == target.split(".")[1:2] or target.startswith(
            "_kernels.common"
        )
    if here not in FLOORS or there not in FLOORS:
        return False
    return here == there or FLOORS[there] < FLOORS[here] or (here, there) in BESIDE


def complaints(sources):
    known = dict(sources)
    for name, text in known.items():
        for target in sorted(set(imports(text, known))):
            if not may(name, target):
                yield f"{name} imports {target or 'the package'}"


def circles(sources):
    """Modules that import themselves by way of others."""
    known = dict(sources)
    arrows = {n: {t for t in imports(text, known) if t != n} for n, text in known.items()}
    done, path = set(), []

    def visit(name):
        if name in path:
            yield " -> ".join([*path[path.index(name) :], name])
        elif name not in done:
            path.append(name)
            for target in sorted(arrows.get(name, ())):
                yield from visit(target)
            path.pop()
            done.add(name)

    for name in sorted(arrows):
        yield from visit(name)


def test_no_module_imports_itself_by_way_of_others():
    assert list(circles(modules())) == []


def test_a_circle_is_seen():
    sources = dict(modules())
    sources["_runtime.scratchpad"] = "from fastcone._runtime.validation import integer\n"
    sources["_runtime.validation"] += "\nfrom fastcone._runtime import scratchpad\n"
    assert any("scratchpad" in circle for circle in circles(sources.items()))


def test_no_private_module_is_imported_through_the_package():
    for name, text in modules():
        assert not re.search(r"^from fastcone import _", text, re.M), name


def test_no_arrow_points_up():
    assert list(complaints(modules())) == []


@pytest.mark.parametrize(
    "name, line",
    [
        ("_nnls.result", "from fastcone._nmf.api import nmf"),
        ("_runtime.threads", "from fastcone._nnls.prepare import Gram"),
        ("_kernels.nnls.descent", "from fastcone._runtime.dispatch cimport descent_table"),
        ("cone.model", "from fastcone import tasks"),
        ("_nnls.api", "from fastcone._kernels import reference"),
        ("_nnls.prepare", "import fastcone.cone"),
        ("green.profiler", "from fastcone._runtime.threads import run"),
        ("tasks.classify", "from fastcone.green import Profiler"),
    ],
)
def test_an_arrow_turned_round_is_seen(name, line):
    sources = dict(modules())
    assert name in sources
    sources[name] += "\n" + line + "\n"
    assert any(complaint.startswith(name) for complaint in complaints(sources.items()))
