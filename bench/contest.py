# SPDX-License-Identifier: BSD-3-Clause
"""One batch of problems, all competitors: time against the product A'B, error against the best."""

import functools

import numpy as np

import fastcone
from bench.timing import median, rounds

FEW = 200  # columns on which the slow ones are timed
ACCURACY = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-6}
FLOOR = "GEMM floor"


def objective(A, B, X, l1=0.0):
    A, B, X = (np.asarray(M, dtype=float) for M in (A, B, X))
    return ((A @ X - B) ** 2).sum(axis=0) / 2 + l1 * X.sum(axis=0)


def excess(A, B, answers, l1=0.0):
    """Largest excess over the best objective known, relative to the objective at x = 0.

    An answer may cover the first columns only; what is not a number counts as infinite.
    """
    values = {name: objective(A, B[:, : X.shape[1]], X, l1) for name, X in answers.items()}
    best = np.full(B.shape[1], np.inf)
    for value in values.values():
        best[: len(value)] = np.fmin(best[: len(value)], value)
    at_zero = (np.asarray(B, dtype=float) ** 2).sum(axis=0) / 2
    return {name: float(np.nan_to_num((v - best[: len(v)]) / at_zero[: len(v)], nan=np.inf).max())
            for name, v in values.items()}  # fmt: skip


def exact(A, B, l1):
    """The yardstick of accuracy: Lawson-Hanson on the data itself."""
    return fastcone.solve_nnls(A, B, l1=l1, method="active_set", n_threads=1).x


def at_accuracy(solver, A, B, l1, best):
    """Its solve, with the loosest of its tolerances that reaches the accuracy asked of all."""
    tolerances = getattr(solver, "TOLERANCES", None)
    if not tolerances:
        return solver.solve
    for tol in tolerances:
        X = solver.solve(A, B, l1, tol=tol)
        if excess(A, B, {"its": X, "best": best}, l1)["its"] <= ACCURACY[A.dtype]:
            break
    return functools.partial(solver.solve, tol=tol)


def contest(A, B, l1, solvers, *, few=FEW, limit=None, seconds=4.0, turn=0.1):
    """A row per competitor: us per column, multiples of the floor, largest excess, set-up.

    Peers are timed on the first `limit` columns, the slow ones on `few`, fastcone and the product
    on all. Set-up is the time of a call with one column.
    """
    best, answers, runs, single, width = exact(A, B, l1), {}, {}, {}, {FLOOR: B.shape[1]}
    solvers = [s for s in solvers if A.dtype in getattr(s, "DTYPES", (A.dtype,))]
    runs[FLOOR] = lambda: A.T @ B
    for s in solvers:
        k = few if s.SLOW else B.shape[1] if s.NAME.startswith("fastcone") else limit
        part = B[:, :k]
        width[s.NAME] = part.shape[1]
        solve = at_accuracy(s, A, part, l1, best[:, :k])

        def run(s=s, solve=solve, part=part):
            answers[s.NAME] = solve(A, part, l1)

        runs[s.NAME] = run
        single[s.NAME] = lambda solve=solve: solve(A, B[:, :1], l1)
    times = rounds(runs, seconds=seconds, turn=turn)
    once = rounds(single, seconds=0.5)
    us = {name: median(t) / width[name] * 1e6 for name, t in times.items()}
    answers = {name: np.maximum(X, 0) for name, X in answers.items()}
    worse = excess(A, B, {"exact": best, **answers}, l1)
    return [{"solver": FLOOR, "us_per_column": us[FLOOR], "floors": 1.0}] + [
        {"solver": s.NAME, "version": s.VERSION, "us_per_column": us[s.NAME],
         "floors": us[s.NAME] / us[FLOOR], "columns": width[s.NAME],
         "setup_ms": median(once[s.NAME]) * 1e3, "largest_excess": worse[s.NAME],
         "accurate": worse[s.NAME] <= ACCURACY[A.dtype],
         "fragile": getattr(s, "FRAGILE", False)}
        for s in solvers
    ]  # fmt: skip


def by_name(rows):
    return {row["solver"]: row for row in rows}


def ratios(rows):
    """How many times faster fastcone is than each of the others that is as accurate as asked."""
    found = by_name(rows)
    ours = found["fastcone"]["us_per_column"]
    return {name: row["us_per_column"] / ours for name, row in found.items()
            if not name.startswith("fastcone") and row.get("accurate")}  # fmt: skip


def tiny(value):
    """A largest excess for a table: nothing below 0 by more than rounding is possible."""
    return f"{max(value, 0):.0e}"
