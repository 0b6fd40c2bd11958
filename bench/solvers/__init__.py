# SPDX-License-Identifier: BSD-3-Clause
"""One competitor a file: NAME, VERSION and solve(A, B, l1) -> X with A (m, n), B (m, p), X (n, p).

A file whose package is not installed raises ImportError and is left out of the table, with a word.

SLOW         timed on fewer columns, and the figure per column is compared
FRAGILE      known to lose accuracy where A'A is nearly singular; the tables say so beside its name
DTYPES       the dtypes it takes part in, where that is not all
TOLERANCES   loosest first: what its solve takes as `tol`, where that is not a gap; the benchmark
             uses the first that reaches the accuracy asked of all
"""

import importlib

NAMES = ("fastcone_", "certified_", "scipy_", "fnnls_", "pivoting_", "sklearn_", "spams_")


def available():
    """The competitors installed here, and a list of reasons for the missing ones."""
    found, missing = [], []
    for name in NAMES:
        try:
            found.append(importlib.import_module(f"bench.solvers.{name}"))
        except ImportError as error:
            missing.append(f"{name.strip('_')}: {error}")
    return found, missing
