# SPDX-License-Identifier: BSD-3-Clause
"""Run the benchmarks, write JSON, and renew the table in README.md between its two markers."""

import argparse
from pathlib import Path

from bench import nnls
from bench.timing import machine, write

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def renew(readme, text):
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])


def main():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test; default: small digits")
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "bench-out")
    options = parser.parse_args()
    record = nnls.run(options.data, options.columns)
    write(options.out / "nnls.json", record)
    text = nnls.table(record)
    here = machine()
    text += f"\n\nMeasured {here['date']} by `make bench`: {here['cpu']}, level {here['level']}, "
    text += f"compiler {here['compiler']}, numpy {here['versions']['numpy']}."
    print(text)
    if options.data is not None:
        renew(ROOT / "README.md", text)


if __name__ == "__main__":
    main()
