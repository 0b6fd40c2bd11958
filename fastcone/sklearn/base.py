# SPDX-License-Identifier: BSD-3-Clause
"""What `NMF` and `MiniBatchNMF` share: parameters, checks, starts, penalties, `transform`."""

from __future__ import annotations

import math
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from fastcone._nmf.losses import BETAS as EXPONENTS
from fastcone.sklearn.descent import Problem, encoded, warn_of_end
from fastcone.sklearn.installed import CallbackSupportMixin
from fastcone.sklearn.multiplicative import Weights
from fastcone.sklearn.starts import start

BETAS = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}
READ: dict[str, Any] = {"accept_sparse": ("csr", "csc"), "dtype": [np.float64, np.float32]}
NONE = Weights(0.0, 0.0)


def check_factor(name: str, value: Any, shape: tuple[int | str, int | str], dtype: Any) -> None:
    """Raise for a factor of the wrong shape, dtype or sign."""
    value = check_array(value, dtype=None)
    for axis, (found, wanted) in enumerate(zip(value.shape, shape, strict=True)):
        if wanted != "auto" and found != wanted:
            raise ValueError(
                f"Array with wrong {('first', 'second')[axis]} dimension passed to {name}. "
                f"Expected {wanted}, but got {found}."
            )
    check_non_negative(value, name)
    if value.dtype != dtype:
        raise TypeError(
            f"H and W should have the same dtype as X. Got {value.dtype} in {name}, X is {dtype}."
        )


class BaseNMF(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):  # fmt: skip
    """See `NMF`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None, StrOptions({"auto"})],
        "init": [StrOptions({"random", "nndsvd", "nndsvda", "nndsvdar", "custom"}), None],
        "beta_loss": [StrOptions(set(BETAS)), Real],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "alpha_W": [Interval(Real, 0, None, closed="left")],
        "alpha_H": [Interval(Real, 0, None, closed="left"), StrOptions({"same"})],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "verbose": ["verbose"],
    }

    def _begin(self, X: Any) -> None:
        """Set what depends on the parameters and the shape of X."""
        self._n_components = X.shape[1] if self.n_components is None else self.n_components
        beta = self.beta_loss
        self._beta_loss: float = BETAS[beta] if isinstance(beta, str) else beta
        low, high = EXPONENTS
        if not low <= self._beta_loss <= high:
            raise ValueError(
                f"beta_loss must be within {low:g} and {high:g}, found {self._beta_loss:g}"
            )
        if self._beta_loss <= 0 and X.min() == 0:
            raise ValueError(
                "When beta_loss <= 0 and X contains zeros, the solver may diverge. Please add "
                "small values to X, or use a positive beta_loss."
            )

    def _begin_at(self, X: Any, W: Any, H: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients and components to start from."""
        if self.init == "custom":
            (n, p), k = X.shape, self._n_components
            check_factor("NMF (input H)", H, (k, p), X.dtype)
            check_factor("NMF (input W)", W, (n, k), X.dtype)
            if np.shape(W)[1] != len(H):
                raise ValueError(
                    f"Array with wrong second dimension passed to NMF (input W). "
                    f"Expected {len(H)}, as many as H has rows, but got {np.shape(W)[1]}."
                )
            self._n_components = len(H)
            for name, F in (("H", H), ("W", W)):
                if not np.any(F):
                    raise ValueError(f"Array passed to NMF (input {name}) is full of zeros.")
            return np.array(W), np.array(H)  # copies: what is given is never written to
        if W is not None or H is not None:
            warnings.warn(
                "When init!='custom', provided W or H are ignored. Set init='custom' to use them "
                "as initialization.",
                RuntimeWarning,
                stacklevel=5,
            )
        check_non_negative(X, "NMF initialization")
        if self._n_components == "auto":
            self._n_components = X.shape[1]
        return start(X, self._n_components, self.init, self.random_state)

    def _weights(self, X: Any) -> tuple[Weights, Weights]:
        """Return the penalties on W and H; scikit-learn scales them by the sizes of X."""
        n, p = X.shape
        alpha_H = self.alpha_W if self.alpha_H == "same" else self.alpha_H
        l1, l2 = self.l1_ratio, 1.0 - self.l1_ratio
        return (
            Weights(p * self.alpha_W * l1, p * self.alpha_W * l2),
            Weights(n * alpha_H * l1, n * alpha_H * l2),
        )

    def _encode(
        self, X: Any, H: np.ndarray, max_iter: int, exact: bool = True
    ) -> tuple[np.ndarray, int]:
        """Return the coefficients of X for these components, and the iterations it took."""
        problem = Problem(X, self._beta_loss, self._weights(X)[0], NONE)
        return encoded(problem, H.astype(X.dtype, copy=False), max_iter, self.tol, exact)

    def _end(self, W: np.ndarray, H: np.ndarray, n_iter: int, divergence: float) -> np.ndarray:
        """Set what `fit` found; return the coefficients."""
        self.reconstruction_err_ = math.sqrt(2 * max(divergence, 0.0))
        self.components_, self.n_components_, self.n_iter_ = H, len(H), n_iter
        return W

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Learn the components of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.
        y : Ignored
        **params : W and H, see `fit_transform`.

        Returns
        -------
        self
        """
        self.fit_transform(X, **params)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the coefficients of samples for the components learnt.

        Those of the squared error are found to working precision whatever `tol` and `max_iter`;
        others go down by multiplicative updates.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.

        Returns
        -------
        W : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_non_negative=True, **READ)
        limit = self._transform_limit()
        W, n_iter = self._encode(X, self.components_, limit)
        if self._beta_loss != 2:
            warn_of_end(n_iter, limit, self.tol)
        return W

    def _transform_limit(self) -> int:
        """Return the limit of the iterations of `transform`."""
        return self.max_iter

    def inverse_transform(self, X: Any) -> Any:
        """Return the samples that coefficients stand for, X @ components_.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Of a pandas frame a frame with its index.
        """
        check_is_fitted(self)
        return X @ self.components_

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
