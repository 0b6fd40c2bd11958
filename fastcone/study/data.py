# SPDX-License-Identifier: BSD-3-Clause
"""The images of a study: where they come from, and who may see which of them.

fit    trains cones and rivals
tune   held out of `fit`, chooses every hyper-parameter and when a rival stops training
test   measures the qualities, is never looked at before
"""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from dataclasses import dataclass, replace
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MIN_SIDE = 8
MIN_PER_CLASS = 20


@dataclass(frozen=True, eq=False)
class Images:
    """Images as rows in [0, 1] and their labels."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    def of(self, *labels: Any) -> Images:
        """Return the images that carry one of these labels, in order."""
        keep = np.isin(self.y, labels)
        return Images(self.x[keep], self.y[keep])

    def mixed(self, count: int) -> Images:
        """Return the first `count` images when the classes take turns."""
        chosen = turns(self.y)[:count]
        return Images(self.x[chosen], self.y[chosen])


@dataclass(frozen=True, eq=False)
class Dataset:
    """The three parts of a data set of small grey images.

    Parameters
    ----------
    name, source : str
        What it is called and where it came from.
    shape : tuple of two ints
        Height and width of one image; rows are flattened in C order.
    fit, tune, test : Images
        As the module says.
    """

    name: str
    source: str
    shape: tuple[int, int]
    fit: Images
    tune: Images
    test: Images

    @property
    def labels(self) -> list[int]:
        """The classes, ascending."""
        return [int(label) for label in np.unique(self.fit.y)]

    def limited(self, n_fit: int, n_tune: int, n_test: int) -> Dataset:
        """Return a smaller data set, with the classes in equal parts."""
        return replace(
            self,
            fit=self.fit.mixed(n_fit),
            tune=self.tune.mixed(n_tune),
            test=self.test.mixed(n_test),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what identifies the data, as plain JSON values."""
        digest = hashlib.sha256()
        for part in (self.fit, self.tune, self.test):
            digest.update(np.ascontiguousarray(part.x).tobytes())
            digest.update(np.ascontiguousarray(part.y).tobytes())
        return {
            "name": self.name,
            "source": self.source,
            "image_shape": list(self.shape),
            "classes": self.labels,
            "n_fit": len(self.fit),
            "n_tune": len(self.tune),
            "n_test": len(self.test),
            "sha256": digest.hexdigest(),
        }


def turns(y: Array) -> Array:
    """Return the positions of the labels in the order in which the classes take turns.

    Examples
    --------
    >>> turns(np.array([7, 7, 7, 3, 3]))
    array([3, 0, 4, 1, 2])
    """
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    turn = np.concatenate([np.arange(len(index)) for index in members])
    return np.asarray(np.concatenate(members)[np.argsort(turn, kind="stable")])


def load_digits(seed: int) -> Dataset:
    """Return scikit-learn's bundled digits: 1797 images of 8 x 8 pixels, split by `seed`."""
    from sklearn.datasets import load_digits as bundled

    found = bundled()
    order = np.random.default_rng(seed).permutation(len(found.data))
    x, y = found.data[order] / 16.0, found.target[order].astype(np.int64)
    return build("digits", "scikit-learn load_digits", (x[500:], y[500:]), (x[:500], y[:500]), seed)


def fetch_mnist(seed: int) -> Dataset:
    """Return MNIST from OpenML: the official 60,000 training and 10,000 test digits.

    Raises
    ------
    OSError
        The data are not in scikit-learn's cache and could not be downloaded.
    """
    from sklearn.datasets import fetch_openml

    try:
        found = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff")
    except OSError as error:
        raise OSError(
            f"--dataset mnist_784 could not be downloaded from OpenML ({error}); "
            f"give the images as --data FILE.npz instead"
        ) from error
    x = np.asarray(found.data, np.float64) / 255.0
    y = np.asarray(found.target).astype(np.int64)
    source = "OpenML mnist_784"
    return build("mnist_784", source, (x[:60000], y[:60000]), (x[60000:], y[60000:]), seed)


