# SPDX-License-Identifier: BSD-3-Clause
"""The operators: masks, blurs, larger pixels, measurements, and one after the other."""

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

from fastcone._runtime.validation import (
    LARGEST,
    axes,
    boolean_array,
    check_shape,
    choice,
    flag,
    generator,
    integer,
    real_array,
    shown,
)
from fastcone.operators.base import Operator
from fastcone.operators.stencils import (
    block_mean_matrix,
    convolution_matrix,
    interpolation_matrix,
)


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
        rows = scipy.sparse.csr_array(
            (np.ones(index.size), (np.arange(index.size), index)), shape=(index.size, mask.size)
        )
        super().__init__(rows, mask.shape, index.shape)

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
        shape = _shape("shape", shape)
        ndim = len(shape)
        taps = real_array("kernel", kernel, ndim=(ndim,), dtype=np.float64, min_size=1)
        if any(length % 2 == 0 for length in taps.shape):
            raise ValueError(f"kernel must have odd lengths, found shape {taps.shape}")
        self._boundary = choice("boundary", boundary, ("reflect", "zero"))
        self._kernel_shape = taps.shape
        super().__init__(convolution_matrix(shape, taps, self._boundary), shape, shape)

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
        shape = _shape("shape", shape)
        ndim = len(shape)
        factors: Any = (factor,) * ndim if axes("factor", factor) == 0 else factor
        self._factor = _shape("factor", factors)
        if len(self._factor) != ndim:
            raise ValueError(f"factor must have {ndim} entries, found {self._factor}")
        lengths = [divmod(n, f) for n, f in zip(shape, self._factor, strict=True)]
        if any(rest for _, rest in lengths):
            raise ValueError(f"factor must divide shape {shape}, found {self._factor}")
        blocks = tuple(count for count, _ in lengths)
        super().__init__(block_mean_matrix(blocks, self._factor), shape, blocks)

    def __repr__(self) -> str:
        return f"Downsample(shape={self.shape_in}, factor={self._factor})"


class Warp(Operator):
    """Move each image: what was at ``x`` is seen at ``matrix (x - c) + c + offset``, c the centre.

    Turned, sheared, stretched, or shifted by parts of a pixel; a spectrum whose axis is off.
    Between pixels the image is read by linear interpolation. Its `forward` makes a copy for
    `fastcone.tasks.augment`.

    Parameters
    ----------
    shape : sequence of int
        Shape of one image, any number of axes.
    matrix : array_like of float, shape (d, d)
        For the d axes of `shape`, invertible; the identity moves nothing.
    offset : float or array_like of float, shape (d,)
        In pixels.
    boundary : {'reflect', 'zero'}
        What lies outside the image, as for `Blur`.

    Raises
    ------
    ValueError, TypeError
        A size below 1, a matrix of another shape or without inverse, an unknown boundary.

    Examples
    --------
    >>> from fastcone.operators import Warp
    >>> Warp((4,), [[1.0]], offset=1, boundary="zero").forward([1.0, 2.0, 3.0, 4.0])
    array([0., 1., 2., 3.])
    >>> Warp((2, 2), [[0.0, -1.0], [1.0, 0.0]]).forward([1.0, 2.0, 3.0, 4.0])  # a quarter turn
    array([2., 4., 1., 3.])
    """

    def __init__(
        self,
        shape: Sequence[int],
        matrix: npt.ArrayLike,
        offset: npt.ArrayLike = 0.0,
        boundary: str = "reflect",
    ) -> None:
        shape = _shape("shape", shape)
        d = len(shape)
        M = real_array("matrix", matrix, ndim=(2,), dtype=np.float64)
        check_shape("matrix", M, (d, d))
        if not np.linalg.cond(M) < 1e6:
            raise ValueError(f"matrix must have an inverse, found {M.tolist()}")
        move = real_array("offset", offset, ndim=(0, 1), dtype=np.float64)
        if move.ndim:
            check_shape("offset", move, (d,))
        self._boundary = choice("boundary", boundary, ("reflect", "zero"))
        centre = (np.array(shape)[:, None] - 1) / 2
        seen = np.indices(shape).reshape(d, -1) - centre - move.reshape(-1, 1)
        places = np.round(np.linalg.solve(M, seen) + centre, 12)  # a whole pixel stays one
        super().__init__(interpolation_matrix(shape, places, self._boundary), shape, shape)

    def __repr__(self) -> str:
        return f"Warp(shape={self.shape_in}, boundary={self._boundary!r})"


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
        super().__init__(M, M.shape[1:], M.shape[:1])

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
        rows = integer("n_measurements", n_measurements, minimum=1, maximum=LARGEST)
        columns = integer("size", size, minimum=1, maximum=LARGEST)
        nonnegative = flag("nonnegative", nonnegative)
        draws = generator(random_state).normal(size=(rows, columns)) / math.sqrt(rows)
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
        matrix = functools.reduce(operator.matmul, (part._matrix for part in parts))
        super().__init__(matrix, parts[-1].shape_in, parts[0].shape_out)

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self._parts))})"


def _shape(name: str, value: Sequence[int]) -> tuple[int, ...]:
    try:
        lengths = tuple(operator.index(length) for length in value)
    except TypeError as error:
        raise TypeError(f"{name} must be a sequence of integers, found {shown(value)}") from error
    if not lengths or min(lengths) < 1:
        raise ValueError(f"{name} must have integers >= 1, found {lengths}")
    if math.prod(lengths) > LARGEST:
        raise ValueError(f"{name} has more than {LARGEST:.0e} entries, found {shown(value)}")
    return lengths
