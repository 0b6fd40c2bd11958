# SPDX-License-Identifier: BSD-3-Clause
"""Topics in documents: NMF under Kullback-Leibler, the model behind probabilistic topic analysis.

A generated corpus about five subjects goes through scikit-learn's `CountVectorizer`; the estimator
after it is scikit-learn's NMF or ours. Same start, same updates, same topics.

    python examples/topics.py [--documents 2000]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.decomposition import NMF as TheirNMF
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline

from fastcone.sklearn import NMF

SUBJECTS = {
    "kitchen": "bread flour oven salt butter knife soup onion recipe dough plate spoon",
    "garden": "soil seed rain root flower tree leaf spade moss hedge bulb compost",
    "harbour": "ship rope tide anchor sail crew deck cargo mast pier storm keel",
    "music": "violin chord tempo rhythm choir melody drum score note concert piano bass",
    "weather": "wind cloud rain frost storm sun heat snow fog front pressure hail",
}
COMMON = ["the", "of", "and", "to", "in", "that", "it", "was", "with", "for", "on", "as", "at"]


def corpus(count, seed=0):
    """Return documents and the subjects' shares in them."""
    rng, words = np.random.default_rng(seed), [text.split() for text in SUBJECTS.values()]
    shares = rng.dirichlet(np.full(len(words), 0.15), count)
    rare = [f"word{i}" for i in range(2000)]
    documents = []
    for share in shares:
        topics = rng.choice(len(words), 80, p=share)
        text = [words[topic][min(int(rng.exponential(4)), 11)] for topic in topics]
        documents.append(" ".join([*text, *rng.choice(COMMON, 30), *rng.choice(rare, 10)]))
    return documents, shares


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=2000)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of runs that end at max_iter
    documents, shares = corpus(options.documents)
    seconds, models = {}, {}
    for name, kind in {"scikit-learn": TheirNMF, "fastcone": NMF}.items():
        topics = kind(5, solver="mu", beta_loss="kullback-leibler", random_state=0, max_iter=100)
        pipe = make_pipeline(CountVectorizer(stop_words=COMMON), topics)
        counts = pipe[0].fit_transform(documents)
        begun = time.perf_counter()
        weights = topics.fit_transform(counts)
        seconds[name] = time.perf_counter() - begun
        models[name] = topics, weights
        print(f"{name:13s} {seconds[name]:7.3f} s  error {topics.reconstruction_err_:.6g}")
    words = pipe[0].get_feature_names_out()
    for topic in models["fastcone"][0].components_:
        print("  " + " ".join(words[np.argsort(-topic)[:8]]))
    speed = seconds["scikit-learn"] / seconds["fastcone"]
    print(f"speed-up at the same error: {speed:.1f}")
    return models, shares, speed


if __name__ == "__main__":
    main()
