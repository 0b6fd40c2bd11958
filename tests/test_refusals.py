# SPDX-License-Identifier: BSD-3-Clause
"""Junk in any argument is refused by its name; what is unusual but sound gives the usual bits."""

import array

import numpy as np
import pytest
import scipy.sparse as sp

import fastcone
from fastcone import operators, tasks

X = np.random.default_rng(0).random((12, 9))
A, V = X[:, :4], X.T
HUGE, RAGGED = 10**400, [[1.0, 2.0], [3.0]]
CONE = fastcone.Cone(A)


def nnls(**given):
    return fastcone.nnls(**{"A": A, "b": X[:, 5]} | given)


def solve(**given):
    return fastcone.solve_nnls(**{"A": A, "B": X} | given)


def gram(**given):
    return fastcone.solve_nnls_gram(**{"G": A.T @ A, "C": A.T @ X} | given)


def lad(**given):
    return fastcone.solve_nnlad(**{"A": A, "B": X} | given)


def nmf(**given):
    return fastcone.nmf(**{"X": X, "rank": 2, "max_iter": 3, "tol": 0.0} | given)


def ranks(**given):
    return fastcone.select_rank(**{"X": X, "ranks": [1, 2], "max_iter": 3, "tol": 0.0} | given)


def sensing(**given):
    return operators.Sensing.random(**{"n_measurements": 2, "size": 3} | given)


SOLVERS = {"l1": (HUGE, -HUGE, RAGGED, "a"), "tol": (HUGE, np.ones(2), np.ma.masked),
           "time_limit": (HUGE, 10**5000, np.ones(2)), "n_threads": (-HUGE, 1.5),
           "max_epochs": (1.5, -(10**5000)), "on_fail": (np.ones(2), 3)}  # fmt: skip
JUNK = {
    nnls: {"A": (RAGGED, 1j), "b": (RAGGED, None), "maxiter": ("a", 1.5, np.ones(3))},
    solve: {"A": (RAGGED,), "B": (RAGGED,), "l2": (HUGE,), "sum_to": (HUGE, RAGGED),
            "upper": (RAGGED,), "certify": (np.ones(2), 1), "method": (np.ones(2), sp.eye_array(2)),
            **SOLVERS},
    gram: {"G": (RAGGED,), "C": (RAGGED,), "method": (np.ones(2),), **SOLVERS},
    lad: {"weights": (RAGGED,), **SOLVERS},
    nmf: {"X": (RAGGED,), "W": (RAGGED,), "mask": (RAGGED, X), "rank": (HUGE,),
          "weights": (RAGGED,), "solver": (np.ones(2), ""), "l1_W": (HUGE,), "loss": (HUGE,),
          "random_state": ("a", -1, 1.5), "checkpoint": ("a\0b", 3), "update_W": (1,)},
    ranks: {"ranks": (3, None, [HUGE]), "held_out": (bytearray(b"1"), HUGE), "mask": (1j * X,)},
    sensing: {"n_measurements": (HUGE,), "random_state": ("a", -1)},
}  # fmt: skip
CASES = [(call, name, value) for call, names in JUNK.items() for name in names
         for value in names[name]]  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "call, name, value",
    CASES,
    ids=[f"{call.__name__}-{name}-{i}" for i, (call, name, _) in enumerate(CASES)],
)
def test_junk_is_refused_by_the_name_of_its_argument(call, name, value):
    with pytest.raises((ValueError, TypeError), match=f"^{name}"):
        call(**{name: value})


@pytest.mark.parametrize("refuse", [CONE.save, fastcone.Cone.load])
def test_a_path_with_a_nul_is_refused_by_name(refuse):
    with pytest.raises(ValueError, match="path must hold no NUL"):
        refuse("a\0b")


def test_numbers_in_a_buffer_are_an_array_not_parts():
    want = fastcone.nmf(X, 2, max_iter=3, tol=0).W
    assert np.array_equal(fastcone.nmf(memoryview(X), 2, max_iter=3, tol=0).W, want)
    with pytest.raises(ValueError, match="X is 1-D"):
        fastcone.nmf(array.array("d", [1.0, 2.0]), 1)


