# SPDX-License-Identifier: BSD-3-Clause
"""`sklearn.decomposition.MiniBatchNMF`: components renewed batch by batch, for any divergence.

Of a batch, `multiplicative.sums` gives numerators and denominators of the step on H. Past batches
count less and less, with rho = forget_factor^(batch_size / n_samples):

    A <- rho A + num H^(1/g),    B <- rho B + den + l1 + l2 H,    H <- (A / B)^g

Reference: Lefevre, Bach, Fevotte, IEEE WASPAA 2011.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_non_negative, validate_data

from fastcone.sklearn import multiplicative as mu
from fastcone.sklearn.base import READ, BaseNMF
from fastcone.sklearn.descent import warn_of_end
from fastcone.sklearn.installed import Iterations, with_callbacks


@dataclass
class Average:
    """Ends a fit by what the batches cost on average, or by H that stays as it is."""

    tol: float
    patience: int | None
    weight: float  # of a batch in the average
    verbose: int
    cost: float | None = None
    least: float = math.inf
    waited: int = 0

    def ended(self, step: int, cost: float, change: float) -> bool:
        """Take the cost of a batch and the relative change of H in this step, counted from 1."""
        if step > 1:
            known = cost if self.cost is None else self.cost
            self.cost = known + self.weight * (cost - known)
        if self.verbose:
            print(f"Step {step}: mean cost of the batch {cost:.9g}, smoothed {self.cost}")
        if self.cost is None:
            return False
        self.waited = 0 if self.cost < self.least else self.waited + 1
        self.least = min(self.least, self.cost)
        impatient = self.patience is not None and self.waited >= self.patience
        return impatient or (self.tol > 0 and change <= self.tol)


class MiniBatchNMF(BaseNMF):
    """NMF of batches of samples, a drop-in for `sklearn.decomposition.MiniBatchNMF`.

    The objective is that of `NMF`, its penalties scaled by the sizes of a batch. The steps are
    multiplicative; where all of X can be read again, `NMF` goes lower and is faster.

    Parameters
    ----------
    n_components, init, beta_loss, tol, max_iter, random_state : optional
    alpha_W, alpha_H, l1_ratio, verbose : optional
        As of `NMF`. tol: relative change of H in a step; max_iter: passes over X.
    batch_size : int, default=1024
    max_no_improvement : int or None, default=10
        Steps in a row that may pass without a lower smoothed cost.
    forget_factor : float, default=0.7
        Weight of what was seen a pass before.
    fresh_restarts : bool, default=False
        Solve for the coefficients of each batch anew, and for all of them at the end.
    fresh_restarts_max_iter : int, default=30
    transform_max_iter : int or None, default=None
        Limits for these and for `transform`; None stands for max_iter. Under the squared error
        `transform` is exact, without a limit.

    Attributes
    ----------
    components_, n_components_, reconstruction_err_, n_iter_, n_features_in_, feature_names_in_ :
        As of `NMF`.
    n_steps_ : int
        Batches seen.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.sklearn import MiniBatchNMF
    >>> X = np.random.default_rng(0).random((200, 3)) @ np.eye(3, 8)
    >>> model = MiniBatchNMF(n_components=3, batch_size=50, random_state=0).fit(X)
    >>> model.components_.shape
    (3, 8)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseNMF._parameter_constraints,
        "max_no_improvement": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "forget_factor": [Interval(Real, 0, 1, closed="both")],
        "fresh_restarts": ["boolean"],
        "fresh_restarts_max_iter": [Interval(Integral, 1, None, closed="left")],
        "transform_max_iter": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        init: str | None = None,
        batch_size: int = 1024,
        beta_loss: str | float = "frobenius",
        tol: float = 1e-4,
        max_no_improvement: int | None = 10,
        max_iter: int = 200,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        forget_factor: float = 0.7,
        fresh_restarts: bool = False,
        fresh_restarts_max_iter: int = 30,
        transform_max_iter: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.batch_size = batch_size
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.max_iter = max_iter
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.forget_factor = forget_factor
        self.fresh_restarts = fresh_restarts
        self.fresh_restarts_max_iter = fresh_restarts_max_iter
        self.transform_max_iter = transform_max_iter
        self.random_state = random_state
        self.verbose = verbose

    def _transform_limit(self) -> int:
        return self.max_iter if self.transform_max_iter is None else self.transform_max_iter

    def _begin(self, X: Any) -> None:
        check_non_negative(X, "MiniBatchNMF (input X)")
        super()._begin(X)
        self._batch_size = min(self.batch_size, X.shape[0])
        self._rho = self.forget_factor ** (self._batch_size / X.shape[0])

    def _begin_sums(self, X: Any, H: np.ndarray) -> None:
        self._floors = mu.Floors.of(X, H, self._beta_loss)
        self._components_numerator, self._components_denominator = H.copy(), np.ones_like(H)

    def _step(
        self, X: Any, W: np.ndarray | None, H: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the coefficients of a batch, the components after it, and its mean cost."""
        beta, (on_W, on_H), floors = self._beta_loss, self._weights(X), self._floors
        if W is None:
            W, _ = self._encode(X, H, self.fresh_restarts_max_iter, exact=False)
        else:
            sums = mu.sums(X, W, H, beta, floors.product)
            W = mu.step(W, *sums, on_W, beta, floors.W)
        cost = (mu.divergence(X, W, H, beta) + on_W(W) + on_H(H)) / X.shape[0]
        num, den = (part.T for part in mu.sums(X.T, H.T, W.T, beta, floors.product))
        g = mu.exponent(beta, on_H.l2)
        A = self._rho * self._components_numerator + num * (H if g == 1 else H ** (1 / g))
        B = self._rho * self._components_denominator + (den + on_H.l1 + on_H.l2 * H)
        self._components_numerator, self._components_denominator = A, B
        new = np.divide(A, B, out=np.zeros_like(H), where=B > 0)
        return W, mu.above(new if g == 1 else new**g, floors.H, H), cost

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> np.ndarray:
        """Learn the components of X batch by batch and return its coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.
        y : Ignored
        W : array-like of shape (n_samples, n_components), optional
        H : array-like of shape (n_components, n_features), optional
            Where to start, with init="custom".

        Returns
        -------
        W : ndarray of shape (n_samples, n_components)
        """
        X = validate_data(self, X, **READ)
        self._begin(X)
        W, H = self._begin_at(X, W, H)
        self._begin_sums(X, H)
        n, size = X.shape[0], self._batch_size
        per_pass = math.ceil(n / size)
        most = self.max_iter * per_pass
        tasks = Iterations(self, X, y, most)
        average = Average(self.tol, self.max_no_improvement, min(size / (n + 1), 1), self.verbose)
        rows, X = itertools.cycle(gen_batches(n, size)), X.tocsr() if hasattr(X, "tocsr") else X
        for step, batch in zip(range(1, most + 1), rows, strict=False):
            part = None if self.fresh_restarts else W[batch]
            W[batch], new, cost = self._step(X[batch], part, H)
            norm = float(np.linalg.norm(new))
            change = float(np.linalg.norm(new - H)) / norm if norm else 0.0
            if not X[batch].max() > 0:
                change = math.inf  # a batch of zeros teaches nothing, and so ends nothing
            H, told = new, tasks.ended(step)
            if average.ended(step, cost, change) or told:
                break
        if self.fresh_restarts:
            W, _ = self._encode(X, H, self._transform_limit())
        n_iter = math.ceil(step / per_pass)
        warn_of_end(n_iter, self.max_iter, self.tol)
        self.n_steps_ = step
        divergence = mu.divergence(X, W, H, self._beta_loss)
        W, H = mu.settled(W, self._floors.W), mu.settled(H, self._floors.H)
        W = self._end(W, H, n_iter, divergence)
        tasks.close()
        return W

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> MiniBatchNMF:
        """Improve the components by a batch of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.
        y : Ignored
        W, H : array-like, optional
            Where the first call starts, as of `fit_transform`.

        Returns
        -------
        self
        """
        begun = hasattr(self, "components_")
        X = validate_data(self, X, reset=not begun, ensure_non_negative=True, **READ)
        if not begun:
            self._begin(X)
            _, H = self._begin_at(X, W, H)
            self._begin_sums(X, H)
            self.n_steps_ = 0
        else:
            H = self.components_.astype(X.dtype, copy=False)
        _, H, _ = self._step(X, None, H)
        self.components_, self.n_components_, self.n_steps_ = H, len(H), self.n_steps_ + 1
        return self
