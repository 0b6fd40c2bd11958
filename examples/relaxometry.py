# SPDX-License-Identifier: BSD-3-Clause
"""T2 relaxometry: the spectrum of relaxation times in each voxel, and the myelin water map.

The signal of a voxel at 32 echo times is a sum of decays exp(-t / T2) with non-negative weights
over a grid of 60 values of T2, regularised by a small l2. The part of the weights below 40 ms is
the myelin water fraction. The usual way is a loop of non-negative least squares over the voxels,
the regularisation appended as rows.

    python examples/relaxometry.py [--size 40]
"""

import argparse
import time

import numpy as np
from scipy.optimize import nnls

import fastcone

ECHOES = np.arange(1, 33) * 10.0  # milliseconds
TIMES = np.geomspace(10, 2000, 60)
DECAYS = np.exp(-ECHOES[:, None] / TIMES)
SMOOTH = 1e-3  # weight of l2/2 ||x||^2


def brain(size, seed=0):
    """Return voxels' signals (size * size, 32) and the myelin water fractions behind them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    myelin = 0.05 + 0.2 * np.exp(-4 * (x**2 + y**2)) * (1 + np.cos(6 * x)) / 2
    fast, slow = np.exp(-ECHOES / 20), np.exp(-ECHOES / 80)
    signals = myelin.reshape(-1, 1) * fast + (1 - myelin.reshape(-1, 1)) * slow
    return signals + 0.002 * rng.standard_normal(signals.shape), myelin.ravel()


def by_loop(signals):
    A = np.vstack([DECAYS, np.sqrt(SMOOTH) * np.eye(len(TIMES))])
    return np.array([nnls(A, np.append(v, np.zeros(len(TIMES))))[0] for v in signals])


def by_batch(signals):
    return fastcone.solve_nnls(DECAYS, signals.T, l2=SMOOTH).x.T


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=40)
    options = parser.parse_args(arguments)
    signals, myelin = brain(options.size)
    spectra, seconds = {}, {}
    for name, method in {"scipy, voxel by voxel": by_loop, "fastcone": by_batch}.items():
        begun = time.perf_counter()
        spectra[name] = method(signals)
        seconds[name] = time.perf_counter() - begun
        maps = spectra[name][:, TIMES < 40].sum(axis=1) / spectra[name].sum(axis=1)
        rms = np.sqrt(np.mean((maps - myelin) ** 2))
        print(f"{name:22s} {seconds[name]:7.3f} s  myelin water fraction off by {rms:.4f} (rms)")
    a, b = seconds.values()
    print(f"{len(signals)} voxels, speed-up at the same spectra: {a / b:.1f}")
    return spectra, a / b


if __name__ == "__main__":
    main()
