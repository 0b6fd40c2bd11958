# SPDX-License-Identifier: BSD-3-Clause
"""`sklearn.decomposition.SparseCoder`, whose positive lasso codes are solved exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn import decomposition
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from fastcone._nnls.api import solve_nnls

LASSO = ("lasso_cd", "lasso_lars")


class SparseCoder(decomposition.SparseCoder):
    """Sparse codes in a given dictionary, a drop-in for `sklearn.decomposition.SparseCoder`.

    With ``positive_code=True`` and ``transform_algorithm`` one of "lasso_cd" and "lasso_lars", each
    code is ::

        argmin_{c >= 0}  1/2 ||x - c D||_2^2 + transform_alpha |c|_1

    found to working precision, all samples at once, whatever `transform_max_iter`; float32 samples
    give float32 codes. Codes of either sign and the other algorithms are
    scikit-learn's own.

    Parameters
    ----------
    dictionary : ndarray of shape (n_components, n_features)
    transform_algorithm : str, default="omp"
    transform_n_nonzero_coefs : int or None, default=None
    transform_alpha : float or None, default=None
        Price of a unit of a code; None stands for 1.
    split_sign : bool, default=False
    n_jobs : int or None, default=None
        Threads; None: all that are there. Never changes a code.
    positive_code : bool, default=False
    transform_max_iter : int, default=1000

    Attributes
    ----------
    n_components_, n_features_in_, feature_names_in_ :
        As of scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.sklearn import SparseCoder
    >>> coder = SparseCoder(
    ...     np.eye(3), transform_algorithm="lasso_cd", transform_alpha=1.0, positive_code=True
    ... )
    >>> coder.transform(np.array([[3.0, 0.5, -2.0]]))
    array([[2., 0., 0.]])
    """

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the codes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components), with split_sign twice as wide
        """
        if self.transform_algorithm not in LASSO or not self.positive_code:
            return super().transform(X)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        D = check_array(self.dictionary, dtype=X.dtype, input_name="dictionary")
        if X.shape[1] != D.shape[1]:
            raise ValueError(
                f"Dictionary and X have different numbers of features: dictionary.shape: {D.shape} "
                f"X.shape: {X.shape}"
            )
        alpha = 1.0 if self.transform_alpha is None else self.transform_alpha
        threads = None if self.n_jobs is None else effective_n_jobs(self.n_jobs)
        code = np.ascontiguousarray(solve_nnls(D.T, X.T, l1=alpha, n_threads=threads).x.T)
        return np.hstack([code, np.zeros_like(code)]) if self.split_sign else code