def load_npz(path: str | os.PathLike[str], seed: int) -> Dataset:
    """Return the images of a file with the arrays x_train, y_train, x_test, y_test.

    Parameters
    ----------
    path : str or path
        An ``.npz`` file. Images are rows of height x width pixels (square) or (N, height, width);
        uint8 in 0..255, or floating point in [0, 1]. Labels are integers.
    seed : int
        Chooses the training images that are held out for tuning.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not an ``.npz`` file, or an array is missing or malformed; the message names it.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive]
            arrays = {} if missing else {name: archive[name] for name in names}
    except (ValueError, AttributeError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not an .npz file of plain arrays: {error}") from None
    if missing:
        raise ValueError(f"{path} must hold the arrays {', '.join(names)}, missing {missing[0]}")
    parts = []
    for part in ("train", "test"):
        x = check_images(f"x_{part}", arrays[f"x_{part}"])
        parts.append((x, check_labels(f"y_{part}", arrays[f"y_{part}"], len(x))))
    name = os.path.splitext(os.path.basename(path))[0]
    return build(name, os.path.basename(path), parts[0], parts[1], seed)


def check_images(name: str, value: Array) -> Array:
    """Return images as (N, height, width) float64 in [0, 1], or raise an error that names them."""
    if value.dtype != np.uint8 and value.dtype.kind != "f":
        raise ValueError(f"{name} must be uint8 or floating point, found dtype {value.dtype}")
    if value.ndim not in (2, 3) or not value.size:
        raise ValueError(f"{name} must be (N, pixels) or (N, h, w), found shape {value.shape}")
    if value.ndim == 2:
        side = math.isqrt(value.shape[1])
        if side * side != value.shape[1]:
            raise ValueError(
                f"{name} must be (N, h, w) unless images are square, found shape {value.shape}"
            )
        value = value.reshape(-1, side, side)
    if value.dtype == np.uint8:
        return np.asarray(value / 255.0)
    value = value.astype(np.float64)
    if not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite, found NaN or infinity")
    if value.min() < 0 or value.max() > 1:
        raise ValueError(
            f"{name} must lie in [0, 1] if floating point, found {value.min():g} to {value.max():g}"
        )
    return value


def check_labels(name: str, value: Array, count: int) -> Array:
    """Return labels as int64, or raise an error that names them."""
    if value.dtype.kind not in "iu" or value.ndim != 1:
        raise ValueError(
            f"{name} must be a vector of integers, found dtype {value.dtype}, shape {value.shape}"
        )
    if len(value) != count:
        raise ValueError(f"{name} must have one label per image ({count}), found {len(value)}")
    return value.astype(np.int64)


def build(
    name: str, source: str, train: tuple[Array, Array], test: tuple[Array, Array], seed: int
) -> Dataset:
    """Check that the parts fit together, and hold some training images out for tuning.

    Parameters
    ----------
    name, source : str
        As in `Dataset`.
    train, test : pair of arrays
        Images, (N, pixels) or (N, height, width), in [0, 1], and integer labels.
    seed : int
        Chooses which training images are held out: one fifth, but at most 500.
    """
    x, y = train
    side = math.isqrt(x[0].size)
    shape = tuple(x.shape[1:]) if x.ndim == 3 else (side, side)
    if tuple(test[0].shape[1:]) != tuple(x.shape[1:]):
        raise ValueError(
            f"x_test must have images like x_train, found {test[0].shape[1:]} and {x.shape[1:]}"
        )
    if min(shape) < MIN_SIDE or any(length % 2 for length in shape):
        raise ValueError(
            f"x_train must have images of even height and width >= {MIN_SIDE}, found {shape}"
        )
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) < 2 or counts.min() < MIN_PER_CLASS:
        raise ValueError(
            f"y_train must have 2 classes or more of {MIN_PER_CLASS} images or more, "
            f"found {dict(zip(labels.tolist(), counts.tolist(), strict=True))}"
        )
    if not np.array_equal(np.unique(test[1]), labels):
        raise ValueError(
            f"y_test must have the classes of y_train {labels.tolist()}, "
            f"found {np.unique(test[1]).tolist()}"
        )
    pixels = shape[0] * shape[1]
    images = Images(np.ascontiguousarray(x.reshape(-1, pixels)), y)
    order = np.random.default_rng([seed, 1]).permutation(len(y))
    held = order[turns(y[order])[: min(500, len(y) // 5)]]
    kept = np.setdiff1d(order, held)
    fit, tune = (Images(images.x[index], y[index]) for index in (kept, held))
    rest = Images(np.ascontiguousarray(test[0].reshape(-1, pixels)), test[1])
    return Dataset(name, source, (int(shape[0]), int(shape[1])), fit, tune, rest)
