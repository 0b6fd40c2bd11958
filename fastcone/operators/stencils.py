# SPDX-License-Identifier: BSD-3-Clause
"""Sparse matrices of the operators on images, any number of axes, pixels in C order."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse


def convolution_matrix(
    shape: tuple[int, ...], kernel: npt.NDArray[np.float64], boundary: str
) -> Any:
    """Return the matrix of a centred convolution; see `fastcone.operators.Blur`.

    Row i holds the kernel, turned round, over the pixels that reach i; a pixel that reaches it
    twice, once as a mirror image, has its two weights summed. Outside a zero boundary: pixel -1.
    """
    size = math.prod(shape)
    pixels = np.arange(size).reshape(shape)
    width = [(length // 2,) * 2 for length in kernel.shape]
    if boundary == "reflect":
        padded = np.pad(pixels, width, mode="symmetric")
    else:
        padded = np.pad(pixels, width, constant_values=-1)
    source = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape).reshape(size, -1)
    weight = np.broadcast_to(np.flip(kernel).ravel(), source.shape)
    used = (source >= 0) & (weight != 0)
    return scipy.sparse.csr_array(
        (weight[used], (np.nonzero(used)[0], source[used])), shape=(size, size)
    )


def block_mean_matrix(blocks: tuple[int, ...], factor: tuple[int, ...]) -> Any:
    """Return the matrix of the means over blocks of pixels; see `fastcone.operators.Downsample`.

    Pixel j lies in block `block[j]`; its weight is 1 over the number of pixels in a block.
    """
    block = np.arange(math.prod(blocks)).reshape(blocks)
    for axis, f in enumerate(factor):
        block = np.repeat(block, f, axis=axis)
    weight = np.full(block.size, 1 / math.prod(factor))
    return scipy.sparse.csr_array(
        (weight, (block.ravel(), np.arange(block.size))), shape=(math.prod(blocks), block.size)
    )


def interpolation_matrix(
    shape: tuple[int, ...], places: npt.NDArray[np.float64], boundary: str
) -> Any:
    """Return the matrix that reads an image between its pixels; see `fastcone.operators.Warp`.

    Row i weighs the 2^d pixels around `places[:, i]` by how near they are along each axis.
    """
    size = math.prod(shape)
    lengths = np.array(shape)[:, None]
    base = np.floor(places).astype(np.int64)
    rows, columns, weights = [], [], []
    for corner in itertools.product((0, 1), repeat=len(shape)):
        step = np.array(corner)[:, None]
        pixel = base + step
        weight = np.where(step == 1, places - base, base + 1 - places).prod(axis=0)
        used = weight > 0
        if boundary == "reflect":
            pixel %= 2 * lengths
            pixel = np.minimum(pixel, 2 * lengths - 1 - pixel)
        else:
            used &= ((pixel >= 0) & (pixel < lengths)).all(axis=0)
        rows.append(np.flatnonzero(used))
        columns.append(np.ravel_multi_index(tuple(pixel[:, used]), shape))
        weights.append(weight[used])
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return scipy.sparse.csr_array(entries, shape=(size, size))
