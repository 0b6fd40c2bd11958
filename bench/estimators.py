# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's estimators and ours at their defaults: seconds, and where the objective ends.

python -m bench.estimators

One start (nndsvda), best of 3 runs each; in brackets the iterations. "To theirs": seconds until
ours has the objective that theirs ends with, the start included. "End": ours, sqrt(2 f), as a
multiple of theirs. BLAS uses the threads that ours use.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn import decomposition as theirs
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import fastcone.sklearn as ours
from fastcone import nmf
from fastcone._runtime.threads import thread_count
from fastcone.sklearn.starts import start


def fields():
    """Data of five fields, and a rank."""
    rng = np.random.default_rng(0)
    yield "digits 1,797 x 64", load_digits().data, 16
    counts = rng.poisson(rng.gamma(0.3, size=(3000, 12)) @ rng.gamma(0.1, size=(12, 2000)))
    yield "single-cell counts 3,000 x 2,000, sparse", sp.csr_array(counts.astype(float)), 12
    f, pitches = np.arange(513), rng.integers(8, 60, 10)
    notes = [sum(np.exp(-(((f - h * p) / 2.0) ** 2)) / h for h in range(1, 9)) for p in pitches]
    sound = rng.gamma(0.4, size=(2000, 10)) @ np.array(notes)
    yield "audio power 2,000 x 513", sound * rng.exponential(size=sound.shape) + 1e-9, 10
    x, where = np.linspace(0, 1, 800), rng.random((8, 2)) / (1, 5)
    bands = np.array([np.exp(-(((x - c) / w) ** 2)) for c, w in where])
    clean = rng.gamma(0.7, size=(1500, 8)) @ bands
    yield "spectra 1,500 x 800", np.abs(clean + 0.01 * rng.standard_normal(clean.shape)), 8
    known = rng.random((1500, 1000)) < 0.05
    yield "ratings 1,500 x 1,000, 5 %", np.where(known, rng.integers(1, 6, known.shape), 0.0), 20


def seconds_to(end, X, k, given):
    """Return the seconds until the objective is as low as `end`, or None."""
    begun, reached = time.perf_counter(), []

    def look(_, objective):
        if objective <= end * (1 + 1e-9):
            reached.append(time.perf_counter() - begun)
        return bool(reached)

    W, H = start(X, k, given["init"], 0)
    loss = given.get("beta_loss", "frobenius")
    nmf(X.T, k, W=H.T, H=W.T, loss=loss, solver=given.get("solver"), tol=0, callback=look)
    return reached[0] if reached else None


def best(make, X, repeats):
    """Return the least seconds of a fit and of a transform, and the model."""
    seconds = []
    for _ in range(repeats):
        model, begun = make(), time.perf_counter()
        model.fit(X)
        fitted = time.perf_counter()
        model.transform(X)
        seconds.append((fitted - begun, time.perf_counter() - fitted))
    return *np.min(seconds, axis=0), model


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = {"cd": {}, "mu, KL": {"solver": "mu", "beta_loss": "kullback-leibler"}}
    print(f"{thread_count(None)} threads")
    print(
        "| data | solver | fit: theirs, ours (s) | to theirs | transform: theirs, ours (s) | end |"
    )
    print("|---|---|---|---|---|---|")
    with threadpool_limits(thread_count(None)):
        for name, X, k in fields():
            for run, given in runs.items():
                given = {"init": "nndsvda", "random_state": 0, **given}
                a_fit, a_use, a = best(lambda g=given: theirs.NMF(k, **g), X, options.repeats)  # noqa: B023
                b_fit, b_use, b = best(lambda g=given: ours.NMF(k, **g), X, options.repeats)  # noqa: B023
                to = seconds_to(a.reconstruction_err_**2 / 2, X, k, given)
                told = "never" if to is None else f"{to:.2f}"
                ratio = b.reconstruction_err_ / a.reconstruction_err_
                print(
                    f"| {name} | {run} | {a_fit:.2f} ({a.n_iter_}), {b_fit:.2f} ({b.n_iter_}) "
                    f"| {told} | {a_use:.3f}, {b_use:.3f} | {ratio:.5f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
