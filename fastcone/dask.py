# SPDX-License-Identifier: BSD-3-Clause
"""Training and projection of Dask arrays, on one machine or many (extra: `fastcone[dask]`).

`nmf` keeps samples and coefficients where the workers are. An iteration is one task per segment of
samples and one reduction of W-sized sums; docs/growth.md has its cost. The bits are those of
`fastcone.nmf` on the same array, for any number of workers, also when some of them die: every
task is a function of what it is given, so Dask's own lineage makes lost pieces again. Every
`COPIES` iterations the coefficients are copied to a second worker, so that one death costs that
many iterations of the dead worker's share at most.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

try:
    import dask.array as da
    from dask.delayed import delayed
    from distributed import Client, LocalCluster, default_client, wait
    from distributed import TimeoutError as DaskTimeout
except ImportError as error:
    raise ImportError("fastcone.dask needs dask and distributed: pip install fastcone[dask]") from (
        error
    )

from fastcone._nmf.api import nmf as nmf_at_hand
from fastcone._nmf.arguments import Options, check_positive
from fastcone._nmf.checkpoint import Checkpoint
from fastcone._nmf.problem import Problem, blocks_of
from fastcone._nmf.remote import REMOTE, RemoteSource, Swept
from fastcone._nmf.result import NMFResult
from fastcone._nmf.segments import Held, Segment, Task, Told, Unit, examine, segments, units
from fastcone._nmf.train import factorise
from fastcone._runtime import threads
from fastcone._runtime.deadline import Deadline, Expired
from fastcone._runtime.validation import integer
from fastcone.cone import Cone, Projection

__all__ = ["nmf", "project"]

INLINE = 1 << 20  # bytes up to which W goes along with every task, not as a piece of data first
COPIES = 10  # iterations from one copy of the coefficients to the next
SEGMENT_BYTES = {True: 1 << 26, False: 1 << 24}  # samples of a segment: persistent, or not
STARTS = ("random", "nndsvd", "nndsvda")
DEFAULTS: dict[str, Any] = dict(inspect.unwrap(nmf_at_hand).__kwdefaults__)
OTHERS = ("mask", "weights")  # keywords of `fastcone.nmf` that are refused here


def nmf(
    X: Any,
    rank: int,
    *,
    client: Client | None = None,
    persist: bool = True,
    groups: int | None = None,
    **options: Any,
) -> NMFResult:
    """Factorise a Dask array of samples, X ~ W H, where its chunks are.

    The problem, the iterations and their bits are those of `fastcone.nmf`.

    Parameters
    ----------
    X : dask.array.Array, (m, N)
        Non-negative data, one sample a column (the transpose of an (N, m) array), of any chunks.
        float32 is computed in float32. Rows of X are brought together: chunks that hold whole
        samples move least.
    rank : int
        Columns k of the dictionary.
    client : distributed.Client, optional
        By default the current one; without one a cluster of this machine's CPUs for this call, a
        process each (a script then needs ``if __name__ == "__main__":``).
    persist : bool, default True
        Keep X in the workers' memory. False: its chunks are made again, from the files they come
        from, in each iteration, a few at a time.
    groups : int, optional
        Sums formed side by side, the most workers that can help. By default as many as
        `fastcone.nmf` has, at most 16; another number may change the last bits.
    **options
        Keywords of `fastcone.nmf`: every loss with ``solver="mu"``, frobenius with ``"cd"`` too;
        penalties, W, H, max_iter, tol, update_W, fixed, n_init, random_state, callback, time_limit,
        checkpoint (the file is written here, and H travels). `init` is one of random, nndsvd and
        nndsvda; mask and weights are refused. `n_threads` is that of the steps on W; a segment of
        samples is one thread's work.

    Returns
    -------
    NMFResult
        W an ndarray, H (k, N) a Dask array: in the workers' memory (where `client` is not the
        current one, ``client.compute(H)`` reads it), or, of a cluster for this call alone, in
        this process's.

    Raises
    ------
    ValueError, TypeError
        As `fastcone.nmf`; the first bad entry of X is named by its place.

    Notes
    -----
    A worker that dies loses time only: its samples, and its coefficients of at most 10 iterations,
    are computed again. The scheduler notes every task of a run, about 1 kB each, and the W and W'W
    of every iteration. All workers should have the same SIMD level (`FASTCONE_LEVEL`): bits differ
    between levels. docs/growth.md says what it costs.

    Examples
    --------
    >>> import dask.array, numpy as np, fastcone, fastcone.dask
    >>> from distributed import Client
    >>> X = np.random.default_rng(0).random((1000, 20))            # one sample a row
    >>> with Client(n_workers=1, processes=False, dashboard_address=":0"):
    ...     fit = fastcone.dask.nmf(dask.array.from_array(X, chunks=(400, 20)).T, 3, max_iter=5)
    >>> np.array_equal(fit.W, fastcone.nmf(X.T, 3, max_iter=5).W)
    True
    """
    given = _keywords(options)
    if not isinstance(X, da.Array):
        raise TypeError(f"X is a {type(X).__name__}, want a dask.array.Array")
    if X.ndim != 2 or not X.size or np.isnan(X.size):
        raise ValueError(f"X has shape {X.shape}, want a 2-D array of known sizes, not empty")
    if X.dtype.kind not in "fiub":
        raise TypeError(f"X has dtype {X.dtype}, want real numbers")
    kept = Checkpoint.checked(given.pop("checkpoint"))
    checked = Options.checked(rank, **given)
    if groups is not None:
        groups = integer("groups", groups, minimum=1)
    dtype = np.dtype(np.float32 if X.dtype.newbyteorder("=") == np.float32 else np.float64)
    samples: Any = RemoteSource(X.shape, dtype, groups)
    blocks, _ = blocks_of(samples, checked.rank)
    cut = segments(blocks, SEGMENT_BYTES[persist] // (dtype.itemsize * samples.m))
    with _connected(client) as (client, own):
        samples.held_by(Workers(client, X.T, cut, persist))
        check_positive(checked.loss, samples.smallest > 0)
        factors, seeded = (given["W"], given["H"]), given["random_state"] is not None
        try:
            result = factorise(samples, None, factors, checked, kept, seeded, REMOTE)
        except KeyboardInterrupt as stopped:
            if own and hasattr(stopped, "result"):
                stopped.result = _fetched(stopped.result)
            raise
        if own or isinstance(result.H, np.ndarray):
            result = _fetched(result)
        return result


def _keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Return all keywords of `nmf_at_hand` that are allowed here, or raise for another one."""
    for name in options:
        if name not in DEFAULTS:
            raise TypeError(f"nmf() got an unexpected keyword argument {name!r}")
        if name in OTHERS and options[name] is not None:
            raise ValueError(f"{name} must be None for a Dask array")
    given = DEFAULTS | options
    if given["init"] not in (None, *STARTS):
        raise ValueError(f"init must be one of {STARTS} for a Dask array, found {given['init']!r}")
    return {name: value for name, value in given.items() if name not in OTHERS}


