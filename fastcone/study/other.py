# SPDX-License-Identifier: BSD-3-Clause
"""The tasks that do not restore one image: classify, separate, detect, compress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone import tasks
from fastcone.study import baselines, rivals
from fastcone.study.bench import Bench
from fastcone.study.data import Images
from fastcone.study.metrics import accuracy_quality, auroc_quality
from fastcone.study.problem import Contender, Items, Method, Settings, Task, World

Array = npt.NDArray[Any]

CLASSIFIER_WIDTH = 300
LABEL_BYTES = 1
DCT_STEPS = tuple(np.geomspace(0.05, 3.2, 19).round(4).tolist())


def classify(world: World, labels: list[int], name: str, title: str) -> Task:
    """The class of an image, among these."""
    data, model = world.data, world.model
    fit, tune, test = (part.of(*labels) for part in (data.fit, data.tune, data.test))
    items = Items(tune.x, tune.y, tune.y)
    cones = {label: model.classes[label] for label in labels}

    def nearest(items: Items) -> Array:
        return tasks.classify(items.data, cones).labels

    def trained(train: Callable[[], rivals.Trained]) -> Callable[[], tuple[Method, Settings]]:
        def start() -> tuple[Method, Settings]:
            predict, settings = train()
            return lambda items: predict(items.data), settings

        return start

    def mlp() -> rivals.Trained:
        return rivals.train_mlp_classifier(
            fit, tune, world.seed, width=CLASSIFIER_WIDTH, rounds=world.size.rounds
        )

    return Task(
        name=name,
        title=title,
        metric="accuracy",
        about=f"The class of an image, one of {len(labels)}; all test images.",
        tune=items,
        test=Items(test.x, test.y, test.y),
        contenders=[
            Contender("reuse", "nearest class cone", nearest),
            Contender(
                "retrain",
                "logistic regression",
                train=trained(lambda: rivals.train_logistic(fit, tune)),
            ),
            Contender("retrain", f"MLP ({CLASSIFIER_WIDTH})", train=trained(mlp)),
            Contender(
                "free",
                "nearest neighbour",
                lambda items: baselines.nearest_neighbour_label(items.data, fit.x, fit.y),
            ),
        ],
        judge=lambda answers, items: accuracy_quality(answers, items.truth),
        n_items=len(test),
    )


def separate(world: World) -> Task:
    """The two images in a mixture of the first two classes."""
    first, second = world.data.labels[:2]
    model = world.model
    cones = {label: model.classes[label] for label in (first, second)}

    def mixtures(images: Images, rng: np.random.Generator) -> Items:
        sources = [images.of(label).x for label in (first, second)]
        pick = [x[_shuffled(len(x), len(images) // 2, rng)] for x in sources]
        return Items((pick[0] + pick[1]) / 2, np.hstack(pick), None)

    bench = Bench(world, "separate", mixtures, parts=2, only=(first, second))

    def parts(items: Items, wiener: bool) -> Array:
        found = tasks.separate(items.data, cones, wiener=wiener)
        return 2 * np.hstack([found.signals[first], found.signals[second]])

    def shared_out(method: Method) -> Method:
        def shares(items: Items) -> Array:
            guess = np.maximum(method(items), 0).reshape(len(items.data), 2, -1)
            total = guess.sum(axis=1, keepdims=True)
            share = np.divide(guess, total, out=np.full_like(guess, 0.5), where=total > 0)
            return (2 * items.data[:, None] * share).reshape(len(items.data), -1)

        return shares

    return bench.build(
        "Source separation",
        f"The mean of an image of class {first} and one of class {second}; both are wanted.",
        [
            Contender("reuse", "both class cones, Wiener", lambda items: parts(items, True)),
            Contender("reuse", "both class cones", lambda items: parts(items, False)),
            *bench.rivals(shared_out),
            bench.free("half each", lambda data: np.hstack([data, data])),
        ],
    )


def detect(world: World) -> Task:
    """Images of a class that the model has not seen."""
    model, labels = world.model, world.data.labels
    fit, tune = world.data.fit, Items(world.tune.x, world.tune.y, world.tune.y)

    def distances(items: Items, relative: bool) -> Array:
        rows = []
        for label in labels:
            others = {other: cone for other, cone in model.classes.items() if other != label}
            rows.append(tasks.detect(items.data, others, relative=relative))
        return np.stack(rows)

    def neighbours(items: Items) -> Array:
        known = (fit.x[fit.y != label] for label in labels)
        return np.stack([baselines.nearest_neighbour_distance(items.data, x) for x in known])

    def trained(train: Callable[..., rivals.Trained], **options: Any) -> Any:
        def start() -> tuple[Method, Settings]:
            score, settings = train(fit, world.tune, labels, **options)
            return lambda items: score(items.data), settings

        return start

    return Task(
        name="detect",
        title="Detection of a new class",
        metric="auroc",
        about="Each class in turn is left out of the model and has to be told from the others.",
        tune=tune,
        test=Items(world.test.x, world.test.y, world.test.y),
        contenders=[
            Contender("reuse", "distance to the cones", lambda items: distances(items, False)),
            Contender(
                "reuse", "relative distance to the cones", lambda items: distances(items, True)
            ),
            Contender("retrain", "PCA residual", train=trained(rivals.train_pca_detectors)),
            Contender(
                "retrain",
                "one-class SVM",
                train=trained(rivals.train_svm_detectors, most=world.size.n_svm),
            ),
            Contender("free", "nearest training image", neighbours),
        ],
        judge=lambda answers, items: auroc_quality(answers, items.truth, labels),
        n_items=len(labels) * len(world.test),
    )


def compress(world: World) -> Task:
    """Images in as many bytes as the code of the nearest class cone takes on average."""
    model, shape, fit = world.model, world.data.shape, world.data.fit
    bench = Bench(world, "compress", _as_they_are)
    length = {c: tasks.compress(fit.x[0], cone).nbytes for c, cone in model.classes.items()}
    chosen = tasks.classify(bench.tune.data, model.classes).labels
    n_bytes = int(np.mean([length[label] for label in chosen])) + LABEL_BYTES

    def by_cones(items: Items) -> Array:
        chosen = tasks.classify(items.data, model.classes).labels
        answers = np.empty_like(items.data)
        for label, cone in model.classes.items():
            here = chosen == label
            if here.any():
                answers[here] = tasks.compress(items.data[here], cone).decompress(cone)
        return answers

    def pca() -> tuple[Method, Settings]:
        code, settings = rivals.train_pca_code(fit, n_bytes)
        return lambda items: code(items.data), settings

    def packed_dct() -> tuple[Method, Settings]:
        step = next(
            step
            for step in DCT_STEPS
            if baselines.deflated_dct(bench.tune.data, shape, step)[1] <= n_bytes
            or step == DCT_STEPS[-1]
        )
        return lambda items: baselines.deflated_dct(items.data, shape, step)[0], {"step": step}

    return bench.build(
        "Compression",
        f"About {n_bytes} bytes per image, the class included; the cones or the basis are shared "
        "and not counted.",
        [
            Contender("reuse", "nearest class cone, 8 bits", by_cones),
            Contender("retrain", "PCA, 8 bits", train=pca),
            bench.free("cosine transform, 8 bits", baselines.dct_code, shape, n_bytes),
            Contender("free", "cosine transform, zlib", train=packed_dct),
        ],
    )


def _as_they_are(images: Images, rng: np.random.Generator) -> Items:
    return Items(images.x, images.x, images.y)


def _shuffled(size: int, count: int, rng: np.random.Generator) -> Array:
    """Return `count` positions below `size` in random order, none used again before all are."""
    rounds = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate(rounds)[:count]
