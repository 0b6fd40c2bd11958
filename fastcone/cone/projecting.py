# SPDX-License-Identifier: BSD-3-Clause
"""What a cone answers about data: projections, distances, energies, coefficients, signals."""

from __future__ import annotations

from typing import Literal, Unpack, cast

import numpy as np
import numpy.typing as npt

from fastcone._runtime.rows import Array, Loss
from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import real_array
from fastcone.cone.arguments import MANY, Noisy, Options
from fastcone.cone.prepared import Views
from fastcone.cone.prior import Prior
from fastcone.cone.projection import Projection, explained
from fastcone.cone.solve import solve
from fastcone.cone.view import View
from fastcone.operators.base import Operator


class Projecting:
    """The answering half of `Cone`, which makes the dictionary, the prior and what is prepared."""

    _W: Array
    _prior: Prior | None
    _views: Views

    @property
    def W(self) -> Array:
        """The dictionary, shape (m, d), read-only."""
        return self._W

    @property
    def prior(self) -> Prior | None:
        """Moments of the coefficients and of what they leave; None where nobody knows them."""
        return self._prior

    @may_underflow
    def project(
        self,
        V: npt.ArrayLike,
        *,
        forward: Operator | None = None,
        mask: npt.ArrayLike | Literal["nan"] | None = None,
        loss: Loss = "l2",
        l1: float = 0.0,
        **noisy: Unpack[Noisy],
    ) -> Projection:
        """Find the point of the cone that explains each sample best.

        For each row ``v``, over its known entries,

            'l2'   min_{h >= 0}  1/2 ||A W h - v||_2^2 + l1 sum(h)
            'l1'   min_{h >= 0}      ||A W h - v||_1   + l1 sum(h)

        At ``l1 = 0`` the 2-norm projection onto the cone itself is idempotent and positively
        homogeneous, its distance 1-Lipschitz and convex. `forward` may have negative entries. For
        coefficients alone take `encode`: signals are dense, also of sparse `V`. For sums and bounds
        ``solve_nnls(cone.W, V.T, sum_to=1.0)``.

        Parameters
        ----------
        V : array_like, shape (N, m'), (m',) or (..., m'), or sparse matrix, shape (N, m')
            Samples as rows, ``m' = m`` or ``forward.size_out``; the pixels of a cube
            (rows, columns, m') are samples too. Entries may be negative.
        forward : Operator, LinearOperator or matrix, optional
            How a signal became data; the identity if missing.
        mask : array_like of bool, shape (m',) or that of V, or "nan", optional
            True where `V` is known, for all samples or for each, or "nan" for where it is not NaN;
            the rest is never looked at and may be NaN. Equal masks are solved together; without a
            known entry ``h = 0``.
        loss : {'l2', 'l1'}
            The 1-norm forgives few but gross errors (salt and pepper).
        l1 : float
            Weight of the sum of the coefficients, >= 0.
        noise : float or "estimate", optional
            Standard deviation > 0 of the noise in `V`, in its units: the most probable signal is
            sought, ``u = W h + r`` by the cone's `prior` (docs/prior.md). "estimate" finds the
            likeliest one for all of `V`, of signals of up to 2,048 entries.
        clip : (lo, hi), optional
            Entries at or beyond these are bounds, not values; None for a side without a bound.
        outliers : float
            Share in [0, 1) of entries that may be anything. With `clip` only entries at its ends
            are suspected, and bounds no more.
        nuisance : array_like, shape (m', q), optional
            What may be added to the data in any amount and sign, as columns.
        keep : {'cone', 'data'}
            'data': the signal is the data less the nuisance, as far as `Projection.trust` says.

        Returns
        -------
        Projection
            In float32 for float32 `V`, in float64 otherwise (the gap always).

        Raises
        ------
        ValueError, TypeError
            An argument of the wrong kind, shape or range, or a known entry that is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcone import Cone
        >>> cone = Cone([[1.0], [2.0], [2.0]])
        >>> cone.project([3.0, np.nan, 6.0], mask=[True, False, True]).signal
        array([3., 6., 6.])
        >>> cone.project([1.0, 2.0, 90.0], loss="l1").signal
        array([1., 2., 2.])
        """
        options = Options(forward=forward, mask=mask, loss=loss, l1=l1, **noisy)
        solved = solve(self._W, self._prior, self._views, V, **options)
        if isinstance(solved, Projection):
            return solved
        signal, distance = explained(solved, whole=True)
        shaped = solved.samples.shaped
        return Projection(shaped(signal), shaped(solved.coef), shaped(distance), shaped(solved.gap))

    def through(
        self, forward: Operator | None = None, mask: npt.ArrayLike | None = None
    ) -> View:  # fmt: skip
        """Return the cone seen through an operator and a mask, prepared once for many batches.

        Parameters
        ----------
        forward : Operator, LinearOperator or matrix, optional
            How a signal becomes data; a matrix is copied.
        mask : array_like of bool, shape (m',), optional
            True where data will be known.

        Examples
        --------
        >>> from fastcone import Cone
        >>> view = Cone([[1.0], [2.0], [2.0]]).through(mask=[True, False, True])
        >>> view.project([3.0, 0.0, 6.0]).signal
        array([3., 6., 6.])
        """
        return View.of(self, forward, mask)

    @may_underflow
    def distance(self, V: npt.ArrayLike, **options: Unpack[Options]) -> Array:
        """Return the distance of each sample to the cone; the arguments are those of `project`.

        Examples
        --------
        >>> from fastcone import Cone
        >>> Cone([[1.0], [0.0]]).distance([[2.0, 3.0], [-3.0, 4.0]])
        array([3., 5.])
        """
        solved = solve(self._W, self._prior, self._views, V, **options)
        if isinstance(solved, Projection):
            return solved.distance
        return solved.samples.shaped(explained(solved, whole=False)[1])

    @may_underflow
    def energy(self, V: npt.ArrayLike, **options: Unpack[Options]) -> Array:
        """Return how unlikely each sample is, given noise: the least belongs to the likeliest cone.

            E(v) = min_{h >= 0} (v - A W h)' Q^-1 (v - A W h) + (h - mu)' S^-1 (h - mu)
                   + log det Q + log det S + log det (S^-1 + W'A' Q^-1 A W) + m' log 2 pi

        Minus twice the log-likelihood of ``v`` where ``h >= 0`` holds of itself, Laplace's
        approximation of it elsewhere. It may be compared between cones of any rank, over the same
        known entries. The arguments are those of `project`, `noise` among them.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcone import Cone
        >>> from fastcone.cone import Prior
        >>> line = Cone([[1.0], [1.0]], prior=Prior([2.0], [[1.0]], np.zeros((2, 1)), [0.0, 0.0]))
        >>> line.energy([[2.0, 2.0], [5.0, 5.0]], noise=1.0).round(3)
        array([ 4.774, 10.774])
        """
        if options.get("noise") is None:
            raise ValueError("noise must be the standard deviation of the data, found None")
        return cast(Array, self.project(V, **options).energy)

    @may_underflow
    def encode(self, V: npt.ArrayLike, **options: Unpack[Options]) -> Array:
        """Return the coefficients ``h`` of each sample; the arguments are those of `project`.

        Examples
        --------
        >>> from fastcone import Cone
        >>> Cone([[1.0, 1.0], [0.0, 1.0]]).encode([5.0, 2.0]).round(6)
        array([3., 2.])
        """
        solved = solve(self._W, self._prior, self._views, V, **options)
        if isinstance(solved, Projection):
            return solved.coef
        return solved.samples.shaped(solved.coef)

    @may_underflow
    def decode(self, H: npt.ArrayLike) -> Array:
        """Return the signals ``W h`` of coefficients ``h``.

        Parameters
        ----------
        H : array_like, shape (N, d), (d,) or (..., d)
            Non-negative coefficients as rows; float32 gives float32, all else float64.

        Raises
        ------
        ValueError, TypeError
            Not a finite, non-negative real array of that shape.

        Examples
        --------
        >>> from fastcone import Cone
        >>> Cone([[1.0, 1.0], [0.0, 1.0]]).decode([3.0, 2.0])
        array([5., 2.])
        """
        H = real_array("H", H, ndim=MANY, nonnegative=True, order="C")  # one order, one sum
        rank = self._W.shape[1]
        if H.shape[-1] != rank:
            raise ValueError(f"H must have {rank} entries per row, found shape {H.shape}")
        with np.errstate(over="ignore"):
            return np.asarray(H @ self._W.T.astype(H.dtype, copy=False))
