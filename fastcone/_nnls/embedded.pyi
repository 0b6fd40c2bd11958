# SPDX-License-Identifier: BSD-3-Clause
# Types of embedded.pyx for mypy; the contracts stand there.
from typing import Any

class Handle:
    def __init__(self, generators: Any) -> None: ...
