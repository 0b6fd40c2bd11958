# SPDX-License-Identifier: BSD-3-Clause
"""Frames of pandas and polars are what their arrays are; missing values are NaN."""

import datetime

import numpy as np
import pytest

from fastcone import Cone, OnlineNMF, nmf, nnls, select_rank, solve_nnlad, solve_nnls


def pandas(array, kind="float64"):
    return pytest.importorskip("pandas").DataFrame(array).astype(kind)


def polars(array):
    frame = pytest.importorskip("polars").DataFrame(np.asarray(array), orient="row")
    return frame.with_columns(frame[column].fill_nan(None) for column in frame.columns)


def mixed(array):
    """Columns of unlike types, in turn."""
    frame = pandas(array)
    kinds = ("float64", "Float64", "Float32")
    return frame.astype({c: kinds[c % 3] for c in frame.columns})


FRAMES = {
    "pandas": pandas,
    "pandas Float64": lambda array: pandas(array, "Float64"),
    "pandas mixed": mixed,
    "polars": polars,
}
every_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


@pytest.fixture
def X(rng):
    return (rng.random((12, 20)) + 0.1).astype(np.float32).astype(float)


@every_frame
def test_a_frame_is_its_array(frame, X):
    options = {"random_state": 0, "max_iter": 5}
    assert np.array_equal(nmf(frame(X), 3, **options).W, nmf(X, 3, **options).W)
    given = nmf(X, 3, W=frame(X[:, :3]), H=frame(X[:3]), max_iter=2)
    assert np.array_equal(given.W, nmf(X, 3, W=X[:, :3], H=X[:3], max_iter=2).W)
    cone = Cone.fit(frame(X.T), 3, **options)
    assert np.array_equal(cone.W, Cone.fit(X.T, 3, **options).W)
    assert np.array_equal(cone.project(frame(X.T)).signal, cone.project(X.T).signal)
    assert np.array_equal(Cone(frame(X)).W, X)
    assert np.array_equal(cone.decode(frame(X[:, :3])), cone.decode(X[:, :3]))
    A, B = X[:, :5], X[:, 5:]
    assert np.array_equal(solve_nnls(frame(A), frame(B)).x, solve_nnls(A, B).x)
    assert np.array_equal(solve_nnlad(frame(A), frame(B)).x, solve_nnlad(A, B).x)
    assert np.array_equal(nnls(frame(A), B[:, 0])[0], nnls(A, B[:, 0])[0])
    ours, theirs = OnlineNMF(3, random_state=0), OnlineNMF(3, random_state=0)
    ours.partial_fit(frame(X))
    theirs.partial_fit(X)
    np.testing.assert_allclose(ours.W, theirs.W, rtol=1e-10)  # BLAS: bits depend on the layout


@every_frame
def test_what_is_missing_is_nan(frame, X, rng):
    holes = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    options = {"random_state": 0, "max_iter": 5, "mask": "nan"}
    assert np.array_equal(nmf(frame(holes), 3, **options).W, nmf(holes, 3, **options).W)
    cone = Cone.fit(frame(holes.T), 3, **options)
    assert np.array_equal(cone.W, Cone.fit(holes.T, 3, **options).W)
    found = [cone.project(each, mask="nan").signal for each in (frame(holes.T), holes.T)]
    assert np.array_equal(*found)
    chosen = [select_rank(each, [1, 2], mask="nan", random_state=0, max_iter=20).errors
              for each in (frame(holes), holes)]  # fmt: skip
    assert np.array_equal(*chosen)
    for name, call in {
        "X": lambda: nmf(frame(holes), 2),
        "X ": lambda: Cone.fit(frame(holes), 2),
        "V": lambda: cone.project(frame(holes.T)),
        "B": lambda: solve_nnls(X[:, :3], frame(holes)),
        "A": lambda: solve_nnls(frame(holes), X),
    }.items():
        with pytest.raises(ValueError, match=rf"^{name.strip()} holds nan"):
            call()


@pytest.mark.parametrize("kind", ["Int64", "int32", "UInt8", "boolean", "bool"])
def test_whole_numbers_are_float64(kind, rng):
    X = rng.integers(0, 2, (8, 9))
    frame = pandas(X.astype(bool) if "bool" in kind else X, kind)
    options = {"random_state": 0, "max_iter": 3}
    assert np.array_equal(nmf(frame, 2, **options).W, nmf(X.astype(float), 2, **options).W)


def test_a_missing_whole_number_is_nan(rng):
    X = rng.integers(1, 9, (8, 9)).astype(float)
    X[2, 3] = np.nan
    options = {"random_state": 0, "max_iter": 3, "mask": "nan"}
    want = nmf(X, 2, **options).W
    assert np.array_equal(nmf(pandas(X, "Int64"), 2, **options).W, want)
    with pytest.raises(ValueError, match=r"X holds nan at \(2, 3\)"):
        nmf(pandas(X, "Int64"), 2)


@pytest.mark.parametrize("kind", ["float32", "Float32"])
def test_float32_stays_float32(kind, X):
    fit = nmf(pandas(X, kind), 2, max_iter=3)
    want = nmf(X.astype(np.float32), 2, max_iter=3)
    assert fit.W.dtype == np.float32 and np.array_equal(fit.W, want.W)


def test_a_series_is_a_vector(X):
    A, b = X[:, :3], X[:, 3]
    want = solve_nnls(A, b).x
    for kind in ("float64", "Float64"):
        assert np.array_equal(solve_nnls(A, pandas(X, kind)[3]).x, want)
    series = pytest.importorskip("polars").Series(b)
    assert np.array_equal(solve_nnls(A, series).x, want)


def test_a_boolean_frame_is_a_mask(X, rng):
    known = rng.random(X.shape) < 0.8
    options = {"random_state": 0, "max_iter": 3}
    want = nmf(X, 2, mask=known, **options).W
    assert np.array_equal(nmf(X, 2, mask=pandas(known, bool), **options).W, want)
    weights = rng.random(X.shape)
    want = nmf(X, 2, weights=weights, **options).W
    assert np.array_equal(nmf(X, 2, weights=polars(weights), **options).W, want)


def test_truth_values_of_polars_may_be_missing():
    X = [[True, None, True], [False, True, True]]
    frame = pytest.importorskip("polars").DataFrame(X, orient="row")
    options = {"mask": "nan", "random_state": 0}
    want = nmf([[1.0, np.nan, 1.0], [0.0, 1.0, 1.0]], 1, **options).W
    assert np.array_equal(nmf(frame, 1, **options).W, want)


def test_a_column_of_another_type_is_named():
    frame = pandas([[1.0, 2.0], [3.0, 4.0]])
    frame["name"] = ["a", "b"]
    with pytest.raises(TypeError, match=r"X has a column 'name' of .*, want real numbers"):
        nmf(frame, 1)
    frame["name"] = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[s]")
    with pytest.raises(TypeError, match=r"X has a column 'name' of datetime64\[s\], want real"):
        nmf(frame, 1)
    frame = pytest.importorskip("polars").DataFrame({"a": [1.0, 2.0], "name": ["x", "y"]})
    with pytest.raises(TypeError, match="B has a column 'name' of String, want real numbers"):
        solve_nnls(np.eye(2), frame)
    days = [datetime.date(2020, 1, 1)] * 2
    with pytest.raises(TypeError, match=r"X has .*, want real numbers"):
        nmf(frame.with_columns(name=days), 1)
