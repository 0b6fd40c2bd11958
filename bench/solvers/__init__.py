# SPDX-License-Identifier: BSD-3-Clause
"""One competitor a file: NAME, VERSION and solve(A, B, l1) -> X with A (m, n), B (m, p), X (n, p).

A file whose package is not installed raises ImportError and is left out of the table, with a word.
`SLOW` competitors are timed on fewer columns, and the figure per column is compared. `FRAGILE` ones
are known to lose accuracy where A'A is nearly singular.
"""

import importlib

NAMES = ("fastcone_", "scipy_", "fnnls_", "pivoting_", "sklearn_", "spams_")


def available():
    """The competitors installed here, and a list of reasons for the missing ones."""
    found, missing = [], []
    for name in NAMES:
        try:
            found.append(importlib.import_module(f"bench.solvers.{name}"))
        except ImportError as error:
            missing.append(f"{name.strip('_')}: {error}")
    return found, missing
