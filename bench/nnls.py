# SPDX-License-Identifier: BSD-3-Clause
"""Batched NNLS: the time of every competitor against the product A'B that nobody can avoid."""

import numpy as np
from threadpoolctl import threadpool_limits

import fastcone
from bench import data, solvers
from bench.timing import median, rounds

FEW = 200  # columns on which the slow ones are timed


def objective(A, B, X, l1):
    A, B, X = (np.asarray(M, dtype=float) for M in (A, B, X))
    return ((A @ X - B) ** 2).sum(axis=0) / 2 + l1 * X.sum(axis=0)


def case(A, B, l1, least_objective, competitors):
    """One row per competitor: us per column, multiple of the floor, largest relative excess."""
    at_zero = (B.astype(float) ** 2).sum(axis=0) / 2
    columns = {s.NAME: FEW if s.SLOW else B.shape[1] for s in competitors}
    runs = {"floor": lambda: A.T @ B}
    for s in competitors:
        runs[s.NAME] = lambda s=s: s.solve(A, B[:, : columns[s.NAME]], l1)
    times = rounds(runs)
    floor = median(times["floor"]) / B.shape[1] * 1e6
    rows = [{"solver": "GEMM floor", "us_per_column": floor, "floors": 1.0}]
    for s in competitors:
        k = columns[s.NAME]
        X = np.maximum(s.solve(A, B[:, :k], l1), 0)
        excess = (objective(A, B[:, :k], X, l1) - least_objective[:k]) / at_zero[:k]
        us = median(times[s.NAME]) / k * 1e6
        rows.append({"solver": s.NAME, "version": s.VERSION, "us_per_column": us,
                     "floors": us / floor, "largest_excess": float(excess.max())})  # fmt: skip
    return rows


def scaling(W, U):
    """How much faster 2 threads are than 1, and whether the bits are the same."""
    one, two = (lambda k=k: fastcone.solve_nnls(W, U, n_threads=k) for k in (1, 2))
    times = rounds({"one": one, "two": two})
    return {
        "columns": U.shape[1],
        "speedup": median(times["one"]) / median(times["two"]),
        "same_bits": bool(np.array_equal(one().x, two().x)),
    }


def run(path, columns=2000, rank=64):
    """All cases: dtype x l1."""
    train, test, name = data.digits(path)
    W = data.dictionary(train[:5000], rank)
    found, missing = solvers.available()
    record = {
        "problem": f"{W.shape[0]} x {rank} dictionary, {min(columns, len(test))} digits ({name})",
        "missing": missing,
        "two_threads": scaling(W, np.asfortranarray(test.T)),
        "cases": [],
    }
    U = np.asfortranarray(test[:columns].T)
    with threadpool_limits(1):
        for dtype in (np.float64, np.float32):
            A, B = W.astype(dtype), np.asfortranarray(U.astype(dtype))
            for l1 in (0.0, 0.1):
                best = fastcone.solve_nnls(A, B, l1=l1, method="active_set").x
                rows = case(A, B, l1, objective(A, B, best, l1), found)
                record["cases"].append({"dtype": np.dtype(dtype).name, "l1": l1, "rows": rows})
    return record


def table(record):
    """The record as Markdown."""
    lines = [f"NNLS: {record['problem']}, 1 thread.", ""]
    lines.append("| dtype, l1 | solver | us per column | x floor | largest excess |")
    lines.append("|---|---|---|---|---|")
    for case_ in record["cases"]:
        for row in case_["rows"]:
            excess = f"{max(row['largest_excess'], 0):.0e}" if "largest_excess" in row else ""
            cells = [f"{case_['dtype']}, {case_['l1']:g}", row["solver"]]
            cells += [f"{row['us_per_column']:.2f}", f"{row['floors']:.2f}", excess]
            lines.append("| " + " | ".join(cells) + " |")
    two = record["two_threads"]
    bits = "the same bits" if two["same_bits"] else "DIFFERENT BITS"
    lines += ["", f"2 threads on {two['columns']} columns: {two['speedup']:.2f} x, {bits}."]
    lines += [f"Not measured: {reason}" for reason in record["missing"]]
    return "\n".join(lines)
