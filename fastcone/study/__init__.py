# SPDX-License-Identifier: BSD-3-Clause
"""The study: one cone reused for many tasks, against a model retrained for each of them.

    data            images: bundled digits, OpenML's MNIST, or a file
    run             run_study: every contender does every task, every step is measured
    report.write    write_study: study.json, pictures, one HTML page
    tasks           one module per task
    methods         what the cones are compared with

It needs the extra ``fastcone[study]``. docs/study.md says what is measured and how it is judged.
"""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "matplotlib": "matplotlib",
    "tqdm": "tqdm",
    "jinja2": "jinja2",
    "jsonschema": "jsonschema",
}


def require() -> None:
    """Raise ImportError, with the command that helps, unless all packages of the study are here."""
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise ImportError(f"the study needs {', '.join(missing)}: run pip install fastcone[study]")