TINY = 1e-300
LOST = V * 1e-310
WIDE = X * np.logspace(-300, 0, 9)
STRICT = {
    "l1": lambda: solve(A=A * 1e-150, B=X * 1e-150, l1=1e-320),
    "l2": lambda: solve(A=A * 1e150, B=X * 1e150, l2=1e-320),
    "row_weights": lambda: solve(A=A * 1e-200, B=X * 1e-200, row_weights=np.logspace(-300, 0, 12)),
    "sparse": lambda: solve(A=sp.csc_array(A * 1e-200), B=X * 1e-200),
    "gram": lambda: gram(G=np.ldexp(A.T @ A, 900), C=np.ldexp(A.T @ X, -900)),
    "nnlad": lambda: lad(A=A * 1e-200, B=X * 1e-200, weights=np.logspace(-300, 0, 12)),
    "nmf": lambda: nmf(X=WIDE),
    "nmf exemplars": lambda: nmf(X=WIDE, init="exemplars"),
    "nmf sparse": lambda: nmf(X=sp.csc_array(WIDE), max_iter=9),
    "project": lambda: CONE.project(WIDE.T),
    "decode": lambda: fastcone.Cone(A * TINY).decode(np.full(4, TINY)),
    "compress": lambda: tasks.compress(LOST, CONE),
    "detect": lambda: tasks.detect(LOST, CONE, relative=True),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", STRICT)
def test_a_callers_errstate_does_not_reach_our_arithmetic(name):
    with np.errstate(all="raise"):
        STRICT[name]()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-310, 1e200])
@pytest.mark.parametrize("method", ["cd", "active_set"])
def test_sparse_targets_of_any_size_are_solved(size, method):
    want = solve(B=X * size, method=method)
    for left, right in ((sp.csc_array(A), X), (A, sp.csc_array(X))):
        found = fastcone.solve_nnls(left, right * size, method=method)
        assert found.converged.all()
        np.testing.assert_allclose(found.x / size, want.x / size, atol=1e-4)


def test_relative_distances_of_sparse_samples_are_those_of_dense_ones():
    for size in (1.0, 1e-310, 1e200):
        found = tasks.detect(sp.csr_array(V * size), CONE, relative=True)
        np.testing.assert_allclose(found, tasks.detect(V * size, CONE, relative=True), atol=1e-9)


def test_a_rank_whose_factors_the_penalty_made_zero_is_compared_all_the_same():
    assert np.isfinite(ranks(l1_W=1e18).errors).all()


LAYOUTS = {
    "decode": lambda rows: fastcone.Cone(np.ones((70, 30)) * 0.1).decode(rows),
    "forward": lambda rows: DENSE.forward(rows),
    "adjoint": lambda rows: DENSE.adjoint(rows),
    "apply_to": lambda rows: DENSE.apply_to(rows.T),
}
DENSE = operators.Dense(np.random.default_rng(1).random((30, 30)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_bits_of_a_product_do_not_depend_on_the_layout(name):
    rows = np.random.default_rng(0).random((203, 30))
    want = LAYOUTS[name](rows)
    for other in (
        np.asfortranarray(rows),
        np.repeat(rows, 2, axis=1)[:, ::2],
        rows[::-1].copy()[::-1],
    ):
        assert np.array_equal(LAYOUTS[name](other), want)


def test_a_batch_of_any_layout_leaves_the_same_dictionary():
    found = []
    for batch in (X, np.asfortranarray(X)):
        online = fastcone.OnlineNMF(2, random_state=0)
        online.partial_fit(batch)
        found.append(online.W)
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    "l1",
    [np.full(18, 0.1)[::2], np.broadcast_to(0.1, 9), np.full(9, 0.1, ">f8")],
    ids=["strided", "broadcast", "big-endian"],
)
@pytest.mark.parametrize("call", [solve, gram, lad], ids=lambda call: call.__name__)
def test_a_penalty_a_target_may_have_any_layout(call, l1):
    assert np.array_equal(call(l1=l1).x, call(l1=np.full(9, 0.1)).x)
