# SPDX-License-Identifier: BSD-3-Clause
"""A soak: mixed load from several threads, cut short, interrupted, forked and malformed at random.

``python tests/soak.py SECONDS [SEED]`` runs so long and then exits by itself: with an error at the
first answer that differs from the one got alone, a call that is late or hangs, a child that does
not end, a malformed call that is not refused, an input written to, or memory that grows.
"""

from __future__ import annotations

import collections
import faulthandler
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy.sparse as sp

import fastcone

THREADS = 3
PATIENCE = 120.0  # seconds after which the process says where it stands, and ends
HEARD = 10.0  # seconds within which a loaded process hears Ctrl-C
WARM = 0.3  # of the time: what memory has grown to by then is not a leak
GROWTH = 48 << 20  # bytes from then on, at most
MALFORMED: list[Callable[[], Any]] = [
    lambda: fastcone.solve_nnls(np.ones((3, 2)), np.ones(4)),
    lambda: fastcone.solve_nnls(np.full((3, 2), np.nan), np.ones(3)),
    lambda: fastcone.nmf(-np.ones((3, 2)), 1),
    lambda: fastcone.nmf(np.ones((3, 2)), 0),
    lambda: fastcone.Cone(np.ones((3, 2))).project(np.ones((2, 7))),
    lambda: fastcone.solve_nnlad(np.ones((3, 2)), np.full(3, np.inf)),
]


class Load:
    """Calls with the answers they gave alone, and the inputs that must stay as they are."""

    def __init__(self, seed: int, folder: Path) -> None:
        rng = np.random.default_rng(seed)
        A, B, X = rng.random((120, 40)), rng.random((120, 300)), rng.random((60, 400))
        S = sp.random_array((200, 60), density=0.1, rng=rng, format="csc")
        C, cone = rng.random((200, 20)), fastcone.Cone(rng.random((120, 12)))
        path, projector = folder / "cone.fc", fastcone.Projector(A)
        cone.save(path)
        self.inputs, one = [A, B, X, S.data, C, cone.W], {"random_state": 0, "max_iter": 8}
        self.calls: dict[str, Callable[..., Any]] = {
            "solve": lambda **t: fastcone.solve_nnls(A, B, **t).x,
            "float32": lambda **t: fastcone.solve_nnls(A.astype("f4"), B.astype("f4"), **t).x,
            "bounds": lambda **t: fastcone.solve_nnls(A, B[:, :40], upper=0.1, **t).x,
            "sum": lambda **t: fastcone.solve_nnls(A, B[:, :40], sum_to=1.0, **t).x,
            "sparse": lambda **t: fastcone.solve_nnls(S, C, **t).x,
            "projector": lambda **t: projector.solve(B, l1=0.1, **t).x,
            "lad": lambda **t: fastcone.solve_nnlad(A, B[:, :8], **t).x,
            "nmf": lambda **t: fastcone.nmf(X, 6, tol=0, **one, **t).H,
            "kl": lambda **t: fastcone.nmf(X, 6, loss="kl", tol=0, **one, **t).H,
            "mask": lambda **t: fastcone.nmf(X, 6, mask=X > 0.2, tol=0, **one, **t).H,
            "file": lambda **t: fastcone.Cone.load(path).project(B.T).coef,
        }
        self.answers = {name: call() for name, call in self.calls.items()}
        self.before = [array.copy() for array in self.inputs]


class Soak:
    """The run: its threads, its end, what was counted and what was wrong."""

    def __init__(self, load: Load, seconds: float, seed: int) -> None:
        self.load, self.seed, self.end = load, seed, time.monotonic() + seconds
        self.wrong: list[str] = []
        self.counts: collections.Counter[str] = collections.Counter()

    def over(self) -> bool:
        """Return whether to end."""
        return bool(self.wrong) or time.monotonic() > self.end

    def once(self, rng: np.random.Generator) -> None:
        """Make a random call and judge how it ended."""
        name, way = str(rng.choice(list(self.load.calls))), rng.integers(4)
        call = self.load.calls[name]
        if way == 0:
            bad = MALFORMED[rng.integers(len(MALFORMED))]
            try:
                bad()
                self.wrong.append("a malformed call was not refused")
            except (ValueError, TypeError):
                self.counts["refused"] += 1
        elif way == 1 and name != "file":
            x = call(time_limit=float(rng.choice([1e-9, 1e-4, 1e-3, 1e-2])))
            if not (np.isfinite(x).all() and x.min() >= 0):
                self.wrong.append(f"{name} cut short is not feasible")
            self.counts["cut short"] += 1
        else:
            options = {} if name == "file" else {"n_threads": int(rng.integers(1, 4))}
            if not np.array_equal(call(**options), self.load.answers[name]):
                self.wrong.append(f"{name} differs from its answer alone")
            self.counts["whole"] += 1

    def work(self, k: int) -> None:
        """What each thread does."""
        rng = np.random.default_rng([self.seed, k])
        try:
            while not self.over():
                self.once(rng)
        except BaseException as error:
            self.wrong.append(f"{type(error).__name__} in a thread: {error}")

    def fork(self) -> None:
        """Fork while others work; the child's answers are the same, and it ends."""
        child = os.fork()
        if not child:
            signal.alarm(int(PATIENCE / 2))
            same = False
            try:
                same = all(np.array_equal(self.load.calls[name](), self.load.answers[name])
                           for name in ("solve", "nmf"))  # fmt: skip
            finally:
                os._exit(0 if same else 1)
        _, status = os.waitpid(child, 0)
        if status:
            self.wrong.append(f"a forked child ended with status {status}")
        self.counts["forks"] += 1

    def interrupt(self, rng: np.random.Generator) -> None:
        """Ctrl-C into a call of this thread: KeyboardInterrupt, or the answer if it was done."""
        name = str(rng.choice([name for name in self.load.calls if name != "file"]))
        timer = threading.Timer(0.02 * rng.random(), os.kill, (os.getpid(), signal.SIGINT))
        until = time.monotonic() + HEARD
        try:
            timer.start()
            while time.monotonic() < until:
                self.load.calls[name]()
            self.wrong.append(f"{name} swallowed Ctrl-C")
        except KeyboardInterrupt:
            self.counts["interrupts"] += 1
        timer.join()

    def run(self) -> None:
        """Soak until the time is over."""
        rng, began, warm = np.random.default_rng(self.seed), time.monotonic(), 0
        workers = [threading.Thread(target=self.work, args=(k,)) for k in range(THREADS)]
        for worker in workers:
            worker.start()
        while not self.over():
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            self.fork() if rng.random() < 0.2 else self.interrupt(rng)
            if not warm and time.monotonic() > began + WARM * (self.end - began):
                warm = resident()
        for worker in workers:
            worker.join()
        faulthandler.cancel_dump_traceback_later()
        if warm and resident() > warm + GROWTH:
            self.wrong.append(f"memory grew from {warm >> 20} to {resident() >> 20} MB")
        if not all(map(np.array_equal, self.load.inputs, self.load.before)):
            self.wrong.append("an input was written to")
        print(dict(sorted(self.counts.items())), f"memory {warm >> 20} -> {resident() >> 20} MB")


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(seconds: float, seed: int) -> None:
    """Soak and tell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as folder:
        soak = Soak(Load(seed, Path(folder)), seconds, seed)
        soak.run()
    if soak.wrong:
        sys.exit(f"seed {seed}: " + "; ".join(soak.wrong[:5]))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