@contextlib.contextmanager
def _connected(client: Client | None) -> Iterator[tuple[Client, bool]]:
    """Give a client, and whether its cluster is of this call alone."""
    if client is not None and not isinstance(client, Client):
        raise TypeError(f"client is a {type(client).__name__}, want a distributed.Client")
    if client is None:
        with contextlib.suppress(ValueError):
            client = default_client()
    if client is not None:
        with client.as_current():
            yield client, False
        return
    count = threads.available_cpus()
    with (
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
        client.as_current(),
    ):
        yield client, True


def _fetched(result: NMFResult) -> NMFResult:
    """Return a result whose H is an array of this process."""
    H = np.asarray(result.H).T  # samples as rows, whose chunks are cheap to take
    return replace(result, H=da.from_array(H, chunks=("auto", -1)).T)  # type: ignore[arg-type]


class Left(NamedTuple):
    """What a task leaves: what stays with the worker, and, group by group, what travels."""

    held: list[Held | None]
    told: dict[int, Told]


class Workers:
    """The workers of a Dask cluster, which hold the segments (`remote.Holders`).

    What they hold of the coefficients is a list with a future of a `Left` for each unit.
    """

    def __init__(self, client: Client, X: Any, cut: list[Segment], persist: bool) -> None:
        self.client, self.segments, self.persisted, self.accepted = client, cut, persist, 0
        self.copies: Any = None
        client.wait_for_workers(1)
        slots = [name for name, count in sorted(client.nthreads().items()) for _ in range(count)]
        groups = 1 + cut[-1].group
        place = [s.group * len(slots) // groups for s in cut]
        self.units, self.last = units(cut, place)
        rows = X.rechunk((tuple(map(len, cut)), (X.shape[1],)))
        self.X = list(rows.to_delayed().ravel())
        if persist:
            self.X = self._persisted([slots[p] for p in place])

    def _persisted(self, wanted: list[str]) -> list[Any]:
        """Return X as futures, each on the worker of this name."""
        found: list[Any] = self.client.compute(self.X)
        wait(found)
        at = self.client.who_has(found)
        for i, (future, name) in enumerate(zip(found, wanted, strict=True)):
            if name not in at.get(future.key, ()):
                found[i] = self.client.submit(
                    _same, future, workers=[name], allow_other_workers=True, pure=False
                )
        wait(found)
        return found

    def _samples(self, unit: Unit) -> list[Any]:
        """Return futures of the samples of a unit."""
        X = [self.X[i] for i in unit.segments]
        return X if self.persisted else self.client.compute(X)

    def spread(self, values: list[Any]) -> list[Any]:
        """Return one value a segment as what a pass may be given."""
        return [[values[i] for i in unit.segments] for unit in self.units]

    def sweep(self, task: Task, held: Any, deadline: Deadline) -> Swept:
        """Run a pass; see `remote.Holders`."""
        deadline.check()
        client = self.client
        left: list[Any] = []
        told: list[Any] = []
        small = len(self.units) * task.nbytes <= INLINE
        shared = task if small else client.submit(_same, task, pure=False)
        for u, unit in enumerate(self.units):
            before = None if unit.before is None else told[unit.before]
            cut = [self.segments[i] for i in unit.segments]
            name = f"{task.work.__name__}-{uuid4()}"
            some = held[u] if held else [None] * len(cut)
            left.append(
                client.submit(_run, cut, self._samples(unit), some, before, shared, key=name)
            )
            told.append(client.submit(_told, left[u], pure=False))
        ends = [told[u] for u in self.last]
        try:
            wait(ends, timeout=deadline.left())
        except BaseException as error:
            client.cancel([*left, *told])
            raise Expired if isinstance(error, DaskTimeout) else error from None
        found: dict[int, Told] = {}
        for some in client.gather(ends):
            found |= some
        groups = [found[g] for g in range(len(found))]
        parts = np.concatenate([t.parts for t in groups])
        return Swept(left, parts, [t.sums for t in groups])

    def examine(self) -> Iterator[tuple[float, float, bytes]]:
        """Yield what `segments.examine` tells of every segment."""
        found: dict[int, Any] = {}
        for unit in self.units:
            some = [self.segments[i] for i in unit.segments]
            told = self.client.map(examine, some, self._samples(unit), pure=False)
            found.update(zip(unit.segments, told, strict=True))
        yield from self.client.gather([found[i] for i in range(len(found))])

    def collect(self, held: list[Any]) -> Iterator[tuple[Segment, Any]]:
        """Yield what is held of each segment, one after the other."""
        for unit, left in zip(self.units, held, strict=True):
            for j, i in enumerate(unit.segments):
                yield self.segments[i], self.client.submit(_held, left, j, pure=False).result()

    def keep(self, held: list[Any]) -> None:
        """Have a copy of the coefficients on a second worker, every few iterations."""
        self.accepted += 1
        if self.accepted % COPIES == 0:
            with contextlib.suppress(Exception):  # Dask's, while a worker dies: no copy this time
                self.client.replicate(held, n=2)
                self.copies = held

    def public(self, problem: Problem, held: list[Any], e: int) -> Any:
        """Return 2^e H (k, N) as a Dask array."""
        if not held:
            return da.zeros((problem.k, problem.N), dtype=problem.dtype)
        rows: dict[int, Any] = {}
        for unit, left in zip(self.units, held, strict=True):
            for j, i in enumerate(unit.segments):
                future = self.client.submit(_coefficients, left, j, e, pure=False)
                shape = len(self.segments[i]), problem.k
                rows[i] = da.from_delayed(delayed(future), shape, dtype=problem.dtype)
        return da.concatenate([rows[i] for i in range(len(rows))]).T


def _same(value: Any) -> Any:
    return value


def _told(left: Left) -> dict[int, Told]:
    return left.told


def _held(left: Left, j: int) -> Held | None:
    return left.held[j]


def _coefficients(left: Left, j: int, e: int) -> np.ndarray:
    Ht = left.held[j].Ht  # type: ignore[union-attr]
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(Ht, e) if e else Ht


def _run(
    cut: list[Segment], X: list[np.ndarray], held: Any, before: dict[int, Told] | None, task: Task
) -> Left:
    """Do a pass over some segments, on a worker."""
    told, stays = dict(before or {}), []
    for segment, rows, own in zip(
        cut, X, held.held if isinstance(held, Left) else held, strict=True
    ):  # fmt: skip
        so_far = told.get(segment.group)
        new, says = task(segment, rows, own, so_far.sums if so_far else ())
        if so_far:
            says = Told(np.concatenate([so_far.parts, says.parts]), says.sums)
        stays.append(new)
        told[segment.group] = says
    return Left(stays, told)


def project(cone: Cone, V: Any, *, mask: Any = None, **options: Any) -> Projection:
    """Project the rows of a Dask array onto a cone, chunk by chunk; nothing is computed yet.

    Parameters
    ----------
    cone : fastcone.Cone
    V : dask.array.Array, (N, m')
        Samples as rows, in any chunks.
    mask : array_like of bool, (m',), Dask array of bool, (N, m'), or "nan", optional
        As in `fastcone.Cone.project`.
    **options
        forward, loss and l1 of `fastcone.Cone.project`.

    Returns
    -------
    Projection
        Of Dask arrays, whose chunks of samples are those of `V`.

    Examples
    --------
    >>> import dask.array, fastcone, fastcone.dask
    >>> cone = fastcone.Cone([[1.0], [2.0], [2.0]])
    >>> V = dask.array.ones((4, 3), chunks=(2, 3))
    >>> fastcone.dask.project(cone, V).signal.compute()[0]
    array([0.55555556, 1.11111111, 1.11111111])
    """
    if not isinstance(V, da.Array) or V.ndim != 2:
        raise TypeError(f"V is {V!r}, want a 2-D dask.array.Array")
    V = V.rechunk({1: -1})
    rows, size = V.chunks[0], cone.W.shape
    masks = [mask] * len(rows)
    if isinstance(mask, da.Array) and mask.ndim == 2:
        masks = list(mask.rechunk(V.chunks).to_delayed().ravel())
    shared, keywords = delayed(cone), delayed(options)
    solved = [
        delayed(_project)(shared, part, known, keywords)
        for part, known in zip(V.to_delayed().ravel(), masks, strict=True)
    ]
    dtype = np.dtype(np.float32 if V.dtype == np.float32 else np.float64)

    def whole(name: str, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        return da.concatenate(
            [
                da.from_delayed(getattr(part, name), (count, *shape), dtype)
                for part, count in zip(solved, rows, strict=True)
            ]
        )

    return Projection(
        whole("signal", size[:1], dtype),
        whole("coef", size[1:], dtype),
        whole("distance", (), dtype),
        whole("gap", (), np.dtype(np.float64)),
    )


def _project(cone: Cone, V: np.ndarray, mask: Any, options: dict[str, Any]) -> Projection:
    """Project a chunk, on a worker."""
    return cone.project(V, mask=mask, **options)
