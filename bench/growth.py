# SPDX-License-Identifier: BSD-3-Clause
"""Growth with the number of columns: time per column, and the peak memory of the largest batch.

python -m bench.growth DICTIONARY.npy COLUMNS CERTIFY [--data FILE.npz] prints one peak as JSON, in
a process of its own.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np

import fastcone
from bench.data import Digits
from bench.nnls import RANK
from bench.timing import median, rounds

ROOT = Path(__file__).resolve().parents[1]
DTYPE = np.float32
STEPS = 3  # powers of ten below the largest batch


def solve(A, B, certify=False):
    return fastcone.solve_nnls(A, B, tol=1e-6, certify=certify, n_threads=1)


def status(key):
    """Bytes of one line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def peak_of(work):
    """Peak resident bytes while `work` runs, beyond those resident before, and what it returns.

    Free pages that the allocator has kept go back first: an answer placed on them would cost
    nothing, and the difference could even be negative.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        raise OSError("this C library has no malloc_trim")
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins again
    before = status("VmRSS")
    answer = work()
    return status("VmHWM") - before, answer


def peak(path, dictionary, columns, certify):
    """Peak resident bytes of one solve beyond its inputs and its answer."""
    A, B = np.load(dictionary).astype(DTYPE), Digits.load(path).targets(columns, DTYPE)
    solve(A, B[:, :1000], certify)
    highest, solution = peak_of(lambda: solve(A, B, certify))
    outputs = sum(getattr(solution, f.name).nbytes for f in fields(solution))
    return {"columns": columns, "certify": certify, "inputs": A.nbytes + B.nbytes,
            "outputs": outputs, "beyond": highest - outputs,
            "converged": bool(solution.converged.all())}  # fmt: skip


def measured_apart(path, W, columns):
    """`peak` with and without certificates, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dictionary.npy"
        np.save(file, W)
        command = [sys.executable, "-m", "bench.growth", str(file), str(columns)]
        more = ["--data", str(Path(path).resolve())] if path else []
        outputs = [
            subprocess.run([*command, certify, *more], cwd=ROOT, env=dict(os.environ), check=True,
                           stdout=subprocess.PIPE, text=True).stdout
            for certify in ("0", "1")
        ]  # fmt: skip
    return [json.loads(output) for output in outputs]


def run(digits, columns, *, path=None):
    """100 times the columns of the other cases, down in powers of ten."""
    largest = 100 * columns
    W = digits.dictionary(RANK)
    A, B = W.astype(DTYPE), digits.targets(largest, DTYPE)
    counts = [max(1, largest // 10**k) for k in range(STEPS, -1, -1)]
    runs = {p: lambda part=B[:, :p]: solve(A, part) for p in (1, *counts)}
    times = rounds(runs, seconds=10.0, turn=0.3)
    once = median(times[1])
    us = {str(p): median(times[p]) / p * 1e6 for p in counts}
    apart = {str(p): (median(times[p]) - once) / p * 1e6 for p in counts}
    del B, runs
    try:
        memory, missing = measured_apart(path, W, largest), []
    except (OSError, subprocess.CalledProcessError) as error:
        memory, missing = [], [f"peak of memory: {error}"]
    problem = (
        f"{W.shape[0]} x {RANK}, {np.dtype(DTYPE)}, {digits.name}, repeated beyond {{}} digits"
    )
    return {"problem": problem.format(len(digits.unseen)), "us_per_column": us,
            "us_once": once * 1e6, "us_per_column_apart": apart,
            "memory": memory, "missing": missing}  # fmt: skip


def line(record):
    us = ", ".join(f"{int(p):,}: {t:.2f}" for p, t in record["us_per_column"].items())
    apart = ", ".join(f"{t:.2f}" for t in record["us_per_column_apart"].values())
    text = f"Growth, float32, us per column at so many columns: {us}"
    text += f"; apart from the {record['us_once']:.0f} us of a call with one column: {apart}"
    for m in record["memory"]:
        if m["certify"]:
            text += f"; peak memory beyond inputs and outputs {m['beyond'] / 2**20:.0f} MiB"
    return text + "."


def table(record):
    apart = record["us_per_column_apart"]
    lines = [record["problem"] + ", 1 thread.", ""]
    lines += ["| columns | us per column | apart from a call with one |", "|---|---|---|"]
    lines += [f"| {int(p):,} | {t:.2f} | {apart[p]:.2f} |"
              for p, t in record["us_per_column"].items()]  # fmt: skip
    for m in record["memory"]:
        kind = "with" if m["certify"] else "without"
        lines += ["", f"Peak memory at {m['columns']:,} columns {kind} certificates: inputs "
                  f"{m['inputs'] / 2**20:,.0f} MiB, outputs {m['outputs'] / 2**20:,.0f} MiB, "
                  f"beyond these {m['beyond'] / 2**20:,.1f} MiB."]  # fmt: skip
    return "\n".join([*lines, *(f"Not measured: {reason}" for reason in record["missing"])])


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("columns", type=int)
    parser.add_argument("certify", type=int, choices=(0, 1))
    parser.add_argument("--data", type=Path)
    o = parser.parse_args()
    print(json.dumps(peak(o.data, o.dictionary, o.columns, bool(o.certify))))


if __name__ == "__main__":
    main()
