# SPDX-License-Identifier: BSD-3-Clause
"""Classical methods that need no training: images are rows, `shape` is that of one image."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage as ndi
from skimage.restoration import denoise_tv_chambolle, inpaint_biharmonic
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from fastcone.operators import Blur
from fastcone.study.corrupt import WAVE_HEIGHT, wave_number

Array = npt.NDArray[Any]
Shape = tuple[int, int]


def gaussian_filter(v: Array, shape: Shape, sigma: float) -> Array:
    """Smooth each image with a Gaussian of standard deviation `sigma` pixels."""
    images = ndi.gaussian_filter(v.reshape(-1, *shape), (0, sigma, sigma))
    return np.asarray(images).reshape(v.shape)


def heat_equation(v: Array, shape: Shape, t: float, *, step: float = 0.2) -> Array:
    """Let heat flow for a time `t`: explicit steps of ``u <- u + dt Laplacian(u)``.

    No heat leaves the image. Away from the edges this is `gaussian_filter` with
    ``sigma = sqrt(2 t)``, and step by step it has exactly that variance.

    Parameters
    ----------
    v : ndarray, shape (N, m)
        Images as rows.
    shape : tuple of two ints
        Of one image.
    t, step : float
        Time and largest time step, in squared pixels; stable for steps up to 1/4.
    """
    steps = max(1, int(np.ceil(t / step)))
    u = v.reshape(-1, *shape)
    for _ in range(steps):
        padded = np.pad(u, ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:]
        u = u + (t / steps) * (around + padded[:, 1:-1, :-2] - 4 * u)
    return u.reshape(v.shape)


def total_variation(v: Array, shape: Shape, weight: float) -> Array:
    """Denoise each image by total variation (Chambolle 2004)."""
    images = [denoise_tv_chambolle(image, weight=weight) for image in v.reshape(-1, *shape)]
    return np.stack(images).reshape(v.shape)


def median_filter(v: Array, shape: Shape, size: int) -> Array:
    """Replace each pixel by the median of the `size` x `size` pixels around it."""
    images = ndi.median_filter(v.reshape(-1, *shape), size=(1, size, size))
    return np.asarray(images).reshape(v.shape)


def blind_notch(v: Array, shape: Shape, contrast: float) -> Array:
    """Remove the frequency that stands out most in each image, wherever it is.

    The strength of a frequency is its magnitude over the median magnitude of the same distance
    from zero. The strongest is removed, with its mirror twin, if that exceeds `contrast`; the two
    lowest frequencies belong to the image and are never candidates.
    """
    spectrum = np.fft.fft2(v.reshape(-1, *shape))
    rows, columns = (np.minimum(np.arange(n), n - np.arange(n)) for n in shape)
    ring = np.rint(np.hypot(rows[:, None], columns[None, :])).astype(int)
    magnitude = np.abs(spectrum)
    strength = np.zeros_like(magnitude)
    for radius in range(2, ring.max() + 1):
        here = ring == radius
        usual = np.median(magnitude[:, here], axis=1, keepdims=True)
        strength[:, here] = magnitude[:, here] / np.maximum(usual, 1e-12)
    flat = strength.reshape(len(v), -1)
    peak = flat.argmax(axis=1)
    found = np.flatnonzero(flat[np.arange(len(v)), peak] > contrast)
    i, j = np.unravel_index(peak[found], shape)
    spectrum[found, i, j] = 0
    spectrum[found, -i, -j] = 0
    return np.fft.ifft2(spectrum).real.reshape(v.shape)


def oracle_notch(v: Array, shape: Shape) -> Array:
    """Remove the wave of `corrupt.periodic`, its frequency and offset known."""
    spectrum = np.fft.fft2(v.reshape(-1, *shape) - WAVE_HEIGHT)
    i, j = (wave_number(side) for side in shape)
    spectrum[:, i, j] = 0
    spectrum[:, -i, -j] = 0
    return np.fft.ifft2(spectrum).real.reshape(v.shape)


def biharmonic(v: Array, shape: Shape, known: Array) -> Array:
    """Fill the unknown pixels with the biharmonic surface through the known ones (scikit-image)."""
    images = np.moveaxis(v.reshape(-1, *shape), 0, -1)
    filled = inpaint_biharmonic(images, ~known.reshape(shape), channel_axis=-1)
    return np.moveaxis(filled, -1, 0).reshape(v.shape)


def fourier_deblur(v: Array, shape: Shape, kernel: Array, weight: float) -> Array:
    """Deblur by least squares with a squared penalty, solved frequency by frequency.

    u = argmin ||k * u - v||^2 + weight ||u||^2        (edges wrap around)
    """
    padded = np.zeros(shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    transfer = np.fft.fft2(np.roll(padded, [-(n // 2) for n in kernel.shape], (0, 1)))
    wiener = transfer.conj() / (np.abs(transfer) ** 2 + weight)
    images = np.fft.ifft2(wiener * np.fft.fft2(v.reshape(-1, *shape))).real
    return np.asarray(images.reshape(v.shape))


def exact_deblur(v: Array, shape: Shape, kernel: Array, weight: float) -> Array:
    """Deblur by the same least squares with black beyond the edges, as the blur was made.

    u = argmin ||A u - v||^2 + weight ||u||^2
    """
    A = Blur(shape, kernel, "zero").apply_to(np.eye(shape[0] * shape[1]))
    return np.asarray(np.linalg.solve(A.T @ A + weight * np.eye(len(A)), A.T @ v.T).T)


def bicubic(v: Array, shape: Shape) -> Array:
    """Double the height and width of each image by cubic spline interpolation."""
    low = v.reshape(-1, shape[0] // 2, shape[1] // 2)
    high = ndi.zoom(low, (1, 2, 2), order=3, mode="nearest", grid_mode=True)
    return np.asarray(high).reshape(-1, shape[0] * shape[1])


def repeated(v: Array, shape: Shape) -> Array:
    """Double the height and width of each image by repeating its pixels."""
    low = v.reshape(-1, shape[0] // 2, shape[1] // 2)
    return low.repeat(2, axis=1).repeat(2, axis=2).reshape(-1, shape[0] * shape[1])


def nearest_neighbour_distance(v: Array, known: Array) -> Array:
    """Return the 2-norm distance of each row of `v` to the nearest row of `known`."""
    distance, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known).kneighbors(v)
    return np.asarray(distance[:, 0])


def nearest_neighbour_label(v: Array, known: Array, y: Array) -> Array:
    """Return for each row of `v` the label of the nearest row of `known`."""
    model = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(known, y)
    return np.asarray(model.predict(v))


def dct_code(v: Array, shape: Shape, n_bytes: int) -> Array:
    """Keep the lowest frequencies of the cosine transform, 8 bits each, and decode them.

    Parameters
    ----------
    v : ndarray, shape (N, m)
        Images as rows.
    shape : tuple of two ints
        Of one image.
    n_bytes : int
        Budget per image; 4 bytes of it hold the step of the quantiser.
    """
    transform = scipy.fft.dctn(v.reshape(-1, *shape), axes=(1, 2), norm="ortho")
    flat = transform.reshape(len(v), -1)
    distance = np.hypot(*np.indices(shape)).ravel()
    kept = np.argsort(distance, kind="stable")[: n_bytes - 4]
    coded = np.zeros_like(flat)
    coded[:, kept] = quantised(flat[:, kept])
    images = scipy.fft.idctn(coded.reshape(-1, *shape), axes=(1, 2), norm="ortho")
    return np.asarray(images).reshape(v.shape)


def quantised(coef: Array) -> Array:
    """Round each row to 255 signed levels of one step, the row's largest magnitude over 127."""
    step = np.abs(coef).max(axis=1, keepdims=True) / 127
    return np.rint(coef / np.where(step > 0, step, 1)) * step


def deflated_dct(v: Array, shape: Shape, step: float) -> tuple[Array, float]:
    """Round all cosine coefficients to multiples of `step` and pack them with zlib, as JPEG might.

    Returns
    -------
    images : ndarray, shape (N, m)
        Decoded.
    n_bytes : float
        Mean length of the packed bytes of an image, without zlib's header and checksum.
    """
    transform = scipy.fft.dctn(v.reshape(-1, *shape), axes=(1, 2), norm="ortho")
    order = np.argsort(np.hypot(*np.indices(shape)).ravel(), kind="stable")
    codes = np.clip(np.rint(transform / step), -128, 127).astype(np.int8)
    packed = [zlib.compress(c.ravel()[order].tobytes(), 9) for c in codes]
    images = scipy.fft.idctn(codes * step, axes=(1, 2), norm="ortho")
    return np.asarray(images).reshape(v.shape), float(np.mean([len(p) for p in packed]) - 6)
