# SPDX-License-Identifier: BSD-3-Clause
"""One small pool of Python threads that run nogil kernels on the blocks of a problem.

a) The blocks of a job and the order in which their results are combined depend on the problem
   alone, never on the number of threads: the caller cuts them, this module hands them out.
b) The calling thread works too, so a job ends even if every other thread of the pool is busy,
   and an exception or Ctrl-C in any thread stops the job after the blocks under way.
c) Threads are made on first use and made again in a forked child.
d) While a job runs on several threads, BLAS is held to one thread each.
"""

from __future__ import annotations

import functools
import math
import os
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from fastcone._runtime.kernels import address, environment
from fastcone._runtime.validation import integer

ALIGNMENT = 64  # bytes: one cache line, and the widest lane vector


def aligned(shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Return an uninitialised C-contiguous array that starts on a 64-byte boundary."""
    dtype = np.dtype(dtype)
    raw = np.empty(math.prod(shape) * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    return np.ndarray(shape, dtype, raw, -address(raw) % ALIGNMENT)


class Scratch:
    """The work arrays of one thread during one job, made once and used for every block."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, np.dtype], np.ndarray] = {}
        self._job: _Job | None = None

    def stopped(self) -> bool:
        """Return whether another thread has failed or heard Ctrl-C, so that nobody waits for us."""
        return self._job is not None and self._job.error is not None

    def take(self, name: str, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """Return an aligned array of this shape, its contents left from earlier use."""
        key = (name, np.dtype(dtype))
        size = math.prod(shape)
        if key not in self._arrays or self._arrays[key].size < size:
            self._arrays[key] = aligned((size,), dtype)
        return self._arrays[key][:size].reshape(shape)


class _Job:
    """Blocks 0..count-1 of one call, taken in order by whoever is free."""

    def __init__(
        self, count: int, work: Callable[[int, Scratch], None], kept: list[Scratch] | None
    ) -> None:
        self.count = count
        self.work = work
        self.kept = [] if kept is None else kept
        self.next = 0
        self.active = 0
        self.error: BaseException | None = None
        self.state = threading.Condition()

    def take(self) -> int | None:
        with self.state:
            if self.next >= self.count:
                return None
            self.next += 1
            return self.next - 1

    def close(self, error: BaseException | None = None) -> None:
        with self.state:
            self.next = self.count
            self.error = self.error or error

    def run(self) -> None:
        """Work on blocks until none is left; the pool's threads call this."""
        with self.state:
            if self.next >= self.count:
                return
            self.active += 1
        try:
            with self.state:
                scratch = self.kept.pop() if self.kept else Scratch()
            scratch._job = self
            while (block := self.take()) is not None:
                self.work(block, scratch)
            scratch._job = None
            with self.state:
                self.kept.append(scratch)
        except BaseException as error:  # handed to the calling thread, which raises it
            self.close(error)
        finally:
            with self.state:
                self.active -= 1
                self.state.notify_all()

    def wait(self) -> None:
        """Wait until the blocks under way are done, Ctrl-C or not."""
        while True:
            try:
                with self.state:
                    while self.active:
                        self.state.wait(0.05)
                return
            except BaseException as error:
                self.close(error)


class _Pool:
    """Daemon threads that wait for jobs."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.lock = threading.Lock()

    def submit(self, job: _Job, helpers: int) -> None:
        with self.lock:
            while len(self.threads) < helpers:
                name = f"fastcone-{len(self.threads) + 1}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                thread.start()
                self.threads.append(thread)
        for _ in range(helpers):
            self.jobs.put(job)

    def _serve(self) -> None:
        while True:
            job = self.jobs.get()
            job.run()
            del job


_pool = _Pool()


def _reset_in_child() -> None:
    global _pool, _hold
    _pool = _Pool()
    if _hold.inside:
        _hold.limit.restore_original_limits()
    _hold = _OneBlasThread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)


@functools.cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries loaded in this process, looked up once."""
    return ThreadpoolController().select(user_api="blas")


class _OneBlasThread:
    """Holds BLAS to one thread from the first that enters to the last that leaves."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.limit = _blas().limit(limits=1)
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limit.restore_original_limits()


_hold = _OneBlasThread()
_at_first = [library.num_threads for library in _blas().lib_controllers]


def _limit() -> float:
    """The threads that somebody else allows BLAS by now, infinite where it is what it began with.

    Not what it began with: OPENBLAS_NUM_THREADS, or a library's own choice, is about BLAS alone.
    """
    with _hold.lock:
        if _hold.inside:
            now = [info["num_threads"] for info in _hold.limit._original_info]
        else:
            now = [library.num_threads for library in _blas().lib_controllers]
    less = [count for count, first in zip(now, _at_first, strict=True) if 0 < count < first]
    return min(less, default=math.inf)


def one_blas_thread() -> AbstractContextManager[None]:
    """Hold BLAS to one thread: the bits of what runs inside do not depend on its threads."""
    return _hold


def _quota(root: Path = Path("/")) -> float:
    """CPUs the control groups that this process is in may use, infinite where there is no limit.

    A group's quota binds those within it; both versions of control groups, `root` for the tests.
    """
    least, mount = math.inf, root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in ["0::/", ":cpu:/", *lines]:  # where there are namespaces the paths may be others'
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for top in (mount, mount / "unified", mount / "cpu", mount / (controllers or "cpu")):
            group = top / path.lstrip("/")
            while group.is_relative_to(top):
                least = min(least, _quota_of(group))
                group = group.parent
    return least


def _quota_of(group: Path) -> float:
    """CPUs that the files of one control group allow."""
    try:
        limit, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            names = "cpu.cfs_quota_us", "cpu.cfs_period_us"
            limit, period = ((group / name).read_text().strip() for name in names)
        except OSError:
            return math.inf
    try:
        return int(limit) / int(period) if int(limit) > 0 and int(period) > 0 else math.inf
    except ValueError:  # "max"
        return math.inf


@functools.cache
def available_cpus() -> int:
    """CPUs this process may use: its affinity mask and its control group's quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cpus, _quota())))


def thread_count(n_threads: int | None, blocks: int = 2) -> int:
    """The threads to use for so many blocks or more.

    The argument, else FASTCONE_NUM_THREADS, else the CPUs available. Of these no more
    than OMP_NUM_THREADS, with which job queues and pools of processes (joblib, Dask) tell a worker
    its share, and than a limit that threadpoolctl has set.
    """
    if n_threads is not None:
        return integer("n_threads", n_threads, minimum=1)
    asked = environment(b"FASTCONE_NUM_THREADS")
    if not asked:
        cpus = available_cpus() if blocks < 2 else int(min(available_cpus(), _limit()))
        share = environment(b"OMP_NUM_THREADS")
        share = share.partition(",")[0].strip() if share else ""
        return min(cpus, int(share)) if share.isdigit() and int(share) else cpus
    if not asked.isdigit() or int(asked) < 1:
        raise ValueError(f"FASTCONE_NUM_THREADS must be an integer >= 1, found {asked!r}")
    return int(asked)


def run(
    count: int,
    work: Callable[[int, Scratch], None],
    n_threads: int | None = None,
    kept: list[Scratch] | None = None,
) -> None:
    """Call work(block, scratch) for every block in 0..count-1 on as many threads as allowed.

    `n_threads` is that of `thread_count`. Returns when all are done. The work arrays come from
    `kept` and return to it, for a caller whose jobs are many and alike. An exception of any block,
    or Ctrl-C in the calling thread, ends the job after the blocks under way and is raised here.
    """
    helpers = min(thread_count(n_threads, count), count) - 1
    if helpers < 1:
        scratch = kept.pop() if kept else Scratch()
        for block in range(count):
            work(block, scratch)
        if kept is not None:
            kept.append(scratch)
        return
    helpers = min(helpers, 4 * available_cpus() - 1)
    job = _Job(count, work, kept)
    with one_blas_thread():
        _pool.submit(job, helpers)
        job.run()
        job.close()
        job.wait()
    if job.error is not None:
        raise job.error
