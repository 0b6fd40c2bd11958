# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative matrix factorisation: the training of a dictionary.

a) X becomes a source of blocks of samples (`_nmf/dense.py`, `_nmf/sparse.py`), where its largest
   entry is far from 1 at a scale at which no product overflows (`_nmf/inputs.py`).
b) `GramFit` (squared error), `EntryFit` (Kullback-Leibler, masks) or `SparseKL` proposes new
   factors; they are accepted only if the objective has not grown.
c) Time limit, Ctrl-C and the callback act between blocks and iterations; the factors last
   accepted are what is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcone._nmf.checkpoint import Checkpoint, Keeper, Saved, identity
from fastcone._nmf.entrywise import EntryFit
from fastcone._nmf.gram import GramFit
from fastcone._nmf.inputs import Options, Scaled, data, factor, scaled
from fastcone._nmf.problem import Expired, Factors, Source
from fastcone._nmf.sparse import SparseKL
from fastcone.result import NMFResult

__all__ = ["Checkpoint", "nmf"]


def nmf(
    X: Any,
    rank: int,
    *,
    loss: str = "frobenius",
    solver: str = "cd",
    W: Any = None,
    H: Any = None,
    init: str | None = None,
    l1_W: float = 0.0,
    l1_H: float = 0.0,
    l2_W: float = 0.0,
    l2_H: float = 0.0,
    mask: Any = None,
    max_iter: int = 200,
    tol: float = 1e-4,
    update_W: bool = True,
    random_state: Any = None,
    callback: Callable[[int, float], Any] | None = None,
    n_threads: int | None = None,
    time_limit: float | None = None,
    checkpoint: Any = None,
) -> NMFResult:
    """Factorise non-negative samples into a dictionary and coefficients, X ~ W H.

    ::

        minimise  D(X, W H) + l1_W |W|_1 + l1_H |H|_1 + l2_W/2 |W|_F^2 + l2_H/2 |H|_F^2

    over W >= 0, H >= 0, with D(X, Y) = 1/2 ||X - Y||_F^2 (frobenius) or
    sum_ij X_ij log(X_ij / Y_ij) - X_ij + Y_ij (kullback-leibler).

    Parameters
    ----------
    X : array_like or sparse matrix, (m, N), or a sequence of arrays (m, N_i)
        Non-negative data, one sample a column. Fortran order (the transpose of a C-order (N, m)
        array) is read in place, any other layout is copied once. float32 is computed in float32.
        Sparse data are never made dense. A memory-mapped array, and a list or other sequence of
        arrays, the parts of X side by side, are read block by block and never copied as a whole.
    rank : int
        Columns k of the dictionary, at least 1; may exceed min(m, N).
    loss : {"frobenius", "kullback-leibler"}
    solver : {"cd", "mu"}
        Coordinate descent (frobenius only, no mask), or multiplicative updates.
    W : array_like, (m, k), optional
        Dictionary to start from. Without `H` the coefficients start at 0 (cd) or at a constant.
    H : array_like, (k, N), optional
        Coefficients to start from, together with `W`.
    init : {None, "random", "nndsvd", "nndsvda", "nndsvdar"}
        How to start without `W`. None: nndsvda if rank <= min(m, N) and there is no mask, else
        random. In the SVD, entries that are not known count as 0.
    l1_W, l1_H, l2_W, l2_H : float, default 0
        Penalty weights >= 0, not scaled by any size.
    mask : array_like of bool, (m, N), optional
        True where X is known. The other entries are never looked at and may be NaN. Not with
        sparse data or parts.
    max_iter : int, default 200
        Limit of the iterations; one updates H, then W.
    tol : float, default 1e-4
        Stop when an iteration lowers the objective by no more than `tol` times its value before.
    update_W : bool, default True
        If False, `W` is kept as given and only H is solved for.
    random_state : int, numpy Generator or None
        Seed of the random starts; None draws a fresh one.
    callback : callable, optional
        Called after each iteration as callback(iteration, objective), iterations counted from 1;
        a true return value ends the run.
    n_threads : int, optional
        Threads; default FASTCONE_NUM_THREADS, else the CPUs available. Never changes a result.
    time_limit : float, optional
        Seconds; the last complete iteration is returned.
    checkpoint : path or Checkpoint, optional
        A file that keeps the last iterate, written about once a minute and at the end. If it
        exists, the run continues from it and ends with the bits it would have had (on the same
        SIMD level); `max_iter`, `tol`, `time_limit` and `n_threads` may differ.

    Returns
    -------
    NMFResult
        W (m, k), H (k, N), objective, history (n_iter + 1, from the start on, never increasing),
        n_iter, converged.

    Raises
    ------
    ValueError, TypeError
        A bad argument, named, with what was found and what is wanted; a checkpoint of other data
        or options, with the difference.
    KeyboardInterrupt
        Ctrl-C during the iterations; its attribute `result` holds the last complete one.

    Notes
    -----
    cd: Cichocki, Phan, IEICE Trans. E92-A, 2009 (hierarchical alternating least squares).
    mu: Lee, Seung, NIPS 2000; Fevotte, Idier, Neural Computation 23, 2011; entries of the factors
    it updates are kept above eps times the factor's unit, so that no zero locks (docs/nmf.md).

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
        rank, mask=mask, W=W, H=H, loss=loss, solver=solver, init=init, l1_W=l1_W, l1_H=l1_H,
        l2_W=l2_W, l2_H=l2_H, max_iter=max_iter, tol=tol, update_W=update_W,
        random_state=random_state, callback=callback, n_threads=n_threads, time_limit=time_limit,
    )  # fmt: skip
    kept = Checkpoint.checked(checkpoint)
    samples, known = data(X, mask)
    W = factor("W", W, (samples.m, options.rank), samples.dtype)
    H = factor("H", H, (options.rank, samples.N), samples.dtype)
    if W is not None and update_W and not W.any():
        raise ValueError("W holds only zeros, want a start that can be improved")
    if not samples.largest:
        return _nothing(samples, W, options)
    try:
        keeper = saved = None
        if kept is not None:
            arrays = {"W": W, "H": H, "mask": known}
            keeper = Keeper(kept, identity(samples, arrays, options, random_state is not None))
            saved = keeper.load()
        start = saved.factors if saved else None
        return _train(scaled(samples, known, W, H, options, start), options, keeper, saved)
    except BaseException:
        options.watch.cancel()
        raise


def _nothing(X: Source, W: np.ndarray | None, options: Options) -> NMFResult:
    """Return the factors of a zero matrix: zero, where they are not fixed."""
    objective = 0.0
    if options.update_W or W is None:
        W = np.zeros((X.m, options.rank), dtype=X.dtype)
    else:
        W, weights = W.copy(), options.weights
        total = W.sum(dtype=np.float64), np.einsum("ij,ij->", W, W, dtype=np.float64)
        objective = float(weights["l1_W"] * total[0] + weights["l2_W"] / 2 * total[1])
    H = np.zeros((X.N, options.rank), dtype=X.dtype).T
    return NMFResult(W, H, objective, np.array([objective]), 0, True)


def _fit(scaled: Scaled, options: Options) -> GramFit | EntryFit | SparseKL:
    """Return the iteration that serves the loss and the data."""
    problem, start, update_W = scaled.problem, scaled.start, options.update_W
    if options.loss == "frobenius" and problem.known is None:
        return GramFit(problem, start, options.solver, update_W)
    if problem.X.sparse:
        return SparseKL(problem, start, update_W)
    kind = "square" if options.loss == "frobenius" else "kl"
    return EntryFit(problem, start, kind, update_W)


def _train(
    scaled: Scaled, options: Options, keeper: Keeper | None, saved: Saved | None
) -> NMFResult:
    """Iterate until a stopping rule is met; see `nmf`."""
    fit = _fit(scaled, options)
    history, converged = saved.history if saved else [np.inf], False
    done = fit.factors, len(history)  # one assignment: Ctrl-C finds the two together

    def keep() -> None:
        if keeper and history[0] < np.inf:
            keeper.save(scaled.problem, done[0], history[: done[1]], fit.memory())

    try:
        value = fit.first()
        if saved:
            fit.recall(saved.memory)
            converged = len(history) > 1 and not history[-1] < history[-2] * (1 - options.tol)
        else:
            history[0] = value
        while not converged and len(history) <= options.max_iter:
            before = history[-1]
            fit.advance()
            value = fit.objective(before, last=len(history) == options.max_iter)
            converged = not value < before * (1 - options.tol)
            if not value <= before:
                break
            fit.accept()
            history.append(value)
            done = fit.factors, len(history)
            if keeper and keeper.due():
                keep()
            if options.callback and options.callback(len(history) - 1, scaled.objective(value)):
                break
    except Expired:
        pass
    except BaseException as error:
        keep()
        if isinstance(error, KeyboardInterrupt):
            error.result = _result(scaled, *done, history, False)  # type: ignore[attr-defined]
        raise
    keep()
    return _result(scaled, *done, history, converged)


def _result(
    scaled: Scaled, factors: Factors, count: int, history: list[float], converged: bool
) -> NMFResult:
    """Return the factors and the first `count` objectives in the caller's units."""
    W, H = scaled.factors(factors)
    values = np.array([scaled.objective(value) for value in history[:count]])
    return NMFResult(W, H, float(values[-1]), values, count - 1, converged)
