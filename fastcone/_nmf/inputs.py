# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of `nmf`, checked, and the scaled problem made of them.

X = 2^x X', W = 2^w W', H = 2^h H' with x = w + h, hence objective = 2^f objective' with f = 2 x
(frobenius) or x (kullback-leibler), and l1_W' = 2^(w - f) l1_W, l2_W' = 2^(2 w - f) l2_W, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone import _threads
from fastcone._nmf.dense import DenseSource, is_parts
from fastcone._nmf.problem import COMFORT, Expired, Factors, Penalty, Problem, Source, Watch
from fastcone._nmf.sparse import SparseSource
from fastcone._nmf.start import INITS, start
from fastcone._validation import (
    check_finite,
    check_shape,
    choice,
    integer,
    nonnegative,
    number,
    real_array,
)

LOSSES = ("frobenius", "kullback-leibler")
SOLVERS = ("cd", "mu")
FLOOR = 2.0**-52  # least entry that `mu` gives a factor, in units of the factor
LIFT = 2.0**-13  # what `mu` starts from in place of an entry below that


@dataclass(frozen=True)
class Options:
    """The scalar arguments, checked."""

    rank: int
    loss: str
    solver: str
    init: str | None
    weights: dict[str, float]
    max_iter: int
    tol: float
    update_W: bool
    rng: np.random.Generator
    callback: Callable[[int, float], Any] | None
    n_threads: int
    watch: Watch

    @classmethod
    def checked(cls, rank: Any, *, mask: Any, W: Any, H: Any, **given: Any) -> Options:
        """Return the options, or raise for the first bad one."""
        limit = given["time_limit"]
        if limit is not None:
            limit = number("time_limit", limit, positive=True)
        options = cls(
            rank=integer("rank", rank, minimum=1),
            loss=choice("loss", given["loss"], LOSSES),
            solver=choice("solver", given["solver"], SOLVERS),
            init=None if given["init"] is None else choice("init", given["init"], INITS),
            weights={
                name: nonnegative(name, given[name]) for name in ("l1_W", "l1_H", "l2_W", "l2_H")
            },
            max_iter=integer("max_iter", given["max_iter"], minimum=1),
            tol=nonnegative("tol", given["tol"]),
            update_W=_flag("update_W", given["update_W"]),
            rng=_generator(given["random_state"]),
            callback=given["callback"],
            n_threads=_threads.thread_count(given["n_threads"]),
            watch=Watch(limit),
        )
        if options.callback is not None and not callable(options.callback):
            raise TypeError(f"callback must be callable, found {options.callback!r}")
        options._check_together(mask, W, H)
        return options

    def _check_together(self, mask: Any, W: Any, H: Any) -> None:
        if self.solver == "cd" and self.loss != "frobenius":
            raise ValueError(f"solver must be 'mu' for loss={self.loss!r}, found 'cd'")
        if self.solver == "cd" and mask is not None:
            raise ValueError("solver must be 'mu' with a mask, found 'cd'")
        if W is None and H is not None:
            raise ValueError("W must be given with H, found None")
        if W is None and not self.update_W:
            raise ValueError("W must be given with update_W=False, found None")
        if W is not None and self.init is not None:
            raise ValueError(f"init must be None where W is given, found {self.init!r}")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, found {value!r}")
    return bool(value)


def _generator(random_state: Any) -> np.random.Generator:
    """Return the generator a seed stands for."""
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    try:
        return np.random.default_rng(integer("random_state", random_state, minimum=0))
    except TypeError:
        raise TypeError(
            f"random_state must be an integer, a numpy Generator or None, found {random_state!r}"
        ) from None


def data(X: Any, mask: Any) -> tuple[Source, np.ndarray | None]:
    """Return the samples, 0 where not known, and the mask (N, m), C order."""
    if issparse(X):
        if mask is not None:
            raise ValueError("mask must be None with a sparse X, whose other entries are zeros")
        return SparseSource.of(X), None
    if mask is None:
        return DenseSource.of(X), None
    if is_parts(X):
        raise ValueError("mask must be None where X is given in parts")
    X = real_array("X", X, ndim=(2,), finite=False, min_size=1)
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"mask has dtype {mask.dtype}, want bool")
    check_shape("mask", mask, X.shape)
    whole = np.zeros(X.shape, dtype=X.dtype, order="F")
    np.copyto(whole, X, where=mask)
    return DenseSource.of(whole), np.ascontiguousarray(mask.T)


