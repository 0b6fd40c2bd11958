# SPDX-License-Identifier: BSD-3-Clause
"""What of a cone stands in its file: W, and, where they are known, its training and its prior."""

from __future__ import annotations

import os
from typing import Any

from fastcone._nmf.result import Training
from fastcone._runtime.modelfile import read_model, write_model
from fastcone._runtime.rows import Array
from fastcone._runtime.validation import check_shape
from fastcone.cone.prior import ARRAYS, Prior


def write(
    path: str | os.PathLike[str], W: Array, training: Training | None, prior: Prior | None
) -> None:
    """Write a cone to a file, see `Cone.save`."""
    arrays, notes = {"W": W}, {}
    if training is not None:
        arrays["history"] = training.history
        notes["converged"] = training.converged
    if prior is not None:
        arrays |= {name: getattr(prior, name) for name in ARRAYS}
    write_model(path, "cone", arrays, notes)


def read(path: str | os.PathLike[str]) -> tuple[Array, Training | None, dict[str, Any] | None]:
    """Return the dictionary, the training and the prior's arrays that `write` wrote."""
    arrays, notes = read_model(path, "cone")
    here = set(ARRAYS) & set(arrays)
    if set(arrays) - {"W", "history", *ARRAYS} or "W" not in arrays or len(here) not in (0, 4):
        wanted = "W alone, with history, or with all of a prior's"
        raise ValueError(f"path {path!r} must hold the arrays {wanted}, found {sorted(arrays)}")
    training = None
    if "history" in arrays:
        training = Training(arrays["history"], notes.get("converged") is True)
        check_shape(f"path {path!r}: history", training.history, (training.n_iter + 1,))
    return arrays["W"], training, {name: arrays[name] for name in ARRAYS} if here else None
