# SPDX-License-Identifier: BSD-3-Clause
"""The command line of the tasks' benchmarks."""

import argparse
import importlib
from pathlib import Path

from bench.tasks import __doc__ as about
from bench.tasks.images import Images

CASES = tuple(
    path.stem
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem not in ("__init__", "__main__", "images")
)


def main():
    """Run the cases that are named."""
    parser = argparse.ArgumentParser(prog="python -m bench.tasks", description=about)
    parser.add_argument("cases", nargs="+", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--data", type=Path, help="an .npz with x_train, y_train, x_test, y_test")
    options = parser.parse_args()
    images = Images.load(options.data)
    for case in options.cases:
        print(f"# {case}: {images.name}", flush=True)
        importlib.import_module(f"bench.tasks.{case}").run(images)


main()
