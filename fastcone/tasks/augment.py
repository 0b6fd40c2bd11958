# SPDX-License-Identifier: BSD-3-Clause
"""Augmentation: more samples of a class by changes that keep it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fastcone._runtime.validation import choice, integer, real_array
from fastcone.tasks._restore import Array

Copy = Callable[[Array], npt.ArrayLike]


def augment(X: npt.ArrayLike, copies: Sequence[Copy]) -> Array:
    """Return samples and changed copies of each, the samples first, then copy after copy.

    Labels y of the samples become ``np.tile(y, 1 + len(copies))``.

    Parameters
    ----------
    X : array_like, shape (N, m)
        Samples as rows.
    copies : sequence of callable
        Each takes samples as rows, (N, m), and returns as many of as many entries, of the same
        class: `shifts` of images or spectra, ``operators.Blur(...).forward``, or any function of
        your own (a baseline added, a lamp turned down, a spectrum stretched). A flip changes a
        digit: whether a change keeps the class is for you to know.

    Returns
    -------
    ndarray, shape ((1 + len(copies)) N, m)
        In float32 for float32 `X`, in float64 otherwise.

    Raises
    ------
    ValueError, TypeError
        `X` is not an array of samples, or a copy is not callable or returns something else.

    Examples
    --------
    >>> from fastcone.tasks import augment, shifts
    >>> augment([[0.0, 5.0, 0.0]], shifts((3,)))
    array([[0., 5., 0.],
           [5., 0., 0.],
           [0., 0., 5.]])
    >>> augment([[1.0, 5.0]], [lambda X: X + 1])
    array([[1., 5.],
           [2., 6.]])
    """
    samples = real_array("X", X, ndim=(2,))
    check_copies(copies)
    return np.vstack([samples, *(copied(samples, copies, k) for k in range(len(copies)))])


def shifts(
    shape: Sequence[int],
    reach: int | Sequence[int] = 1,
    *,
    corners: bool = False,
    boundary: Literal["reflect", "zero"] = "reflect",
) -> list[Copy]:
    """Return functions that move samples by whole pixels: the copies of `augment`.

    Parameters
    ----------
    shape : sequence of int
        Shape of one sample: (28, 28) for an image, (m,) for a spectrum, (h, w, 3) for colours.
    reach : int or sequence of int
        How far along each axis, one for all or one per axis: (1, 1, 0) moves no colours.
    corners : bool
        Move along several axes at once too: 8 functions for an image and a reach of 1, not 4.
    boundary : {'reflect', 'zero'}
        What comes in from outside, as in `fastcone.operators.Blur`.

    Returns
    -------
    list of callable

    Raises
    ------
    ValueError, TypeError
        A size below 1, a negative reach or one for another number of axes.

    Examples
    --------
    >>> from fastcone.tasks import shifts
    >>> len(shifts((28, 28))), len(shifts((28, 28), corners=True)), len(shifts((100,), 2))
    (4, 8, 4)
    """
    if np.ndim(shape) == 0:
        raise TypeError(f"shape must be a sequence of integers, found {shape!r}")
    lengths = tuple(integer("shape", length, minimum=1) for length in shape)
    reaches = [reach] * len(lengths) if isinstance(reach, int | np.integer) else list(reach)
    reaches = [integer("reach", far, minimum=0) for far in reaches]
    if len(reaches) != len(lengths):
        raise ValueError(f"reach must have {len(lengths)} entries, found {len(reaches)}")
    choice("boundary", boundary, ("reflect", "zero"))
    moves = itertools.product(*(range(-far, far + 1) for far in reaches))
    return [
        _shift(lengths, move, boundary)
        for move in moves
        if any(move) and (corners or sum(map(bool, move)) == 1)
    ]


def _shift(lengths: tuple[int, ...], move: tuple[int, ...], boundary: str) -> Copy:
    width = [(0, 0), *((abs(step), abs(step)) for step in move)]
    kept = (
        slice(None),
        *(slice(abs(s) - s, abs(s) - s + n) for s, n in zip(move, lengths, strict=True)),
    )

    def shift(X: Array) -> Array:
        images = X.reshape(-1, *lengths)
        if boundary == "zero":
            return np.pad(images, width)[kept].reshape(X.shape)
        return np.pad(images, width, mode="symmetric")[kept].reshape(X.shape)

    return shift


def check_copies(copies: Sequence[Copy]) -> None:
    """Raise TypeError unless `copies` is a sequence of functions."""
    if not isinstance(copies, Sequence) or not all(map(callable, copies)):
        raise TypeError(f"copies must be a list of callables, found {copies!r}")


def copied(samples: Array, copies: Sequence[Copy], k: int) -> Array:
    """Return copy k of the samples, checked; the function gets an array of its own."""
    found = real_array(f"copies[{k}](X)", copies[k](samples.copy()), ndim=(2,))
    if found.shape != samples.shape:
        raise ValueError(
            f"copies[{k}] must return an array of shape {samples.shape}, found {found.shape}"
        )
    return found.astype(samples.dtype, copy=False)
