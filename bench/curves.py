# SPDX-License-Identifier: BSD-3-Clause
"""Error over time of training, as a figure: fastcone, scikit-learn, two plain references.

python -m bench.curves [--data FILE.npz] [--columns 5000] [--rank 64] [--threads 2] [--seconds 20]
                       [--figure docs/nmf-curves.svg] [--out bench-out]

All start from scikit-learn's nndsvda, whose time is left out, and use float64 unless the name says
float32. Errors are computed while the clock stands still; scikit-learn, which cannot be looked at
under way, is run twice for each point, the quicker run counts.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition._nmf import _initialize_nmf
from threadpoolctl import threadpool_limits

from bench import data, references
from bench.nmf import clock, error_of, ours, theirs
from bench.timing import machine, write

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200)  # iterations of scikit-learn
ITERATIONS = 300  # of fastcone
SHOWN = 0.03  # of the error above the least one
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 60, 190, 16, 46
COLOURS = ("#0b6e4f", "#54b435", "#c1292e", "#8a5a44", "#2e5eaa", "#7d5ba6")


def of_fastcone(X, W, H, threads, limit):
    """Seconds and errors, from the objective that the callback is told."""
    size, stamps, began = float(np.sum(X.astype(float) ** 2)), [], time.perf_counter()

    def look(_, value):
        stamps.append((time.perf_counter() - began, float(np.sqrt(2 * value / size))))
        return stamps[-1][0] > limit

    ours(X, W, H, ITERATIONS, n_threads=threads, callback=look)
    return stamps


def of_peer(X, W, H, solver, limit):
    """Seconds and errors of runs of more and more iterations."""
    points = []
    theirs(X, W, H, 1, solver=solver)
    for count in COUNTS:
        runs = [clock(lambda: theirs(X, W, H, count, solver=solver)) for _ in range(2)]  # noqa: B023
        seconds, (Ht, Wt) = min(runs, key=lambda run: run[0])
        points.append((seconds, error_of(X, Wt.T, Ht.T)))
        if seconds > limit:
            break
    return points


def of_reference(run, X, W, H, limit):
    """Seconds and errors of a generator of factors."""
    points, seconds, steps = [], 0.0, run(X, W.copy(), H.copy())
    while seconds < limit and len(points) < ITERATIONS:
        taken, factors = clock(lambda: next(steps))
        seconds += taken
        points.append((seconds, error_of(X, *factors)))
    return points


def curves(samples, rank, threads, limit):
    """Points (seconds, error) by name."""
    Ht, Wt = _initialize_nmf(samples, rank, init="nndsvda", random_state=0)
    X, W, H = (np.ascontiguousarray(a, dtype=float) for a in (samples, Wt.T, Ht.T))
    narrow = [a.astype(np.float32) for a in (X, W, H)]
    with threadpool_limits(threads, "blas"):
        return {
            "fastcone cd, float32": of_fastcone(*narrow, threads, limit),
            "fastcone cd": of_fastcone(X, W, H, threads, limit),
            "scikit-learn cd": of_peer(X, W, H, "cd", limit),
            "scikit-learn mu": of_peer(X, W, H, "mu", limit),
            "plain HALS": of_reference(references.hals, X, W, H, limit),
            "exact half-steps (BPP)": of_reference(references.pivoting, X, W, H, limit),
        }


def thinned(points):
    """The points that a figure can tell apart: ten pixels in time, or half of one in error."""
    kept = points[:1]
    for x, y in points[1:]:
        if abs(x - kept[-1][0]) >= 10 or abs(y - kept[-1][1]) >= 8 or (x, y) == points[-1]:
            kept.append((x, y))
    return kept


def svg(found, title):
    """A figure: time on a logarithmic axis, relative error."""
    seconds = [t for points in found.values() for t, _ in points]
    low, high = np.floor(np.log10(min(seconds))), np.log10(max(seconds))
    least = min(e for points in found.values() for _, e in points)
    bottom = np.floor(least * 1000) / 1000

    def x(t):
        return LEFT + (np.log10(t) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(e):
        return HEIGHT - BOTTOM - (e - bottom) / SHOWN * (HEIGHT - TOP - BOTTOM)

    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<clipPath id="in"><rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" '
        f'height="{floor - TOP}"/></clipPath>',
    ]
    for power in range(int(low), int(np.floor(high)) + 1):
        at = x(10.0**power)
        lines += [f'<path d="M{at:.1f} {TOP}V{floor}" stroke="#ddd"/>',
                  f'<text x="{at:.1f}" y="{floor + 18}" text-anchor="middle">{10.0**power:g}'
                  "</text>"]  # fmt: skip
    for step in np.arange(0, SHOWN + 1e-9, 0.005):
        at = y(bottom + step)
        lines += [f'<path d="M{LEFT} {at:.1f}H{right}" stroke="#ddd"/>',
                  f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{bottom + step:.3f}'
                  "</text>"]  # fmt: skip
    lines.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">seconds: '
                 "relative error over time</text>")  # fmt: skip
    for place, (colour, (name, points)) in enumerate(zip(COLOURS, found.items(), strict=True)):
        path = "L".join(f"{a:.0f} {b:.1f}" for a, b in thinned([(x(t), y(e)) for t, e in points]))
        at = TOP + 14 + 20 * place
        lines += [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" '
                  'clip-path="url(#in)"/>',
                  f'<path d="M{right + 12} {at - 4}h18" stroke="{colour}" stroke-width="2"/>',
                  f'<text x="{right + 36}" y="{at}">{name}</text>']  # fmt: skip
    return "\n".join([*lines, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test; default: small digits")
    parser.add_argument("--columns", type=int, default=5000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--figure", type=Path, default=Path("docs/nmf-curves.svg"))
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    samples, _, name = data.digits(options.data)
    samples = samples[: options.columns]
    rank = min(options.rank, *samples.shape)
    found = curves(samples, rank, options.threads, options.seconds)
    for each, points in found.items():
        seconds, error = points[-1]
        print(f"{each:24s}{len(points):4d} points, error {error:.5f} at {seconds:.2f} s")
    title = f"{name}, {samples.shape[1]} x {len(samples)}, rank {rank}, {options.threads} threads"
    options.figure.write_text(svg(found, title))
    write(options.out / "curves.json", {"title": title, "curves": found})
    print(machine()["cpu"])


if __name__ == "__main__":
    main()
