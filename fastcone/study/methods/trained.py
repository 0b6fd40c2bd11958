# SPDX-License-Identifier: BSD-3-Clause
"""Models that are trained again for every task (scikit-learn).

A `train_*` function sees training images and tuning images and returns the trained model as a
function. The tuning images choose its hyper-parameters and when training stops. The networks train
with one BLAS thread: with their small batches a second one burns CPU time and saves none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from fastcone.study.data import Images
from fastcone.study.methods.classical import quantised
from fastcone.study.metrics import mean_auroc, psnr

Array = npt.NDArray[Any]
Model = Callable[[Array], Array]
Pairs = tuple[Array, Array]
Trained = tuple[Model, dict[str, Any]]

BATCH = 100
UPDATES = 100
PATIENCE = 10
INVERSE_PENALTIES = (0.01, 0.1, 1.0)
RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
GAMMAS = (2.0, 8.0, 32.0, 128.0)
COMPONENTS = (0.3, 0.5, 0.7, 0.9)


def train_logistic(fit: Images, tune: Images) -> Trained:
    """Train logistic regression; the penalty is tuned over C = 0.01, 0.1, 1."""
    models = []
    for c in INVERSE_PENALTIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models.append(LogisticRegression(C=c, max_iter=100).fit(fit.x, fit.y))
    best = max(models, key=lambda model: model.score(tune.x, tune.y))
    return lambda v: np.asarray(best.predict(v)), {"C": best.C}


def train_mlp_classifier(
    fit: Images, tune: Images, seed: int, *, width: int, rounds: int
) -> Trained:
    """Train a network of one hidden layer in float32, stopped by its accuracy on `tune`.

    Parameters
    ----------
    fit, tune : Images
    seed : int
        Of the weights and the batches.
    width, rounds : int
        Hidden units; most rounds, one being whole passes over the images of some 100 updates.
    """
    batch = min(BATCH, len(fit))
    net = MLPClassifier(hidden_layer_sizes=(width,), batch_size=batch, random_state=seed)
    x, classes = fit.x.astype(np.float32), np.unique(fit.y)
    early = _EarlyStop(net)
    with threadpool_limits(1, user_api="blas"):
        for _ in range(rounds):
            for _ in range(_passes(len(x))):
                net.partial_fit(x, fit.y, classes=classes)
            if early.done(net.score(tune.x.astype(np.float32), tune.y)):
                break
    return lambda v: np.asarray(net.predict(v.astype(np.float32))), early.restore()


def train_mlp(
    draw: Callable[[], Pairs], tune: Pairs, seed: int, *, width: int, rounds: int, parts: int = 1
) -> Trained:
    """Train a network of one hidden layer from spoilt images to clean ones, in float32.

    Parameters
    ----------
    draw : callable
        Returns training pairs ``(spoilt, clean)``, spoilt anew for each pass.
    tune : pair of ndarrays
        The spoilt and clean tuning images: training stops when their PSNR has not grown for
        10 rounds, and the best round is kept.
    seed : int
        Of the weights and the batches.
    width, rounds : int
        Hidden units; most rounds, one being whole passes over the images of some 100 updates.
    parts : int
        Images per row of the clean side.
    """

    def model(v: Array) -> Array:
        return np.asarray(net.predict(v.astype(np.float32)), np.float64)

    spoilt, clean = draw()
    batch = min(BATCH, len(spoilt))
    net = MLPRegressor(hidden_layer_sizes=(width,), batch_size=batch, random_state=seed)
    early = _EarlyStop(net)
    with threadpool_limits(1, user_api="blas"):
        for _ in range(rounds):
            for _ in range(_passes(len(spoilt))):
                net.partial_fit(spoilt.astype(np.float32), clean.astype(np.float32))
                spoilt, clean = draw()
            if early.done(float(psnr(model(tune[0]), tune[1], parts).mean())):
                break
    return model, early.restore()


def _passes(n_images: int) -> int:
    """Return how many passes over the images make a round."""
    return max(1, UPDATES * BATCH // n_images)


class _EarlyStop:
    """Keep the weights of the best round, the last among equals, and say when to stop."""

    def __init__(self, net: Any) -> None:
        self._net, self._best, self._rounds, self._best_round, self._age = net, -np.inf, 0, 0, 0
        self._weights: tuple[list[Array], list[Array]] = ([], [])

    def done(self, score: float) -> bool:
        self._rounds += 1
        self._age = 0 if score > self._best else self._age + 1
        if score >= self._best:
            self._best, self._best_round = score, self._rounds
            self._weights = (
                [w.copy() for w in self._net.coefs_],
                [b.copy() for b in self._net.intercepts_],
            )
        return self._age >= PATIENCE

    def restore(self) -> dict[str, Any]:
        self._net.coefs_, self._net.intercepts_ = self._weights
        return {"rounds": self._rounds, "best_round": self._best_round}


def train_ridge(pairs: Pairs, tune: Pairs, *, parts: int = 1) -> Trained:
    """Train one linear map from spoilt images to clean ones.

    The penalty is tuned over 0.1, 1, 10, 100 and 1000.
    """
    models = [Ridge(alpha=weight, solver="cholesky").fit(*pairs) for weight in RIDGES]
    best = max(models, key=lambda model: psnr(model.predict(tune[0]), tune[1], parts).mean())
    return lambda v: np.asarray(best.predict(v)), {"alpha": best.alpha}


def train_pca_code(fit: Images, n_bytes: int) -> Trained:
    """Train PCA as a code: 8 bits per component, 4 bytes for the step, `n_bytes` in all."""
    count = min(n_bytes - 4, *fit.x.shape)
    pca = PCA(count, svd_solver="covariance_eigh").fit(fit.x)
    code = {"components": count}
    return lambda v: np.asarray(pca.inverse_transform(quantised(pca.transform(v)))), code


def train_pca_detectors(fit: Images, tune: Images, labels: Sequence[int]) -> Trained:
    """Train, for each class left out, PCA on the others; the score is the residual.

    The share of variance kept is tuned over 0.3, 0.5, 0.7, 0.9, by the mean AUROC.
    """

    def train(share: float) -> Model:
        models = [
            PCA(share, svd_solver="covariance_eigh").fit(_without(fit, label)) for label in labels
        ]

        def scores(v: Array) -> Array:
            rows = [v - pca.inverse_transform(pca.transform(v)) for pca in models]
            return np.linalg.norm(rows, axis=2)

        return scores

    return _best_detector("variance", {s: train(s) for s in COMPONENTS}, tune, labels)


def train_svm_detectors(fit: Images, tune: Images, labels: Sequence[int], *, most: int) -> Trained:
    """Train, for each class left out, a one-class SVM on `most` images of the others.

    The width of the kernel is tuned over 2, 8, 32 and 128 times scikit-learn's 'scale'.
    """
    scale = 1 / (fit.x.shape[1] * fit.x.var())
    few = fit.mixed(most)

    def train(gamma: float) -> Model:
        models = [
            OneClassSVM(nu=0.1, gamma=gamma * scale).fit(_without(few, label)) for label in labels
        ]
        return lambda v: np.stack([-model.score_samples(v) for model in models])

    return _best_detector("gamma", {g: train(g) for g in GAMMAS}, tune, labels)


def _best_detector(
    setting: str, models: dict[float, Model], tune: Images, labels: Sequence[int]
) -> Trained:
    best = max(models, key=lambda value: mean_auroc(models[value](tune.x), tune.y, labels))
    return models[best], {setting: best}


def _without(images: Images, label: int) -> Array:
    return images.x[images.y != label]
