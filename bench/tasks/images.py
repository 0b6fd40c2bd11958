# SPDX-License-Identifier: BSD-3-Clause
"""Digits with labels, training and test apart."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Images:
    """Images in [0, 1] as rows, with their labels."""

    X: np.ndarray
    y: np.ndarray
    V: np.ndarray
    t: np.ndarray
    name: str

    @property
    def shape(self):
        """Of one image."""
        return (round(self.X.shape[1] ** 0.5),) * 2

    @classmethod
    def load(cls, path):
        """Those of a file, or scikit-learn's, of which every third is a test image."""
        if path is not None:
            with np.load(path) as data:
                X, y, V, t = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
            return cls(X / 255, y, V / 255, t, f"{path.stem}, {len(X)} + {len(V)} images")
        from sklearn.datasets import load_digits

        digits = load_digits()
        X, y, test = digits.data / 16, digits.target, np.arange(len(digits.data)) % 3 == 0
        return cls(X[~test], y[~test], X[test], y[test], "scikit-learn digits, 8x8")

    def labelled(self, per_class, seed):
        """Training images with this many labels per class, at random; the others come second."""
        order = np.random.default_rng(seed).permutation(len(self.X))
        known = np.concatenate([order[self.y[order] == k][:per_class] for k in np.unique(self.y)])
        return known, np.setdiff1d(order, known)
