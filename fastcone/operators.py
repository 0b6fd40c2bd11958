# SPDX-License-Identifier: BSD-3-Clause
"""Forward operators: how a signal became the data that were measured.

Every operator is a linear map ``y = A u`` from a signal ``u`` of `size_in` entries to data ``y`` of
`size_out` entries. A dictionary ``W`` seen through it is ``A W`` (`Operator.apply_to`), so one cone
serves every inverse problem:

    h* = argmin_{h >= 0} ||A W h - v||,        u* = W h*.

Signals and data are rows (one sample per row), images are flattened in C order. An operator with
negative entries is allowed: the problem in ``h`` stays a non-negative least squares problem, only
the generators ``A W`` have signs (semi-NNLS). Operators never change after they are built.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from fastcone._runtime.validation import choice, integer, real_array
from fastcone._stencils import block_mean_matrix, convolution_matrix

__all__ = ["Blur", "Compose", "Dense", "Downsample", "Mask", "Operator", "Sensing"]

Array = npt.NDArray[Any]


class Operator:
    """A linear map ``A``, the base of every operator here; for one of your own use `Dense`.

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

    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    _matrix: Any  # (size_out, size_in), dense or sparse, float64

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

    def forward(self, V: npt.ArrayLike) -> Array:
        """Return the data ``A v`` of each signal, float32 for float32 input, float64 otherwise.

        Parameters
        ----------
        V : array_like, shape (N, size_in) or (size_in,)
            Signals as rows.
        """
        V = _rows("V", V, self.size_in)
        return np.asarray((self._matrix @ V.T).T).astype(V.dtype, copy=False)

    def adjoint(self, U: npt.ArrayLike) -> Array:
        """Return ``A' u`` of each data row: ``<forward(v), u> = <v, adjoint(u)>``.

        Parameters
        ----------
        U : array_like, shape (N, size_out) or (size_out,)
            Data as rows.
        """
        U = _rows("U", U, self.size_out)
        return np.asarray((self._matrix.T @ U.T).T).astype(U.dtype, copy=False)

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


class Mask(Operator):
    """Keep the known entries and drop the others: ``y = u[known]``.

    Parameters
    ----------
    known : array_like of bool, any shape
        True where the entry was observed; its shape is `shape_in`.

    Raises
    ------
    ValueError, TypeError
        `known` is not boolean or has no True entry.

    Examples
    --------
    >>> from fastcone.operators import Mask
    >>> Mask([[True, False], [True, True]])
    Mask(shape=(2, 2), known=3)
    """

    def __init__(self, known: npt.ArrayLike) -> None:
        mask = boolean_array("known", known)
        index = np.flatnonzero(mask)
        if not index.size:
            raise ValueError("known must have at least one True entry, found none")
        self.shape_in, self.shape_out = mask.shape, index.shape
        self._matrix = scipy.sparse.csr_array(
            (np.ones(index.size), (np.arange(index.size), index)), shape=(index.size, mask.size)
        )

    def __repr__(self) -> str:
        return f"Mask(shape={self.shape_in}, known={self.size_out})"


class Blur(Operator):
    """Convolve each image with a kernel: ``y_i = sum_k kernel_k u_{i-k}``, centred.

    Parameters
    ----------
    shape : sequence of int
        Shape of one image, any number of axes.
    kernel : array_like of float
        As many axes as `shape`, an odd number of entries along each.
    boundary : {'reflect', 'zero'}
        What lies outside the image: its mirror image with the edge repeated (d c b a | a b c d),
        or zeros. The same as ``scipy.ndimage.convolve`` with mode 'reflect' or 'constant'.

    Raises
    ------
    ValueError, TypeError
        A size below 1, a kernel with another number of axes or an even length, an unknown boundary.

    Examples
    --------
    >>> from fastcone.operators import Blur
    >>> box = Blur((4,), [1 / 3, 1 / 3, 1 / 3])
    >>> box
    Blur(shape=(4,), kernel=(3,), boundary='reflect')
    >>> box.forward([3.0, 0.0, 0.0, 6.0])
    array([2., 1., 2., 4.])
    """

    def __init__(
        self, shape: Sequence[int], kernel: npt.ArrayLike, boundary: str = "reflect"
    ) -> None:
        self.shape_in = self.shape_out = _shape("shape", shape)
        ndim = len(self.shape_in)
        taps = real_array("kernel", kernel, ndim=(ndim,), dtype=np.float64, min_size=1)
        if any(length % 2 == 0 for length in taps.shape):
            raise ValueError(f"kernel must have odd lengths, found shape {taps.shape}")
        self._boundary = choice("boundary", boundary, ("reflect", "zero"))
        self._kernel_shape = taps.shape
        self._matrix = convolution_matrix(self.shape_in, taps, self._boundary)

    def __repr__(self) -> str:
        return (
            f"Blur(shape={self.shape_in}, kernel={self._kernel_shape}, boundary={self._boundary!r})"
        )


