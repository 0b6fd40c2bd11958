# SPDX-License-Identifier: BSD-3-Clause
"""Mutational signatures: what has mutated the genomes of tumours, and how much of each cause.

Counts of 96 kinds of mutations in each genome are modelled as signatures x exposures under
Kullback-Leibler (Poisson counts). Signatures are extracted from a cohort by several runs from
random starts, the best of which is kept; a new genome is refitted to the signatures found.

    python examples/signatures.py [--genomes 300]
"""

import argparse
import time
import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF

import fastcone

KINDS, SIGNATURES, STARTS = 96, 5, 5


def cohort(genomes, seed=0):
    """Return signatures (96, 5), columns that sum to one, and counts (genomes, 96)."""
    rng = np.random.default_rng(seed)
    signatures = rng.dirichlet(np.full(KINDS, 0.15), SIGNATURES).T
    exposures = rng.gamma(0.5, 2000, (genomes, SIGNATURES))
    return signatures, rng.poisson(exposures @ signatures.T)


def similarity(found, truth):
    """Return the cosines of matched signatures."""
    found, truth = (S / np.linalg.norm(S, axis=0) for S in (found, truth))
    cosines = truth.T @ found
    return cosines[linear_sum_assignment(-cosines)]


def by_scikit_learn(counts):
    fits = [
        NMF(SIGNATURES, init="random", solver="mu", beta_loss="kullback-leibler", tol=0,
            max_iter=500, random_state=seed).fit(counts)
        for seed in range(STARTS)
    ]  # fmt: skip
    best = min(fits, key=lambda fit: fit.reconstruction_err_)
    return best.components_.T, best.reconstruction_err_**2 / 2


def by_fastcone(counts):
    fit = fastcone.nmf(counts.T, SIGNATURES, loss="kl", init="random", n_init=STARTS, tol=0,
                       max_iter=500, random_state=0)  # fmt: skip
    return fit.W, fit.objective


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genomes", type=int, default=300)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of runs that end at max_iter
    truth, counts = cohort(options.genomes)
    seconds, found = {}, {}
    for name, method in {"scikit-learn": by_scikit_learn, "fastcone": by_fastcone}.items():
        begun = time.perf_counter()
        found[name], loss = method(counts)
        seconds[name] = time.perf_counter() - begun
        least = similarity(found[name], truth).min()
        print(
            f"{name:13s} {seconds[name]:7.3f} s  divergence {loss:10.1f}  least cosine {least:.4f}"
        )
    signatures = found["fastcone"] / found["fastcone"].sum(axis=0)
    new = cohort(10, seed=1)[1]
    refit = fastcone.nmf(new.T, SIGNATURES, W=signatures, update_W=False, loss="kl", max_iter=2000)
    shares = refit.H.T / refit.H.sum(axis=0)[:, None]
    print("shares of the signatures in a new genome: " + "  ".join(f"{s:.3f}" for s in shares[0]))
    a, b = seconds.values()
    print(f"speed-up, as many starts and iterations: {a / b:.1f}")
    return found, truth, a / b


if __name__ == "__main__":
    main()
