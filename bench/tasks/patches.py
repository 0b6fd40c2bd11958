# SPDX-License-Identifier: BSD-3-Clause
"""Whole photographs by patches: a cone of one photograph's patches restores another photograph."""

import itertools
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr
from skimage.restoration import denoise_tv_chambolle, inpaint_biharmonic

from fastcone import Cone
from fastcone.operators import Dense
from fastcone.tasks import denoise, in_patches, inpaint, patches

PATCH, RANKS = (8, 8), (8, 12, 16, 24, 32)
GREY = np.array([0.299, 0.587, 0.114])


def score(found, truth):
    """PSNR, peak 1."""
    return psnr(truth, np.clip(found, 0, 1), data_range=1)


def tuned(make, truth, *settings):
    """The setting with the largest PSNR on the photograph that the cones were trained on."""
    return max(itertools.product(*settings), key=lambda chosen: score(make(*chosen), truth))


def trained(photograph, shape, ranks):
    """Cones of its patches by rank, their generators at unit length."""
    rows, cones = patches(photograph, shape, 4000, random_state=0), {}
    for rank in ranks:
        W = Cone.fit(rows, rank, max_iter=50, tol=0, random_state=0).W
        cones[rank] = Cone(W / np.linalg.norm(W, axis=0))
    return cones


def run(_):
    """Train on the astronaut, restore the cat; every setting is chosen on the astronaut."""
    learn, test = data.astronaut() / 255, data.chelsea() / 255
    known, truth = (learn @ GREY)[60:140, 180:260], (test @ GREY)[50:250, 100:350]
    cones, rng = trained(learn @ GREY, PATCH, RANKS), np.random.default_rng(0)
    print(f"part of a photograph {truth.shape}, patches {PATCH}")
    clean(cones, known, truth, rng)
    fill(cones, known, truth[:80, :80], rng)
    colour(learn[60:140, 180:260], test, trained(learn, (4, 4, 3), (4, 6, 9, 12)))


def clean(cones, known, truth, rng):
    """Gaussian noise of standard deviation .1."""
    noisy_known, noisy = (a + 0.1 * rng.standard_normal(a.shape) for a in (known, truth))

    def ours(image, rank, l1):
        return in_patches(lambda P: denoise(P, cones[rank], l1=l1), image, PATCH)

    print(f"noise .1: {score(noisy, truth):.1f} dB")
    rank, l1 = tuned(lambda *s: ours(noisy_known, *s), known, RANKS, (0.0, 0.05, 0.15))
    began = time.perf_counter()
    found = score(ours(noisy, rank, l1), truth)
    print(f"  cone of rank {rank}, l1 {l1}: {found:.1f} dB, {time.perf_counter() - began:.1f} s")
    for name, make, grid in (
        ("Gaussian filter", gaussian_filter, (0.7, 1.0, 1.4)),
        ("total variation", denoise_tv_chambolle, (0.05, 0.1, 0.15)),
    ):
        (width,) = tuned(lambda s: make(noisy_known, s), known, grid)  # noqa: B023
        print(f"  {name} {width}: {score(make(noisy, width), truth):.1f} dB", flush=True)


def fill(cones, known, truth, rng):
    """Half of the pixels lost, no two patches with the same ones."""
    seen_known, seen = (rng.random(a.shape) < 0.5 for a in (known, truth))

    def ours(image, seen, rank, l1):
        return in_patches(
            lambda P, K: inpaint(P, cones[rank], K, l1=l1), image, PATCH, seen, step=(4, 4)
        )

    rank, l1 = tuned(lambda *s: ours(known, seen_known, *s), known, (8, 16, 24), (0.003, 0.03))
    began = time.perf_counter()
    found = score(ours(truth, seen, rank, l1), truth)
    seconds = time.perf_counter() - began
    print(f"half of the pixels of {truth.shape} lost")
    print(f"  cone of rank {rank}, l1 {l1}: {found:.1f} dB, {seconds:.1f} s")
    other = inpaint_biharmonic(truth * seen, ~seen)
    print(f"  biharmonic: {score(other, truth):.1f} dB", flush=True)


def colour(known, test, cones):
    """Colours from grey: a cone of coloured patches seen through the operator from RGB to grey."""
    to_grey = Dense(np.kron(np.eye(16), GREY))

    def ours(image, rank, l1):
        rows = patches(image @ GREY, (4, 4), step=4)
        return cones[rank].project(rows, forward=to_grey, l1=l1).signal

    def blocks(image):
        return patches(image, (4, 4, 3), step=(4, 4, 3))

    truth = blocks(test)
    rank, l1 = tuned(lambda *s: ours(known, *s), blocks(known), cones, (0.003, 0.03))
    found = score(ours(test, rank, l1), truth)
    print(f"colours from grey\n  cone of rank {rank}, l1 {l1}: {found:.1f} dB")
    grey = np.repeat(test @ GREY, 3).reshape(test.shape)
    tint = known.reshape(-1, 3).mean(axis=0) / (known @ GREY).mean()
    for name, found in (("grey as it is", grey), ("grey in the other's mean tint", grey * tint)):
        print(f"  {name}: {score(blocks(found), truth):.1f} dB", flush=True)
