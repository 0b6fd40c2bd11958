# SPDX-License-Identifier: BSD-3-Clause
"""Whole photographs by patches: a cone of one photograph's patches restores another photograph."""

import time

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr
from skimage.restoration import denoise_tv_chambolle, inpaint_biharmonic

from fastcone import Cone
from fastcone.operators import Dense
from fastcone.tasks import denoise, in_patches, inpaint, patches

PATCH, RANK = (8, 8), 96
GREY = np.array([0.299, 0.587, 0.114])


def report(name, truth, found, seconds=None):
    """Print one figure."""
    took = "" if seconds is None else f", {seconds:.1f} s"
    print(f"  {name}: {psnr(truth, np.clip(found, 0, 1), data_range=1):.1f} dB{took}", flush=True)


def best(make, settings, truth):
    """The setting with the largest PSNR on the photograph that the cone was trained on."""
    return max(settings, key=lambda s: psnr(truth, np.clip(make(s), 0, 1), data_range=1))


def run(_):
    """Train on the astronaut, restore the cat; every setting is chosen on the astronaut."""
    learn, test = data.astronaut() / 255, data.chelsea() / 255
    cone = Cone.fit(patches(learn @ GREY, PATCH, 20000, random_state=0), RANK, max_iter=50, tol=0,
                    init="exemplars", random_state=0)  # fmt: skip
    known, truth = (learn @ GREY)[40:160, 160:280], test @ GREY
    rng = np.random.default_rng(0)
    print(f"photograph {truth.shape}, patches {PATCH}, rank {RANK}")
    noisy_known, noisy = (a + 0.1 * rng.standard_normal(a.shape) for a in (known, truth))

    def clean(image, l1):
        return in_patches(lambda P: denoise(P, cone, l1=l1), image, PATCH)

    l1 = best(lambda s: clean(noisy_known, s), (0.1, 0.3, 1.0), known)
    report("noise .1", truth, noisy)
    began = time.perf_counter()
    report(f"cone, l1 {l1}", truth, clean(noisy, l1), time.perf_counter() - began)
    width = best(lambda s: gaussian_filter(noisy_known, s), (0.5, 0.7, 1.0, 1.4), known)
    report(f"Gaussian filter {width}", truth, gaussian_filter(noisy, width))
    weight = best(lambda s: denoise_tv_chambolle(noisy_known, s), (0.05, 0.1, 0.15, 0.2), known)
    report(f"total variation {weight}", truth, denoise_tv_chambolle(noisy, weight))
    fill(cone, known, truth, rng)
    colour(learn, test, rng)


def fill(cone, known, truth, rng):
    """Half of the pixels lost."""
    seen_known, seen = (rng.random(a.shape) < 0.5 for a in (known, truth))

    def filled(image, seen, l1):
        return in_patches(lambda P, K: inpaint(P, cone, K, l1=l1), image, PATCH, seen, step=(2, 4))

    part = slice(0, 40), slice(0, 40)
    l1 = best(lambda s: filled(known[part], seen_known[part], s), (0.01, 0.03, 0.1), known[part])
    some = slice(60, 160), slice(100, 220)
    began = time.perf_counter()
    found = filled(truth[some], seen[some], l1)
    report(f"half of the pixels lost: cone, l1 {l1}", truth[some], found,
           time.perf_counter() - began)  # fmt: skip
    report("biharmonic", truth[some], inpaint_biharmonic(truth[some] * seen[some], ~seen[some]))


def colour(learn, test, rng):
    """Colours from grey: a cone of coloured patches seen through the operator from RGB to grey."""
    shape = (4, 4, 3)
    cone = Cone.fit(patches(learn, shape, 20000, random_state=0), 64, max_iter=50, tol=0,
                    init="exemplars", random_state=0)  # fmt: skip
    to_grey = Dense(np.kron(np.eye(16), GREY))

    def coloured(image, l1):
        rows = patches(image @ GREY, (4, 4), step=4)
        return cone.project(rows, forward=to_grey, l1=l1).signal, patches(
            image, shape, step=(4, 4, 3)
        )

    def score(image, l1):
        found, truth = coloured(image, l1)
        return psnr(truth, np.clip(found, 0, 1), data_range=1)

    l1 = max((0.01, 0.1, 0.3), key=lambda s: score(learn, s))
    print(f"  colours from grey: cone, l1 {l1}: {score(test, l1):.1f} dB")
    grey = np.repeat(test @ GREY, 3).reshape(test.shape)
    report("grey as it is", test, grey)
    tint = learn.reshape(-1, 3).mean(axis=0) / (learn @ GREY).mean()
    report("grey in the mean tint of the other photograph", test, grey * tint)
