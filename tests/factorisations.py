# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of training share: instances, the twin's iteration, and the losses by name."""

from fastcone._kernels import reference
from fastcone._nmf import extrapolation, frobenius

SQUARE, KL, IS = "frobenius", "kullback-leibler", "itakura-saito"
BETA = {SQUARE: 2.0, KL: 1.0, IS: 0.0}
WAYS = [(SQUARE, "cd"), (SQUARE, "mu"), (KL, "mu")]
LOSSES = [SQUARE, KL, IS, 0.5, 1.5, 3.0, -1.0]
PENALTIES = [(0, 0, 0, 0), (0.3, 0.2, 0, 0), (0, 0, 0.5, 0.1), (0.1, 0.4, 0.2, 0.3)]
NAMES = ("l1_W", "l1_H", "l2_W", "l2_H")


def instance(rng, m=23, N=41, k=4, dtype=float, loss=SQUARE):
    """Data, with zeros where the loss allows them, and a positive start."""
    X = rng.gamma(0.5, 1, (m, N)) * (rng.random((m, N)) < 0.8)
    X = X if BETA.get(loss, loss) > 0 else X + 0.01
    return tuple(a.astype(dtype) for a in (X, rng.random((m, k)) + 0.1, rng.random((k, N)) + 0.1))


def objective(loss, X, W, H, known=1.0, penalties=(0, 0, 0, 0)):
    """The objective in float64; `known` is the mask or the weights."""
    X, W, H = (a.astype(float) for a in (X, W, H))
    return reference.nmf_objective(BETA.get(loss, loss), X, W, H, known, penalties)


def twin(loss, solver, X, W, H, known=1.0, penalties=(0, 0, 0, 0), iterations=1):
    """Iterations in plain NumPy."""
    if solver == "cd":
        epochs = (frobenius.EPOCHS_H, frobenius.EPOCHS_W)
        first = extrapolation.FIRST
        return reference.nmf_cd(X, W, H, iterations, penalties, epochs, first, known)
    for _ in range(iterations):
        W, H = reference.nmf_mu_iteration(BETA.get(loss, loss), X, W, H, known, penalties)
    return W, H
