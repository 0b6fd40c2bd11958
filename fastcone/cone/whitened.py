# SPDX-License-Identifier: BSD-3-Clause
"""A cone with its prior, seen through an operator, a mask and noise: one NNLS, one linear step.

    v = A (W h + r) + N b + n,      h ~ N(mu, S) on h >= 0,   r ~ N(0, R),   n ~ N(0, sigma^2 I)

    Q = A R A' + sigma^2 I,         B'B = Q^-1,       P: what is orthogonal to B N, as b is free
    h = argmin_{h >= 0} |P B (A W h - v)|^2 + |L (h - mu)|^2,           L'L = S^-1
    g = B'P B (v - A W h),          u = W h + R A' g,                   A u + N b = v - sigma^2 g

The energy is the least value and the log-determinants of Q, S and of the sum's Hessian: minus
twice the logarithm of the likelihood of v where no sign is active, Laplace's approximation of it
elsewhere. All is float64, whatever the samples are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastcone._nnls.projector import Projector
from fastcone._runtime import threads
from fastcone._runtime.rows import Array
from fastcone._runtime.threads import Scratch, one_blas_thread
from fastcone.cone.noise import Known, Linear, noise_of, seen
from fastcone.cone.prior import Prior
from fastcone.operators.base import Operator

PIECE = 256  # samples that a thread takes at a time


class Fitted(NamedTuple):
    """Answers for N samples of m' known entries.

    coef: (N, d).  signal: (N, m).  seen: A u + N b (N, m').  nuisance: N b, (N, entries of the
    data), None without N.  energy, gap: (N,).
    """

    coef: Array
    signal: Array
    seen: Array
    nuisance: Array | None
    energy: Array
    gap: Array


class Whitened:
    """What depends on cone, operator, mask, noise and nuisance alone, made once for all batches."""

    def __init__(
        self,
        W: Array,
        prior: Prior,
        forward: Operator | None,
        known: Known,
        sigma: float,
        nuisance: Array | None,
    ) -> None:
        W = np.asarray(W, np.float64)
        self._sigma, self._free = sigma, None
        with one_blas_thread():
            self._noise = noise_of(prior, forward, known, sigma)
            white = self._whitened(seen(W, forward, known))
            log_det, n_free = self._noise.log_det + prior.log_det, 0
            if nuisance is not None:
                shown = nuisance if known is None else nuisance[known]
                self._free = free = Free(self._whitened(shown), nuisance, white)
                log_det, n_free = log_det + free.log_det, free.count
                white = free.without(white)
            gram = white.T @ white + prior.rows.T @ prior.rows
            log_det += np.linalg.slogdet(gram)[1]
        self._constant = float(log_det + (len(white) - n_free) * np.log(2 * np.pi))
        self._white, self._plain = Linear(white), Linear(W)
        self._projector = Projector.checked(np.vstack([white, prior.rows]), 0.0)
        self._rows, self._target = Linear(prior.rows), prior.rows @ prior.mean
        self.sizes = len(W), len(white)
        self.nbytes = self._noise.nbytes + 5 * white.nbytes + W.nbytes

    def _whitened(self, columns: Array) -> Array:
        return np.ascontiguousarray(self._noise.whiten(columns.T, Scratch()).T)

    def fit(self, rows: Array) -> Fitted:
        """Return the answers for samples (N, m') whose entries are all known."""
        n, rank = len(rows), len(self._target)
        m, size = self.sizes
        target = np.empty((n, size + rank))
        target[:, size:] = self._target
        amounts = np.empty((n, 0 if self._free is None else self._free.count))

        def whiten(part: slice, scratch: Scratch) -> None:
            white = self._noise.whiten(rows[part], scratch)
            if self._free is not None:
                amounts[part], white = self._free.split(white, scratch)
            target[part, :size] = white

        each(n, whiten)
        found = self._projector.solve(target.T)
        coef = np.ascontiguousarray(found.x.T)
        signal, shown, energy = np.empty((n, m)), np.empty((n, size)), np.empty(n)
        nuisance = None if self._free is None else np.empty((n, self._free.length))

        def explain(part: slice, scratch: Scratch) -> None:
            h = coef[part]
            left = target[part, :size] - self._white(h, scratch)
            unlikely = target[part, size:] - self._rows(h, scratch)
            with np.errstate(over="ignore"):
                energy[part] = (left**2).sum(axis=1) + (unlikely**2).sum(axis=1) + self._constant
            back = self._noise.unwhiten(left, scratch)
            signal[part] = self._plain(h, scratch) + self._noise.answer(left, scratch)
            shown[part] = rows[part] - self._sigma**2 * back
            if self._free is not None and nuisance is not None:
                nuisance[part] = self._free.part(amounts[part], h, scratch)

        each(n, explain)
        return Fitted(coef, signal, shown, nuisance, energy, found.gap)


class Free:
    """Columns N of any sign and size: what they explain of whitened data, and what they leave."""

    def __init__(self, white: Array, nuisance: Array, generators: Array) -> None:
        left, sizes, right = np.linalg.svd(white, full_matrices=False)
        kept = sizes > 1e-10 * sizes.max(initial=0)
        self.count, self.length = int(kept.sum()), len(nuisance)
        self.log_det = float(2 * np.log(sizes[kept]).sum())
        self._basis = left[:, kept]
        self._inner, self._outer = Linear(self._basis.T), Linear(self._basis)
        self._of_coef = Linear(self._basis.T @ generators)
        self._part = Linear(nuisance @ (right[kept].T / sizes[kept]))

    def without(self, columns: Array) -> Array:
        """Return whitened columns less what N explains of them."""
        return np.asarray(columns - self._basis @ (self._basis.T @ columns))

    def split(self, white: Array, scratch: Scratch) -> tuple[Array, Array]:
        """Return what N explains of whitened rows, in its basis, and what it leaves."""
        amounts = self._inner(white, scratch)
        return amounts, white - self._outer(amounts, scratch)

    def part(self, amounts: Array, coef: Array, scratch: Scratch) -> Array:
        """Return N b of samples, beside their coefficients."""
        return self._part(amounts - self._of_coef(coef, scratch), scratch)


def each(n: int, work: Callable[[slice, Scratch], None]) -> None:
    """Call work(rows, scratch) for slices of n rows, on all threads."""
    threads.run(-(-n // PIECE), lambda k, s: work(slice(k * PIECE, min(n, (k + 1) * PIECE)), s))
