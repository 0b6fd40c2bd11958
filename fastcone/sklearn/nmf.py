# SPDX-License-Identifier: BSD-3-Clause
"""`sklearn.decomposition.NMF` and `non_negative_factorization`, by `fastcone.nmf`."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_non_negative, validate_data

from fastcone.sklearn.base import READ, BaseNMF, check_factor
from fastcone.sklearn.descent import Ending, Problem, factorised, warn_of_end, zeros_kept
from fastcone.sklearn.installed import Iterations, with_callbacks
from fastcone.sklearn.starts import proportionate


class NMF(BaseNMF):
    """Non-negative matrix factorisation, a drop-in for `sklearn.decomposition.NMF`.

    ::

        minimise  D(X, W H) + n_features alpha_W (l1_ratio |W|_1 + (1 - l1_ratio)/2 |W|_F^2)
                            + n_samples  alpha_H (l1_ratio |H|_1 + (1 - l1_ratio)/2 |H|_F^2)

    over W, H >= 0, with D the squared error (1/2 ||X - WH||_F^2) or another beta-divergence.
    Samples are rows and the letters are scikit-learn's: W holds coefficients, H components. The
    starts, too, are scikit-learn's, drawn alike from `random_state`. docs/sklearn.md lists the
    differences.

    Parameters
    ----------
    n_components : int, "auto" or None, default="auto"
        "auto": as many as a custom start has, else, and for None, n_features.
    init : {None, "random", "nndsvd", "nndsvda", "nndsvdar", "custom"}
        None: nndsvda where n_components <= min(n_samples, n_features), else random. custom: W and
        H given to `fit_transform`.
    solver : {"cd", "mu"}, default="cd"
        Coordinate descent (squared error only) or multiplicative updates.
    beta_loss : float or {"frobenius", "kullback-leibler", "itakura-saito"}
        Exponent of the divergence, -4 to 6, or its name; below or at 0 X may hold no zeros.
    tol : float, default=1e-4
        When `fit` ends, see docs/sklearn.md; 0: after `max_iter` iterations.
    max_iter : int, default=200
    random_state : int, RandomState or None
    alpha_W : float, default=0.0
    alpha_H : float or "same", default="same"
    l1_ratio : float, default=0.0
    verbose : int, default=0
        Print the objective after each iteration.
    shuffle : bool, default=False
        Accepted and not used: coordinates go in their order.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
    n_components_ : int
    reconstruction_err_ : float
        sqrt(2 D(X, W H)): for the squared error the norm of the residual.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.sklearn import NMF
    >>> X = np.array([[1, 1], [2, 1], [3, 1.2], [4, 1], [5, 0.8], [6, 1]])
    >>> model = NMF(n_components=2, init="random", random_state=0)
    >>> W = model.fit_transform(X)
    >>> bool(np.allclose(W @ model.components_, X, atol=0.01))
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseNMF._parameter_constraints,
        "solver": [StrOptions({"mu", "cd"})],
        "shuffle": ["boolean"],
    }

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        init: str | None = None,
        solver: str = "cd",
        beta_loss: str | float = "frobenius",
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        verbose: int = 0,
        shuffle: bool = False,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.solver = solver
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.verbose = verbose
        self.shuffle = shuffle

    def _begin(self, X: Any) -> None:
        if self.solver != "mu" and self.beta_loss not in (2, "frobenius"):
            raise ValueError(
                f"Invalid beta_loss parameter: solver {self.solver!r} does not handle beta_loss = "
                f"{self.beta_loss!r}"
            )
        super()._begin(X)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> np.ndarray:
        """Learn the components of X and return its coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative samples as rows.
        y : Ignored
        W : array-like of shape (n_samples, n_components), optional
        H : array-like of shape (n_components, n_features), optional
            Where to start, with init="custom". Under solver="mu" their zeros stay zeros.

        Returns
        -------
        W : ndarray of shape (n_samples, n_components)
        """
        X = validate_data(self, X, **READ)
        tasks = Iterations(self, X, y, self.max_iter)
        found = self._factorise(X, W, H, tasks)
        W = self._end(*found)
        tasks.close()
        return W

    def _factorise(
        self, X: Any, W: Any, H: Any, tasks: Iterations | None = None
    ) -> tuple[np.ndarray, np.ndarray, int, float]:
        """Return W, H, the number of iterations and the divergence."""
        self._begin(X)
        W, H = self._begin_at(X, W, H)
        check_non_negative(X, "NMF (input X)")
        problem = Problem(X, self._beta_loss, *self._weights(X))
        if not X.max() > 0:
            return np.zeros_like(W), np.zeros_like(H), 1, 0.0
        W = proportionate(X, W, H)
        at_start = problem.objective(W, H) if self.solver == "mu" else math.nan
        ending = Ending(self.solver, self.tol, at_start, self.verbose)
        if tasks is not None:
            ending.tell = tasks.ended
        if self.solver == "mu" and self.init == "custom" and not (W.all() and H.all()):
            found = zeros_kept(problem, W, H, ending, self.max_iter)
        else:
            found = factorised(problem, W, H, ending, self.max_iter, True)
        warn_of_end(found[2], self.max_iter, self.tol)
        return found


