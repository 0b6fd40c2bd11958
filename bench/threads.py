# SPDX-License-Identifier: BSD-3-Clause
"""How much faster two threads are than one, and whether the bits are the same.

Beside it what the machine has to give: two matrix products at once against one after the other.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fastcone
from bench.nnls import DTYPES, RANK
from bench.timing import median, rounds

COLUMNS = 10_000
MORE = 5  # times the columns, where the set-up no longer counts
SIZE, TIMES = 500, 20  # of the products, which stay in cache


def machine(pool):
    """Contestants: the same products one after the other, and two at a time."""
    parts = [np.random.default_rng(k).random((SIZE, SIZE)) for k in range(2)]

    def work(M):
        for _ in range(TIMES):
            M @ M

    return {"serial": lambda: list(map(work, parts)), "both": lambda: list(pool.map(work, parts))}


def case(A, B, pool):
    """Ratios of runs that follow each other: their median and the best."""
    tol, certify = (1e-9, True) if A.dtype == np.float64 else (1e-6, False)
    runs = {k: lambda k=k: fastcone.solve_nnls(A, B, tol=tol, certify=certify, n_threads=k).x
            for k in (1, 2)}  # fmt: skip
    times = rounds({**runs, **machine(pool)})
    speedup = np.divide(times[1], times[2])
    return {"dtype": A.dtype.name, "columns": B.shape[1], "rounds": len(speedup),
            "us_per_column": {str(k): median(times[k]) / B.shape[1] * 1e6 for k in runs},
            "median": float(np.median(speedup)), "best": float(speedup.max()),
            "machine": float(np.median(np.divide(times["serial"], times["both"]))),
            "same_bits": bool(np.array_equal(runs[1](), runs[2]()))}  # fmt: skip


def run(digits, columns):
    """Both dtypes, on as many columns whatever is asked of the other cases, unless fewer."""
    count = min(COLUMNS, max(columns, len(digits.unseen)))
    W = digits.dictionary(RANK)
    with ThreadPoolExecutor(2) as pool:
        cases = [case(W.astype(dtype), digits.targets(p, dtype), pool)
                 for p in (count, MORE * count) for dtype in DTYPES]  # fmt: skip
    return {"cases": cases}


def line(record):
    parts = [f"{c['dtype']}, {c['columns']} columns: {c['median']:.2f} x (best {c['best']:.2f} x, "
             f"machine {c['machine']:.2f} x), "
             + ("the same bits" if c["same_bits"] else "DIFFERENT BITS")
             for c in record["cases"]]  # fmt: skip
    return f"2 threads against 1, median of the rounds: {'; '.join(parts)}."


def table(record):
    lines = ["| dtype | columns | 1 thread us | 2 threads us | median | best | machine | bits |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for c in record["cases"]:
        one, two = (f"{c['us_per_column'][k]:.2f}" for k in "12")
        bits = "same" if c["same_bits"] else "DIFFERENT"
        lines.append(f"| {c['dtype']} | {c['columns']} | {one} | {two} | {c['median']:.2f} | "
                     f"{c['best']:.2f} | {c['machine']:.2f} | {bits} |")  # fmt: skip
    return "\n".join(lines)
