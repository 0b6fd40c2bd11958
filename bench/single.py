# SPDX-License-Identifier: BSD-3-Clause
"""One small problem, one call: fastcone.nnls against scipy's, and from compiled code."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.optimize
from threadpoolctl import threadpool_limits

import fastcone
from bench.contest import excess, tiny
from bench.timing import median, rounds

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((10, 5), (50, 10), (100, 30), (200, 100), (1000, 300))
EMBEDDED = (10, 5)


def problems(m, n, kind, count, rng):
    """`count` problems: targets of noise alone, or of a signal in the cone and noise."""
    A = rng.standard_normal((count, m, n))
    b = rng.standard_normal((count, m))
    if kind == "signal":
        x = rng.random((count, n, 1)) * (rng.random((count, n, 1)) < 0.5)
        b = (A @ x)[..., 0] + 0.1 * b
    return A, b


def case(m, n, kind, rng):
    """Microseconds per call of both, and their largest excess over the better."""
    A, b = problems(m, n, kind, int(np.clip(20000 / (n * n), 4, 100)), rng)
    pairs = list(zip(A, b, strict=True))

    def all_by(solver):
        return [solver(*pair)[0] for pair in pairs]

    solvers = {"scipy": scipy.optimize.nnls, "fastcone": fastcone.nnls}
    runs = {name: lambda s=s: all_by(s) for name, s in solvers.items()}
    times = rounds(runs, seconds=1.0, turn=0.02)
    us = {name: median(t) / len(pairs) * 1e6 for name, t in times.items()}
    answers = {name: run() for name, run in runs.items()}
    each = [excess(a, t[:, None], {name: X[k][:, None] for name, X in answers.items()})
            for k, (a, t) in enumerate(pairs)]  # fmt: skip
    return {"size": f"{m} x {n}", "targets": kind, "us": us, "ratio": us["scipy"] / us["fastcone"],
            "largest_excess": {name: max(e[name] for e in each) for name in us}}  # fmt: skip


def compiled(folder):
    """The module of examples/embedding, compiled as its own setup.py does."""
    shutil.copytree(ROOT / "examples" / "embedding", folder, dirs_exist_ok=True)
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(build, cwd=folder, env=environment, check=True, capture_output=True)
    path = next(Path(folder).glob("many_small*.so"))
    spec = importlib.util.spec_from_file_location("many_small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def embedded(rng, count=20000):
    """Microseconds per problem through `cimport fastcone.cy`."""
    m, n = EMBEDDED
    found = []
    with tempfile.TemporaryDirectory() as folder:
        many = compiled(folder)
        for kind in ("normal", "signal"):
            A, b = problems(m, n, kind, count, rng)
            rows, X = np.ascontiguousarray(A.transpose(0, 2, 1)), np.empty((count, n))
            times = rounds({"cimport": lambda A=rows, b=b, X=X: many.solve_all(A, b, X)},
                           seconds=1.0, least=5)  # fmt: skip
            best = np.stack(
                [scipy.optimize.nnls(*pair)[0] for pair in zip(A[:50], b, strict=False)]
            )
            found.append({"size": f"{m} x {n}", "targets": kind,
                          "us": median(times["cimport"]) / count * 1e6,
                          "largest_difference": float(np.abs(X[:50] - best).max())})  # fmt: skip
    return found


def run(digits, columns):
    """All sizes, both kinds of target; the digits are not needed."""
    rng = np.random.default_rng(0)
    with threadpool_limits(1):
        cases = [case(m, n, kind, rng) for m, n in SIZES for kind in ("normal", "signal")]
        try:
            through, missing = embedded(rng), []
        except (OSError, subprocess.CalledProcessError, StopIteration) as error:
            through, missing = [], [f"cimport: {error}"]
    return {"cases": cases, "cimport": through, "missing": missing}


def line(record):
    """Both kinds of target at each size: a signal means a larger support, and more steps."""
    parts = []
    for size in dict.fromkeys(c["size"] for c in record["cases"]):
        found = [c for c in record["cases"] if c["size"] == size]
        us = " / ".join(f"{c['us']['fastcone']:.1f}" for c in found)
        times = " / ".join(f"{c['ratio']:.2f}" for c in found)
        parts.append(f"{size} {us} us ({times} x)")
    if record["cimport"]:
        us = " / ".join(f"{c['us']:.2f}" for c in record["cimport"])
        parts.append(f"through cimport {record['cimport'][0]['size']} {us} us")
    return ("One problem, one call, fastcone.nnls (times faster than scipy.optimize.nnls), targets "
            "of noise / with a signal: " + ", ".join(parts) + ".")  # fmt: skip


def table(record):
    lines = ["| size | targets | scipy us | fastcone us | ratio | excess, scipy | fastcone |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for c in record["cases"]:
        worse = c["largest_excess"]
        lines.append(f"| {c['size']} | {c['targets']} | {c['us']['scipy']:.1f} | "
                     f"{c['us']['fastcone']:.1f} | {c['ratio']:.2f} | {tiny(worse['scipy'])} | "
                     f"{tiny(worse['fastcone'])} |")  # fmt: skip
    lines += ["", *(f"Through cimport, {c['size']}, {c['targets']}: {c['us']:.2f} us, largest "
                    f"difference from scipy {c['largest_difference']:.0e}."
                    for c in record["cimport"])]  # fmt: skip
    return "\n".join([*lines, *(f"Not measured: {reason}" for reason in record["missing"])])
