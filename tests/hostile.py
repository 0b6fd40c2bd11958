# SPDX-License-Identifier: BSD-3-Clause
"""Hostile calls, drawn from a seed: each ends well, or in an error that names an argument.

``python tests/hostile.py CALLS [SEED]`` makes so many and fails at the first crash (which a process
of its own survives), at a call of more than PATIENCE seconds, an error without a name, an input
that was written to, or a clean call whose answer differs from that of a plain copy.
"""

from __future__ import annotations

import collections
import contextlib
import inspect
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

import fastcone
from fastcone import operators, tasks

PATIENCE = 30.0  # seconds of a call
SLICE = 2000  # calls of a process
SIZES = (0, 1, 2, 3, 7, 16, 33)
SOUND = (ValueError, TypeError)
HONEST = (RuntimeError, OverflowError)  # a limit of steps, an x beyond float64
ODD = [
    10**400, -(10**400), [[1, 2], [3]], "x", b"1", object(), {}, np.nan, np.inf, -np.inf, -1, 0, 1j,
    None, True, [], (), "a\0b", 2**63, 1e300, 5e-324, -0.0, np.float32(3), np.array([1, 2]),
    np.ma.masked_array([1.0, 2.0], [0, 1]), np.ma.masked, Ellipsis, slice(3), float, "nan",
    "stored", np.array(["a"]), np.array([None]), [[10**400]], sp.eye_array(3), np.zeros((0, 0)),
    {1, 2}, np.datetime64("2020"), memoryview(b"abc"), bytearray(b"12"), np.uint8(3), 1.5,
    2, [0.5, 2.0],
]  # fmt: skip


@dataclass
class Found:
    """What the calls came to, by kind, and what was wrong with some."""

    kinds: collections.Counter = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], *, signed: bool = True) -> np.ndarray:
    """Draw an array of one of many characters: sizes, zeros, ties, wide ranges, bad entries."""
    kind = rng.integers(8)
    array = rng.integers(-3, 4, shape).astype(float) if kind < 2 else rng.standard_normal(shape)
    array = array if signed else np.abs(array)
    with np.errstate(all="ignore"):
        if kind == 2:
            array = array * 10.0 ** rng.integers(-320, 300)
        elif kind == 3:
            array = array * 10.0 ** rng.integers(-200, 200, shape)
        elif kind == 4:
            array = array * (rng.random(shape) < 0.3)
        elif kind == 5 and array.size:
            bad = rng.choice([np.nan, np.inf, -np.inf, -1.0, 5e-324, 1.7e308])
            array.flat[rng.integers(array.size)] = bad
        elif kind == 6 and array.ndim == 2:
            array[:] = array[:, :1]
    return array


def dressed(rng: np.random.Generator, array: np.ndarray) -> Any:
    """Return the array in one of the forms that users have."""
    kind = rng.integers(20)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == 0:
            return np.asfortranarray(array)
        if kind == 1:
            return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
        if kind == 2:
            return array[::-1].copy()[::-1]
        if kind == 3:
            return array.astype(rng.choice(["f4", "f2", ">f8", "<f4", "g", "i8", "u1", "?", "c16"]))
        if kind == 4:
            array.flags.writeable = False
        if kind == 5:
            return array.tolist()
        if kind == 6:
            return memoryview(np.ascontiguousarray(array)) if array.size else array
        if kind == 7:
            return np.ma.masked_array(array, rng.random(array.shape) < 0.1)
        if kind == 8:
            return array.astype(object)
        if kind == 9 and array.size:
            held = np.zeros(array.nbytes + 1, np.uint8)
            other = np.ndarray(array.shape, array.dtype, held.data, 1)
            other[...] = array
            return other
        if kind == 10 and array.ndim == 2 and array.size:
            return np.broadcast_to(array[:1], array.shape)
        if kind in (11, 12, 13) and array.ndim == 2:
            return sparse(rng, array)
        if kind == 14:
            return array[..., None] if rng.random() < 0.5 else array.ravel()
    return array


