# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of `nmf`, checked, and the scaled problem made of them.

X = 2^x X', W = 2^w W', H = 2^h H' with x = w + h, hence objective = 2^f objective' with
f = beta x, and l1_W' = 2^(w - f) l1_W, l2_W' = 2^(2 w - f) l2_W, ... Weights of 2^c have f + c.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastcone._nmf.dense import DenseSource, is_parts
from fastcone._nmf.init import INITS, start, unseen
from fastcone._nmf.losses import Loss, loss_of
from fastcone._nmf.problem import COMFORT, Factors, Penalty, Problem, Source
from fastcone._nmf.sparse import Opened, SparseSource
from fastcone._nmf.stored import StoredSource
from fastcone._runtime import threads
from fastcone._runtime.deadline import Deadline, Expired
from fastcone._runtime.rows import nan_mask
from fastcone._runtime.scaling import exponent
from fastcone._runtime.validation import (
    LARGEST,
    axes,
    boolean_array,
    check_finite,
    check_shape,
    choice,
    flag,
    generator,
    integer,
    nonnegative,
    real_array,
)

SOLVERS = ("cd", "mu")
ROOM = 4  # binary orders of magnitude between the coefficients and the dtype's largest number
FLOOR = 52  # the least entry that `mu` gives a factor is 2^-FLOOR units of the factor, or more
SHARE = 0.5  # of a time limit that the start may take: iterations gain more
CHECKED = 1 << 20  # entries brought into layout between two looks at the time
LIFT = 2.0**-13  # what `mu` starts from in place of an entry below that


@dataclass(frozen=True)
class Options:
    """The scalar arguments, checked."""

    rank: int
    loss: Loss
    solver: str
    init: str | None
    weights: dict[str, float]
    max_iter: int
    tol: float
    update_W: bool
    fixed: int
    n_init: int
    rng: np.random.Generator
    callback: Callable[[int, float], Any] | None
    n_threads: int
    deadline: Deadline

    @classmethod
    def checked(cls, rank: Any, *, W: Any, H: Any, **given: Any) -> Options:
        """Return the options, or raise for the first bad one."""
        loss = loss_of(given["loss"])
        suits = "cd" if loss.entry == "square" else "mu"
        options = cls(
            rank=integer("rank", rank, minimum=1, maximum=LARGEST),
            loss=loss,
            solver=choice("solver", suits if given["solver"] is None else given["solver"], SOLVERS),
            init=None if given["init"] is None else choice("init", given["init"], INITS),
            weights={
                name: nonnegative(name, given[name]) for name in ("l1_W", "l1_H", "l2_W", "l2_H")
            },
            max_iter=integer("max_iter", given["max_iter"], minimum=1),
            tol=nonnegative("tol", given["tol"]),
            update_W=flag("update_W", given["update_W"]),
            fixed=integer("fixed", given["fixed"], minimum=0),
            n_init=integer("n_init", given["n_init"], minimum=1),
            rng=generator(given["random_state"]),
            callback=given["callback"],
            n_threads=threads.thread_count(given["n_threads"]),
            deadline=Deadline.checked(given["time_limit"]),
        )
        if options.callback is not None and not callable(options.callback):
            raise TypeError(f"callback must be callable, found {options.callback!r}")
        options._check_solver()
        options._check_start(W, H)
        return options

    def _check_solver(self) -> None:
        if self.solver == "cd" and self.loss.entry != "square":
            raise ValueError("solver must be 'mu' for a loss that is not 'frobenius', found 'cd'")

    def _check_start(self, W: Any, H: Any) -> None:
        if W is not None:
            axes("W", W)
        if W is None and H is not None:
            raise ValueError("W must be given with H, found None")
        if W is None and not self.update_W:
            raise ValueError("W must be given with update_W=False, found None")
        if self.fixed > (0 if W is None else self.rank):
            raise ValueError(f"fixed must count columns of a given W, found {self.fixed}")
        if W is not None and self.init is not None and np.shape(W)[1:] != (self.fixed,):
            raise ValueError(f"init must be None where W is given, found {self.init!r}")
        drawn = W is None or np.shape(W)[1:] == (self.fixed,) != (self.rank,)
        if self.n_init > 1 and (not drawn or self.init in ("nndsvd", "nndsvda")):
            raise ValueError(f"n_init must be 1 where the start is not random, found {self.n_init}")


