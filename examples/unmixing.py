# SPDX-License-Identifier: BSD-3-Clause
"""Hyperspectral unmixing: how much of each material is in each pixel.

Each pixel's spectrum is a mixture of the spectra of a few materials, with abundances that are
non-negative and sum to one (fully constrained least squares, FCLS). The usual way in Python is a
loop of `scipy.optimize.nnls` over the pixels, with a heavy row of ones below the spectra for sums.

    python examples/unmixing.py [--rows 60 --columns 60]
"""

import argparse
import time

import numpy as np
from scipy.optimize import nnls

import fastcone


def scene(rows, columns, bands=120, materials=6, seed=0):
    """Return spectra (bands, materials), true abundances and a noisy cube (rows, columns, ...)."""
    rng, x = np.random.default_rng(seed), np.linspace(0.4, 2.5, bands)  # micrometres
    spectra = np.full((bands, materials), 0.3)
    for spectrum in spectra.T:
        for centre, width, depth in rng.random((5, 3)):
            spectrum -= 0.05 * depth * np.exp(-(((x - 0.4 - 2.1 * centre) / (0.05 + width)) ** 2))
            spectrum += 0.4 * depth * np.exp(-(((x - 2.5 * width) / 0.3) ** 2))
    abundances = rng.dirichlet(np.full(materials, 0.4), (rows, columns))
    cube = abundances @ spectra.T
    return spectra, abundances, cube + 0.002 * rng.standard_normal(cube.shape)


def by_loop(spectra, cube, weight=1e4):
    """Unmix pixel by pixel."""
    bands = cube.shape[-1]
    A = np.vstack([spectra, np.full((1, spectra.shape[1]), weight)])
    pixels = np.hstack([cube.reshape(-1, bands), np.full((cube[..., 0].size, 1), weight)])
    return np.array([nnls(A, pixel)[0] for pixel in pixels])


def by_batch(spectra, cube):
    """Unmix all pixels in one call; the sums are exact."""
    pixels = cube.reshape(-1, cube.shape[-1])
    return fastcone.solve_nnls(spectra, pixels.T, sum_to=1.0).x.T


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--columns", type=int, default=60)
    options = parser.parse_args(arguments)
    spectra, abundances, cube = scene(options.rows, options.columns)
    truth, found, seconds = abundances.reshape(-1, spectra.shape[1]), {}, {}
    for name, method in {"scipy, pixel by pixel": by_loop, "fastcone": by_batch}.items():
        begun = time.perf_counter()
        found[name] = method(spectra, cube)
        seconds[name] = time.perf_counter() - begun
    rows, columns, bands = cube.shape
    print(f"{rows} x {columns} pixels, {bands} bands, {truth.shape[1]} materials")
    for name, maps in found.items():
        rms = np.sqrt(np.mean((maps - truth) ** 2))
        off = np.abs(maps.sum(axis=1) - 1).max()
        print(f"{name:22s} {seconds[name]:8.3f} s  rms error {rms:.5f}  sums off by {off:.1e}")
    a, b = seconds.values()
    print(f"speed-up at the same maps: {a / b:.1f}")
    return found, truth, a / b


if __name__ == "__main__":
    main()