def sparse(rng: np.random.Generator, array: np.ndarray) -> Any:
    """Return it in a sparse format, its structure broken one time in two."""
    M = sp.csc_array(array).asformat(rng.choice(["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]))
    if rng.random() < 0.5:
        return M
    bad = int(rng.choice([-1, -(2**31), 2**31 - 1, 10**7, M.shape[0], M.shape[1] + 1]))
    parts = [p for p in ("indptr", "indices", "data", "offsets") if hasattr(M, p)]
    part = str(rng.choice([*parts, "coords"] if M.format == "coo" else parts or ["none"]))
    if part == "coords" and M.nnz:
        M.coords = tuple(c + (bad if i == rng.integers(2) else 0) for i, c in enumerate(M.coords))
    elif M.format == "lil" and M.nnz:
        row = int(rng.integers(M.shape[0]))
        M.rows[row] = [bad, *M.rows[row]] if rng.random() < 0.5 else ["a"]
    elif M.format == "dok":
        dict.__setitem__(M._dict, (bad, 0), 1.0)
    elif part != "none":
        held = np.array(getattr(M, part, np.empty(0)))
        if held.size:
            held.flat[rng.integers(held.size)] = bad
        length = int(rng.choice([len(held), len(held) // 2, 2 * len(held)]))
        with contextlib.suppress(*SOUND):
            setattr(M, part, np.resize(held, (length, *held.shape[1:])))
    return M


def drawn(rng: np.random.Generator) -> tuple[str, Callable[..., Any], dict[str, Any]]:
    """Draw a function and sound arguments; junk may still replace one."""
    m, n, p, k = (int(rng.choice(SIZES)) for _ in range(4))
    A, B = numbers(rng, (m, n)), numbers(rng, (m, p) if rng.random() < 0.7 else (m,))
    X = numbers(rng, (max(m, 1), max(p, 1)), signed=False)
    cone = fastcone.Cone(np.abs(rng.standard_normal((max(m, 1), max(k, 1)))))
    V = numbers(rng, (p, max(m, 1)))
    short = {"time_limit": 5.0, "n_threads": int(rng.integers(1, 4))}
    train = {"max_iter": 3, "tol": 0.0, "random_state": 0} | short
    losses = ["frobenius", "kl", "is", 0.5, 3.0]
    loss = losses[rng.integers(len(losses))] if rng.random() < 0.7 else "kl"
    forward = operators.Dense(rng.standard_normal((max(m, 1), max(m, 1))))
    table: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
        ("nnls", fastcone.nnls, {"A": A, "b": numbers(rng, (m,))}),
        ("solve_nnls", fastcone.solve_nnls, {"A": A, "B": B, "l1": 0.0, **short}),
        ("solve_nnls", fastcone.solve_nnls, {"A": A, "B": B, "upper": 1.0, **short}),
        ("solve_nnls_gram", fastcone.solve_nnls_gram, {"G": rng.random((n, n)), "C": B, **short}),
        ("nnls_path", fastcone.nnls_path, {"A": A, "B": B, "l1": [0.0, 1.0], **short}),
        ("solve_nnlad", fastcone.solve_nnlad, {"A": A, "B": B, "l1": 0.0, **short}),
        ("Projector", fastcone.Projector, {"A": A}),
        ("nmf", fastcone.nmf, {"X": X, "rank": max(k, 1), "loss": loss, **train}),
        ("nmf", fastcone.nmf, {"X": X, "rank": 2, "mask": X > 0, "loss": loss, **train}),
        ("Cone", fastcone.Cone, {"W": np.abs(A)}),
        ("Cone.fit", fastcone.Cone.fit, {"X": X, "rank": 2, **train}),
        ("project", cone.project, {"V": V, "l1": 0.0}),
        ("project", cone.project, {"V": V, "forward": forward}),
        ("decode", cone.decode, {"H": numbers(rng, (p, max(k, 1)), signed=False)}),
        ("forward", forward.forward, {"V": V}),
        ("detect", tasks.detect, {"V": V, "cones": {"a": cone}, "relative": True}),
        ("compress", tasks.compress, {"V": V, "cone": cone}),
    ]
    return table[rng.integers(len(table))]


def copied(value: Any) -> Any:
    """Return a copy of an argument to compare with."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    if sp.issparse(value):
        return {k: np.array(v) for k, v in vars(value).items() if isinstance(v, np.ndarray)}
    return None


def unchanged(value: Any, before: Any) -> bool:
    """Return whether an argument is bit by bit what it was."""
    if isinstance(before, dict):
        held = ((np.asarray(getattr(value, k)), v) for k, v in before.items())
        return all(a.dtype == b.dtype and same(a, b) for a, b in held)
    return before is None or same(np.asarray(value), before)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays are equal, NaN and objects included."""
    if a.dtype == object or b.dtype == object:
        return a.shape == b.shape and repr(a.tolist()) == repr(b.tolist())
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def attempt(seed: int, found: Found) -> None:
    """Make the call of a seed and judge how it ended."""
    rng = np.random.default_rng(seed)
    name, call, given = drawn(rng)
    given = {k: dressed(rng, v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
    if rng.random() < 0.4:
        names = [p.name for p in inspect.signature(call).parameters.values() if p.kind in (1, 3)]
        spared = {"max_iter", "callback", "checkpoint", "rank", "n_init"}  # sound, and for hours
        names = [each for each in names if each not in spared]
        given[str(rng.choice(names))] = ODD[rng.integers(len(ODD))]
    before = {k: copied(v) for k, v in given.items()}
    begin = time.monotonic()
    try:
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            call(**given)
        kind = "answered"
    except SOUND as error:
        kind = "refused"
        if not any(word in str(error) for word in (*given, "stack")):
            found.wrong.append(f"{seed} {name}: no name in {error}")
    except HONEST as error:
        kind = "honest"
        if name != "nnls":
            found.wrong.append(f"{seed} {name}: {type(error).__name__} {error}")
    except Exception as error:
        kind = "other"
        found.wrong.append(f"{seed} {name}: {type(error).__name__} {error}")
    found.kinds[f"{name} {kind}"] += 1
    if time.monotonic() - begin > PATIENCE:
        found.wrong.append(f"{seed} {name}: {time.monotonic() - begin:.0f} s")
    for key, value in given.items():
        if not unchanged(value, before[key]):
            found.wrong.append(f"{seed} {name}: {key} was written to")


def attempts(first: int, count: int) -> Found:
    """Make the calls of so many seeds."""
    found = Found()
    for seed in range(first, first + count):
        attempt(seed, found)
    return found


def main(calls: int, first: int) -> int:
    """Make the calls in processes of their own; return the number of things that were wrong."""
    total, context = Found(), multiprocessing.get_context("spawn")
    for start in range(first, first + calls, SLICE):
        count = min(SLICE, first + calls - start)
        with context.Pool(1) as pool:
            result = pool.apply_async(attempts, (start, count))
            try:
                found = result.get(PATIENCE + count)
            except multiprocessing.TimeoutError:  # a process that died never answers
                found = Found(wrong=[f"{start}..{start + count}: the process died or hangs"])
        total.kinds += found.kinds
        total.wrong += found.wrong
        for line in found.wrong:
            print(line, flush=True)
    answered = sum(n for kind, n in total.kinds.items() if kind.endswith("answered"))
    print(f"{calls} calls from seed {first}: {answered} answered, {len(total.wrong)} wrong")
    return len(total.wrong)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
