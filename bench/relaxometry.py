# SPDX-License-Identifier: BSD-3-Clause
"""Ill-conditioned NNLS: T2 relaxometry, where the columns of A are nearly dependent."""

import numpy as np
from threadpoolctl import threadpool_limits

from bench import data, solvers
from bench.contest import by_name, contest, tiny
from bench.nnls import long_table

VOXELS = 2000


def run(digits, columns):
    """All solvers on the first voxels, fastcone on all; the digits are not needed."""
    A, B = data.relaxometry(min(columns, VOXELS))
    found, missing = solvers.available()
    with threadpool_limits(1):
        rows = contest(A, B, 0.0, found, limit=200, seconds=3.0)
        X = next(s for s in found if s.NAME == "fastcone").solve(A, B, 0.0)
    problem = f"T2 relaxometry, {A.shape[0]} x {A.shape[1]}, {B.shape[1]} voxels, SNR 200"
    return {"missing": missing,
            "mean_support": float(np.count_nonzero(X, axis=0).mean()),
            "condition": float(np.linalg.cond(A.T @ A)),
            "cases": [{"problem": problem, "dtype": "float64", "rows": rows}]}  # fmt: skip


def line(record):
    case = record["cases"][0]
    parts = [f"{name} {row['us_per_column']:.1f} us, excess {tiny(row['largest_excess'])}"
             for name, row in by_name(case["rows"]).items() if "largest_excess" in row]  # fmt: skip
    return (f"{case['problem']}, cond(A'A) {record['condition']:.0e}, mean support "
            f"{record['mean_support']:.1f}: " + "; ".join(parts) + ".")  # fmt: skip


table = long_table
