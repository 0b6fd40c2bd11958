# SPDX-License-Identifier: BSD-3-Clause
"""Broken sparse structures of every format, drawn from a seed, for builds with sanitizers.

``python tests/structures.py COUNT [SEED]`` changes one part of a sound matrix at random and makes a
call with it: that ends in a ValueError that names the argument or, where what is left happens to
be sound, well. It fails at anything else; a process that dies is for the caller to see.
"""

from __future__ import annotations

import collections
import sys
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from test_structure import CALLS, FORMATS

WILD = (-(2**62), -(2**31), -(10**7), -2, -1, 0, 1, 2, 7, 29, 30, 31, 10**7, 2**31 - 1)


def hurt(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """Return an index or data array with a wild entry, of another length, order or kind."""
    array, way = array.copy(), rng.integers(8)
    if way < 4 and array.size:
        with np.errstate(all="ignore"):
            wild = np.array([rng.choice(WILD)]).astype(array.dtype)
        array.flat[rng.integers(array.size)] = wild[0]
    elif way == 4:
        array = array[: rng.integers(len(array) + 1)]
    elif way == 5:
        array = np.concatenate([array, array[: rng.integers(1, 9)]])
    elif way == 6:
        array = array[::-1]
    else:
        array = array[rng.permutation(len(array))]
    return array


def broken(rng: np.random.Generator) -> Any:
    """Return a matrix of a random format and size, one or two of its parts changed."""
    m, n = rng.integers(1, 31, 2)
    M = sp.random_array((m, n), density=rng.random(), rng=rng).asformat(rng.choice(FORMATS))
    for _ in range(rng.integers(1, 3)):
        if M.format == "lil":
            which, i = M.rows if rng.random() < 0.5 else M.data, rng.integers(m)
            if way := int(rng.integers(3)):
                which[i] = [*which[i], int(rng.choice(WILD))][-way * 20 :]
            else:
                which[i] = which[i][:-1]
        elif M.format == "dok":
            dict.__setitem__(M._dict, tuple(int(i) for i in rng.choice(WILD, 2)), 1.0)
        elif M.format == "coo":
            axis = int(rng.integers(2))
            M.coords = tuple(
                hurt(rng, c) if k == axis else c for k, c in enumerate(M.coords)
            )  # fmt: skip
        else:
            parts = ("offsets", "data") if M.format == "dia" else ("indptr", "indices", "data")
            part = str(rng.choice(parts))
            setattr(M, part, hurt(rng, getattr(M, part)))
    return M


def main(count: int, seed: int) -> None:
    """Make `count` calls."""
    rng, ends = np.random.default_rng(seed), collections.Counter()
    for i in range(count):
        M, name = broken(rng), str(rng.choice(list(CALLS)))
        try:
            CALLS[name](M)
            ends[M.format, "well"] += 1
        except ValueError as error:
            argument = str(error).partition(" ")[0]
            if argument not in ("A", "B", "X", "V", "rank"):
                sys.exit(f"call {i} of seed {seed}, {name} {M.format}: no argument in {error}")
            ends[M.format, "refused"] += 1
    print(dict(sorted(ends.items())))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
