# SPDX-License-Identifier: BSD-3-Clause
"""How many generators: the rank that predicts entries which training has not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcone._nmf.api import nmf
from fastcone._nmf.arguments import known_entries
from fastcone._nmf.losses import Loss, loss_of
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import (
    LARGEST,
    check_nonnegative,
    generator,
    integer,
    number,
    real_array,
    shown,
)

OURS = ("W", "H", "init", "fixed", "update_W", "n_init", "weights", "checkpoint", "callback")
NEW = 0.1  # of the mean entry of a factor: what a generator more starts from, at most


@dataclass(frozen=True, eq=False, repr=False)
class RankSelection:
    """Errors on held-out entries, rank by rank.

    Attributes
    ----------
    ranks : ndarray of int, (R,)
        In ascending order.
    errors : ndarray, (repeats, R)
        Mean loss of a held-out entry.
    """

    ranks: np.ndarray
    errors: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean over the repeats, (R,)."""
        return self.errors.mean(axis=0)

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of the mean over the repeats, (R,)."""
        return self.errors.std(axis=0, ddof=1) / np.sqrt(len(self.errors))

    @property
    def best(self) -> int:
        """The rank of least mean error."""
        return int(self.ranks[np.argmin(self.mean)])

    @property
    def rank(self) -> int:
        """The least rank whose mean error is within one standard error of the best one's.

        The standard error is that of the difference over the repeats, whose entries are the same.
        """
        best = int(np.argmin(self.mean))
        worse = self.errors - self.errors[:, [best]]
        spread = worse.std(axis=0, ddof=1) / np.sqrt(len(worse))
        return int(self.ranks[np.flatnonzero(worse.mean(axis=0) <= spread)[0]])

    def __repr__(self) -> str:
        return f"RankSelection(rank={self.rank}, best={self.best}, ranks={self.ranks.tolist()})"

    def plot(self, ax: Any = None) -> Any:
        """Draw mean error and standard error against rank on matplotlib axes; returns the axes."""
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure(figsize=(5, 3.2), layout="constrained").add_subplot()
        ax.errorbar(self.ranks, self.mean, self.standard_error, marker="o", capsize=3, lw=1)
        ax.axvline(self.rank, color="0.6", lw=1, ls="--", label=f"chosen: {self.rank}")
        ax.set_xlabel("rank")
        ax.set_ylabel("loss of a held-out entry")
        ax.legend(frameon=False)
        return ax


@may_underflow
def select_rank(
    X: Any,
    ranks: Iterable[int],
    *,
    repeats: int = 5,
    held_out: float = 0.1,
    mask: Any = None,
    random_state: Any = None,
    **options: Any,
) -> RankSelection:
    """Choose the rank of a factorisation by how well it predicts entries it has not seen.

    In each repeat a share of the known entries, drawn one by one, is hidden (no row or column as a
    whole), and the ranks are trained on the others in ascending order, each from the factors of
    the one before and new columns drawn at random. The error of a rank is the mean loss of a
    hidden entry, D(x, (WH)_ij).

    Parameters
    ----------
    X : array_like, (m, N)
        Non-negative data, one sample a column.
    ranks : iterable of int
        The ranks to compare.
    repeats : int, default 5
        Draws of hidden entries, at least 2.
    held_out : float, default 0.1
        Share of the known entries that is hidden, within (0, 1).
    mask : array_like of bool, (m, N), or "nan", optional
        Where X is known, as in `nmf`.
    random_state : int, numpy Generator or RandomState, or None
        Seed of the draws.
    **options
        Keywords of `nmf`: loss, solver, penalties, max_iter (here 1000), tol (here 1e-5: a rank
        that is not trained to its end makes the next look better), n_threads, time_limit (of each
        training).

    Returns
    -------
    RankSelection
        Its `rank` is the least one within one standard error of the best.

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted.

    References
    ----------
    Wold, Technometrics 20, 1978 (held-out entries); Owen, Perry, Annals of Applied Statistics 3,
    2009; Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2009, section 7.10
    (the rule of one standard error).

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((30, 3)) @ rng.random((3, 80)) + 0.01 * rng.random((30, 80))
    >>> fastcone.select_rank(X, range(1, 7), random_state=0).rank
    3
    """
    taken = sorted(set(options) & set(OURS))
    if taken:
        raise ValueError(f"{taken[0]} is not an option of select_rank, which starts by itself")
    try:
        given = list(ranks)
    except TypeError:
        raise TypeError(f"ranks must be a sequence of integers, found {shown(ranks)}") from None
    chosen = sorted({integer("ranks", rank, minimum=1, maximum=LARGEST) for rank in given})
    if not chosen:
        raise ValueError("ranks holds none, want at least one")
    repeats, rng = integer("repeats", repeats, minimum=2), generator(random_state)
    held_out = number("held_out", held_out)
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be within (0, 1), found {held_out:g}")
    X = real_array("X", X, ndim=(2,), finite=mask is None, min_size=1)
    known = np.ones(X.shape, dtype=bool)
    if mask is not None:
        known = known_entries(X, mask)
    check_nonnegative("X", np.where(known, X, 0))
    options = {"max_iter": 1000, "tol": 1e-5} | options
    loss, errors = loss_of(options.get("loss", "frobenius")), np.empty((repeats, len(chosen)))
    for r in range(repeats):
        hidden = _hidden(known, held_out, rng)
        if not hidden.any():
            raise ValueError(f"held_out {held_out:g} hides no entry of X, shape {X.shape}")
        W = H = None
        for i, rank in enumerate(chosen):
            W, H = _wider(W, H, rank, rng) if W is not None and W.any() else (None, None)
            fit = nmf(X, rank, mask=known & ~hidden, random_state=rng, W=W, H=H, **options)
            W, H = fit.W, fit.H
            errors[r, i] = _error(loss, X, W, H, hidden)
    return RankSelection(np.array(chosen), errors)


def _hidden(known: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw entries to hide, one of the known ones left in every row and column that has any."""
    draw = np.where(known, rng.random(known.shape), -1.0)
    hidden = known & (draw < share)
    for axis in (0, 1):  # the last one drawn stays
        lost = np.flatnonzero(known.any(axis=axis) & ~(known & ~hidden).any(axis=axis))
        kept = draw.argmax(axis=axis)[lost]
        hidden[(kept, lost) if axis == 0 else (lost, kept)] = False
    return hidden


def _wider(
    W: Any, H: Any, rank: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return factors with columns more, small and random."""
    new = rank - W.shape[1]
    columns = 2 * NEW * W.mean() * rng.random((W.shape[0], new))
    rows = 2 * NEW * H.mean() * rng.random((new, H.shape[1]))
    return np.hstack([W, columns]).astype(W.dtype), np.vstack([H, rows]).astype(H.dtype)


def _error(loss: Loss, X: np.ndarray, W: np.ndarray, H: np.ndarray, hidden: np.ndarray) -> float:
    """Return the mean loss of hidden entries; a prediction of zero counts as one next to it."""
    x, y, b = X[hidden].astype(float), (W @ H)[hidden].astype(float), loss.beta
    y = np.maximum(y, np.finfo(W.dtype).eps * max(float(y.mean()), np.finfo(float).tiny))
    if b == 2:
        values = (x - y) ** 2 / 2
    elif b == 1:
        values = np.where(x > 0, x * np.log(np.where(x > 0, x, 1) / y), 0) - x + y
    elif b == 0:
        values = x / y - np.log(x / y) - 1
    else:
        values = (x**b + (b - 1) * y**b - b * x * y ** (b - 1)) / (b * (b - 1))
    return float(values.mean())
