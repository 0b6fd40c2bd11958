# SPDX-License-Identifier: BSD-3-Clause
"""Estimators for scikit-learn: its own, faster or more exact, and cones (docs/sklearn.md)."""

from fastcone.sklearn.coder import SparseCoder
from fastcone.sklearn.cones import ConeClassifier, ConeTransformer
from fastcone.sklearn.minibatch import MiniBatchNMF
from fastcone.sklearn.nmf import NMF, non_negative_factorization

__all__ = [
    "NMF",
    "ConeClassifier",
    "ConeTransformer",
    "MiniBatchNMF",
    "SparseCoder",
    "non_negative_factorization",
]
