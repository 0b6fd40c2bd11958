# SPDX-License-Identifier: BSD-3-Clause
"""What an operator is, and what can serve as one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from fastcone._runtime.scaling import may_underflow
from fastcone._runtime.validation import real_array, sparse_array

Array = npt.NDArray[Any]


class Operator(LinearOperator):  # type: ignore[misc]
    """A linear map ``A``, the base of every operator here, and one of scipy's `LinearOperator`.

    Wherever fastcone takes an operator it also takes a matrix, dense or sparse, or any
    `LinearOperator`: of scipy, of pylops, or a product ``A @ B``.

    Attributes
    ----------
    shape_in, shape_out : tuple of int
        Shape of one signal and of its data; rows are flattened in C order.
    size_in, size_out : int
        Entries of one signal and of its data, so ``A`` is (`size_out`, `size_in`).
    nonnegative : bool
        True if non-negative signals give non-negative data, that is if ``A >= 0``.

    Raises
    ------
    ValueError, TypeError
        From each method: not a finite real array of the shape it wants.

    Examples
    --------
    >>> from fastcone.operators import Mask
    >>> A = Mask([True, False, True])
    >>> A.forward([1.0, 2.0, 3.0]), A.adjoint([1.0, 3.0])
    (array([1., 3.]), array([1., 0., 3.]))
    >>> A.apply_to([[1.0], [2.0], [3.0]])
    array([[1.],
           [3.]])
    """

    _matrix: Any  # (size_out, size_in), dense or sparse, float64

    def __init__(self, matrix: Any, shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> None:
        super().__init__(np.dtype(np.float64), matrix.shape)
        self._matrix, self.shape_in, self.shape_out = matrix, shape_in, shape_out

    def _matmat(self, X: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self._matrix @ X)

    def _rmatmat(self, X: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self._matrix.T @ X)

    @property
    def nonnegative(self) -> bool:
        """Whether non-negative signals give non-negative data."""
        return bool(self._matrix.min() >= 0)

    @property
    def size_in(self) -> int:
        """Entries of one signal."""
        return math.prod(self.shape_in)

    @property
    def size_out(self) -> int:
        """Entries of the data of one signal."""
        return math.prod(self.shape_out)

    @may_underflow
    def forward(self, V: npt.ArrayLike) -> Array:
        """Return the data ``A v`` of each signal, float32 for float32 input, float64 otherwise.

        Parameters
        ----------
        V : array_like, shape (N, size_in) or (size_in,)
            Signals as rows.
        """
        V = _rows("V", V, self.size_in)
        data = self._matmat(np.atleast_2d(V).T).T
        return data.reshape(*V.shape[:-1], self.size_out).astype(V.dtype, copy=False)

    @may_underflow
    def adjoint(self, U: npt.ArrayLike | None = None) -> Any:
        """Return ``A' u`` of each data row: ``<forward(v), u> = <v, adjoint(u)>``.

        Parameters
        ----------
        U : array_like, shape (N, size_out) or (size_out,), optional
            Data as rows. Without them, ``A'`` itself, as a `LinearOperator`.
        """
        if U is None:
            return super().adjoint()
        U = _rows("U", U, self.size_out)
        signals = self._rmatmat(np.atleast_2d(U).T).T
        return signals.reshape(*U.shape[:-1], self.size_in).astype(U.dtype, copy=False)

    @may_underflow
    def apply_to(self, W: npt.ArrayLike) -> Array:
        """Return ``A W``, the dictionary as this operator sees it: ``forward(W.T).T``.

        Parameters
        ----------
        W : array_like, shape (size_in, d)
            Generators as columns.
        """
        W = real_array("W", W, ndim=(2,))
        if W.shape[0] != self.size_in:
            raise ValueError(f"W must have {self.size_in} rows, found shape {W.shape}")
        return self.forward(W.T).T


class _Foreign(Operator):
    """A `LinearOperator` of another library, seen through its products alone."""

    def __init__(self, linear: LinearOperator) -> None:
        LinearOperator.__init__(self, np.dtype(np.float64), linear.shape)
        self._linear = linear
        self.shape_out, self.shape_in = (linear.shape[0],), (linear.shape[1],)

    @property
    def nonnegative(self) -> bool:
        """Not known."""
        return False

    def _matmat(self, X: Array) -> Array:
        return np.asarray(self._linear.matmat(X), dtype=np.float64)

    def _rmatmat(self, X: Array) -> Array:
        return np.asarray(self._linear.rmatmat(X), dtype=np.float64)


def as_operator(name: str, value: Any) -> Operator:
    """Return an operator, a matrix or any `LinearOperator` as an `Operator`."""
    if isinstance(value, Operator):
        return value
    if isinstance(value, LinearOperator):
        if np.dtype(value.dtype or np.float64).kind == "c":
            raise TypeError(f"{name} must be real, found an operator of dtype {value.dtype}")
        return _Foreign(value)
    matrix: Any
    if scipy.sparse.issparse(value):
        matrix = scipy.sparse.csr_array(sparse_array(name, value).astype(np.float64))
    elif isinstance(value, np.ndarray) and value.ndim == 2:
        matrix = real_array(name, value, ndim=(2,), min_size=1).astype(np.float64)
    else:
        raise TypeError(
            f"{name} must be an operator, a 2-D array, a sparse matrix or a LinearOperator, "
            f"found {type(value).__name__}"
        )
    return Operator(matrix, matrix.shape[1:], matrix.shape[:1])


def _rows(name: str, value: npt.ArrayLike, size: int) -> Array:
    rows = real_array(name, value, ndim=(1, 2), order="C")  # one order, one sum
    if rows.shape[-1] != size:
        raise ValueError(f"{name} must have {size} entries per row, found shape {rows.shape}")
    return rows