def data(
    X: Any, mask: Any, weights: Any, loss: Loss, deadline: Deadline
) -> tuple[Source, np.ndarray | None]:
    """Return the samples, 0 where not known, and the mask or weights (N, m), C order.

    Once the time is up they may be those of a part of X: no pass over them begins any more.
    """
    given = "mask" if mask is not None else "weights" if weights is not None else None
    stored = isinstance(mask, str) and mask == "stored" and weights is None
    if given and issparse(X) and not stored:
        name, value = ("mask", mask) if weights is None else ("weights", weights)
        found = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        raise ValueError(
            f"{name} must be None with a sparse X, found {found}: its other entries are zeros "
            '(or, with mask="stored" and no weights, unknown)'
        )
    if given and is_parts(X):
        raise ValueError(f"{given} must be None where X is given in parts")
    if issparse(X) and loss.sparse and not stored:
        return SparseSource.of(X), None
    if issparse(X) or given is None:
        if stored:
            source: StoredSource | DenseSource = StoredSource.of(X)
        else:
            source = DenseSource.of(Opened(X) if issparse(X) else X, deadline)
        check_positive(loss, source.smallest > 0)
        return source, None
    X = real_array("X", X, ndim=(2,), finite=False, min_size=1)
    known = np.ones(1, dtype=bool) if mask is None else known_entries(X, mask)
    if weights is not None:
        weights = real_array("weights", weights, ndim=(2,), nonnegative=True)
        check_shape("weights", weights, X.shape)
        # far from 1 they are kept as they are: `scaled` narrows what it has scaled
        dtype = X.dtype if abs(floor_exponent(weights.max())) <= COMFORT else weights.dtype
    whole = np.zeros(X.shape, dtype=X.dtype, order="F")
    rows = np.zeros(X.shape[::-1], dtype=bool if weights is None else dtype)
    known, positive = np.broadcast_to(known, X.shape), True
    with contextlib.suppress(Expired):
        for part in deadline.slices(X.shape[1], max(CHECKED // len(X), 1)):
            some = known[:, part]
            rows[part] = (some if weights is None else np.where(some, weights[:, part], 0)).T
            np.copyto(whole[:, part], X[:, part], where=rows[part].T > 0)
            positive &= bool(np.all(whole[:, part], where=rows[part].T > 0))
    samples = DenseSource.of(whole, deadline)
    check_positive(loss, positive)
    return samples, rows


def known_entries(X: np.ndarray, mask: Any) -> np.ndarray:
    """Return a mask of dense X, checked: "nan" stands for the entries of X that are not NaN."""
    known = nan_mask("mask", mask, X) if isinstance(mask, str) else boolean_array("mask", mask)
    check_shape("mask", known, X.shape)
    return known


def check_positive(loss: Loss, positive: bool) -> None:
    """Raise if the divergence of every factorisation from the data would be infinite."""
    if not (loss.zeros_allowed or positive):
        raise ValueError(
            "X holds zeros, want entries > 0 for a loss with beta <= 0: add a small value to X, or "
            "take another loss"
        )


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


def floor_exponent(largest: float) -> int:
    """Return e with the largest value in [2^e, 2^(e + 1)), 0 if it is zero: 1 has exponent 0."""
    return int(exponent(largest)) - 1 if largest > 0 else 0


@dataclass(frozen=True)
class Scaled:
    """A problem, its start, and the exponents that lead back to the caller's units."""

    problem: Problem
    start: Factors
    w: int
    h: int
    f: float

    def objective(self, value: float) -> float:
        """Return an objective in the caller's units."""
        return _times(value, self.f)

    def factors(self, found: Factors) -> tuple[np.ndarray, np.ndarray]:
        """Return W (m, k) and H (k, N) in the caller's units."""
        with np.errstate(over="ignore", under="ignore"):
            W = np.ldexp(found.W[: self.problem.m, : self.problem.k], self.w)
            return W, self.problem.public_H(found, self.h)


def scaled(
    X: Source,
    known: np.ndarray | None,
    W: np.ndarray | None,
    H: np.ndarray | None,
    o: Options,
    resumed: Callable[[Problem], Factors] | None = None,
    kind: type[Problem] = Problem,
) -> Scaled:
    """Return the problem at a scale where nothing overflows, and where its iteration starts."""
    e = floor_exponent(X.largest)
    x = e if abs(e) > COMFORT else 0
    c = 0
    if known is not None and known.dtype != np.bool_ and abs(floor_exponent(known.max())) > COMFORT:
        c = floor_exponent(known.max())
        known = np.ldexp(known, -c).astype(X.dtype, copy=False)
    w = floor_exponent(W.max()) if W is not None else x // 2
    _check_range(e - w, X.dtype)
    in_W = 0 if W is not None else (e - x) // 2  # orders of magnitude of the scaled factors
    units = math.ldexp(1, in_W), math.ldexp(1, e - x - in_W)
    f = o.loss.beta * x + c
    problem = kind(
        X.scaled(-x) if x else X,
        known,
        o.rank,
        _penalty(o, "W", w, f, units[0], X.dtype),
        _penalty(o, "H", x - w, f, units[1], X.dtype),
        units,
        o.deadline,
        o.n_threads,
        o.fixed,
    )
    start = resumed(problem) if resumed else _start(problem, W, H, w, x - w, o)
    return Scaled(problem, start, w, x - w, f)


def restarted(
    first: Scaled, W: np.ndarray | None, H: np.ndarray | None, o: Options
) -> Scaled:  # fmt: skip
    """Return the same problem with a start drawn anew."""
    o = replace(o, init=o.init or "random")
    return replace(first, start=_start(first.problem, W, H, first.w, first.h, o))


def _check_range(e: int, dtype: np.dtype) -> None:
    """Raise if coefficients of the order 2^e cannot be told in this dtype."""
    info = np.finfo(dtype)
    if not info.minexp - info.nmant <= e < info.maxexp - ROOM:
        raise ValueError(
            f"W is too {'small' if e > 0 else 'large'} beside X: the coefficients, of the order "
            f"2^{e}, would be beyond {dtype}"
        )


def _times(value: float, e: float) -> float:
    """Return 2^e value, exact where e is an integer."""
    whole = math.floor(e)
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(value * 2.0 ** (e - whole), whole))


def _penalty(o: Options, name: str, e: int, f: float, unit: float, dtype: np.dtype) -> Penalty:
    """Return the penalty on a factor of exponent e; at most the root of what the dtype can hold.

    The floor is such that x y^(beta - 2) stays in the dtype's range for the least y = WH.
    """
    most = math.sqrt(np.finfo(dtype).max)
    room = FLOOR if dtype == np.float32 else 8 * FLOOR
    l1 = min(_times(o.weights["l1_" + name], e - f), most)
    l2 = min(_times(o.weights["l2_" + name], 2 * e - f), most)
    return Penalty(l1, l2, unit * 2.0 ** -min(FLOOR, int(room / max(2 - o.loss.beta, 1))))


def _start(
    problem: Problem, W: np.ndarray | None, H: np.ndarray | None, w: int, h: int, o: Options
) -> Factors:
    """Return the start the caller gave or named; for `mu`, without zeros in what it updates."""
    m, k = problem.m, problem.k
    if W is None or W.shape[1] < k:
        factors = _made(problem, o, o.init or ("random" if W is not None else None))
        if W is not None:
            factors.W[:m, : o.fixed] = np.ldexp(W, -w)
    else:
        factors = problem.factors()
        factors.W[:m, :k] = np.ldexp(W, -w)
        constant = problem.units[1] if o.solver == "mu" else 0.0
        given = constant if H is None else _rescaled(H.T, -h, problem.units[1])
        problem.set_H(factors, given)
    if o.solver == "mu":
        problem.change_H(factors, Lift(problem.units[1], problem.H.floor))
        if o.update_W:
            Lift(problem.units[0], problem.W.floor)(factors.W[:m, o.fixed : k])
    return factors


def _made(problem: Problem, o: Options, init: str | None) -> Factors:
    """Return the start of this name, None for the one that suits the data."""
    possible = problem.k <= min(problem.m, problem.N)
    if init is not None and init.startswith("nndsvd") and not possible:
        raise ValueError(f"init must be 'random' for rank > min(m, N), found {init!r}")
    default = "nndsvda" if possible and not problem.partial else "random"
    try:
        problem.deadline = o.deadline.part(SHARE)
        return start(problem, init or default, o.rng)
    except Expired:
        pass
    finally:
        problem.deadline = o.deadline
    return unseen(problem, o.rng)


@dataclass(frozen=True)
class Lift:
    """Replaces what multiplication could not bring back."""

    unit: float
    floor: float

    def __call__(self, values: np.ndarray) -> None:
        """Do so in place."""
        values[values < self.floor] = max(LIFT * self.unit, self.floor)


def _rescaled(Ht: np.ndarray, e: int, unit: float) -> np.ndarray:
    """Return 2^e H', refused where W H would be beyond all proportion to X."""
    with np.errstate(over="ignore", under="ignore"):
        Ht = np.ldexp(Ht, e)
    most = 2.0 ** (np.finfo(Ht.dtype).maxexp // 4)
    if not Ht.max() <= most * unit:
        raise ValueError(f"H is too large: W @ H exceeds X by a factor of more than {most:.0e}")
    return Ht