def factor(name: str, value: Any, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray | None:
    """Return a factor the caller gave, in the dtype of the data."""
    if value is None:
        return None
    value = real_array(name, value, ndim=(2,), nonnegative=True)
    check_shape(name, value, shape)
    with np.errstate(over="ignore"):
        value = value.astype(dtype, copy=False)
    check_finite(name, value)
    return value


def exponent(largest: float) -> int:
    """Return e with the largest value in [2^e, 2^(e + 1)), 0 if it is zero."""
    return int(np.frexp(largest)[1]) - 1 if largest > 0 else 0


@dataclass(frozen=True)
class Scaled:
    """A problem, its start, and the exponents that lead back to the caller's units."""

    problem: Problem
    start: Factors
    w: int
    h: int
    f: int

    def objective(self, value: float) -> float:
        """Return an objective in the caller's units."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.ldexp(value, self.f))

    def factors(self, found: Factors) -> tuple[np.ndarray, np.ndarray]:
        """Return W (m, k) and H (k, N) in the caller's units."""
        with np.errstate(over="ignore", under="ignore"):
            W = np.ldexp(found.W[: self.problem.m, : self.problem.k], self.w)
            return W, (np.ldexp(found.Ht, self.h) if self.h else found.Ht).T


def scaled(
    X: Source,
    known: np.ndarray | None,
    W: np.ndarray | None,
    H: np.ndarray | None,
    o: Options,
    resumed: Callable[[Problem], Factors] | None = None,
) -> Scaled:
    """Return the problem at a scale where nothing overflows, and where its iteration starts."""
    e = exponent(X.largest)
    x = e if abs(e) > COMFORT else 0
    w = exponent(W.max()) if W is not None else x // 2
    in_W = 0 if W is not None else (e - x) // 2  # orders of magnitude of the scaled factors
    units = math.ldexp(1, in_W), math.ldexp(1, e - x - in_W)
    f = 2 * x if o.loss == "frobenius" else x
    problem = Problem(
        X.scaled(-x) if x else X,
        known,
        o.rank,
        _penalty(o, "W", w, f, units[0], X.dtype),
        _penalty(o, "H", x - w, f, units[1], X.dtype),
        units,
        o.watch,
        o.n_threads,
    )
    start = resumed(problem) if resumed else _start(problem, W, H, w, x - w, o)
    return Scaled(problem, start, w, x - w, f)


def _penalty(o: Options, name: str, e: int, f: int, unit: float, dtype: np.dtype) -> Penalty:
    """Return the penalty on a factor of exponent e; at most the root of what the dtype can hold."""
    most = math.sqrt(np.finfo(dtype).max)
    with np.errstate(over="ignore", under="ignore"):
        l1 = min(float(np.ldexp(o.weights["l1_" + name], e - f)), most)
        l2 = min(float(np.ldexp(o.weights["l2_" + name], 2 * e - f)), most)
    return Penalty(l1, l2, FLOOR * unit)


def _start(
    problem: Problem, W: np.ndarray | None, H: np.ndarray | None, w: int, h: int, o: Options
) -> Factors:
    """Return the start the caller gave or named; for `mu`, without zeros in what it updates."""
    m, k = problem.m, problem.k
    if W is None:
        possible = k <= min(m, problem.N)
        if o.init not in (None, "random") and not possible:
            raise ValueError(f"init must be 'random' for rank > min(m, N), found {o.init!r}")
        name = "nndsvda" if possible and problem.known is None else "random"
        try:
            factors = start(problem, o.init or name, o.rng)
        except Expired:
            factors = problem.factors()
    else:
        factors = problem.factors()
        factors.W[:m, :k] = np.ldexp(W, -w)
        if H is not None:
            factors.Ht[...] = _rescaled(H.T, -h, problem.units[1])
        elif o.solver == "mu":
            factors.Ht[...] = problem.units[1]
    if o.solver == "mu":
        _lift(factors.Ht, problem.units[1])
        if o.update_W:
            _lift(factors.W[:m, :k], problem.units[0])
    return factors


def _lift(values: np.ndarray, unit: float) -> None:
    """Replace what multiplication could not bring back."""
    values[values < FLOOR * unit] = LIFT * unit


def _rescaled(Ht: np.ndarray, e: int, unit: float) -> np.ndarray:
    """Return 2^e H', refused where W H would be beyond all proportion to X."""
    with np.errstate(over="ignore", under="ignore"):
        Ht = np.ldexp(Ht, e)
    most = 2.0 ** (np.finfo(Ht.dtype).maxexp // 4)
    if not Ht.max() <= most * unit:
        raise ValueError(f"H is too large: W @ H exceeds X by a factor of more than {most:.0e}")
    return Ht
