# SPDX-License-Identifier: BSD-3-Clause
"""The embedding promise: the shipped example compiles against the package and is right."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

import fastcone
import fastcone.cy

pytest.importorskip("Cython")

ROOT = Path(fastcone.__file__).parents[1]
EXAMPLE = ROOT / "examples" / "embedding"


@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside this installation")
def test_the_example_compiles_and_agrees_with_scipy(tmp_path):
    pytest.importorskip("Cython")
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    run = subprocess.run(build, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    script = """
import numpy as np, many_small
rng = np.random.default_rng(0)
A, B = rng.random((50, 5, 10)), rng.standard_normal((50, 10))
X = np.empty((50, 5))
np.savez("out.npz", A=A, B=B, X=X, norms=many_small.solve_all(A, B, X))
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    with np.load(tmp_path / "out.npz") as out:
        for A, b, x, norm in zip(out["A"], out["B"], out["X"], out["norms"], strict=True):
            best, best_norm = scipy.optimize.nnls(A.T, b)
            np.testing.assert_allclose(x, best, atol=1e-10)
            assert norm == pytest.approx(best_norm, rel=1e-10)


def test_the_functions_are_in_the_capi_table():
    assert {"nnls", "nnls_work", "nnls_index"} <= set(fastcone.cy.__pyx_capi__)
