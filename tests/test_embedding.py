# SPDX-License-Identifier: BSD-3-Clause
"""The embedding promise: the shipped example compiles against the package and is right."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from problems import spectra

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
import fastcone, numpy as np, many_small, one_cone
rng = np.random.default_rng(0)
A, B = rng.random((50, 5, 10)), rng.standard_normal((50, 10))
X = np.empty((50, 5))
np.savez("out.npz", A=A, B=B, X=X, norms=many_small.solve_all(A, B, X))
E, S, total = rng.random((30, 6)), rng.random((700, 30)), 1 + rng.random(700)
X, gap = np.empty((700, 6)), np.empty(700)
assert one_cone.unmix(fastcone.Projector(E), S, total, X, gap) == 0
np.testing.assert_allclose(X.T, fastcone.solve_nnls(E, S.T, sum_to=total).x, rtol=1e-9, atol=1e-12)
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
    names = {"nnls", "nnls_work", "nnls_index", "cone", "cone_work", "cone_solve"}
    assert names | {"cone_solve_bounded"} <= set(fastcone.cy.__pyx_capi__)


def function(name, returns, *arguments):
    """A function of fastcone.cy, through its capsule."""
    capsule = fastcone.cy.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetPointer.restype = (
        ctypes.c_char_p,
        ctypes.c_void_p,
    )
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.PYFUNCTYPE(returns, *arguments)(address)


def through_cy(projector, B, l1=None, upper=None, total=None):
    """X (n, p), gaps and the number not proved of fastcone.cy's batch."""
    p, (m, n) = len(B), projector.shape
    void, size, pointer = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p
    cone = function("cone", void, ctypes.py_object)(projector)
    bytes_ = function("cone_work", size, void, size)(cone, p)
    work = np.full(bytes_ + 8, 0xAB, dtype=np.uint8)  # nothing is to be expected of it
    X, gap = np.full((p, n), np.nan), np.full(p, np.nan)
    given = [None if a is None else np.ascontiguousarray(a, float) for a in (B, l1, upper, total)]
    B, l1, upper, total = (None if a is None else a.ctypes.data for a in given)
    if upper is None and total is None:
        call = function("cone_solve", size, void, size, *[pointer] * 1, size, *[pointer] * 4)
        left = call(cone, p, B, m, l1, X.ctypes.data, gap.ctypes.data, work.ctypes.data)
    else:
        call = function("cone_solve_bounded", size, void, size, pointer, size, *[pointer] * 6)
        left = call(
            cone, p, B, m, l1, upper, total, X.ctypes.data, gap.ctypes.data, work.ctypes.data
        )
    assert (work[bytes_:] == 0xAB).all()
    return X.T, gap, left


@pytest.mark.parametrize("m, n", [(9, 1), (30, 6), (60, 41), (20, 30)])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_a_prepared_batch_has_the_bits_of_the_projector(level, rng, m, n, l2):
    B = rng.standard_normal((50, m)) + 1
    for A in (rng.random((m, n)), spectra(rng, m, n, 1)[0]):
        projector = fastcone.Projector(A, l2=l2)
        for l1 in (None, rng.random(50)):
            X, gap, left = through_cy(projector, B, l1)
            want = projector.solve(B.T, l1=0.0 if l1 is None else l1)
            proved = np.isfinite(gap)
            assert left == np.count_nonzero(~proved) and proved.mean() > (m > n or l2 > 0) - 0.1
            np.testing.assert_array_equal(X[:, proved], want.x[:, proved])
            np.testing.assert_array_equal(gap[proved], want.gap[proved])
            value = ((A @ X - B.T) ** 2).sum(axis=0) / 2 + l2 / 2 * (X**2).sum(axis=0)
            value += X.sum(axis=0) * (0 if l1 is None else l1)
            assert np.all(value <= want.objective + 1e-12 * (B**2).sum(axis=1))


def test_a_target_that_is_not_finite_spoils_its_own_answer_alone(rng):
    A, B = rng.random((20, 5)), rng.random((9, 20))
    projector = fastcone.Projector(A)
    for options in ({}, {"total": np.ones(9)}):
        want = through_cy(projector, B, **options)[0]
        spoilt = B.copy()
        spoilt[4, 3] = np.nan
        X, gap, left = through_cy(projector, spoilt, **options)
        assert left == 1 and not gap[4] <= 1 and not X[:, 4].any()
        np.testing.assert_array_equal(np.delete(X, 4, 1), np.delete(want, 4, 1))


@pytest.mark.parametrize("m, n", [(9, 1), (30, 6), (60, 41)])
def test_bounds_and_sums_in_a_prepared_batch(level, rng, m, n):
    A, B, p = rng.random((m, n)), rng.standard_normal((40, m)) + 1, 40
    projector = fastcone.Projector(A)
    upper = rng.choice([0.0, 0.1, 1.0, np.inf], (p, n))
    upper[:, 0] = np.inf
    total = rng.random(p)
    for options in ({"upper": upper}, {"total": total}, {"upper": upper, "total": total}):
        for l1 in (None, rng.random(p)):
            X, gap, left = through_cy(projector, B, l1, **options)
            bounds = upper.T if "upper" in options else None
            sums = options.get("total")
            want = projector.solve(B.T, l1=0.0 if l1 is None else l1, upper=bounds, sum_to=sums)
            assert left == np.count_nonzero(~(gap <= 1e-10)) and left <= 2
            proved = gap <= 1e-10
            np.testing.assert_allclose(X[:, proved], want.x[:, proved], rtol=1e-9, atol=1e-11)
            if "upper" in options:
                assert np.all(X <= upper.T)
            if "total" in options:
                np.testing.assert_allclose(X.sum(axis=0)[proved], total[proved], rtol=1e-13)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e9, 1e12])
def test_a_proved_sum_is_a_sum(level, rng, size):
    A, B = rng.random((30, 6)), size * rng.random((50, 30))
    X, gap, _ = through_cy(fastcone.Projector(A), B, total=np.ones(50))
    proved = gap <= 1e-10
    assert proved.any() or size > 1e9
    np.testing.assert_allclose(X.sum(axis=0)[proved], 1, rtol=1e-12)


def test_threads_get_one_address_for_as_long_as_the_projector_lives(rng):
    A, cone = rng.random((9, 3)), function("cone", ctypes.c_void_p, ctypes.py_object)
    for kind in (np.float32, np.float64):
        for _ in range(50):
            projector, found = fastcone.Projector(A.astype(kind)), []
            pool = [
                threading.Thread(target=lambda p=projector, f=found: f.append(cone(p)))
                for _ in range(4)
            ]
            for thread in pool:
                thread.start()
            for thread in pool:
                thread.join()
            assert len(set(found)) == 1


def test_sparse_generators_have_no_handle():
    with pytest.raises(TypeError, match="dense generators"):
        fastcone.Projector(scipy.sparse.eye_array(3)).embedded()
