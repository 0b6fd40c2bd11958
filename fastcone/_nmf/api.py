# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative matrix factorisation: the training of a dictionary.

a) X becomes a source of blocks of samples (`_nmf/dense.py`, `_nmf/sparse.py`), where its largest
   entry is far from 1 at a scale at which no product overflows (`_nmf/arguments.py`).
b) `GramFit` (squared error; `FilledFit` with a mask or weights), `KLFit` or `SparseKL`
   (Kullback-Leibler) or `EntryFit` (all others), for mask="stored" `StoredCD` or `StoredMU`,
   proposes new factors; they are accepted only if the objective has not grown.
c) Time limit, Ctrl-C and the callback act between blocks and iterations; the factors last
   accepted are what is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcone._nmf.arguments import Options, data
from fastcone._nmf.checkpoint import Checkpoint
from fastcone._nmf.result import NMFResult
from fastcone._nmf.train import Place, factorise
from fastcone._runtime.deadline import Deadline
from fastcone._runtime.scaling import may_underflow

__all__ = ["Checkpoint", "nmf"]


@may_underflow
def nmf(
    X: Any,
    rank: int,
    *,
    loss: str | float = "frobenius",
    solver: str | None = None,
    W: Any = None,
    H: Any = None,
    init: str | None = None,
    l1_W: float = 0.0,
    l1_H: float = 0.0,
    l2_W: float = 0.0,
    l2_H: float = 0.0,
    mask: Any = None,
    weights: Any = None,
    max_iter: int = 200,
    tol: float = 1e-4,
    update_W: bool = True,
    fixed: int = 0,
    n_init: int = 1,
    random_state: Any = None,
    callback: Callable[[int, float], Any] | None = None,
    n_threads: int | None = None,
    time_limit: float | None = None,
    checkpoint: Any = None,
) -> NMFResult:
    """Factorise non-negative samples into a dictionary and coefficients, X ~ W H.

    ::

        minimise  D(X, W H) + l1_W |W|_1 + l1_H |H|_1 + l2_W/2 |W|_F^2 + l2_H/2 |H|_F^2

    over W >= 0, H >= 0, with D(X, Y) = 1/2 ||X - Y||_F^2 (frobenius),
    sum_ij X_ij log(X_ij / Y_ij) - X_ij + Y_ij (kullback-leibler),
    sum_ij X_ij / Y_ij - log(X_ij / Y_ij) - 1 (itakura-saito), or the beta-divergence
    sum_ij (X_ij^b + (b - 1) Y_ij^b - b X_ij Y_ij^(b - 1)) / (b (b - 1)), which the three are for
    b = 2, 1 and 0. With `weights`, each term of the sum is multiplied by its weight.

    Parameters
    ----------
    X : array_like or sparse matrix, (m, N), or a sequence of arrays (m, N_i)
        Non-negative data, one sample a column. Fortran order (the transpose of a C-order (N, m)
        array) is read in place, any other layout is copied once. float32 is computed in float32.
        Sparse data are never made dense as a whole. A memory-mapped array, and a list or other
        sequence of arrays, the parts of X side by side, are read block by block, likewise.
    rank : int
        Columns k of the dictionary, at least 1; may exceed min(m, N).
    loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float
        A name ("kl" and "is" for short), or the exponent b of a beta-divergence, -4 <= b <= 6. X
        must be > 0 for b <= 0.
    solver : {"cd", "mu"}, optional
        Coordinate descent (frobenius only), or multiplicative updates. By default cd where it
        serves the loss, else mu.
    W : array_like, (m, k) or (m, fixed), optional
        Dictionary to start from. Without `H` the coefficients start at 0 (cd) or at a constant.
        Of (m, fixed) columns the others start as `init` says, by default at random.
    H : array_like, (k, N), optional
        Coefficients to start from, together with `W`.
    init : {None, "random", "nndsvd", "nndsvda", "nndsvdar", "exemplars"}
        How to start without `W`. None: nndsvda for the first start if rank <= min(m, N) and there
        is no mask or weights, else random. exemplars: samples far from each other as columns.
        Entries that are not known count as 0.
    l1_W, l1_H, l2_W, l2_H : float, default 0
        Penalty weights >= 0, not scaled by any size.
    mask : array_like of bool, (m, N), or "nan" or "stored", optional
        True where X is known; "nan" for where X is not NaN. The other entries are never looked at
        and may be NaN. "stored", for sparse X alone: its stored entries are known, stored zeros
        among them, and no other. Neither another mask nor weights with sparse data or parts.
    weights : array_like, (m, N), optional
        Weight >= 0 of each entry's loss. Where it is 0, X is never looked at and may be NaN.
    max_iter : int, default 200
        Limit of the iterations; one updates H, then W.
    tol : float, default 1e-4
        Stop when an iteration lowers the objective by no more than `tol` times its value before,
        or it is below `tol`^2 times that of the start; see docs/notation.md.
    update_W : bool, default True
        If False, `W` is kept as given and only H is solved for.
    fixed : int, default 0
        Leading columns of `W` that are kept as given; the others are trained beside them.
    n_init : int, default 1
        Starts; the one with the least objective is returned. X is read and checked once, and small
        ranks go side by side, with the bits they have alone. Each calls `callback`, one after
        the other.
    random_state : int, numpy Generator or None
        Seed of the random starts; None draws a fresh one.
    callback : callable, optional
        Called after each iteration as callback(iteration, objective), iterations counted from 1;
        a true return value ends the run, of several starts the one under way.
    n_threads : int, optional
        Threads; default FASTCONE_NUM_THREADS, else the CPUs available. Never changes a result.
    time_limit : float, optional
        Seconds, at most half of them for the start; the last complete iteration is returned. Where
        there is none, the start is, of which not all of X need have been looked at (objective
        `inf` if that is not known), and a warning says so. With a checkpoint X is read as a whole
        first, however long it takes.
    checkpoint : path or Checkpoint, optional
        A file that keeps the last iterate, written about once a minute and at the end. If it
        exists, the run continues from it and ends with the bits it would have had (on the same
        SIMD level); `max_iter`, `time_limit` and `n_threads` may differ. So may `tol`, but it has
        a part in the bits of cd, see docs/nmf.md. Not with n_init > 1.

    Returns
    -------
    NMFResult
        W (m, k), H (k, N), objective, history (n_iter + 1, from the start on, never increasing),
        n_iter, converged, restarts (the objective of each start).

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted; a checkpoint of other data
        or options, with the difference.
    OSError
        The first or the last checkpoint could not be written: a full disk, a folder that is gone.
        One between is tried again in time, and `logging` is told.
    KeyboardInterrupt
        Ctrl-C during the iterations. The attribute `result` of this and of any error during them
        holds the last complete one, of several starts the best.

    Warns
    -----
    ConvergenceWarning
        `max_iter` came before `tol`, of several starts in the best one; or `time_limit` before the
        end of the first iteration.

    Notes
    -----
    cd: Cichocki, Phan, IEICE Trans. E92-A, 2009 (hierarchical alternating least squares), with the
    extrapolation of Ang, Gillis, Neural Computation 31, 2019, which is undone where it leads up.
    mu: Lee, Seung, NIPS 2000; Fevotte, Idier, Neural Computation 23, 2011; entries of the factors
    it updates are kept above a tiny floor, so that no zero locks (docs/nmf.md).

    Examples
    --------
    >>> import numpy as np, fastcone
    >>> X = np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 3.0], [0.0, 0.0, 3.0]])
    >>> fit = fastcone.nmf(X, 2, tol=0, max_iter=500)
    >>> np.allclose(fit.W @ fit.H, X, atol=1e-6)
    True
    >>> bool(np.all(np.diff(fit.history) <= 0))
    True
    """
    options = Options.checked(
        rank, W=W, H=H, loss=loss, solver=solver, init=init, l1_W=l1_W,
        l1_H=l1_H, l2_W=l2_W, l2_H=l2_H, max_iter=max_iter, tol=tol, update_W=update_W, fixed=fixed,
        n_init=n_init, random_state=random_state, callback=callback, n_threads=n_threads,
        time_limit=time_limit,
    )  # fmt: skip
    kept = Checkpoint.checked(checkpoint)
    until = options.deadline if kept is None else Deadline()  # a fingerprint is of all of X
    samples, known = data(X, mask, weights, options.loss, until)
    return factorise(samples, known, (W, H), options, kept, random_state is not None, Place())
