# SPDX-License-Identifier: BSD-3-Clause
"""Growth with the number of columns: time per column, and the peak memory of the largest batch.

python -m bench.growth DICTIONARY.npy COLUMNS DTYPE CERTIFY [--data FILE.npz] prints one peak as
JSON, in a process of its own.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np

import fastcone
from bench.data import Digits
from bench.nnls import RANK
from bench.timing import median, rounds

ROOT = Path(__file__).resolve().parents[1]
KINDS = ((np.float64, True), (np.float32, True), (np.float32, False))  # dtype, certified
STEPS = 3  # powers of ten below the largest batch


def solve(A, B, certify):
    tol = 1e-9 if A.dtype == np.float64 else 1e-6
    return fastcone.solve_nnls(A, B, tol=tol, certify=certify, n_threads=1)


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


def size(solution):
    return sum(np.asarray(getattr(solution, f.name)).nbytes for f in fields(solution))


def peak(path, dictionary, columns, dtype, certify):
    """Peak resident bytes of one solve beyond its inputs and its answer."""
    A, B = np.load(dictionary).astype(dtype), Digits.load(path).targets(columns, dtype)
    solve(A, B[:, :1000], certify)
    highest, solution = peak_of(lambda: solve(A, B, certify))
    return {"inputs": A.nbytes + B.nbytes, "outputs": size(solution),
            "beyond": highest - size(solution),
            "converged": bool(solution.converged.all())}  # fmt: skip


def measured_apart(path, W, columns, dtype, certify):
    """`peak` in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dictionary.npy"
        np.save(file, W)
        command = [sys.executable, "-m", "bench.growth", str(file), str(columns),
                   np.dtype(dtype).name, str(int(certify))]  # fmt: skip
        more = ["--data", str(Path(path).resolve())] if path else []
        output = subprocess.run([*command, *more], cwd=ROOT, env=dict(os.environ), check=True,
                                stdout=subprocess.PIPE, text=True).stdout  # fmt: skip
    return json.loads(output)


def times_of(A, B, certify):
    """Microseconds per column at powers of ten up to all columns, and of a call with one.

    The system's share is told apart: first touches of the answer's memory. A virtual machine that
    has given free memory back to its host pays milliseconds per megabyte to have it again.
    """
    largest = B.shape[1]
    counts = [1, *(max(1, largest // 10**k) for k in range(STEPS, -1, -1))]
    system = {p: [] for p in counts}

    def timed(p):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_stime
        solve(A, B[:, :p], certify)
        system[p].append(resource.getrusage(resource.RUSAGE_SELF).ru_stime - before)

    times = rounds({p: partial(timed, p) for p in counts}, seconds=10.0, turn=0.3)
    return [{"columns": p, "us_per_column": median(times[p]) / p * 1e6,
             "us_system": float(np.mean(system[p])) / p * 1e6,
             "us_apart": (median(times[p]) - median(times[1])) / p * 1e6}
            for p in counts]  # fmt: skip


def run(digits, columns, *, path=None):
    """100 times the columns of the other cases, down in powers of ten."""
    largest, W, cases = 100 * columns, digits.dictionary(RANK), []
    for dtype, certify in KINDS:
        A, B = W.astype(dtype), digits.targets(largest, dtype)
        case = {"kind": np.dtype(dtype).name + (", certified" if certify else ""),
                "times": times_of(A, B, certify)}  # fmt: skip
        del B
        try:
            case["memory"] = measured_apart(path, W, largest, dtype, certify)
        except (OSError, subprocess.CalledProcessError) as error:
            case["missing"] = f"peak of memory: {error}"
        cases.append(case)
    problem = f"{W.shape[0]} x {RANK}, {digits.name}, repeated beyond {len(digits.unseen)} digits"
    return {"problem": problem, "cases": cases}


def line(record):
    parts = []
    for case in record["cases"]:
        one, *more = case["times"]
        text = f"{case['kind']}: "
        text += ", ".join(f"{t['columns']:,}: {t['us_per_column']:.2f}" for t in more)
        text += (
            f" ({more[-1]['us_system']:.2f} of it the system's; one: {one['us_per_column']:.0f})"
        )
        if "memory" in case:
            text += f", {case['memory']['beyond'] / 2**20:.0f} MiB"
        parts.append(text)
    return ("Growth, us per column at so many columns, and peak memory beyond inputs and outputs: "
            + "; ".join(parts) + ".")  # fmt: skip


def table(record):
    lines = [record["problem"] + ", 1 thread, microseconds per column.", ""]
    lines += ["| kind | columns | all | the system's | all but a call with one |", "|" + "---|" * 5]
    for case in record["cases"]:
        for t in case["times"]:
            us = " | ".join(f"{t[name]:.2f}" for name in ("us_per_column", "us_system", "us_apart"))
            lines.append(f"| {case['kind']} | {t['columns']:,} | {us} |")
    for case in record["cases"]:
        if "missing" in case:
            lines += ["", f"{case['kind']}: not measured: {case['missing']}"]
            continue
        m = {name: case["memory"][name] / 2**20 for name in ("inputs", "outputs", "beyond")}
        lines += ["", f"{case['kind']}: peak memory with the most columns: inputs "
                  f"{m['inputs']:,.0f} MiB, outputs {m['outputs']:,.0f} MiB, beyond these "
                  f"{m['beyond']:,.1f} MiB."]  # fmt: skip
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("columns", type=int)
    parser.add_argument("dtype", type=np.dtype)
    parser.add_argument("certify", type=int, choices=(0, 1))
    parser.add_argument("--data", type=Path)
    o = parser.parse_args()
    print(json.dumps(peak(o.data, o.dictionary, o.columns, o.dtype, bool(o.certify))))


if __name__ == "__main__":
    main()
