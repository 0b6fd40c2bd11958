# SPDX-License-Identifier: BSD-3-Clause
"""Data that made other solvers fail: finite, non-negative, never uphill, no worse than rank 1."""

from functools import partial

import numpy as np
import pytest
from factorisations import BETA, KL, LOSSES, SQUARE, WAYS, instance, objective, twin
from naming import naming

import fastcone
from fastcone import nmf

SLOW = partial(pytest.param, marks=pytest.mark.slow)
ways = pytest.mark.parametrize("loss, solver", WAYS, ids=lambda value: value[:9])
every_loss = pytest.mark.parametrize(
    "loss, solver", [(SQUARE, "cd"), *((loss, "mu") for loss in LOSSES if loss != -1.0)], ids=str
)


def one_entry(rng):
    X = np.zeros((9, 14))
    X[3, 7] = 2.5
    return X


def zero_rows_and_columns(rng):
    X = rng.random((9, 14))
    X[3], X[:, 5] = 0, 0
    return X


HARD = {
    "one entry": one_entry,
    "one huge entry": lambda rng: one_entry(rng) * 1e25,
    "all zero": lambda rng: np.zeros((9, 14)),
    "zero rows and columns": zero_rows_and_columns,
    "wide range": lambda rng: 10.0 ** rng.uniform(-37, 0, (9, 14)),
    "1e25": lambda rng: rng.random((9, 14)) * 1e25,
    "1e-25": lambda rng: rng.random((9, 14)) * 1e-25,
    "subnormal": lambda rng: rng.random((9, 14)) * 1e-40,
    "counts": lambda rng: rng.poisson(1, (9, 14)).astype(float),
    "duplicate rows": lambda rng: np.repeat(rng.random((1, 14)), 9, axis=0),
    "one row": lambda rng: rng.random((1, 14)),
    "one sample": lambda rng: rng.random((9, 1)),
    "one number": lambda rng: np.array([[3.0]]),
}


def best_of_rank_one(loss, X):
    """The least objective of rank 1: the SVD's, the product of the margins, or the twin's."""
    if loss == SQUARE:
        return np.sum(np.linalg.svd(X, compute_uv=False)[1:] ** 2) / 2
    X = X[X.any(axis=1)][:, X.any(axis=0)]
    W, H = X.sum(axis=1, keepdims=True), X.sum(axis=0)[None] / X.sum()
    if loss != KL:  # rows and columns of zeros are gone: the twin may divide by y
        for _ in range(200):
            W, H = twin(loss, "mu", X, W, H)
    return objective(loss, X, W, H)


@every_loss
@pytest.mark.parametrize("rank", [SLOW(1), 3, SLOW(20)])
def test_hard_data_is_no_worse_than_rank_one(dtype, loss, solver, rank):
    for name in HARD:
        rng = np.random.default_rng(0)
        with naming(name=name):
            X = HARD[name](rng).astype(dtype)
            if BETA.get(loss, loss) <= 0 and not X.all():
                with pytest.raises(ValueError, match=r"^X holds"):
                    nmf(X, rank, loss=loss, solver=solver)
                continue
            patience = {} if loss in (SQUARE, KL) else {"tol": 0, "max_iter": 2000}
            fit = nmf(X, rank, loss=loss, solver=solver, random_state=0, **patience)
            assert np.all(np.isfinite(fit.W)) and np.all(np.isfinite(fit.H))
            assert np.all(fit.W >= 0) and np.all(fit.H >= 0) and np.all(np.diff(fit.history) <= 0)
            if not X.any():
                assert fit.objective == 0 and not fit.W.any() and not fit.H.any()
                continue
            unit = float(X.max())
            X, W, H = X.astype(float) / unit, fit.W / np.sqrt(unit), fit.H / np.sqrt(unit)
            scale = (
                objective(loss, X, np.full((len(X), 1), X.mean()), np.ones((1, X.shape[1]))) or 1.0
            )
            # mu creeps where rank > min(m, N)
            slack = 1e-6 if solver == "cd" or rank < 20 else 3e-5
            if loss == 0.5 and dtype == np.float32:
                slack = 5e-5  # sqrt(y) at the floor of float32
            assert objective(loss, X, W, H) <= best_of_rank_one(loss, X) + slack * scale


