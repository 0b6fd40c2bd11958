# SPDX-License-Identifier: BSD-3-Clause
"""`fastcone.green` starts without the solvers, and the lazy package is still the package."""

import pickle
import subprocess
import sys

import fastcone


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_green_loads_neither_solvers_nor_scipy():
    loaded = run("import sys, fastcone.green; print(*sys.modules)")
    assert "fastcone.green.profiler" in loaded
    for name in loaded:
        assert not name.startswith(("fastcone._", "fastcone.cone", "scipy", "threadpoolctl"))


def test_every_public_name_is_found_by_from_import_and_by_star():
    assert sorted(fastcone._HOMES) == sorted(fastcone.__all__)
    assert run("from fastcone import *; print(nnls.__name__, Cone.__name__)") == ["nnls", "Cone"]
    assert run("from fastcone import nnls, nmf; print(callable(nnls), callable(nmf))") == [
        "True",
        "True",
    ]
    for name in fastcone.__all__:
        assert getattr(fastcone, name) is getattr(fastcone, name)
        assert name in dir(fastcone)


def test_what_the_package_shows_can_be_pickled():
    for name in fastcone.__all__:
        value = getattr(fastcone, name)
        assert pickle.loads(pickle.dumps(value)) is value
