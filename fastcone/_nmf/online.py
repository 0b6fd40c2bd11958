# SPDX-License-Identifier: BSD-3-Clause
"""Training from samples that pass by once: the dictionary is renewed batch by batch.

What is kept of the past are two sums, of weights that fade if asked to,

    G = sum w HH' (k, k)      C = sum w XH' (m, k)

and a batch X does four things, each by coordinate descent:

    H <- argmin_{H >= 0}  1/2 ||X - WH||^2 + l1_H |H|_1 + l2_H/2 |H|_F^2
    G <- forget G + HH',  C <- forget C + XH'
    W <- descent on  1/2 <W'W, G> - <W, C> + l1_W |W|_1 + l2_W/2 |W|_F^2
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nmf.api import nmf
from fastcone._nmf.dense import is_parts
from fastcone._nmf.frobenius import Descent
from fastcone._nmf.problem import Penalty, dot
from fastcone._runtime import threads
from fastcone._runtime.layout import blocks
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import (
    LARGEST,
    generator,
    integer,
    nonnegative,
    number,
    real_array,
    sparse_array,
)

FIRST = 20  # iterations on the first batch, which give the dictionary to begin with
MOST = 1e150  # that an entry may be
EPOCHS = 4  # of descent on W per batch


class OnlineNMF:
    """A dictionary W for samples X ~ W H that come batch by batch and are not kept.

    After each batch W has been improved on ::

        sum_i w_i 1/2 ||x_i - W h_i||^2 + l1_W |W|_1 + l2_W/2 |W|_F^2

    over all samples seen, h_i being the coefficients found when x_i passed by, so this is never
    below what W could reach on them with the best coefficients. No step on W raises it. With
    ``forget=1`` and samples drawn independently from one distribution, Mairal et al. prove under
    further assumptions (unique coefficients, bounded W) that W approaches a stationary point of the
    expected loss; `nmf` on all samples, where they fit or are mapped, reaches a lower loss.

    Parameters
    ----------
    rank : int
        Columns k of W.
    forget : float, default 1
        What the weights of all past samples are multiplied by when a batch comes, 0 < forget <= 1.
    l1_W, l1_H, l2_W, l2_H : float, default 0
        Penalty weights, as in `nmf`; those on W weigh against the sum over all samples.
    max_iter : int, default 100
    tol : float, default 1e-6
        Where the coefficients of a batch end, as in `nmf`, which warns in the same way.
    random_state : int, numpy Generator or None
        Seed of the start where it is random, see `init=None` of `nmf`.
    n_threads : int, optional
        As in `nmf`.

    Attributes
    ----------
    W : ndarray (m, k), float64, or None
        The dictionary; None until a batch has come that is not zero.
    n_samples : int
        Samples seen.
    loss : float
        The sum above without penalties, per unit of weight.

    References
    ----------
    Mairal, Bach, Ponce, Sapiro, Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random((30, 3)) * (rng.random((30, 3)) < 0.4)
    >>> online = fastcone.OnlineNMF(3, forget=0.9, random_state=0)
    >>> for _ in range(30):
    ...     batch = truth @ rng.random((3, 100))
    ...     online.partial_fit(batch)
    >>> fresh = truth @ rng.random((3, 50))
    >>> bool(np.linalg.norm(online.W @ online.encode(fresh) - fresh) < 0.05 * np.linalg.norm(fresh))
    True
    """

    def __init__(
        self,
        rank: int,
        *,
        forget: float = 1.0,
        l1_W: float = 0.0,
        l1_H: float = 0.0,
        l2_W: float = 0.0,
        l2_H: float = 0.0,
        max_iter: int = 100,
        tol: float = 1e-6,
        random_state: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self.rank = integer("rank", rank, minimum=1, maximum=LARGEST)
        self.forget = number("forget", forget, positive=True)
        if self.forget > 1:
            raise ValueError(f"forget must be a finite number > 0 and <= 1, found {self.forget:g}")
        self.penalty = Penalty(nonnegative("l1_W", l1_W), nonnegative("l2_W", l2_W), 0.0)
        self._on_H: dict[str, Any] = {
            "l1_H": nonnegative("l1_H", l1_H),
            "l2_H": nonnegative("l2_H", l2_H),
        }
        self._encode: dict[str, Any] = {
            "max_iter": integer("max_iter", max_iter, minimum=1),
            "tol": nonnegative("tol", tol),
        }
        self._rng, self._threads = generator(random_state), n_threads
        threads.thread_count(n_threads)  # raises for a bad one
        self.W: np.ndarray | None = None
        self._G, self._C = np.zeros((self.rank, self.rank)), np.zeros((0, self.rank))
        self.n_samples, self._weight, self._square = 0, 0.0, 0.0

    @property
    @may_underflow
    def loss(self) -> float:
        """The loss of W on the samples seen, with the coefficients they were given."""
        if self.W is None:
            return 0.0
        fit = self._square - 2 * np.vdot(self.W, self._C) + np.vdot(self.W.T @ self.W, self._G)
        return float(max(fit, 0.0) / 2 / self._weight)

    @may_underflow
    def encode(self, X: Any) -> np.ndarray:
        """Return the coefficients H (k, n) of samples X (m, n) in the present dictionary."""
        if self.W is None:
            raise ValueError("W is not there yet, want partial_fit with samples that are not zero")
        return self._encoded(self.W, X)

    @may_underflow
    def partial_fit(self, X: Any) -> None:
        """Improve the dictionary by a batch.

        Parameters
        ----------
        X : array_like or sparse matrix, (m, n)
            Non-negative samples as columns, as in `nmf`; n may differ from batch to batch.

        Raises
        ------
        ValueError, TypeError
            A bad batch; nothing has changed then.

        Warns
        -----
        ConvergenceWarning
            The coefficients of the batch ended at `max_iter` before `tol`.
        """
        X = _batch(X)
        W, n = self._begin(X) if self.W is None else self.W, X.shape[1]
        G, C, square = self._G, self._C, self._square
        if W is not None:
            H = self._encoded(W, X).astype(np.float64)
            values = X.data[None] if issparse(X) else X
            with threads.one_blas_thread():
                G = self.forget * G + H @ H.T
                C = self.forget * C + X @ H.T if self.W is not None else X @ H.T
            square = self.forget * square + dot(values, values)
            W = self._improved(W, G, C)
        # all at once: a batch that is interrupted has not come
        self.W, self._G, self._C, self._square = W, G, C, square
        self._weight, self.n_samples = self.forget * self._weight + n, self.n_samples + n

    def _begin(self, X: Any) -> np.ndarray | None:
        """Return the dictionary of a first batch; one that is zero has none."""
        first = nmf(X, self.rank, random_state=self._rng, max_iter=FIRST, tol=0,
                    n_threads=self._threads, **self._on_H)  # fmt: skip
        return first.W.astype(np.float64) if first.W.any() else None

    def _encoded(self, W: np.ndarray, X: Any) -> np.ndarray:
        """Return the coefficients of samples in a dictionary."""
        fit = nmf(X, self.rank, W=W, update_W=False, n_threads=self._threads, **self._on_H,
                  **self._encode)  # fmt: skip
        return fit.H

    def _improved(self, W: np.ndarray, G: np.ndarray, C: np.ndarray) -> np.ndarray:
        """Return W after epochs of descent; its rows are problems that share G."""
        wide = blocks(self.rank)
        beyond = 0, wide - self.rank
        G, C, rows = np.pad(G, beyond), *(np.pad(A, ((0, 0), beyond)) for A in (C, W))
        Descent(G, self.penalty, self.rank, EPOCHS)(C, rows, Scratch())
        return rows[:, : self.rank].copy()


def _batch(X: Any) -> Any:
    """Return a batch as one matrix of real numbers, parts side by side, entries once each."""
    if is_parts(X):
        X = np.hstack([real_array(f"X[{i}]", part, ndim=(2,)) for i, part in enumerate(X)])
    X = sparse_array("X", X) if issparse(X) else real_array("X", X, ndim=(2,), order="F")
    largest = float(X.max()) if X.size else 0.0
    if largest > MOST:
        raise ValueError(f"X holds {largest:g}, want at most {MOST:g}: squares are summed")
    return X
