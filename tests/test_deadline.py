# SPDX-License-Identifier: BSD-3-Clause
"""A time that is up at any moment, set-up included: counted in looks at the clock, not in seconds.

`up_after(n)` makes the time be up at the n-th look, so that a loaded machine changes nothing.
"""

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from fastcone import Cone, ConvergenceWarning, nmf, solve_nnls
from fastcone._nnls import api
from fastcone._runtime.deadline import Deadline, Expired

HOUR = {"time_limit": 3600.0}


@pytest.fixture
def up_after(monkeypatch):
    """Let the time be up at look n of a call with a limit; returns the looks made."""

    def set_to(n):
        looks = itertools.count(1)
        made = [0]

        def passed(self):
            if self.end == np.inf:
                return self.cancelled
            made[0] = next(looks)
            return self.cancelled or made[0] >= n

        monkeypatch.setattr(Deadline, "passed", passed)
        return made

    return set_to


def told(call):
    """What a call returns, and how many warnings of its end."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        return call(), sum(each.category is ConvergenceWarning for each in given)


def test_slices_look_between_them(up_after):
    up_after(3)
    deadline, seen = Deadline(3600), []
    with pytest.raises(Expired):
        seen.extend(deadline.slices(12, 3))
    assert seen == [slice(0, 3), slice(3, 6), slice(6, 9)]
    assert list(Deadline().slices(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]


KINDS = {
    "plain": {},
    "kl": {"loss": "kl"},
    "mu": {"solver": "mu"},
    "random": {"init": "random"},
    "exemplars": {"init": "exemplars"},
    "starts": {"init": "random", "n_init": 3},
    "mask": {"mask": True},
    "weights": {"weights": True},
    "stored": {"mask": "stored"},
}
FORMS = {
    "F": np.asfortranarray,
    "C": np.ascontiguousarray,
    "float32": np.float32,
    "tiny": lambda X: X * 1e-100,
    "huge": lambda X: X * 1e90,
    "sparse": sp.csc_array,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_training_without_time_returns_its_start(rng, up_after, kind, form):
    X, options = rng.random((30, 50)) + 0.1, dict(KINDS[kind])
    if kind in ("mask", "weights", "stored") and (form == "sparse") != (kind == "stored"):
        pytest.skip("not offered")
    for name in ("mask", "weights"):
        if options.get(name) is True:
            options[name] = X > 0.3 if name == "mask" else X
    given, begun = FORMS[form](X), 0
    for n in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        up_after(n)
        fit, warned = told(lambda: nmf(given, 4, random_state=0, **HOUR, **options))
        assert fit.W.any() and np.isfinite(fit.W).all() and fit.W.min() >= 0
        assert fit.W.shape == (30, 4) and fit.H.shape == (4, 50) and fit.H.min() >= 0
        assert not fit.converged or fit.n_iter
        assert warned == (fit.n_iter == 0)
        begun += fit.n_iter == 0
        if fit.n_iter == 0 and fit.objective == np.inf and fit.H.any():
            ratio = (fit.W @ fit.H).mean() / given.mean()
            assert 0.05 < ratio < 20, "the start is not of the size of the data"
    assert begun


def test_the_start_given_is_the_one_returned(rng, up_after):
    X, W, H = rng.random((20, 30)), rng.random((20, 3)), rng.random((3, 30))
    up_after(1)
    fit, warned = told(lambda: nmf(X, 3, W=W, H=H, **HOUR))
    assert warned == 1 and fit.n_iter == 0 and fit.objective == np.inf
    np.testing.assert_array_equal(fit.W, W)
    np.testing.assert_array_equal(fit.H, H)


def test_a_start_takes_half_of_the_time_at_most(rng, monkeypatch):
    """What the SVD does not end in its half, iterations from a random start use the rest for."""
    X, taken = rng.random((30, 40)), []
    whole = Deadline.part

    def none_left(self, share):
        taken.append(share)
        part = whole(self, share)
        part.end = -1.0
        return part

    monkeypatch.setattr(Deadline, "part", none_left)
    fit = nmf(X, 4, random_state=0, tol=0, max_iter=30, **HOUR)
    assert taken == [0.5] and fit.n_iter == 30
    assert fit.objective < 0.9 * fit.history[0] < np.inf


def test_a_cone_fitted_without_time_can_be_used(rng, up_after):
    samples = rng.random((50, 30))
    up_after(1)
    cone, warned = told(lambda: Cone.fit(samples, 4, **HOUR))
    assert warned == 1 and cone.training.n_iter == 0
    assert np.isfinite(cone.project(samples).distance).all()


@pytest.mark.parametrize("way", ["layout", "scale", "mask"])
def test_set_up_of_a_large_array_looks_at_the_time(rng, up_after, way):
    """Two million entries at most between two looks, so that Ctrl-C is heard there too."""
    X = rng.random((1000, 6000))
    X = X if way == "layout" else np.asfortranarray(X) * (1e-100 if way == "scale" else 1)
    mask = {"mask": X > 0.5} if way == "mask" else {}
    made = up_after(np.inf)
    nmf(X, 2, init="random", random_state=0, max_iter=1, tol=0, **HOUR, **mask)
    few = made[0]
    made = up_after(np.inf)
    nmf(np.asfortranarray(rng.random((1000, 6000))), 2, init="random", random_state=0, max_iter=1,
        tol=0, **HOUR)  # fmt: skip
    assert few >= made[0] + X.size // (1 << 21)


BOUNDS = {
    "upper": {"upper": 0.2},
    "sum": {"sum_to": 1.5},
    "both": {"upper": 0.2, "sum_to": 1.5},
    "sums": {"sum_to": np.array([0.0, 1.0, 3.0, 1e6]), "l1": 0.5},
    "penalties": {"upper": np.linspace(0, 1, 20), "l1": 0.3, "l2": 0.1},
}


def feasible(x, upper=np.inf, sum_to=None, **_):
    upper = np.broadcast_to(np.asarray(upper).reshape(-1, 1), (len(x), 1))
    assert np.all(x >= 0) and np.all(x <= upper)
    if sum_to is not None:
        np.testing.assert_allclose(x.sum(axis=0), sum_to, rtol=1e-12)


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("looks", [1, 2, 5, 30, 3000])
def test_bounds_without_time_to_prepare(rng, up_after, monkeypatch, bounds, looks):
    """Feasible after any number of steps, no gap too small, near the optimum in the end."""
    A, B, given = rng.random((30, 20)), rng.random((30, 4)) * 3, BOUNDS[bounds]
    best = solve_nnls(A, B, **given)
    assert best.converged.all()
    monkeypatch.setattr(api, "no_time_to_prepare", lambda *_: True)
    up_after(looks)
    found = solve_nnls(A, B, **given, **HOUR)
    feasible(found.x, **given)
    unit = np.maximum(np.einsum("ij,ij->j", B, B) / 2, found.objective)
    off = (found.objective - best.objective) / unit
    assert np.all(off > -1e-9) and np.all(off <= found.gap * (1 + 1e-9) + 1e-12)
    if looks == 3000:
        assert np.all(off < 5e-3)
    elif looks > 5:
        assert np.all(off < 0.2)


@pytest.mark.parametrize("bounds", ["sum", "both", "sums"])
def test_a_sum_that_is_not_reached_is_kept(rng, up_after, bounds):
    A, B = rng.random((30, 20)), rng.random((30, 4))
    up_after(1)  # preparation itself does not look
    found = solve_nnls(A, B, **BOUNDS[bounds], **HOUR)
    feasible(found.x, **BOUNDS[bounds])
    assert not found.converged.any() and np.isinf(found.gap).all()


SPARSE = {
    "A": lambda A, B: (sp.csc_array(A), B),
    "B": lambda A, B: (A, sp.csc_array(B)),
    "both": lambda A, B: (sp.csr_array(A), sp.coo_array(B)),
}


@pytest.mark.parametrize("form", SPARSE)
@pytest.mark.parametrize("start", [False, True])
def test_sparse_data_without_time_to_prepare(rng, up_after, form, start):
    A, B = SPARSE[form](rng.random((40, 12)), rng.random((40, 5)))
    given = {"x0": rng.random((12, 5))} if start else {}
    up_after(1)
    found = solve_nnls(A, B, l1=0.1, **given, **HOUR)
    assert found.x.shape == (12, 5) and not found.converged.any()
    np.testing.assert_array_equal(found.x, given.get("x0", np.zeros((12, 5))))
    up_after(np.inf)
    assert solve_nnls(A, B, l1=0.1, **given, **HOUR).converged.all()


def test_products_of_sparse_generators_look_at_the_time(rng, up_after):
    """At most 2e8 flops between two looks, whatever the generators are."""
    A, B = rng.random((4000, 400)), sp.random_array((4000, 3), density=0.05, rng=rng)
    made = up_after(np.inf)
    assert solve_nnls(A, B, **HOUR).converged.all()
    assert made[0] >= 2 * 4000 * 400**2 / 2e8


def test_strided_parts_of_a_sparse_matrix_are_numbers_like_others():
    M = sp.csr_array(np.arange(12.0).reshape(3, 4))
    M.data = np.repeat(M.data, 2)[::2]
    fits = [nmf(X, 2, max_iter=3, tol=0, random_state=0) for X in (M, M.toarray())]
    np.testing.assert_allclose(fits[0].W, fits[1].W, rtol=1e-6)
