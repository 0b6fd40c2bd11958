# SPDX-License-Identifier: BSD-3-Clause
"""Patches: restorations of images that are larger than the cone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.validation import integer, real_array
from fastcone.tasks._restore import Array, Restoration

ENTRIES = 1 << 22  # of the patches that are restored at a time


def patches(
    image: npt.ArrayLike,
    shape: Sequence[int],
    n: int | None = None,
    *,
    step: int | Sequence[int] = 1,
    random_state: int | np.random.Generator | None = None,
) -> Array:
    """Return patches of an image as rows, to train a cone on.

    Parameters
    ----------
    image : array_like, any number of axes
        A photograph (h, w) or (h, w, 3), a volume, a spectrogram, a long signal (m,).
    shape : sequence of int
        Of a patch, one length for each axis of the image, such as (8, 8) or (8, 8, 3).
    n : int, optional
        Patches to draw at random places; without it all, `step` apart.
    step : int or sequence of int
        Distance of neighbouring patches, one for all axes or one per axis.
    random_state : int, Generator or None
        Seed or generator, as for ``numpy.random.default_rng``.

    Returns
    -------
    ndarray, shape (number of patches, product of `shape`)
        Each flattened in C order, row after row of places.

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.tasks import patches
    >>> patches(np.arange(12).reshape(3, 4), (2, 2), step=2)
    array([[0., 1., 4., 5.],
           [2., 3., 6., 7.]])
    """
    whole = real_array("image", image, ndim=range(1, 33))
    sizes = _lengths("shape", shape, whole.shape)
    steps = _lengths("step", [step] * whole.ndim if np.ndim(step) == 0 else step, None, whole.ndim)
    windows = np.lib.stride_tricks.sliding_window_view(whole, sizes)
    if n is None:
        found = windows[tuple(slice(None, None, by) for by in steps)]
    else:
        rng = np.random.default_rng(random_state)
        count = integer("n", n, minimum=0)
        found = windows[tuple(rng.integers(0, last, count) for last in windows.shape[: whole.ndim])]
    return found.reshape(-1, int(np.prod(sizes)))


def in_patches(
    restore: Callable[..., Restoration | npt.ArrayLike],
    image: npt.ArrayLike,
    shape: Sequence[int],
    *also: npt.ArrayLike,
    step: int | Sequence[int] | None = None,
    callback: Callable[[int, int], Any] | None = None,
) -> Array:
    """Restore an image of any size by overlapping patches, whose answers are averaged.

    Parameters
    ----------
    restore : callable
        ``restore(rows)`` or, with `also`, ``restore(rows, *rows_of_also)``: patches as rows to
        restored patches, an array or a `Restoration`, such as ``lambda P: denoise(P, cone)``.
    image : array_like, any number of axes
    shape : sequence of int
        Of a patch, one length for each axis of the image.
    *also : array_like, of the image's shape
        Cut like the image, without a change of dtype: what is known, to ``inpaint``.
    step : int or sequence of int, optional
        Distance of neighbouring patches; a quarter of the patch if left out. The last patch of an
        axis ends where the image ends. Smaller steps are smoother and cost more.
    callback : callable, optional
        Called after each batch of patches as callback(done, total); a true return value ends the
        work, and where no patch has been restored the image is returned as it was.

    Returns
    -------
    ndarray, of the image's shape
        In float32 for a float32 image, in float64 otherwise.

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range, or a `restore` that changes the number of
        entries.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone import Cone
    >>> from fastcone.tasks import denoise, in_patches
    >>> flat = Cone(np.ones((16, 1)))
    >>> noisy = 5 + np.random.default_rng(0).normal(size=(100, 70))
    >>> found = in_patches(lambda P: denoise(P, flat), noisy, (4, 4), step=1)
    >>> found.shape, bool(found.std() < 0.35 * noisy.std())
    ((100, 70), True)
    """
    whole = real_array("image", image, ndim=range(1, 33), finite=False)
    sizes = _lengths("shape", shape, whole.shape)
    quarter = [max(1, length // 4) for length in sizes]
    wanted = quarter if step is None else [step] * whole.ndim if np.ndim(step) == 0 else step
    steps = _lengths("step", wanted, sizes)
    if not callable(restore):
        raise TypeError(f"restore must be a callable, found {type(restore).__name__}")
    cut = [whole, *(np.asarray(other) for other in also)]
    for k, other in enumerate(cut[1:]):
        if other.shape != whole.shape:
            raise ValueError(f"also[{k}] must have shape {whole.shape}, found {other.shape}")
    windows = [np.lib.stride_tricks.sliding_window_view(array, sizes) for array in cut]
    places = [
        np.unique([*range(0, last, by), last - 1])
        for last, by in zip(windows[0].shape, steps, strict=False)
    ]
    corners = np.array(list(itertools.product(*places)))
    total, weight = np.zeros(whole.shape), np.zeros(whole.shape)
    batch = max(1, ENTRIES // int(np.prod(sizes)))
    for first in range(0, len(corners), batch):
        some = corners[first : first + batch]
        rows = [window[tuple(some.T)].reshape(len(some), -1) for window in windows]
        _add(_signals(restore(*rows), rows[0].shape), some, sizes, total, weight)
        if callback is not None and callback(first + len(some), len(corners)):
            break
    mean = np.divide(total, weight, out=whole.astype(np.float64), where=weight > 0)
    return mean.astype(whole.dtype, copy=False)


def _signals(found: Restoration | npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    signal = found.signal if isinstance(found, Restoration) else found
    array = real_array("restore(rows)", signal, ndim=(2,))
    if array.shape != shape:
        raise ValueError(f"restore must return an array of shape {shape}, found {array.shape}")
    return array


def _add(signals: Array, corners: Array, sizes: Any, total: Array, weight: Array) -> None:
    """Add patches where they belong, entry after entry of the patch."""
    parts = signals.reshape(len(signals), -1)
    for entry, inside in enumerate(itertools.product(*map(range, sizes))):
        at = tuple((corners + np.array(inside)).T)  # no two patches have a corner in common
        total[at] += parts[:, entry]
        weight[at] += 1


def _lengths(
    name: str, value: Any, most: Sequence[int] | None, axes: int | None = None
) -> tuple[int, ...]:
    """Return one integer >= 1 for each axis, none above `most`."""
    axes = len(most) if most is not None else axes
    if np.ndim(value) == 0:
        raise TypeError(f"{name} must be a sequence of integers, found {value!r}")
    lengths = tuple(integer(name, length, minimum=1) for length in value)
    if len(lengths) != axes:
        raise ValueError(f"{name} must have {axes} entries, found {lengths}")
    if most is not None and any(a > b for a, b in zip(lengths, most, strict=True)):
        raise ValueError(f"{name} must have entries of at most {tuple(most)}, found {lengths}")
    return lengths
