# SPDX-License-Identifier: BSD-3-Clause
"""Cones as estimators: the class of the nearest cone, and what cones say of a sample."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from fastcone._runtime.rows import Loss, row_norms
from fastcone.cone.arguments import Options
from fastcone.cone.model import Cone
from fastcone.sklearn.base import READ

FEATURES = ("coefficients", "distances", "energies")
CONSTRAINTS: dict[str, Any] = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "l1": [Interval(Real, 0, None, closed="left")],
    "loss": [StrOptions({"l2", "l1"})],
    "tol": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


def norms(X: Any) -> np.ndarray:
    """Return the 2-norms of the rows of dense or sparse X."""
    if hasattr(X, "multiply"):
        return np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    return row_norms(X, "l2")


class Cones(BaseEstimator):
    """The parameters of training and projection that both estimators have."""

    def _train(self, X: Any, y: Any = None) -> None:
        """Set the cones: that of all samples, or that of each class."""
        check_non_negative(X, f"{type(self).__name__} (input X)")
        parts = [X]
        if y is not None:
            check_classification_targets(y)
            self.classes_ = np.unique(y)
            parts = [X[y == label] for label in self.classes_]
        options = {name: getattr(self, name) for name in ("tol", "max_iter", "random_state")}
        self.cones_ = [Cone.fit(part, self.n_components, **options) for part in parts]
        self.n_iter_ = max([1] + [cone.training.n_iter for cone in self.cones_ if cone.training])

    def _checked(self, X: Any) -> Any:
        """Return samples that may be projected."""
        check_is_fitted(self)
        return validate_data(self, X, reset=False, **READ)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags


class ConeClassifier(ClassifierMixin, Cones):
    """Gives each sample the class whose cone is nearest, a cone being trained for each class.

    ::

        label(v) = argmin_c D_c(v),      D_c(v) = min_{h >= 0} ||W_c h - v||

    A cone knows directions, not lengths: classes that differ in brightness alone are one to it.
    A class is added without training the others (`cones_`).

    Parameters
    ----------
    n_components : int, default=10
        Generators of each cone; fewer than the samples of a class and than the features.
    l1 : float, default=0.0
        Weight of the sum of the coefficients in the projection, as of `Cone.project`.
    loss : {"l2", "l1"}, default="l2"
        Norm of the projection; "l1" forgives few but gross errors.
    tol, max_iter, random_state : optional
        Of the training, as of `fastcone.nmf`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    cones_ : list of Cone
        One for each class, in the order of `classes_`.
    n_iter_ : int
        The most iterations that the training of a cone took.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.sklearn import ConeClassifier
    >>> X = np.array([[4.0, 1.0], [8.0, 1.0], [1.0, 5.0], [1.0, 9.0]])
    >>> ConeClassifier(1).fit(X, ["x", "x", "y", "y"]).predict([[3.0, 0.0], [0.0, 2.0]])
    array(['x', 'y'], dtype='<U1')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    def __init__(
        self,
        n_components: int = 10,
        *,
        l1: float = 0.0,
        loss: str = "l2",
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.l1 = l1
        self.loss = loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> ConeClassifier:
        """Train a cone for each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.
        y : array-like of shape (n_samples,)
            Their classes.

        Returns
        -------
        self
        """
        self._train(*validate_data(self, X, y, **READ))
        return self

    def distances(self, X: Any) -> np.ndarray:
        """Return the distance of each sample to each cone.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples as rows; entries may be negative.

        Returns
        -------
        D : ndarray of shape (n_samples, n_classes)
        """
        X = self._checked(X)
        each = [cone.distance(X, loss=cast(Loss, self.loss), l1=self.l1) for cone in self.cones_]
        return np.stack(each, axis=1)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return how near each cone is: less its distance; of two classes the difference.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Positive for the second of two classes.
        """
        near = -self.distances(X)
        return near[:, 1] - near[:, 0] if len(self.classes_) == 2 else near

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the nearest cone, the first one among equals.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        nearest = np.argmin(self.distances(X), axis=1)
        return self.classes_[nearest]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # on data that differ in length, not in direction
        return tags


class ConeTransformer(TransformerMixin, Cones):
    """What a cone, or the cone of each class, says of a sample, as features.

    ::

        coefficients   h = argmin_{h >= 0} ||W h - v||      n_components numbers for each cone
        distances      ||W h - v||                          one
        energies       ||W h||^2 / ||v||^2                  one, 0 for v = 0

    Parameters
    ----------
    n_components : int, default=10
        Generators of each cone.
    features : str or sequence of str, default="coefficients"
        One or more of "coefficients", "distances", "energies".
    by_class : bool, default=False
        Train a cone for each class of `y`, in place of one for all samples.
    l1, loss, tol, max_iter, random_state : optional
        As of `ConeClassifier`.

    Attributes
    ----------
    cones_ : list of Cone
    n_iter_ : int
    classes_ : ndarray
        The class of each cone, with by_class.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.sklearn import ConeTransformer
    >>> X = np.random.default_rng(0).random((50, 8))
    >>> model = ConeTransformer(3, features=("distances", "coefficients"), random_state=0)
    >>> model.fit_transform(X).shape
    (50, 4)
    >>> model.get_feature_names_out().tolist()
    ['coefficient0', 'coefficient1', 'coefficient2', 'distance']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "features": [StrOptions(set(FEATURES)), "array-like"],
        "by_class": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        features: Any = "coefficients",
        by_class: bool = False,
        l1: float = 0.0,
        loss: str = "l2",
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.features = features
        self.by_class = by_class
        self.l1 = l1
        self.loss = loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def _wanted(self) -> list[str]:
        given = [self.features] if isinstance(self.features, str) else list(self.features)
        unknown = [name for name in given if name not in FEATURES]
        if unknown or not given:
            raise ValueError(f"features must be one or more of {FEATURES}, found {self.features!r}")
        return [name for name in FEATURES if name in given]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> ConeTransformer:
        """Train the cone, or a cone for each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.
        y : array-like of shape (n_samples,), optional
            Their classes; not looked at without by_class.

        Returns
        -------
        self
        """
        self._wanted()
        if self.by_class:
            self._train(*validate_data(self, X, y, **READ))
        else:
            self._train(validate_data(self, X, **READ))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of samples, those of a cone side by side.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples as rows; entries may be negative.

        Returns
        -------
        F : ndarray of shape (n_samples, n_features_out)
        """
        X = self._checked(X)
        return np.hstack([self._features(X, cone) for cone in self.cones_])

    def _features(self, X: Any, cone: Cone) -> np.ndarray:
        wanted, options = self._wanted(), cast(Options, {"loss": self.loss, "l1": self.l1})
        if "distances" in wanted:
            found = cone.project(X, **options)
            coef, distance = found.coef, found.distance
        else:
            coef, distance = cone.encode(X, **options), None
        parts = [coef] if "coefficients" in wanted else []
        if distance is not None:
            parts.append(distance[:, None])
        if "energies" in wanted:
            W, whole = cone.W.astype(coef.dtype, copy=False), norms(X) ** 2
            explained = np.maximum(np.einsum("ij,ij->i", coef @ (W.T @ W), coef), 0)
            share = np.divide(explained, whole, out=np.zeros_like(explained), where=whole > 0)
            parts.append(share[:, None])
        return np.hstack(parts)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features: of which class, what, and which one.

        Parameters
        ----------
        input_features : Ignored

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = []
        for name in self._wanted():
            if name == "coefficients":
                names += [f"coefficient{j}" for j in range(self.cones_[0].W.shape[1])]
            else:
                names.append({"distances": "distance", "energies": "energy"}[name])
        cones = [f"{label}_" for label in self.classes_] if self.by_class else [""]
        return np.array([cone + name for cone in cones for name in names], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.by_class
        return tags
