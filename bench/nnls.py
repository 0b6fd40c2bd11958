# SPDX-License-Identifier: BSD-3-Clause
"""Batched NNLS on digits: the main table (dtype x l1), then other ranks and heights."""

import numpy as np
from threadpoolctl import threadpool_limits

from bench import data, solvers
from bench.contest import FLOOR, by_name, contest, ratios, tiny

RANK = 64
RANKS = (16, 128, 256)
SIDES = (10, 64)  # 100 and 4,096 rows
HEIGHT = 100  # of generated data: digits of so few pixels have empty rows and are ill-conditioned
DTYPES = (np.float64, np.float32)
PEERS, FEW = 500, 50  # columns for peers at other shapes; fewer hide their rare errors


def run(digits, columns):
    """Both dtypes, with and without a penalty, at rank 64."""
    W, U = digits.dictionary(RANK), digits.targets(columns)
    found, missing = solvers.available()
    cases = []
    with threadpool_limits(1):
        for dtype in DTYPES:
            A, B = W.astype(dtype), np.asfortranarray(U.astype(dtype))
            for l1 in (0.0, 0.1):
                rows = contest(A, B, l1, found)
                cases.append({"dtype": np.dtype(dtype).name, "l1": l1, "rows": rows,
                              "times_faster_than": ratios(rows)})  # fmt: skip
    problem = f"{W.shape[0]} x {RANK} dictionary, {columns} digits ({digits.name})"
    return {"problem": problem, "missing": missing, "cases": cases}


def shapes(digits, columns):
    """Other ranks at the digits' height, other heights at rank 64."""
    found, cases = solvers.available()[0], []
    problems = [(digits, rank) for rank in RANKS]
    problems += [(digits.resampled(side, 2000, columns), RANK) for side in SIDES]
    problems.append((data.generated(HEIGHT, RANK, columns), RANK))
    for source, rank in problems:
        W, U = source.dictionary(rank), source.targets(columns)
        with threadpool_limits(1):
            for dtype in DTYPES:
                A, B = W.astype(dtype), np.asfortranarray(U.astype(dtype))
                rows = contest(A, B, 0.0, found, few=FEW, limit=PEERS, seconds=1.0)
                cases.append({"problem": f"{W.shape[0]} x {rank} ({source.name})",
                              "condition": float(np.linalg.cond(W.T @ W)),
                              "dtype": np.dtype(dtype).name, "columns": columns, "rows": rows,
                              "times_faster_than": ratios(rows)})  # fmt: skip
    return {"cases": cases}


def _row(*cells):
    return "| " + " | ".join(cells) + " |"


def table(record):
    """The main record as compact Markdown: a line per solver, a column per case."""
    cases = [(case, by_name(case["rows"])) for case in record["cases"]]
    last = {case["dtype"]: rows for case, rows in cases}
    names = list(dict.fromkeys(name for _, rows in cases for name in rows))
    head = [f"{case['dtype']}, l1 = {case['l1']:g}" for case, _ in cases]
    lines = [f"NNLS: {record['problem']}, 1 thread. Microseconds per column (multiples of the "
             "floor); largest excess over both l1.", "",
             _row("solver", *head, *(f"excess, {dtype}" for dtype in last)),
             "|" + "---|" * (1 + len(cases) + len(last))]  # fmt: skip
    for name in names:
        cells = [name]
        for _, rows in cases:
            row = rows.get(name)
            cells.append(f"{row['us_per_column']:.2f} ({row['floors']:.2f})" if row else "")
        for dtype in last:
            found = [rows[name]["largest_excess"] for case, rows in cases
                     if case["dtype"] == dtype and "version" in rows.get(name, {})]  # fmt: skip
            cells.append(tiny(max(found)) if found else "")
        lines.append(_row(*cells))
    for name in ("SPAMS lasso (LARS)", "scikit-learn cd"):
        if all(name in rows for _, rows in cases):
            found = [case["times_faster_than"].get(name) for case, _ in cases]
            times = [f"{ratio:.1f} x" if ratio else "it is inaccurate" for ratio in found]
            lines.append(_row(f"fastcone against {name}", *times, *("" for _ in last)))
    lines += ["", *(f"Not measured: {reason}" for reason in record["missing"])]
    return "\n".join(lines).strip()


def shapes_line(record):
    """One line: multiple of the floor and the fastest accurate peer at each shape, float64."""
    parts = []
    for case in record["cases"]:
        if case["dtype"] == "float64":
            rows = by_name(case["rows"])
            text = f"{case['problem'].split(' (')[0]} (cond(A'A) {case['condition']:.0e}): "
            text += f"{rows['fastcone']['floors']:.2f} x the floor"
            for name, ratio in sorted(case["times_faster_than"].items(), key=lambda i: i[1])[:1]:
                text += f", {ratio:.1f} x faster than {name}"
            parts.append(text)
    return "Other shapes, float64: " + "; ".join(parts) + "."


def _accuracy(row):
    return tiny(row["largest_excess"]) + ("" if row["accurate"] else " ‡")


def long_table(record):
    """Every row of every case."""
    lines = [_row("case", "solver", "us per column", "x floor", "columns", "set-up ms",
                  "largest excess"), "|" + "---|" * 7]  # fmt: skip
    for case in record["cases"]:
        label = ", ".join(str(case[key]) for key in ("problem", "dtype", "l1") if key in case)
        for row in case["rows"]:
            known = row["solver"] != FLOOR
            mark = " †" if row.get("fragile") else ""
            lines.append(_row(label, row["solver"] + mark, f"{row['us_per_column']:.2f}",
                              f"{row['floors']:.2f}", str(row["columns"]) if known else "",
                              f"{row['setup_ms']:.2f}" if known else "",
                              _accuracy(row) if known else ""))  # fmt: skip
    lines += ["", "† known to lose accuracy where A'A is nearly singular", ""]
    lines += ["‡ short of the accuracy asked of all, 1e-9 in float64 and 1e-6 in float32;"]
    return "\n".join([*lines, "the largest excess is over the columns the solver was timed on"])
