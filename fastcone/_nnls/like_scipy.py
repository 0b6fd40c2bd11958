# SPDX-License-Identifier: BSD-3-Clause
"""`nnls`: scipy's contract on the exact solver."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np

from fastcone._nnls.single import nnls_arrays, nnls_if_plain
from fastcone._runtime.config import version_of
from fastcone._runtime.scaling import F64
from fastcone._runtime.validation import check_finite, integer, real_array


def nnls(
    A: Any, b: Any, *older: Any, maxiter: int | None = None, atol: Any = None
) -> tuple[np.ndarray, float]:
    """Solve ``argmin_x ||A x - b||_2`` over x >= 0: scipy.optimize.nnls, to the letter.

    Parameters
    ----------
    A : array_like, (m, n)
        Coefficients; converted to float64.
    b : array_like, (m,) or (m, 1)
        Right-hand side.
    maxiter : int, optional
        Limit of the steps, 3 n by default.
    atol : float, optional
        Not used, as in scipy before 1.18; like positional arguments after b it warns, and is
        refused where the installed scipy refuses it.

    Returns
    -------
    x : ndarray, (n,)
        The solution.
    rnorm : float
        ||A x - b||_2 of the x returned.

    Raises
    ------
    ValueError
        NaN or infinity, A not 2-D, b not 1-D, or sizes that do not match.
    RuntimeError
        `maxiter` steps were not enough.
    OverflowError
        A coefficient is beyond the range of float64.

    Notes
    -----
    Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23, on columns scaled by powers of
    two. Rows may be of any size: see docs/nnls.md. Where the optimum is not unique the order of
    entry is scipy's: largest gradient first.

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> x, rnorm = fastcone.nnls(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), [2.0, 1.0, -1.0])
    >>> x, round(rnorm, 12)
    (array([1.5, 0. ]), 1.224744871392)
    """
    if maxiter is None and not older and atol is None:
        found = nnls_if_plain(A, b)
        if found is not None:
            return found
    if older or atol is not None:
        maxiter = _older_call(older, maxiter, atol)
    A, b = _plain("A", A), _plain("b", b)
    if A.ndim != 2:
        raise ValueError(f"A is {A.ndim}-D with shape {A.shape}. Expected a 2D array")
    if b.ndim == 2 and b.shape[1] == 1:
        b = b[:, 0]
    if b.ndim != 1:
        raise ValueError(f"b has shape {b.shape}. Expected a 1D array")
    m, n = A.shape
    if len(b) != m:
        raise ValueError(f"b has {len(b)} entries, want {m}: A has {m} rows")
    if m == 0 or n == 0:
        check_finite("b", b)
        with np.errstate(over="ignore", under="ignore"):
            return np.zeros(n), float(np.linalg.norm(b))
    if (A.strides[0] | A.strides[1]) % 8:  # a field of a packed struct
        A = A.copy()
    if b.strides[0] % 8:
        b = b.copy()
    if maxiter is not None:
        maxiter = integer("maxiter", maxiter, minimum=-sys.maxsize)
    x, rnorm, solved = nnls_arrays(A, b, min(maxiter or 3 * n, sys.maxsize))
    if not math.isfinite(rnorm):
        check_finite("A", A)
        check_finite("b", b)
        raise OverflowError("x is beyond the range of float64")
    if not solved:
        raise RuntimeError("Maximum number of iterations reached.")
    return x, rnorm


def _older_call(older: tuple[Any, ...], maxiter: int | None, atol: Any) -> int | None:
    """Return maxiter of a call as scipy took them until 1.17."""
    if tuple(int(part) for part in version_of("scipy").split(".")[:2]) >= (1, 18):
        raise TypeError("nnls takes A, b and maxiter=, found more positional arguments or atol")
    if len(older) > 2:
        raise TypeError(f"nnls takes A, b, maxiter and atol, found {len(older) + 2} arguments")
    if (older and maxiter is not None) or (len(older) > 1 and atol is not None):
        raise TypeError("nnls got multiple values for maxiter or atol")
    said = "positional maxiter and atol" if older else "atol"
    warnings.warn(
        f"nnls: {said} will go with scipy 1.18, want maxiter= and no atol",
        DeprecationWarning,
        stacklevel=3,
    )
    return older[0] if older else maxiter


def _plain(name: str, value: Any) -> np.ndarray:
    """Return a float64 array of any shape and strides, its finiteness not looked at."""
    if type(value) is np.ndarray and value.dtype == F64 and value.flags.aligned:
        return value
    return real_array(name, value, ndim=range(65), dtype=F64, finite=False)
