# SPDX-License-Identifier: BSD-3-Clause
"""Coordinate descent in pieces: for a caller's start, for many generators, for method="cd".

A lane stops when an epoch has moved it by less than a limit; whether that was enough the report
says. The limit is the one for which the convex bound would give the gap (docs/nnls.md), and where
the report finds the gap still larger, the limit is lowered and the descent goes on.
"""

from __future__ import annotations

import numpy as np

from fastcone._nnls import kernels
from fastcone._nnls.block import Block, Job, report
from fastcone._nnls.plan import CALL_WORK
from fastcone._nnls.prepare import Gram
from fastcone._runtime.scaling import roundoff
from fastcone._runtime.threads import Scratch


def first_limit(gram: Gram, tol: float) -> float:
    """Return the epoch's movement, relative to ||b||^2, at which to look at the certificate."""
    curvature = gram.lam if gram.lam > 1e-6 else 1e-3
    return tol * curvature / max(0.25, 0.18 * (gram.top - 1) ** 2)


def first_schedule(p: int) -> np.ndarray:
    """Return the state of the extrapolation of p problems before their first epoch."""
    return np.tile((3.0, np.inf), (p, 1))


def least_limit(gram: Gram, dtype: np.dtype) -> float:
    """Return the movement of an epoch, relative to ||b||^2, below which a dtype tells nothing."""
    return (8 * roundoff(dtype)) ** 2 * gram.n


def descend(
    job: Job, block: Block, todo: np.ndarray, scratch: Scratch
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients of some problems after descent, and the epochs used.

    Each goes on until its gap is what descent aims for, its epochs are spent or nothing more can
    be gained in this dtype.
    """
    gram, dtype = job.targets.gram, job.working
    aim = job.options.aim(job.dtype)
    size = np.maximum(block.linear.b_norm, block.linear.delta_scale / 8)[todo].astype(float)
    with np.errstate(over="ignore"):
        size2 = size**2
    limit, floor = first_limit(gram, aim) * size2, least_limit(gram, dtype) * size2
    C, X = block.linear.C[todo], block.X[todo]
    schedule, epochs = first_schedule(len(todo)), np.zeros(len(todo), dtype=np.intp)
    most = min(job.plan.epochs, (job.options.max_epochs or np.inf) - block.epochs[todo].min())
    going = np.arange(len(todo))
    while going.size:
        _epochs(job, C, X, limit.astype(dtype), schedule, epochs, going, int(most), scratch)
        gap = report(job, block, todo[going], X[going], scratch).gap
        more = ~(gap <= aim) & (limit[going] > floor[going]) & (epochs[going] < most)
        going, gap = going[more], gap[more]
        ratio = (aim / gap) ** (1 if gram.lam > 1e-6 else 2)
        lower = limit[going] * np.clip(ratio / 4, 1e-6, 0.1)
        limit[going] = np.maximum(lower, floor[going] / 2)
        if job.late(scratch):
            break
    return X, epochs


def _epochs(
    job: Job, C: np.ndarray, X: np.ndarray, limit: np.ndarray, schedule: np.ndarray,
    epochs: np.ndarray, going: np.ndarray, most: int, scratch: Scratch,
) -> None:  # fmt: skip
    """Epochs on some problems until each has moved by less than its limit, or has had `most`.

    Kernel calls are cut where A's size tells: neighbours make no difference.
    """
    gram, dtype = job.targets.gram, job.working
    packed = gram.packed(dtype)
    work = scratch.take("work", (kernels.nnls_work(gram.n_padded, dtype),), dtype)
    longest = int(max(1, CALL_WORK / (2 * gram.n_padded**2 * job.plan.block_size + 1)))
    while going.size and not job.late(scratch):
        some_C, some_X, some_schedule = C[going], X[going], schedule[going]
        step = np.minimum(most - epochs[going], longest).astype(np.intc)
        used, last = np.empty(len(going), dtype=np.intc), np.empty(len(going), dtype=dtype)
        kernels.nnls_cd(
            packed.G, packed.inverse, packed.weight, some_C, some_X, limit[going], some_schedule,
            last, step, used, work,
        )  # fmt: skip
        X[going], schedule[going] = some_X, some_schedule
        epochs[going] += np.abs(used)
        going = going[(used < 0) & (epochs[going] < most)]
