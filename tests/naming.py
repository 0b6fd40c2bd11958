# SPDX-License-Identifier: BSD-3-Clause
"""Which turn of a loop failed: a test that loops over seeds and cases names the one at fault."""

import contextlib


@contextlib.contextmanager
def naming(**case):
    """Add the case, as `name = value`, to any error raised inside."""
    try:
        yield
    except Exception as error:
        error.add_note("in the case " + ", ".join(f"{k} = {v}" for k, v in case.items()))
        raise
