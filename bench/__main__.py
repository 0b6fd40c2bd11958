# SPDX-License-Identifier: BSD-3-Clause
"""Run the NNLS benchmarks; write JSON and Markdown, and renew the table in README.md.

n1       the main table: 784 x 64, both dtypes, l1 = 0 and 0.1
shapes   other ranks and heights
n2       T2 relaxometry, ill-conditioned
n3       one small problem, one call
threads  two threads against one
growth   100 times the columns: time per column and peak memory

The README is renewed when there is a data file and no case is left out.
"""

import argparse
from functools import partial
from pathlib import Path

from bench import growth, nnls, relaxometry, single, threads
from bench.data import Digits
from bench.timing import machine, write

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
# name: what runs, its part of the README, its part of the long report
CASES = {
    "n1": (nnls.run, nnls.table, nnls.long_table),
    "shapes": (nnls.shapes, nnls.shapes_line, nnls.long_table),
    "n2": (relaxometry.run, relaxometry.line, relaxometry.table),
    "n3": (single.run, single.line, single.table),
    "threads": (threads.run, threads.line, threads.table),
    "growth": (growth.run, growth.line, growth.table),
}


def renew(readme, text):
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])


def measure(path, columns, names, out):
    """Run the cases, write each record as it is made, and return the text for the README."""
    digits = Digits.load(path)
    here = machine()
    signed = (f"Measured {here['date']} by `make bench`: {here['cpu']}, level {here['level']}, "
              f"compiler {here['compiler']}, numpy {here['versions']['numpy']}.")  # fmt: skip
    short, long = [], [f"# NNLS\n\n{signed}"]
    for name in names:
        run, brief, full = CASES[name]
        run = partial(run, path=path) if name == "growth" else run
        record = run(digits, columns)
        write(out / f"nnls-{name}.json", record)
        short.append(brief(record))
        long.append(f"## {name}\n\n{brief(record)}\n\n{full(record)}")
        print(short[-1], end="\n\n", flush=True)
    (out / "nnls.md").write_text("\n\n".join(long) + "\n")
    return "\n\n".join([*short, signed])


def cases(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CASES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"no case {unknown}; choose from {', '.join(CASES)}")
    return names


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test; default: small digits")
    parser.add_argument("--columns", type=int, help="default 10,000 with data, 2,000 without")
    parser.add_argument("--cases", type=cases, default=list(CASES), help="comma-separated")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-out")
    o = parser.parse_args(arguments)
    columns = o.columns or (2000 if o.data is None else 10_000)
    text = measure(o.data, columns, o.cases, o.out)
    print(text.rsplit("\n\n", 1)[1])
    if o.data is not None and set(o.cases) == set(CASES):
        renew(ROOT / "README.md", text)


if __name__ == "__main__":
    main()
