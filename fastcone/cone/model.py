# SPDX-License-Identifier: BSD-3-Clause
"""The cone: a non-negative dictionary, trained once and reused by projection.

    C(W) = { W h : h >= 0 },        P(v) = W h*,        h* = argmin_{h >= 0} ||A W h - v||

``A`` is a forward operator (the identity if none is given) with the unknown entries dropped. Every
task of `fastcone.tasks` is one or two such projections.
"""

from __future__ import annotations

import os
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from fastcone._nmf.api import nmf
from fastcone._nmf.result import Training
from fastcone._runtime.rows import Array
from fastcone._runtime.validation import real_array
from fastcone.cone import file
from fastcone.cone.arguments import known_entries, training_samples
from fastcone.cone.draw import by_prior
from fastcone.cone.learn import learn
from fastcone.cone.prepared import Views
from fastcone.cone.prior import Prior, checked_prior
from fastcone.cone.projecting import Projecting
from fastcone.cone.projection import Projection

__all__ = ["Cone", "Projection"]


class Cone(Projecting):
    """The convex cone spanned by the columns of a non-negative dictionary ``W``.

    Parameters
    ----------
    W : array_like, shape (m, d)
        Generators as columns, finite and non-negative. Copied; neither rescaled nor reordered.
    prior : Prior, optional
        What is known of the coefficients and of what they leave; `fit` learns it.

    Attributes
    ----------
    W : ndarray, shape (m, d)
        The dictionary, read-only.
    training : Training or None
        `n_iter`, `history` and `converged` of the training, kept in the file; None for a given `W`.
    prior : Prior or None
        What `noise` needs; kept in the file.

    Raises
    ------
    ValueError, TypeError
        `W` is not a finite, non-negative, non-empty real matrix.

    Examples
    --------
    >>> from fastcone import Cone
    >>> cone = Cone([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> cone
    Cone(m=3, rank=2, dtype=float64)
    >>> cone.project([1.0, -1.0, 2.0]).signal
    array([1., 0., 0.])
    """

    def __init__(self, W: npt.ArrayLike, *, prior: Prior | None = None) -> None:
        self._W = np.array(real_array("W", W, ndim=(2,), nonnegative=True, min_size=1), order="C")
        self._W.setflags(write=False)
        self._views, self._training = Views(), cast(Training | None, None)
        self._prior = checked_prior(prior, self._W.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {"_W": self._W, "_training": self._training, "_prior": self._prior}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._W, self._views = state["_W"], Views()
        self._W.setflags(write=False)  # an unpickled array may be written to
        self._training, self._prior = state.get("_training"), state.get("_prior")

    @property
    def training(self) -> Training | None:
        """How `fit` went: n_iter, history, converged; None for a given ``W``."""
        return self._training

    def unit(self) -> Cone:
        """Return the same cone, generators scaled to length 1 and empty ones left out.

        Examples
        --------
        >>> from fastcone import Cone
        >>> Cone([[3.0, 0.0], [4.0, 0.0]]).unit().W.tolist()
        [[0.6], [0.8]]
        """
        length = np.linalg.norm(self._W, axis=0)
        prior = self._prior and self._prior.rescaled(length)
        return self._trained(self._W[:, length > 0] / length[length > 0], self._training, prior)

    def __repr__(self) -> str:
        m, rank = self._W.shape
        return f"Cone(m={m}, rank={rank}, dtype={self._W.dtype})"

    @classmethod
    def fit(
        cls,
        X: Any,
        rank: int,
        *,
        mask: npt.ArrayLike | Literal["nan", "stored"] | None = None,
        weights: npt.ArrayLike | None = None,
        **options: Any,
    ) -> Cone:
        """Train a cone: ``W`` of the factorisation ``X' ~ W H`` found by `fastcone.nmf`.

        The columns of ``W`` are kept as `nmf` leaves them, with no normalisation. The cone does
        not depend on their lengths, but the price ``l1`` of a generator does: long ones are cheap.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, m)
            Non-negative samples as rows; a sparse or memory-mapped one is never copied as a whole.
        rank : int
            Number of generators ``d``.
        mask : array_like of bool, shape (N, m), or "nan" or "stored", optional
            True where `X` is known, with samples as rows like `X`, or "nan" for where it is not
            NaN; the rest may be NaN. "stored": what a sparse `X` stores is known, nothing else.
        weights : array_like, shape (N, m), optional
            Weight >= 0 of each entry of `X`; where it is 0, `X` may be NaN.
        **options
            The keywords of `fastcone.nmf`: loss, solver, l1_W, l1_H, max_iter, random_state, ...

        Raises
        ------
        ValueError, TypeError
            A bad sample, mask or option.

        Warns
        -----
        ConvergenceWarning
            `max_iter` came before `tol`; see `nmf` and `training`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcone import Cone
        >>> X = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 2.0, 1.0])
        >>> cone = Cone.fit(X, 1, random_state=0)
        >>> cone.W.shape, bool(np.all(cone.distance(X) < 1e-6))
        ((4, 1), True)
        """
        samples, known = training_samples(X, mask, weights)
        fit = nmf(samples.T, rank, **known, **options)
        stored = isinstance(known.get("mask"), str)  # then no sample is known as a whole
        prior = None if stored else learn(samples, fit.W, known_entries(known))
        return cls._trained(fit.W, Training(fit.history, fit.converged), prior)

    @classmethod
    def _trained(
        cls, W: npt.ArrayLike, training: Training | None, prior: Prior | None
    ) -> Cone:  # fmt: skip
        cone = cls(W, prior=prior)
        cone._training = training
        return cone

    def sample(
        self, n: int, random_state: int | np.random.Generator | None = None
    ) -> Array:  # fmt: skip
        """Draw new signals, with coefficients as the prior says they are.

            u = W h,        h_j = F_j^-1(Phi(z_j)),        z ~ N(0, C)

        ``F_j`` is the gamma distribution with the prior's mean and variance of coefficient j (0
        where the mean is not positive), ``C`` the prior's correlations: a Gaussian copula. Signals
        lie in the cone, without the residual. `fastcone.tasks.sample` knows the zeros too, from the
        coefficients of training samples.

        Parameters
        ----------
        n : int
            Signals to draw, >= 0.
        random_state : int, Generator or None
            Seed or generator.

        Returns
        -------
        ndarray, shape (n, m)
            In the dtype of `W`.

        Raises
        ------
        ValueError, TypeError
            No prior, or an argument of the wrong kind or range.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcone import Cone
        >>> from fastcone.cone import Prior
        >>> prior = Prior([2.0], [[1.0]], np.zeros((2, 1)), [0.0, 0.0])
        >>> U = Cone([[1.0], [2.0]], prior=prior).sample(10_000, random_state=0)
        >>> U.shape, bool(np.allclose(U.mean(axis=0), [2, 4], atol=0.05))
        ((10000, 2), True)
        """
        return self.decode(by_prior(self._prior, n, random_state).astype(self._W.dtype))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cone to a file: checksummed, without pickle, whole or not at all.

        The new file takes the old one's place in one step, after its bytes are on the disk. If
        anything fails before that, the old file stays as it was and no other file is left.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError, TypeError
            The file system refused; `path` is not a path.

        Examples
        --------
        >>> import os, tempfile
        >>> from fastcone import Cone
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "ones.cone")
        ...     Cone([[1.0], [2.0]]).save(path)
        ...     Cone.load(path)
        Cone(m=2, rank=1, dtype=float64)
        """
        file.write(path, self._W, self._training, self._prior)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Cone:
        """Return the cone that `save` wrote, the same bits on every machine; see there.

        Raises
        ------
        OSError, TypeError
            The file cannot be read; `path` is not a path.
        ValueError
            The file is damaged, of a newer version, or not a cone.
        """
        W, training, prior = file.read(path)
        try:
            return cls._trained(W, training, None if prior is None else Prior(**prior))
        except ValueError as error:
            raise ValueError(f"path {path!r} holds no cone: {error}") from error
