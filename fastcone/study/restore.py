# SPDX-License-Identifier: BSD-3-Clause
"""The tasks that restore images: three kinds of noise, a hole, a blur, low resolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone import tasks
from fastcone.operators import Blur, Downsample
from fastcone.study import baselines, corrupt
from fastcone.study.bench import Bench, Spoil
from fastcone.study.data import Images
from fastcone.study.problem import Contender, Items, Method, Task, World

Array = npt.NDArray[Any]

SIGMAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
TIMES = tuple(sigma**2 / 2 for sigma in SIGMAS)
TV_WEIGHTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
CONTRASTS = (2.0, 3.0, 4.0, 6.0, 10.0)
FOURIER_WEIGHTS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


def denoise_gaussian(world: World) -> Task:
    """Normal noise of standard deviation 0.2."""
    shape = world.data.shape
    bench = Bench(world, "denoise_gaussian", _by(corrupt.gaussian))
    return bench.build(
        "Gaussian noise",
        f"Normal noise of standard deviation {corrupt.SIGMA:g} was added, clipped to [0, 1].",
        [
            *bench.cones(_denoise),
            *bench.rivals(),
            bench.free("Gaussian filter", baselines.gaussian_filter, shape, sigma=SIGMAS),
            bench.free("heat equation", baselines.heat_equation, shape, t=TIMES),
            bench.free("total variation", baselines.total_variation, shape, weight=TV_WEIGHTS),
            bench.untouched(),
        ],
    )


def denoise_salt_pepper(world: World) -> Task:
    """A quarter of the pixels black or white."""
    shape = world.data.shape
    bench = Bench(world, "denoise_salt_pepper", _by(corrupt.salt_pepper))
    return bench.build(
        "Salt and pepper noise",
        f"{corrupt.SHARE:.0%} of the pixels were set to black or white.",
        [
            *bench.cones(partial(_denoise, loss="l1"), tag=", 1-norm", l1=(0.0, 0.003, 0.01)),
            *bench.cones(_denoise, tag=", 2-norm"),
            *bench.rivals(),
            bench.free("median filter", baselines.median_filter, shape, size=(3, 5)),
            bench.untouched(),
        ],
        pairs=[
            (f"{cones}, 1-norm", f"{cones}, 2-norm")
            for cones in ("nearest class cone", "common cone")
        ],
    )


def denoise_periodic(world: World) -> Task:
    """A diagonal wave over the whole image."""
    shape = world.data.shape
    spoil = _by(lambda x, rng: corrupt.periodic(x, shape, rng))
    bench = Bench(world, "denoise_periodic", spoil)
    return bench.build(
        "Periodic noise",
        "A diagonal wave of height 2/7 and random phase was added, clipped to [0, 1].",
        [
            *bench.cones(_denoise),
            *bench.rivals(),
            bench.free("notch filter, blind", baselines.blind_notch, shape, contrast=CONTRASTS),
            Contender(
                "free",
                "notch filter, wave known (oracle)",
                lambda items: baselines.oracle_notch(items.data, shape),
                oracle=True,
            ),
            bench.untouched(),
        ],
    )


def inpaint(world: World) -> Task:
    """A stripe of missing rows."""
    shape = world.data.shape
    known = corrupt.stripe(shape)
    missing = np.flatnonzero(~known.reshape(shape).all(axis=1))
    bench = Bench(world, "inpaint", _by(lambda x, rng: x * known))

    def call(data: Array, cones: Any, *, l1: float, copy_back: bool) -> Array:
        return tasks.inpaint(data, cones, known, copy_back=copy_back, l1=l1).signal

    def with_known_pixels(method: Method) -> Method:
        return lambda items: np.where(known, items.data, method(items))

    return bench.build(
        "Inpainting",
        f"Rows {missing[0]} to {missing[-1]} of {shape[0]} are missing.",
        [
            *bench.cones(partial(call, copy_back=True), tag=", copy-back"),
            *bench.cones(partial(call, copy_back=False), tag=", pure", oracle=False),
            *bench.rivals(with_known_pixels),
            bench.free("biharmonic", baselines.biharmonic, shape, known),
            bench.untouched(),
        ],
    )


def deblur(world: World) -> Task:
    """A box blur and a little noise."""
    shape = world.data.shape
    kernel = corrupt.box(shape)
    blur = Blur(shape, kernel, "zero")
    spoil = _by(lambda x, rng: corrupt.read_noise(blur.forward(x), rng))
    bench = Bench(world, "deblur", spoil)

    def call(data: Array, cones: Any, *, l1: float) -> Array:
        return tasks.deblur(data, cones, blur, l1=l1).signal

    return bench.build(
        "Deblurring",
        f"A {len(kernel)} x {len(kernel)} box blur, then normal noise of standard deviation "
        f"{corrupt.BLUR_NOISE:g}.",
        [
            *bench.cones(call),
            *bench.rivals(),
            bench.free(
                "L2 in Fourier space",
                baselines.fourier_deblur,
                shape,
                kernel,
                weight=FOURIER_WEIGHTS,
            ),
            bench.free(
                "L2, edges known",
                baselines.exact_deblur,
                shape,
                kernel,
                weight=FOURIER_WEIGHTS,
            ),
            bench.untouched(),
        ],
    )


def super_resolve(world: World) -> Task:
    """Half the height and width."""
    shape = world.data.shape
    downsample = Downsample(shape, 2)
    bench = Bench(world, "super_resolve", _by(lambda x, rng: downsample.forward(x)))

    def call(data: Array, cones: Any, *, l1: float) -> Array:
        return tasks.super_resolve(data, cones, downsample, l1=l1).signal

    return bench.build(
        "Super-resolution",
        f"Images of {shape[0] // 2} x {shape[1] // 2} pixels, wanted at {shape[0]} x {shape[1]}.",
        [
            *bench.cones(call),
            *bench.rivals(),
            bench.free("bicubic", baselines.bicubic, shape),
            bench.free("pixels repeated", baselines.repeated, shape),
        ],
    )


def _by(spoil: Callable[[Array, np.random.Generator], Array]) -> Spoil:
    """Return items: spoilt images, and the images they were made from."""

    def items(images: Images, rng: np.random.Generator) -> Items:
        return Items(spoil(images.x, rng), images.x, images.y)

    return items


def _denoise(data: Array, cones: Any, *, l1: float, loss: Any = "l2") -> Array:
    return tasks.denoise(data, cones, loss=loss, l1=l1).signal