def non_negative_factorization(
    X: Any,
    W: Any = None,
    H: Any = None,
    n_components: Any = "auto",
    *,
    init: str | None = None,
    update_H: bool = True,
    solver: str = "cd",
    beta_loss: str | float = "frobenius",
    tol: float = 1e-4,
    max_iter: int = 200,
    alpha_W: float = 0.0,
    alpha_H: float | str = "same",
    l1_ratio: float = 0.0,
    random_state: Any = None,
    verbose: int = 0,
    shuffle: bool = False,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Factorise X ~ W H, a drop-in for `sklearn.decomposition.non_negative_factorization`.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Non-negative samples as rows.
    W : array-like of shape (n_samples, n_components), optional
    H : array-like of shape (n_components, n_features), optional
        Where to start, with init="custom"; with update_H=False the components, which are kept.
    update_H : bool, default=True
        False: return the coefficients for `H`, as `NMF.transform` does.
    n_components, init, solver, beta_loss, tol, max_iter, alpha_W, alpha_H, l1_ratio : optional
    random_state, verbose, shuffle : optional
        As of `NMF`.

    Returns
    -------
    W : ndarray of shape (n_samples, n_components)
    H : ndarray of shape (n_components, n_features)
    n_iter : int

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.sklearn import non_negative_factorization
    >>> X = np.array([[1, 1], [2, 1], [3, 1.2], [4, 1], [5, 0.8], [6, 1]])
    >>> W, H, n_iter = non_negative_factorization(X, n_components=2, random_state=0)
    >>> bool(np.allclose(W @ H, X, atol=0.01))
    True
    """
    model = NMF(
        n_components, init=init, solver=solver, beta_loss=beta_loss, tol=tol, max_iter=max_iter,
        random_state=random_state, alpha_W=alpha_W, alpha_H=alpha_H, l1_ratio=l1_ratio,
        verbose=verbose, shuffle=shuffle,
    )  # fmt: skip
    model._validate_params()
    if not isinstance(update_H, bool | np.bool_):
        raise TypeError(f"update_H must be True or False, found {update_H!r}")
    X = check_array(X, **READ)
    if update_H:
        return model._factorise(X, W, H)[:3]
    if W is not None:
        warnings.warn(
            "When update_H=False, the provided initial W is not used.", RuntimeWarning, stacklevel=2
        )
    model._begin(X)
    check_non_negative(X, "NMF (input X)")
    check_factor("NMF (input H)", H, (model._n_components, X.shape[1]), X.dtype)
    H = np.asarray(H)
    W, n_iter = model._encode(X, H, max_iter)
    if model._beta_loss != 2:
        warn_of_end(n_iter, max_iter, tol)
    return W, H, n_iter
