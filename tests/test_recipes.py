# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of CONTRIBUTING.md, followed."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastcone import nmf
from fastcone._nmf.losses import LOSSES, Loss


def test_a_loss_is_one_record(rng, monkeypatch):
    X = rng.random((30, 40)) + 0.1
    with pytest.raises(ValueError, match="loss must be one of"):
        nmf(X, 3, loss="hellinger", solver="mu")
    monkeypatch.setitem(LOSSES, "hellinger", Loss("hellinger", 0.5, "beta"))
    options = {"solver": "mu", "random_state": 0, "max_iter": 30, "tol": 0}
    named, plain = nmf(X, 3, loss="hellinger", **options), nmf(X, 3, loss=0.5, **options)
    assert np.all(np.diff(named.history) <= 0) and named.objective < named.history[0] / 2
    assert np.array_equal(named.W, plain.W) and np.array_equal(named.H, plain.H)


def test_sparse_data_is_served_by_the_entry_not_by_the_name(rng, monkeypatch):
    X = sp.random_array((30, 40), density=0.3, rng=rng, format="csr")
    options = {"solver": "mu", "random_state": 0, "max_iter": 10, "tol": 0}
    for name, other, entry in (("frobenius", "squares", "square"), ("kullback-leibler", "i", "kl")):
        monkeypatch.setitem(LOSSES, other, Loss(other, LOSSES[name].beta, entry))
        fits = [nmf(X, 3, loss=loss, **options) for loss in (name, other)]
        assert np.array_equal(fits[0].W, fits[1].W) and np.array_equal(fits[0].H, fits[1].H)
    monkeypatch.setitem(LOSSES, "hellinger", Loss("hellinger", 0.5, "beta"))
    with pytest.raises(ValueError, match="with a sparse X, found hellinger"):
        nmf(X, 3, loss="hellinger", **options)
