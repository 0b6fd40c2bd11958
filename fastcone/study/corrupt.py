# SPDX-License-Identifier: BSD-3-Clause
"""How test images are spoilt. Images are rows in [0, 1]; nothing is written to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rng = np.random.Generator

SIGMA = 0.2
SHARE = 0.25
BLUR_NOISE = 0.01
WAVE_HEIGHT = 1 / 7


def gaussian(x: Array, rng: Rng) -> Array:
    """Add normal noise of standard deviation 0.2, and clip to [0, 1]."""
    return np.clip(x + SIGMA * rng.standard_normal(x.shape), 0, 1)


def salt_pepper(x: Array, rng: Rng) -> Array:
    """Set a quarter of the pixels to 0 or 1, either with equal chance."""
    hit = rng.random(x.shape) < SHARE
    return np.where(hit, rng.integers(0, 2, x.shape), x)


def wave_number(side: int) -> int:
    """Return how many waves of `periodic` cross an image: 5 on 28 pixels, at least 2.

    Examples
    --------
    >>> wave_number(28), wave_number(8)
    (5, 2)
    """
    return max(2, round(5 * side / 28))


def wave(shape: tuple[int, int], phase: Array) -> Array:
    """Return the diagonal wave of `periodic`, one row per phase, values in [0, 2/7].

    (1 + sin(2 pi k (i + j) / side + phase)) / 7
    """
    i, j = np.indices(shape)
    turns = wave_number(shape[0]) * i / shape[0] + wave_number(shape[1]) * j / shape[1]
    return np.asarray(WAVE_HEIGHT * (1 + np.sin(2 * np.pi * turns.ravel() + phase[:, None])))


def periodic(x: Array, shape: tuple[int, int], rng: Rng) -> Array:
    """Add the diagonal wave, at a random phase per image, and clip to [0, 1]."""
    return np.clip(x + wave(shape, rng.uniform(0, 2 * np.pi, len(x))), 0, 1)


def stripe(shape: tuple[int, int]) -> Array:
    """Return True for the known pixels when a horizontal stripe is missing (rows 11..16 of 28).

    Examples
    --------
    >>> known = stripe((28, 28)).reshape(28, 28)
    >>> np.flatnonzero(~known.all(axis=1))
    array([11, 12, 13, 14, 15, 16])
    """
    height = shape[0]
    first, last = round(11 * height / 28), round(17 * height / 28)
    known = np.ones(shape, bool)
    known[first:last] = False
    return known.ravel()


def box(shape: tuple[int, int]) -> Array:
    """Return the blurring kernel: the mean over 5 x 5 pixels of 28 x 28, 3 x 3 of small images."""
    width = 5 if min(shape) >= 20 else 3
    return np.full((width, width), 1 / width**2)


def read_noise(y: Array, rng: Rng) -> Array:
    """Add normal noise of standard deviation 0.01, and clip to [0, 1]."""
    return np.clip(y + BLUR_NOISE * rng.standard_normal(y.shape), 0, 1)
