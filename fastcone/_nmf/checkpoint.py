# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints: the last iterate and a fingerprint of the run that wrote it.

The file holds the factors in scaled units, the history and what else the iteration remembers, so
that a resumed run continues with the bits of one that was never stopped; with it, fingerprints of
the data and of every option that has a part in those bits. It is replaced whole or not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcone._nmf.arguments import Options
from fastcone._nmf.problem import Factors, Problem, Source
from fastcone._runtime.modelfile import read_model, write_model
from fastcone._runtime.validation import nonnegative, shown

KIND = "nmf checkpoint"
SHARE = 0.02  # of the time, at most, goes into checkpoints
_log = logging.getLogger(__name__)
FREE = ("max_iter", "tol", "rng", "callback", "n_threads", "deadline")  # no part in the bits


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often `nmf` keeps its last iterate.

    Parameters
    ----------
    path : str or path
        The file. If it exists, the run continues from it.
    seconds : float, default 60
        Time from one writing to the next, at least; more where writing would take more than 2 % of
        the time. The last iterate of a run is always written.

    Examples
    --------
    >>> import numpy as np, tempfile, fastcone
    >>> X = np.random.default_rng(0).random((20, 30))
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     kept = fastcone.Checkpoint(f"{directory}/run.fastcone", seconds=10)
    ...     short = fastcone.nmf(X, 3, tol=0, max_iter=10, checkpoint=kept)
    ...     resumed = fastcone.nmf(X, 3, tol=0, max_iter=30, checkpoint=kept)
    >>> whole = fastcone.nmf(X, 3, tol=0, max_iter=30)
    >>> np.array_equal(resumed.W, whole.W)
    True
    """

    path: str | os.PathLike[str]
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"checkpoint must be a path or a Checkpoint, found {shown(self.path)}")
        if "\0" in os.fsdecode(self.path):
            raise ValueError(f"checkpoint must hold no NUL, found {shown(self.path)}")
        nonnegative("seconds", self.seconds)

    @classmethod
    def checked(cls, value: Any) -> Checkpoint | None:
        """Return the `checkpoint` argument of `nmf` as a Checkpoint, or None."""
        return value if value is None or isinstance(value, Checkpoint) else cls(value)


def fingerprint(value: np.ndarray | None) -> str | None:
    """Return a fingerprint of an array."""
    if value is None:
        return None
    return hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()


def identity(
    X: Source, arrays: dict[str, np.ndarray | None], options: Options, seeded: bool
) -> dict[str, Any]:
    """Return everything that has a part in the bits of a run, in words that JSON can hold."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    facts: dict[str, Any] = {"shape of X": [X.m, X.N], "dtype of X": str(X.dtype)}
    for name, value in values.items():
        if isinstance(value, dict):
            facts.update(value)
        elif name not in FREE:
            facts[name] = value.beta if name == "loss" else value
    facts.update({name: fingerprint(array) for name, array in arrays.items()})
    state = repr(options.rng.bit_generator.state).encode()
    facts["random_state"] = hashlib.sha256(state).hexdigest() if seeded else None
    facts["X"] = X.digest()
    return facts


@dataclass(frozen=True)
class Saved:
    """The iterate of a checkpoint: W (m, k), H' (N, k), and what the iteration remembers."""

    W: np.ndarray
    Ht: np.ndarray
    history: list[float]
    memory: dict[str, np.ndarray]

    def factors(self, problem: Problem) -> Factors:
        """Return the factors in the layout of the problem."""
        W = problem.room_for_W()
        W[: problem.m, : problem.k] = self.W
        return Factors(W, self.Ht)


class Keeper:
    """Reads and writes the checkpoint of one run."""

    def __init__(self, checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
        self.path, self.seconds, self.facts = checkpoint.path, checkpoint.seconds, facts
        self.next = time.monotonic()
        self.written = False  # by this run

    def load(self) -> Saved | None:
        """Return what an earlier run left, None if there was none, or raise for another run's."""
        if not os.path.exists(self.path):
            return None
        arrays, theirs = read_model(self.path, KIND)
        for name in dict.fromkeys([*self.facts, *theirs]):
            mine, other = self.facts.get(name), theirs.get(name)
            if mine != other:
                either = mine or other
                hashed = isinstance(either, str) and len(either) == 64
                what = f"another {name}" if hashed else f"{name} {other!r}, found {mine!r}"
                raise ValueError(f"checkpoint {os.fspath(self.path)!r} is of a run with {what}")
        (m, N), k = self.facts["shape of X"], self.facts["rank"]
        dtype, count = np.dtype(self.facts["dtype of X"]), arrays.get("history", np.empty(0)).size
        wanted = {"W": np.empty((m, k), dtype), "Ht": np.empty((N, k), dtype)}
        wanted["history"] = np.empty(count)
        found = {name: arrays.pop(name) for name in wanted if name in arrays}
        self.check(found, wanted)
        self.next = time.monotonic() + self.seconds
        return Saved(found["W"], found["Ht"], found["history"].tolist(), arrays)

    def check(self, found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
        """Raise unless the arrays of the file are the ones wanted in name, shape and dtype."""
        kinds = [{name: (a.shape, a.dtype) for name, a in each.items()} for each in (found, wanted)]
        if kinds[0] != kinds[1] or not all(np.isfinite(array).all() for array in found.values()):
            raise ValueError(
                f"checkpoint {os.fspath(self.path)!r} does not hold what a run of this fastcone "
                f"leaves: found {sorted(found)}, want {sorted(wanted)}, finite, of known shapes"
            )

    def due(self) -> bool:
        """Return whether it is time to write."""
        return time.monotonic() >= self.next

    def save(
        self,
        problem: Problem,
        at: Factors,
        history: list[float],
        memory: dict[str, np.ndarray],
        patience: float,
    ) -> None:
        """Write an iterate; the old file is there until the new one is complete.

        Raises OSError or ValueError where it cannot be written: a full disk, a folder that is gone.
        """
        begin = time.monotonic()
        W = at.W[: problem.m, : problem.k]
        arrays = {"W": W, "Ht": at.Ht, "history": np.array(history), **memory}
        try:
            write_model(self.path, KIND, arrays, self.facts, patience)
            self.written = True
        finally:
            end = time.monotonic()
            self.next = end + max(self.seconds, (end - begin) / SHARE)

    def may_fail(self, error: Exception) -> bool:
        """Tell of a writing that failed; return whether a later one may be waited for.

        Not for the first: what is wrong with the path has been so from the start.
        """
        if self.written:
            _log.warning("checkpoint %r was not written: %s", os.fspath(self.path), error)
        return self.written
