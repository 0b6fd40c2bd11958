# SPDX-License-Identifier: BSD-3-Clause
"""What is shipped: the sdist holds every source, and a wheel built from it works on its own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
from pathlib import Path

import numpy
import pytest
import scipy
import threadpoolctl

import fastcone

ROOT = Path(__file__).resolve().parents[1]
AUTOMATIC = re.compile(r"pyproject\.toml|setup\.py|setup\.cfg|README\.md|LICENSE")
SOLVE = """
import sys, fastcone, numpy as np
assert fastcone.__file__.startswith(sys.prefix), fastcone.__file__
x = fastcone.solve_nnls(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([3.0, -1.0])).x
print(fastcone.__version__, *x)
"""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, **options)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the tracked files, and their names; nothing of what was built or installed here."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    names = run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT).splitlines()
    names = [n for n in names if not n.startswith(".") and (ROOT / n).is_file()]
    copy = tmp_path_factory.mktemp("checkout")
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    return copy, set(names)


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_manifest_names_every_source(checkout, monkeypatch):
    egg_info = pytest.importorskip("setuptools.command.egg_info")
    copy, names = checkout
    monkeypatch.chdir(copy)
    files = egg_info.FileList()
    for line in (copy / "MANIFEST.in").read_text().splitlines():
        files.process_template_line(line)
    held = {Path(name).as_posix() for name in files.files}
    assert not {n for n in names if n not in held and not AUTOMATIC.fullmatch(n)}


def test_the_version_is_that_of_the_project():
    if fastcone.__version__ == "0+unknown":
        pytest.skip("fastcone runs without being installed")
    assert fastcone.__version__ == project()["version"]
    said = run([sys.executable, "-m", "fastcone", "--version"])
    assert said == f"fastcone {fastcone.__version__}\n"


@pytest.mark.slow
def test_a_wheel_built_from_the_sdist_solves_in_an_empty_environment(checkout, tmp_path):
    pytest.importorskip("build")
    pytest.importorskip("Cython")
    copy, names = checkout
    version = project()["version"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["FASTCONE_LEVELS"] = "base"
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]

    run([*build, "--sdist", str(copy)], cwd=tmp_path, env=environment)
    with tarfile.open(tmp_path / f"fastcone-{version}.tar.gz") as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4 on
        archive.extractall(tmp_path, **safe)
    assert not names - held

    source = tmp_path / f"fastcone-{version}"
    run([*build, "--wheel", str(source)], cwd=tmp_path, env=environment)
    (wheel,) = tmp_path.glob("*.whl")

    target = tmp_path / "empty"
    venv.create(target, with_pip=False, symlinks=os.name != "nt")
    paths = sysconfig.get_paths("venv", vars={"base": str(target), "platbase": str(target)})
    python = str(Path(paths["scripts"]) / Path(sys.executable).name)
    install = ["install", "-q", "--no-deps", "--no-index", str(wheel)]
    run([sys.executable, "-m", "pip", "--python", python, *install], env=environment)
    homes = {Path(numpy.__file__).parents[1], Path(scipy.__file__).parents[1]}
    homes.add(Path(threadpoolctl.__file__).parent)
    (Path(paths["purelib"]) / "dependencies.pth").write_text("\n".join(map(str, homes)) + "\n")
    assert run([python, "-c", SOLVE], cwd=tmp_path, env=environment) == f"{version} 3.0 0.0\n"
    for suffix in (".pxd", ".pyi", ".h"):
        shipped = {n for n in names if n.startswith("fastcone/") and n.endswith(suffix)}
        assert all((Path(paths["purelib"]) / name).exists() for name in shipped), suffix
