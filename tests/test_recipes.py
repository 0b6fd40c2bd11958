# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of CONTRIBUTING.md, followed; a kernel and a task on a copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from fastcone import nmf
from fastcone._nmf.losses import LOSSES, Loss

ROOT = Path(__file__).resolve().parents[1]


def test_a_loss_is_one_record(rng, monkeypatch):
    X = rng.random((30, 40)) + 0.1
    with pytest.raises(ValueError, match="loss must be one of"):
        nmf(X, 3, loss="hellinger", solver="mu")
    monkeypatch.setitem(LOSSES, "hellinger", Loss("hellinger", 0.5, "beta"))
    options = {"solver": "mu", "random_state": 0, "max_iter": 30, "tol": 0}
    named, plain = nmf(X, 3, loss="hellinger", **options), nmf(X, 3, loss=0.5, **options)
    assert np.all(np.diff(named.history) <= 0) and named.objective < named.history[0] / 2
    assert np.array_equal(named.W, plain.W) and np.array_equal(named.H, plain.H)


def test_sparse_data_is_served_by_the_entry_not_by_the_name(rng, monkeypatch):
    X = sp.random_array((30, 40), density=0.3, rng=rng, format="csr")
    options = {"solver": "mu", "random_state": 0, "max_iter": 10, "tol": 0}
    for name, other, entry in (("frobenius", "squares", "square"), ("kullback-leibler", "i", "kl")):
        monkeypatch.setitem(LOSSES, other, Loss(other, LOSSES[name].beta, entry))
        fits = [nmf(X, 3, loss=loss, **options) for loss in (name, other)]
        assert np.array_equal(fits[0].W, fits[1].W) and np.array_equal(fits[0].H, fits[1].H)
    monkeypatch.setitem(LOSSES, "hellinger", Loss("hellinger", 0.5, "beta"))
    named, plain = nmf(X, 3, loss="hellinger", **options), nmf(X, 3, loss=0.5, **options)
    assert np.array_equal(named.W, plain.W) and np.array_equal(named.H, plain.H)


@pytest.fixture
def house(tmp_path):
    """A copy of the sources with what was compiled of them, times kept, and how to run in it."""
    if not (ROOT / "build" / "cython").exists():
        pytest.skip("fastcone was not built in this tree")
    skip = shutil.ignore_patterns("__pycache__", "*_v3*.so", "*_v4*.so")
    shutil.copytree(ROOT / "fastcone", tmp_path / "fastcone", ignore=skip)
    skip = shutil.ignore_patterns("temp.*", "v3", "v4", "*_v3*.so", "*_v4*.so", "sanitize", "lib")
    shutil.copytree(ROOT / "build", tmp_path / "build", ignore=skip)
    shutil.copy2(ROOT / "setup.py", tmp_path)

    def python(*arguments):
        variables = {**os.environ, "FASTCONE_LEVELS": "base", "PYTHONPATH": str(tmp_path)}
        variables.pop("FASTCONE_LEVEL", None)
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tmp_path, python


def edit(path, *changes, keep_time=False):
    """Replace texts that are there; with `keep_time` nothing that reads the file is made anew."""
    text, times = path.read_text(), path.stat()
    for old, new in changes:
        assert old in text, (path, old)
        text = text.replace(old, new, 1)
    path.write_text(text)
    if keep_time:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


KERNEL = """# Twice the numbers of an array: y = 2 x, both of n numbers.
from cpython.pycapsule cimport PyCapsule_New

from fastcone._kernels.common.tables cimport TwiceTable


cdef int twice(Py_ssize_t n, const double* x, double* y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = 2 * x[i]
    return 0


cdef TwiceTable TABLE
TABLE.twice = twice
table = PyCapsule_New(&TABLE, "nnls.twice", NULL)
"""
TABLE = """
ctypedef int (*twice_entry)(Py_ssize_t n, const double* x, double* y) noexcept nogil

ctypedef struct TwiceTable:
    twice_entry twice
"""
BINDING = """

def twice(const double[::1] x, double[::1] y):
    assert x.shape[0] == y.shape[0]
    with nogil:
        twice_table.twice(x.shape[0], &x[0], &y[0])
"""


@pytest.mark.slow
def test_a_kernel_is_added_in_the_places_named(house):
    root, python = house
    (root / "fastcone/_kernels/nnls/twice.pyx").write_text(KERNEL)
    tables = root / "fastcone/_kernels/common/tables.pxd"
    edit(
        tables,
        ("\nctypedef struct SupportTable", f"{TABLE}\nctypedef struct SupportTable"),
        keep_time=True,
    )
    edit(
        root / "fastcone/_kernels/__init__.py",
        ('"nnls.scale",', '"nnls.scale",\n    "nnls.twice",'),
    )
    runtime = root / "fastcone/_runtime"
    edit(
        runtime / "dispatch.pxd",
        ("SupportTable, ", "SupportTable, TwiceTable, "),
        (
            "cdef const ProductTable*",
            "cdef const TwiceTable* twice_table\ncdef const ProductTable*",
        ),
        keep_time=True,
    )
    edit(
        runtime / "dispatch.pyx",
        ("global product_table,", "global twice_table, product_table,"),
        ("    _level = level", '    twice_table = <const TwiceTable*> _table("nnls.twice", level)\n'
                               "    _level = level"),
    )  # fmt: skip
    binding = root / "fastcone/_nnls/kernels.pyx"
    edit(binding, ("    active_set_table,", "    twice_table, active_set_table,"))
    binding.write_text(binding.read_text() + BINDING)
    python("setup.py", "-q", "build_ext", "--inplace")
    script = """
import numpy as np
import fastcone
from fastcone._nnls import kernels
y = np.empty(3)
kernels.twice(np.arange(3.0), y)
print(fastcone.show_config.__module__, fastcone._runtime.dispatch.level(), y.tolist())
A = np.random.default_rng(0).random((20, 4))
print(fastcone.solve_nnls(A, A.sum(axis=1)).x.round(9).tolist())
"""
    assert python("-c", script).splitlines()[0].endswith("base [0.0, 2.0, 4.0]")


TASK = '''"""Dark images: half of the brightness."""
from fastcone.study.problem import Context, Task
from fastcone.study.restoration import RestorationTask, denoised, each_image
from fastcone.study.tasks import register


@register("brighten", position=35)
def brighten(context: Context) -> Task:
    """Images at half their brightness."""
    task = RestorationTask(context, "brighten", each_image(lambda image, rng: image / 2))
    contenders = [*task.cones(denoised), *task.rivals(), task.untouched()]
    return task.build("Dark images", "Half of the brightness was taken away.", contenders)
'''
STUDY = """
from fastcone.study import account, data
from fastcone.study.methods import trained
from fastcone.study.report.write import complaints
from fastcone.study.run import run_study
account.WINDOW_S, trained.UPDATES = 0.0, 20
found = run_study(data.load_digits(0).limited(300, 60, 60), quick=True)
print(complaints({**found.record, "command": ""}), list(found.record["tasks"]))
"""


@pytest.mark.slow
def test_a_task_of_the_study_is_one_file(house):
    root, python = house
    tasks = root / "fastcone/study/tasks"
    for other in tasks.glob("[a-z]*.py"):
        other.unlink()
    (tasks / "brighten.py").write_text(TASK)
    assert python("-c", STUDY).strip() == "[] ['brighten']"
