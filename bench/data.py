# SPDX-License-Identifier: BSD-3-Clause
"""The problems all benchmarks share: digits, a dictionary of other digits, relaxometry, ratings."""

import numpy as np
import scipy.sparse as sp
from scipy.ndimage import zoom

import fastcone

LEARNT = 5000  # digits a dictionary learns from; no target is among them


def digits(path):
    """Training and test digits in [0, 1], rows = samples; scikit-learn's without a file."""
    if path is None:
        from sklearn.datasets import load_digits

        X = load_digits().data / 16
        return X[:1000], X[1000:], "scikit-learn digits, 8x8"
    with np.load(path) as data:
        return data["x_train"] / 255, data["x_test"] / 255, f"{path.stem}, 28x28"


def dictionary(X, rank, *, n_iter=100):
    """A rank-`rank` NMF dictionary of the rows of X, unit columns."""
    W = fastcone.nmf(X.T, rank, max_iter=n_iter, tol=0, random_state=0).W
    return np.ascontiguousarray(W / np.linalg.norm(W, axis=0))


class Digits:
    """Digits to learn from and digits to project, apart; dictionaries are trained once."""

    def __init__(self, learn, unseen, name):
        self.learn, self.unseen, self.name = learn, unseen, name
        self._trained = {}

    @classmethod
    def load(cls, path):
        """Those of a file, or scikit-learn's."""
        train, test, name = digits(path)
        return cls(train[:LEARNT], np.concatenate([test, train[LEARNT:]]), name)

    def dictionary(self, rank):
        """The dictionary of this rank that all cases share."""
        if rank not in self._trained:
            self._trained[rank] = dictionary(self.learn, rank)
        return self._trained[rank]

    def targets(self, columns, dtype=np.float64):
        """(m, columns), Fortran order; beyond the digits there are, they come again."""
        rows = np.empty((columns, self.unseen.shape[1]), dtype)
        for start in range(0, columns, len(self.unseen)):
            part = rows[start : start + len(self.unseen)]
            part[...] = self.unseen[: len(part)]
        return rows.T

    def resampled(self, side, learn, columns):
        """The first digits at side x side pixels, bilinear."""
        old = int(np.sqrt(self.learn.shape[1]))

        def scaled(rows):
            images = zoom(rows.reshape(-1, old, old), (1, side / old, side / old), order=1)
            return np.maximum(images, 0).reshape(-1, side * side)

        name = f"{self.name}, resampled to {side}x{side}"
        return Digits(scaled(self.learn[:learn]), scaled(self.unseen[:columns]), name)


def generated(m, rank, columns, seed=0):
    """Non-negative data: half-filled mixtures of half-filled generators, and some noise."""
    rng = np.random.default_rng(seed)

    def half(*shape):
        return rng.random(shape) * (rng.random(shape) < 0.5)

    A = half(m, rank)
    X = (A @ half(rank, columns) + 0.5 * rng.random((m, columns))).T
    data = Digits(X[:0], X, "generated")
    data._trained[rank] = A / np.linalg.norm(A, axis=0)
    return data


def relaxometry(voxels, *, snr=200, seed=0):
    """Multi-echo decays of one to three T2 peaks each, with noise: generators and targets.

    48 echoes at 8 ms, 60 values of T2 from 8 ms to 2 s on a logarithmic scale; the noise has the
    first echo's amplitude over `snr`.
    """
    rng = np.random.default_rng(seed)
    echo, t2 = 8.0 * np.arange(1, 49), np.geomspace(8, 2000, 60)
    A = np.exp(-echo[:, None] / t2)
    place = rng.uniform(np.log(12), np.log(1500), (3, voxels))
    width = rng.uniform(0.05, 0.25, (3, voxels))
    weight = rng.random((3, voxels)) * (np.arange(3)[:, None] < rng.integers(1, 4, voxels))
    peaks = np.exp(-0.5 * ((np.log(t2)[:, None, None] - place) / width) ** 2)
    X = (peaks / peaks.sum(axis=0) * weight).sum(axis=1)
    B = A @ X
    B += B[0] / snr * rng.standard_normal(B.shape)
    return A, np.asfortranarray(B)


def movielens(path):
    """A file like MovieLens 100k's `u.data` as users x items, the ratings stored.

    Its lines hold user, item, rating and time, tabs between; users and items count from 1. Of
    several ratings of one pair the latest counts.
    """
    try:
        user, item, rating, when = np.loadtxt(path, delimiter="\t", ndmin=2).T
    except ValueError as error:
        raise ValueError(f"{path} does not hold user, item, rating, time: {error}") from None
    for name, ids in (("user", user), ("item", item)):
        if ids.min() < 1 or np.any(ids != ids.astype(int)):
            raise ValueError(f"{path} holds a {name} that is no integer from 1 on")
    latest = np.lexsort((when, item, user))
    pairs = np.stack([user, item], axis=1).astype(int)[latest] - 1
    last = np.append(np.any(np.diff(pairs, axis=0), axis=1), True)
    return sp.csr_array((rating[latest][last], tuple(pairs[last].T)))


def ratings(users, items, count, *, rank=6, noise=0.35, seed=0):
    """Generated ratings 1 to 5, users x items: a planted low rank, noise, a few popular items."""
    rng = np.random.default_rng(seed)
    popular, active = np.arange(1, items + 1) ** -0.8, rng.lognormal(0, 1, users)
    rng.shuffle(popular)
    drawn = rng.choice(users, 3 * count, p=active / active.sum()) * items
    drawn += rng.choice(items, 3 * count, p=popular / popular.sum())
    user, item = np.divmod(rng.permutation(np.unique(drawn))[:count], items)
    taste, trait = rng.gamma(1, 1, (users, rank)), rng.gamma(1, 1, (items, rank))
    liking = np.sqrt((taste[user] * trait[item]).sum(axis=1))
    stars = 1 + 4 * liking / np.quantile(liking, 0.98) + noise * rng.standard_normal(len(user))
    return sp.csr_array((np.clip(np.round(stars), 1, 5), (user, item)), shape=(users, items))
