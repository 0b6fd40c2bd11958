# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastcone`` is the command ``fastcone``."""

import sys

from fastcone.cli import main

if __name__ == "__main__":
    sys.exit(main())