class Downsample(Operator):
    """Replace each block of pixels by its mean, as a camera with larger pixels would.

    Parameters
    ----------
    shape : sequence of int
        Shape of one image, any number of axes.
    factor : int or sequence of int
        Length of a block, one for all axes or one per axis; it must divide the image's length.

    Raises
    ------
    ValueError, TypeError
        A size or factor below 1, or a factor that does not divide the length.

    Examples
    --------
    >>> from fastcone.operators import Downsample
    >>> Downsample((28, 28), 2)
    Downsample(shape=(28, 28), factor=(2, 2))
    >>> Downsample((4,), 2).forward([1.0, 3.0, 5.0, 9.0])
    array([2., 7.])
    """

    def __init__(self, shape: Sequence[int], factor: int | Sequence[int]) -> None:
        self.shape_in = _shape("shape", shape)
        ndim = len(self.shape_in)
        factors: Any = (factor,) * ndim if np.ndim(factor) == 0 else factor
        self._factor = _shape("factor", factors)
        if len(self._factor) != ndim:
            raise ValueError(f"factor must have {ndim} entries, found {self._factor}")
        lengths = [divmod(n, f) for n, f in zip(self.shape_in, self._factor, strict=True)]
        if any(rest for _, rest in lengths):
            raise ValueError(f"factor must divide shape {self.shape_in}, found {self._factor}")
        self.shape_out = tuple(blocks for blocks, _ in lengths)
        self._matrix = block_mean_matrix(self.shape_out, self._factor)

    def __repr__(self) -> str:
        return f"Downsample(shape={self.shape_in}, factor={self._factor})"


class Dense(Operator):
    """Any matrix as an operator: ``y = M u``.

    Parameters
    ----------
    matrix : array_like of float, shape (size_out, size_in)
        Copied. Entries may be negative.

    Raises
    ------
    ValueError, TypeError
        Not a finite real matrix, or an empty one.

    Examples
    --------
    >>> from fastcone.operators import Dense
    >>> grey = Dense([[0.3, 0.6, 0.1]])
    >>> grey, grey.nonnegative
    (Dense(shape=(1, 3)), True)
    >>> grey.forward([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    array([[1. ],
           [0.1]])
    """

    def __init__(self, matrix: npt.ArrayLike) -> None:
        M = np.array(real_array("matrix", matrix, ndim=(2,), min_size=1), np.float64, order="C")
        self._matrix = M
        self.shape_out, self.shape_in = (M.shape[0],), (M.shape[1],)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self._matrix.shape})"


class Sensing(Dense):
    """A measurement matrix of compressed sensing: each measurement weighs all entries.

    Parameters
    ----------
    matrix : array_like of float, shape (n_measurements, size_in)
        Copied. `Sensing.random` draws one.

    Raises
    ------
    ValueError, TypeError
        Not a finite real matrix, or an empty one.

    References
    ----------
    Candes and Tao, IEEE Transactions on Information Theory 52 (2006).

    Examples
    --------
    >>> from fastcone.operators import Sensing
    >>> Sensing.random(50, 784, random_state=0)
    Sensing(shape=(50, 784))
    """

    @classmethod
    def random(
        cls,
        n_measurements: int,
        size: int,
        *,
        nonnegative: bool = False,
        random_state: int | np.random.Generator | None = None,
    ) -> Sensing:
        """Draw independent normal entries of variance ``1 / n_measurements``.

        The squared norm of a signal is kept on average: ``E ||A u||^2 = ||u||^2`` (with signs).

        Parameters
        ----------
        n_measurements, size : int
            Rows and columns of the matrix.
        nonnegative : bool
            Take the absolute values of the draws, for detectors that can only add light.
        random_state : int, Generator or None
            Seed or generator, as for ``numpy.random.default_rng``.

        Examples
        --------
        See `Sensing`.
        """
        rows = integer("n_measurements", n_measurements, minimum=1)
        columns = integer("size", size, minimum=1)
        draws = np.random.default_rng(random_state).normal(size=(rows, columns)) / math.sqrt(rows)
        return cls(np.abs(draws) if nonnegative else draws)


class Compose(Operator):
    """Operators one after the other, the last one first: ``y = outer(inner(... u))``.

    Parameters
    ----------
    outer, *inner : Operator
        In the order in which their matrices are multiplied.

    Raises
    ------
    ValueError, TypeError
        A part is not an operator, or two neighbours do not fit.

    Examples
    --------
    >>> from fastcone.operators import Blur, Compose, Downsample
    >>> both = Compose(Downsample((4,), 2), Blur((4,), [0.25, 0.5, 0.25]))
    >>> both.forward([0.0, 4.0, 0.0, 0.0])
    array([1.5, 0.5])
    """

    def __init__(self, outer: Operator, *inner: Operator) -> None:
        parts = (outer, *inner)
        for part in parts:
            if not isinstance(part, Operator):
                raise TypeError(f"inner and outer must be operators, found {type(part).__name__}")
        for left, right in itertools.pairwise(parts):
            if left.size_in != right.size_out:
                raise ValueError(
                    f"inner must give the {left.size_in} entries that {left!r} takes, "
                    f"found {right.size_out} from {right!r}"
                )
        self._parts = parts
        self.shape_in, self.shape_out = parts[-1].shape_in, parts[0].shape_out
        self._matrix = functools.reduce(operator.matmul, (part._matrix for part in parts))

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self._parts))})"


def boolean_array(name: str, value: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return `value` as a boolean array, or raise TypeError: no number stands for a truth."""
    array = np.asarray(value)
    if array.dtype != np.bool_ or isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} must be a plain boolean array, found {type(value).__name__} "
            f"of dtype {array.dtype}"
        )
    return array


def _rows(name: str, value: npt.ArrayLike, size: int) -> Array:
    rows = real_array(name, value, ndim=(1, 2))
    if rows.shape[-1] != size:
        raise ValueError(f"{name} must have {size} entries per row, found shape {rows.shape}")
    return rows


def _shape(name: str, value: Sequence[int]) -> tuple[int, ...]:
    try:
        lengths = tuple(operator.index(length) for length in value)
    except TypeError as error:
        raise TypeError(f"{name} must be a sequence of integers, found {value!r}") from error
    if not lengths or min(lengths) < 1:
        raise ValueError(f"{name} must have integers >= 1, found {lengths}")
    return lengths