@ways
@pytest.mark.parametrize("dtype, powers", [(np.float64, (-900, 40, 900)), (np.float32, (-100, 90))])
def test_a_power_of_two_changes_no_digit(rng, loss, solver, dtype, powers):
    """Beyond the comfortable range X is scaled: the digits are those of the scaled problem."""
    X = (rng.random((12, 20)) + 0.1).astype(dtype)
    fits = [nmf(np.ldexp(X, p), 3, loss=loss, solver=solver, max_iter=5, tol=0) for p in powers]
    digits = [[np.frexp(a)[0] for a in (fit.W, fit.H)] for fit in fits]
    for other in digits[1:]:
        assert np.array_equal(digits[0][0], other[0]) and np.array_equal(digits[0][1], other[1])
    for p, fit in zip(powers, fits, strict=True):
        fitted = np.ldexp(fit.W.astype(float) @ fit.H, -p)
        assert np.linalg.norm(fitted - X) < 0.4 * np.linalg.norm(X)


@ways
@pytest.mark.parametrize(
    "x, w, words", [(90, -60, "small"), (-90, 70, "large"), (0, -140, "small")]
)
def test_a_dictionary_out_of_all_proportion_is_refused(rng, loss, solver, x, w, words):
    """float32 coefficients of 2^150 would be infinite, of 2^-160 zero."""
    X, W, _ = instance(rng, dtype=np.float32)
    for update_W in (True, False):
        with pytest.raises(ValueError, match=rf"^W is too {words} beside X"):
            nmf(np.ldexp(X, x), 4, loss=loss, solver=solver, W=np.ldexp(W, w), update_W=update_W)
    fit = nmf(np.ldexp(X, x), 4, loss=loss, solver=solver, W=np.ldexp(W, x // 2), max_iter=20)
    fitted = np.ldexp(fit.W.astype(float) @ fit.H, -x)
    assert np.linalg.norm(fitted - X) < np.linalg.norm(X)


def test_a_huge_dictionary_of_zero_data_costs_nothing():
    W = np.full((3, 1), 1e200)
    fit = nmf(np.zeros((3, 4)), 1, W=W, update_W=False)
    assert fit.objective == 0 and np.array_equal(fit.W, W) and not fit.H.any()
    assert nmf(np.zeros((3, 4)), 1, W=W, update_W=False, l1_W=0.5).objective == 1.5e200


@pytest.mark.parametrize("power", [-700, 700])
def test_the_best_start_is_known_where_the_objective_is_not(rng, power):
    """Objectives of 2^1400 are infinite, of 2^-1400 zero: starts are compared in scaled units."""
    X = rng.random((12, 20))
    plain, far = (
        nmf(np.ldexp(X, p), 4, init="random", n_init=6, random_state=1, max_iter=5, tol=0)
        for p in (100, power)
    )
    assert np.array_equal(np.frexp(plain.W)[0], np.frexp(far.W)[0])


def test_penalties_beyond_all_proportion_end_at_zero(dtype, rng):
    X = instance(rng, dtype=dtype)[0]
    fit = nmf(np.ldexp(X, -60), 3, l1_H=1e30, l1_W=1e30, random_state=0)
    assert np.all(fit.H == 0) and np.all(np.isfinite(fit.W))


# --- what a fit gives back is the projection -------------------------------------------------


def spectra(rng):
    """Smooth peaks, mixed."""
    grid = np.linspace(0, 1, 60)[:, None]
    return np.exp(-(((grid - rng.random(5)) / 0.1) ** 2)) @ rng.gamma(0.5, 1, (5, 80))


DATA = {
    "digits": lambda rng, mnist: (mnist["x_train"][:300].reshape(300, -1) / 255).T,
    "spectra": lambda rng, mnist: spectra(rng) + 0.05 * rng.random((60, 80)),
    "counts": lambda rng, mnist: rng.poisson(5 * rng.random((30, 4)) @ rng.random((4, 90))) * 1.0,
}


@pytest.mark.parametrize("name", DATA)
def test_transform_after_fit_is_exact(rng, mnist, name):
    """The cone of a fit projects its own samples with a certified gap, no worse than the fit."""
    X = DATA[name](rng, mnist)
    fit = nmf(X, 4, max_iter=50)
    cone = fastcone.Cone(fit.W)
    best = fastcone.solve_nnls(fit.W, X, tol=1e-8)
    assert np.all(best.gap <= 1e-8)
    half = np.sum((X - fit.W @ cone.project(X.T).coef.T) ** 2, axis=0) / 2
    size = np.sum(X**2, axis=0) / 2
    assert np.all(np.abs(half - best.objective) <= 1e-8 * size)
    own = np.sum((X - fit.W @ fit.H) ** 2, axis=0) / 2
    assert np.all(best.objective <= own + 1e-8 * size)
