# SPDX-License-Identifier: BSD-3-Clause
"""Self-training: few labels, and many samples that the model labels for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.validation import integer, number, real_array
from fastcone.tasks._restore import Array
from fastcone.tasks.classify import Classification, classify
from fastcone.tasks.local import checked_labels


@dataclass(frozen=True, eq=False)
class SelfTraining:
    """What `self_train` returns.

    Attributes
    ----------
    models : list
        What `fit` made: of the given labels alone, then round after round.
    labels : list of ndarray, shape (n,)
        The label that each of these gives to the samples without one.
    used : list of ndarray of bool, shape (n,)
        Those of them that the next model was fitted to, with that label; none after the last.
    changed : list of float
        Share of labels that a round changed. If it does not fall, the model drifts.
    """

    models: list[Any]
    labels: list[Array]
    used: list[npt.NDArray[np.bool_]]
    changed: list[float]


def self_train(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    unlabelled: npt.ArrayLike,
    fit: Callable[[Array, Array], Any],
    *,
    rounds: int = 5,
    share: float = 1.0,
) -> SelfTraining:
    """Fit a model to few labels, let it label other samples, fit again to the surest of these.

    In round t of T the share ``t / T * share`` of the samples of each label is used, those with the
    largest margins first,

        margin(v) = 1 - D_1(v) / D_2(v),        D_1 <= D_2 <= ... the distances to the classes.

    What is wrong with a large margin is learnt as if it were right: a start with many errors
    drifts, and no figure of the samples without labels shows it. Keep labels back to see it.

    Parameters
    ----------
    X : array_like, shape (N, m)
        Samples as rows.
    labels : array_like, shape (N,)
        Their classes, numbers or strings, two at least.
    unlabelled : array_like, shape (n, m)
        Samples without a label.
    fit : callable
        ``fit(X, labels)`` returns what `classify` takes, such as
        ``lambda X, y: LocalCones(X, y, copies=...)`` or ``lambda X, y: class_cones(X, y, 8)``.
    rounds : int
        Models fitted after the first.
    share : float
        Of the samples of each label that the last round uses, in (0, 1].

    Returns
    -------
    SelfTraining

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    References
    ----------
    D. Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods", ACL 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcone.tasks import LocalCones, self_train
    >>> angle = np.linspace(0, 1.5, 31)[:, None]
    >>> V = np.hstack([np.cos(angle), np.sin(angle)])
    >>> found = self_train(V[[0, -1]], ["x", "y"], V[1:-1], LocalCones, rounds=3)
    >>> found.labels[-1][[0, 5, -6, -1]].tolist(), len(found.models)
    (['x', 'x', 'y', 'y'], 4)
    """
    samples = real_array("X", X, ndim=(2,), min_size=1)
    others = real_array("unlabelled", unlabelled, ndim=(2,), min_size=1)
    if others.shape[1] != samples.shape[1]:
        raise ValueError(
            f"unlabelled must have {samples.shape[1]} entries per row, found {others.shape[1]}"
        )
    given = checked_labels("labels", labels, len(samples))
    if len(np.unique(given)) < 2:
        raise ValueError(f"labels must be of two classes at least, found {np.unique(given)}")
    if not callable(fit):
        raise TypeError(f"fit must be a callable, found {type(fit).__name__}")
    rounds = integer("rounds", rounds, minimum=0)
    share = number("share", share, positive=True)
    if share > 1:
        raise ValueError(f"share must be at most 1, found {share:g}")
    model = fit(samples, given)
    found = classify(others, model)
    run = SelfTraining([model], [found.labels], [], [])
    for t in range(1, rounds + 1):
        used = _surest(found, t / rounds * share)
        model = fit(np.vstack([samples, others[used]]), np.append(given, found.labels[used]))
        before, found = found, classify(others, model)
        run.models.append(model)
        run.labels.append(found.labels)
        run.used.append(used)
        run.changed.append(float(np.mean(found.labels != before.labels)))
    return run


def _surest(found: Classification, share: float) -> npt.NDArray[np.bool_]:
    """Return the share of samples of each label whose margin is largest, one at least."""
    first, second = np.partition(found.distances, 1, axis=1)[:, :2].T
    margin = 1 - np.divide(first, second, out=np.ones_like(first), where=second > 0)
    used = np.zeros(len(margin), bool)
    for label in np.unique(found.labels):
        members = np.flatnonzero(found.labels == label)
        count = max(1, round(share * len(members)))
        used[members[np.argsort(-margin[members], kind="stable")[:count]]] = True
    return used
