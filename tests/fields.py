# SPDX-License-Identifier: BSD-3-Clause
"""Samples of three fields that are no images, with labels: what a task must not be tuned away from.

Each returns samples (n, m) and their classes (n,), drawn in turn.
"""

import numpy as np


def pixels(rng, n, mixed=0.3):
    """Remote sensing: 60 bands, a pixel mostly one of three materials, under lamps of any power."""
    band = np.linspace(0, 1, 60)
    slope, dip, place = [0.2, 0.9, 0.5], [0.5, 0.3, 0.8], [0.3, 0.55, 0.7]
    materials = np.array(
        [
            0.4 + s * band - d * np.exp(-(((band - p) / 0.08) ** 2)) * 0.3
            for s, d, p in zip(slope, dip, place, strict=True)
        ]
    )
    labels = np.arange(n) % 3
    share = mixed * rng.random((n, 3))
    share[np.arange(n), labels] += 1
    light = np.exp(0.7 * rng.standard_normal((n, 1)))
    return np.maximum(light * (share @ materials + 0.005 * rng.standard_normal((n, 60))), 0), labels


def cells(rng, n, genes=120):
    """Single cells: counts of four types that share most genes, of unlike depth, mostly zeros."""
    base = np.exp(np.random.default_rng(7).normal(-1.5, 1.2, genes))
    labels = np.arange(n) % 4
    rates = np.tile(base, (4, 1))
    for k in range(4):
        rates[k, 12 * k : 12 * k + 12] *= 6
    depth = np.exp(0.5 * rng.standard_normal((n, 1)))
    return rng.poisson(depth * rates[labels]).astype(float), labels


def tones(rng, n, pitches=4):
    """Audio: magnitudes at 96 pitches, three instruments that differ in their overtones."""
    place = np.round(24 * np.log2(np.arange(1, 7))).astype(int)
    timbre = np.array([[1, 0.1, 0.6, 0.1, 0.4, 0.1], [1, 0.9, 0.2, 0.5, 0.1, 0.3], [1, 0.4] * 3])
    labels = np.arange(n) % 3
    sound = 0.03 * np.abs(rng.standard_normal((n, 96)))
    for row, label in zip(sound, labels, strict=True):
        peak = 10 + rng.integers(-pitches, pitches + 1) + place
        loud = timbre[label] * np.exp(0.3 * rng.standard_normal(6)) * np.exp(rng.standard_normal())
        for at, size in zip(peak, loud, strict=True):
            row += size * np.exp(-0.5 * ((np.arange(96) - at) / 0.8) ** 2)
    return sound, labels


FIELDS = {"pixels": pixels, "cells": cells, "tones": tones}
