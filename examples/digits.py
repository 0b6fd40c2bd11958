# SPDX-License-Identifier: BSD-3-Clause
"""A pipeline and a grid search on scikit-learn's digits, its NMF exchanged for ours.

python examples/digits.py [--jobs 1]
"""

import argparse
import time
import warnings

from sklearn.datasets import load_digits
from sklearn.decomposition import NMF as TheirNMF
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastcone.sklearn import NMF, ConeClassifier


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--ranks", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--samples", type=int, default=1797)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of runs that end at max_iter
    X, y = (part[: options.samples] for part in load_digits(return_X_y=True))
    scores, seconds = {}, {}
    for name, kind in {"scikit-learn": TheirNMF, "fastcone": NMF}.items():
        pipe = make_pipeline(
            kind(random_state=0), StandardScaler(), LogisticRegression(max_iter=500)
        )
        grid = {"nmf__n_components": options.ranks, "nmf__alpha_W": [0.0, 1e-4]}
        search = GridSearchCV(pipe, grid, cv=3, n_jobs=options.jobs)
        begun = time.perf_counter()
        search.fit(X, y)
        seconds[name] = time.perf_counter() - begun
        scores[name] = search.best_score_
        fits = search.cv_results_["mean_fit_time"].mean()
        print(
            f"{name:13s} {seconds[name]:6.2f} s, {fits:.2f} s a fit  accuracy {scores[name]:.3f}"
            f"  {search.best_params_}"
        )
    a, b = seconds.values()
    print(f"speed-up of the whole search, logistic regression included: {a / b:.1f}")
    begun = time.perf_counter()
    scores["cones"] = cross_val_score(ConeClassifier(12, random_state=0), X, y, cv=3).mean()
    print(f"the nearest cone {time.perf_counter() - begun:6.2f} s  accuracy {scores['cones']:.3f}")
    return scores, a / b


if __name__ == "__main__":
    main()
