# SPDX-License-Identifier: BSD-3-Clause
"""A recommender: what would people think of the films that they have not seen?

Of a table people x films few entries are known. They are stored in a sparse matrix and factorised
with mask="stored": an entry that is not stored is unknown, not zero. The peer is what scikit-learn
offers for such a table, an NMF of it with zeros where nothing is known, or with the mean of the
film there; beside both stands the mean of the film alone.

    python examples/recommender.py [--people 600 --films 400]
"""

import argparse
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import NMF

import fastcone

RANK = 6


def table(people, films, seed=0):
    """Return known ratings (sparse) and those held out: rows, columns, stars."""
    rng = np.random.default_rng(seed)
    taste, kind = rng.gamma(0.5, size=(people, RANK)), rng.gamma(0.5, size=(RANK, films))
    stars = (
        1 + 4 * (taste @ kind) / (1.5 + taste @ kind) + 0.3 * rng.standard_normal((people, films))
    )
    stars = np.clip(np.round(2 * stars) / 2, 1, 5)
    seen = rng.random(stars.shape) < 0.15
    held = seen & (rng.random(stars.shape) < 0.1)
    known = seen & ~held
    R = sp.csr_array(sp.coo_array((stars[known], np.nonzero(known)), shape=stars.shape))
    return R, np.nonzero(held), stars[held]


def film_means(R):
    counts = np.maximum(R.count_nonzero(axis=0), 1)
    return np.asarray(R.sum(axis=0)).ravel() / counts


def by_zeros(R):
    model = NMF(RANK, random_state=0, max_iter=200)
    return model.fit_transform(R) @ model.components_


def by_means(R):
    filled = np.where(R.toarray() > 0, R.toarray(), film_means(R))
    model = NMF(RANK, random_state=0, max_iter=200)
    return model.fit_transform(filled) @ model.components_


def by_known(R):
    fit = fastcone.nmf(R.T, RANK, mask="stored", l2_W=3.0, l2_H=3.0, random_state=0)
    return (fit.W @ fit.H).T


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--films", type=int, default=400)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of runs that end at max_iter
    R, held, stars = table(options.people, options.films)
    methods = {
        "mean of the film": lambda R: np.broadcast_to(film_means(R), R.shape),
        "scikit-learn, zeros": by_zeros,
        "scikit-learn, means": by_means,
        "fastcone, known alone": by_known,
    }
    errors, seconds = {}, {}
    for name, method in methods.items():
        begun = time.perf_counter()
        foretold = method(R)
        seconds[name] = time.perf_counter() - begun
        errors[name] = float(np.sqrt(np.mean((np.clip(foretold[held], 1, 5) - stars) ** 2)))
        print(f"{name:22s} {seconds[name]:7.3f} s  held-out rmse {errors[name]:.3f}")
    print(f"{R.nnz} ratings of {R.shape[0]} people x {R.shape[1]} films")
    return errors, seconds


if __name__ == "__main__":
    main()
