# SPDX-License-Identifier: BSD-3-Clause
"""Local cones: the cone of the exemplars nearest to a sample, class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fastcone._runtime import threads
from fastcone._runtime.rows import row_norms
from fastcone._runtime.threads import Scratch
from fastcone._runtime.validation import check_finite, integer, real_array
from fastcone.cone.arguments import MANY
from fastcone.tasks._exemplars import REFINED, cone_distances, directions, nearest, unit_rows
from fastcone.tasks._restore import Array
from fastcone.tasks.augment import Copy, check_copies, copied

ROWS = 128  # samples of a block, at most
COSINES = 1 << 20  # of samples and exemplars, formed at a time: 4 MB
ENTRIES = 1 << 22  # of the exemplars gathered for a block of samples


class LocalCones:
    """One cone per sample and class: that of the training samples nearest to it.

        D_k(v) = min_{h >= 0} ||E_k(v) h - v||_2,

    where the columns of ``E_k(v)`` are the exemplars of class k with the largest cosines with v.

    Nothing is trained. `fastcone.tasks.classify` and `detect` take it where they take a dict of
    cones. It is the accurate way to compare with a class, and the large one: **every training
    sample and every copy is kept**, ``4 (1 + len(copies)) N m`` bytes, and each query is compared
    with all of them. What it is given it also gives away: training samples are stored as they are.

    Parameters
    ----------
    X : array_like, shape (N, m)
        Training samples as rows, of any sign; kept at unit length in float32. A row of zeros
        counts for nothing.
    labels : array_like, shape (N,)
        The class of each sample, numbers or strings. All equal for one class, as in detection.
    neighbours : int
        Exemplars that span a local cone, copies counted; all where a class has fewer. Too many,
        and every cone contains everything: choose it on samples left out.
    copies : sequence of callable
        Changes that keep the class, as in `augment`: their results stand beside the samples.

    Attributes
    ----------
    labels : ndarray, shape (S,)
        The classes, sorted.
    nbytes : int
        Bytes of the exemplars kept.

    Raises
    ------
    ValueError, TypeError
        An argument of the wrong kind, shape or range.

    References
    ----------
    P. Vincent, Y. Bengio, "K-local hyperplane and convex distance nearest neighbor algorithms",
    NIPS 2001: the same with affine and convex hulls.

    Examples
    --------
    >>> from fastcone.tasks import LocalCones, classify, detect
    >>> X = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 2.0]]
    >>> local = LocalCones(X, ["a", "a", "b", "b"], neighbours=2)
    >>> local
    LocalCones(m=3, classes=2, exemplars=4, neighbours=2, nbytes=96)
    >>> classify([[3.0, 2.0, 0.0], [0.0, 1.0, 9.0]], local).labels.tolist()
    ['a', 'b']
    >>> detect([3.0, 2.0, 0.5], local).round(6).item()
    0.5
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        neighbours: int = 15,
        copies: Sequence[Copy] = (),
    ) -> None:
        samples = real_array("X", X, ndim=(2,), min_size=1)
        which = checked_labels("labels", labels, len(samples))
        self._neighbours = integer("neighbours", neighbours, minimum=1)
        check_copies(copies)
        self.labels, self._m = np.unique(which), samples.shape[1]
        rows = [np.flatnonzero(which == label) for label in self.labels]
        many = 1 + len(copies)
        self._exemplars = [np.empty((many * len(r), self._m), np.float32) for r in rows]
        for k in range(many):
            made = unit_rows(samples if k == 0 else copied(samples, copies, k - 1))
            for kept, r in zip(self._exemplars, rows, strict=True):
                kept[k * len(r) : (k + 1) * len(r)] = made[r]
        self._directions = directions(self._exemplars)
        self._sketches = [kept @ self._directions for kept in self._exemplars]

    def __repr__(self) -> str:
        n = sum(map(len, self._exemplars))
        return (
            f"LocalCones(m={self._m}, classes={len(self.labels)}, exemplars={n}, "
            f"neighbours={self._neighbours}, nbytes={self.nbytes})"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the exemplars kept, and of their sketches."""
        return sum(kept.nbytes for kept in (*self._exemplars, *self._sketches))

    def distances(self, V: npt.ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the distance of each sample to its local cone of each class.

        Parameters
        ----------
        V : array_like, shape (N, m), (m,) or (..., m)
            Samples as rows, of any length and sign.
        n_threads : int, optional
            Threads; never changes a result.

        Returns
        -------
        ndarray, shape (N, S)
            In the order of `labels`, in the units of `V`, right to about 1e-6 ``||v||``.

        Raises
        ------
        ValueError, TypeError
            Not an array of samples of m entries.

        Examples
        --------
        >>> from fastcone.tasks import LocalCones
        >>> LocalCones([[1.0, 0.0], [0.0, 2.0]], [5, 7]).distances([4.0, 3.0]).round(6)
        array([3., 4.])
        """
        samples = real_array("V", V, ndim=MANY)
        if samples.shape[-1] != self._m:
            raise ValueError(f"V must have {self._m} entries per row, found shape {samples.shape}")
        rows = samples.reshape(-1, self._m)
        norm, queries = row_norms(rows, "l2"), unit_rows(rows)
        found = np.empty((len(rows), len(self.labels)))
        stored = list(zip(self._exemplars, self._sketches, strict=True))
        gathered = REFINED * self._neighbours * self._m
        most = COSINES // max(map(len, self._exemplars)), ENTRIES // gathered, ROWS
        step = max(1, min(most))

        def block(b: int, scratch: Scratch) -> None:
            part = slice(b * step, (b + 1) * step)
            unit = queries[part]
            sketch = unit @ self._directions
            for c, (exemplars, sketches) in enumerate(stored):
                near = nearest(unit, sketch, exemplars, sketches, self._neighbours)
                found[part, c] = cone_distances(unit, near)

        with threads.one_blas_thread():
            threads.run(-(-len(rows) // step), block, n_threads)
        scaled = (found * norm[:, None]).astype(samples.dtype, copy=False)
        return scaled.reshape(*samples.shape[:-1], len(self.labels))


def local_only(loss: str, l1: float) -> None:
    """Raise ValueError for options that local cones do not have."""
    if loss != "l2":
        raise ValueError(f"loss must be 'l2' with LocalCones, found {loss!r}")
    if l1 != 0:
        raise ValueError(f"l1 must be 0 with LocalCones, found {l1!r}")


def checked_labels(name: str, labels: npt.ArrayLike, count: int) -> Array:
    """Return `count` labels of one kind, numbers or strings, as an array."""
    found = np.asarray(labels)
    if found.dtype.kind not in "iufUSb":
        raise TypeError(f"{name} must be numbers or strings, found dtype {found.dtype}")
    if found.shape != (count,):
        raise ValueError(f"{name} must have shape ({count},), found {found.shape}")
    if found.dtype.kind == "f":
        check_finite(name, found)
    return found
