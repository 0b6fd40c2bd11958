# SPDX-License-Identifier: BSD-3-Clause
"""The model that is trained once: a cone per class, and one cone for all classes.

Ranks, iterations and the penalty were chosen once, on training images of MNIST; the study does not
tune them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.modelfile import read_model, write_model
from fastcone.cone import Cone, Prior
from fastcone.cone.prior import ARRAYS
from fastcone.study.account import Account, added
from fastcone.study.data import Dataset
from fastcone.study.metrics import psnr
from fastcone.tasks import denoise

Array = npt.NDArray[Any]

CLASS_ITERATIONS = 10
COMMON_ITERATIONS = 20
SPARSITY = 0.0055
CLEAN_IMAGES = 1000
PIXELS_PER_DEGREE = (40, 15)
FILE = "model.cones"


@dataclass(frozen=True, eq=False)
class Model:
    """Trained cones.

    Parameters
    ----------
    classes : mapping of label to Cone
        One cone per class, each trained on its class alone.
    common : Cone
        One cone trained on all classes together.
    brightness : float
        Median 2-norm of the training images: the unit in which penalties are given.
    """

    classes: Mapping[int, Cone]
    common: Cone
    brightness: float

    @property
    def every(self) -> dict[Any, Cone]:
        """All cones: those of the classes, and the common one."""
        return {**self.classes, "all": self.common}

    @property
    def blends(self) -> tuple[float, ...]:
        """How sharply cones may be weighted by their energies, which add up over the pixels."""
        return tuple(self.common.W.shape[0] / pixels for pixels in PIXELS_PER_DEGREE)

    def write(self, path: Path) -> str:
        """Write all cones with their priors to one model file; return the SHA-256 of its bytes."""
        arrays = {}
        for k, cone in enumerate(self.every.values()):
            arrays[f"{k}.W"] = cone.W
            if cone.prior is not None:
                arrays |= {f"{k}.{name}": getattr(cone.prior, name) for name in ARRAYS}
        notes = {"labels": [int(k) for k in self.classes], "brightness": self.brightness}
        write_model(path, "study", arrays, notes)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Model:
        """Return the model that `write` wrote."""
        arrays, notes = read_model(path, "study")

        def cone(k: int) -> Cone:
            given = [arrays[f"{k}.{name}"] for name in ARRAYS if f"{k}.{name}" in arrays]
            return Cone(arrays[f"{k}.W"], prior=Prior(*given) if given else None)

        labels = notes["labels"]
        classes = {label: cone(k) for k, label in enumerate(labels)}
        return cls(classes, cone(len(labels)), notes["brightness"])


def as_saved(model: Model) -> tuple[Model, dict[str, Any]]:
    """Return a model as its file holds it, and ``study["cone"]["file"]``."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        record = {"name": FILE, "sha256": model.write(path), "bytes": path.stat().st_size}
        return Model.read(path), record


def ranks(pixels: int) -> tuple[int, int]:
    """Return the ranks of a class cone and of the common cone for images of so many pixels.

    Examples
    --------
    >>> ranks(784), ranks(64)
    ((128, 200), (32, 32))
    """
    return min(128, pixels // 2), min(200, pixels // 2)


def train_class_cone(x: Array, rank: int, brightness: float, seed: int) -> Cone:
    """Train the cone of one class, so that its generators stay near whole images of the class.

    Training starts from images drawn at random, and coefficients are penalised: ``l1_H = 0.0055
    brightness``. As a generator may grow while its coefficients shrink, ``l2_W = 2 l1_H N
    brightness / rank`` holds it near length 1.

    Parameters
    ----------
    x : ndarray, shape (N, m)
        Training images of the class as rows.
    rank : int
        Number of generators, at most N are used.
    brightness : float
        Median 2-norm of the training images.
    seed : int
        Of the draw.
    """
    rank = min(rank, len(x))
    start = x[np.random.default_rng(seed).choice(len(x), rank, replace=False)]
    sparsity = SPARSITY * brightness
    trained = Cone.fit(
        x,
        rank,
        W=start.T,
        l1_H=sparsity,
        l2_W=2 * sparsity * len(x) * brightness / rank,
        max_iter=CLASS_ITERATIONS,
        tol=0.0,
    )
    return trained.unit()


def train_common_cone(x: Array, rank: int, seed: int) -> Cone:
    """Train one cone for all classes, from random numbers and without a penalty."""
    rank = min(rank, *x.shape)
    trained = Cone.fit(
        x, rank, init="random", random_state=seed, max_iter=COMMON_ITERATIONS, tol=0.0
    )
    return trained.unit()


def train_model(data: Dataset, account: Account, seed: int) -> tuple[Model, dict[str, Any]]:
    """Train the model of a study.

    Returns
    -------
    model : Model
    record : dict
        ``study["cone"]``: ranks and costs.
    """
    x = data.fit.x
    rank, common_rank = ranks(x.shape[1])
    brightness = float(np.median(np.linalg.norm(x, axis=1)))

    def class_cones() -> dict[int, Cone]:
        return {
            label: train_class_cone(data.fit.of(label).x, rank, brightness, seed)
            for label in data.labels
        }

    classes, class_cost = account.once(class_cones)
    common, common_cost = account.once(lambda: train_common_cone(x, common_rank, seed))
    record: dict[str, Any] = {
        "rank": rank,
        "cost": added(class_cost, common_cost),
        "parts": [
            {
                "name": "class cones",
                "cones": len(classes),
                "rank": rank,
                "generators": [cone.W.shape[1] for cone in classes.values()],
                "iterations": CLASS_ITERATIONS,
                "clean_psnr_db": _clean_psnr(data, classes),
                "cost": class_cost,
            },
            {
                "name": "common cone",
                "cones": 1,
                "rank": common_rank,
                "generators": [common.W.shape[1]],
                "iterations": COMMON_ITERATIONS,
                "clean_psnr_db": _clean_psnr(data, common),
                "cost": common_cost,
            },
        ],
    }
    return Model(classes, common, brightness), record


def _clean_psnr(data: Dataset, cones: Cone | Mapping[int, Cone]) -> float:
    """Return the mean PSNR of the cones' copies of clean test images."""
    clean = data.test.mixed(CLEAN_IMAGES).x
    return float(psnr(denoise(clean, cones).signal, clean).mean())
