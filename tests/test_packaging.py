# SPDX-License-Identifier: BSD-3-Clause
"""The source distribution holds every source and builds; the wheel made from it works alone."""

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
from pathlib import Path

import numpy
import pytest

import fastcone

pytest.importorskip("build")
ROOT = Path(fastcone.__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="no source tree: an installed package"
)
SOURCES = ("fastcone", "tests", "bench", "docs", "examples")
KINDS = (".py", ".pyx", ".pxd", ".pyi", ".h", ".md", ".j2", ".json", ".typed", ".toml")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, made from a copy: a build writes beside its sources."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("sdist")
    for name in SOURCES:
        for path in (ROOT / name).rglob("*"):
            if path.suffix in KINDS and "__pycache__" not in path.parts:
                copy = tree / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
    for path in ROOT.iterdir():
        if path.is_file():
            (tree / path.name).write_bytes(path.read_bytes())
    build = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(out)]
    run(*build, str(tree), cwd=tree)
    return next(out.glob("*.tar.gz")), tree


def test_the_source_distribution_holds_every_source(sdist):
    archive, tree = sdist
    with tarfile.open(archive) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    want = {
        str(path.relative_to(tree))
        for folder in SOURCES
        for path in (tree / folder).rglob("*")
        if path.suffix in KINDS and ".egg-info" not in str(path)
    }
    assert "fastcone/_kernels/common/lanes.h" in want and "tests/problems.py" in want
    assert want - held == set()


def test_a_wheel_of_the_source_distribution_works_in_an_empty_environment(sdist, tmp_path):
    archive, _ = sdist
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    tree = next(path for path in tmp_path.iterdir() if path.is_dir())
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path)]
    run(*build, str(tree), cwd=tree, env={**os.environ, "FASTCONE_LEVELS": "base"})
    wheel = next(tmp_path.glob("*.whl"))
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    run(*pip, "--target", str(site), str(wheel), cwd=tmp_path)
    for package in ("numpy", "scipy", "threadpoolctl"):  # the dependencies, not the tree beside
        for path in Path(numpy.__file__).parents[1].glob(f"{package}*"):
            (site / path.name).symlink_to(path)
    code = (
        "import numpy, fastcone; print(fastcone.__file__, fastcone.__version__);"
        "print(fastcone.solve_nnls(numpy.eye(2), numpy.ones(2)).x)"
    )
    out = run(str(python), "-c", code, cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert str(site) in out and "[1. 1.]" in out

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f" {version}\n" in out
