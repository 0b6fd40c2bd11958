# SPDX-License-Identifier: BSD-3-Clause
"""What users of frames, pipelines, searches and odd units meet when they change the import."""

import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("sklearn.utils.validation", reason="scikit-learn is not installed")
from sklearn import config_context
from sklearn import decomposition as theirs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from test_sklearn import cells, sounds

import fastcone.sklearn as ours
from fastcone.sklearn.multiplicative import divergence

pytestmark = pytest.mark.filterwarnings("ignore:Maximum number of iterations")


def test_a_frame_of_coefficients_keeps_its_index():
    """Cells have names, which the way back must not lose."""
    pandas = pytest.importorskip("pandas")
    names = [f"cell{i}" for i in range(300)]
    X = pandas.DataFrame(cells().toarray(), index=names)
    model = ours.NMF(4, random_state=0).set_output(transform="pandas")
    back = model.inverse_transform(model.fit_transform(X))
    assert isinstance(back, pandas.DataFrame) and list(back.index) == names
    W = model.transform(X).to_numpy()
    assert np.array_equal(model.inverse_transform(W.tolist()), W @ model.components_)
    np.testing.assert_allclose(model.inverse_transform(sp.csr_array(W)), W @ model.components_)


def test_metadata_is_routed_as_theirs():
    """`fit` takes W and H under the step's name; only `partial_fit` declares them as metadata."""
    X, rng, labels = sounds(), np.random.default_rng(0), np.arange(250) % 2
    start = {"W": rng.random((250, 3)), "H": rng.random((3, 129))}
    with config_context(enable_metadata_routing=True):
        for name in ("NMF", "MiniBatchNMF"):
            a, b = (getattr(module, name)(3, init="custom") for module in (theirs, ours))
            assert str(a.get_metadata_routing()) == str(b.get_metadata_routing())
        asked = ours.MiniBatchNMF(3).set_partial_fit_request(H=True).get_metadata_routing()
        assert asked.partial_fit.requests == {"W": None, "H": True}
        weighted = ours.ConeClassifier(2, random_state=0).set_score_request(sample_weight=True)
        pipe = make_pipeline(ours.NMF(3, random_state=0), weighted).fit(X, labels)
        hit = pipe.predict(X) == labels
        assert pipe.score(X, labels, sample_weight=hit.astype(float)) == 1
        with pytest.raises(TypeError, match="unexpected argument"):
            make_pipeline(ours.NMF(3, init="custom"), LogisticRegression()).fit(X, labels, **start)
    pipe = make_pipeline(ours.NMF(3, init="custom"), LogisticRegression())
    pipe.fit(X, labels, nmf__W=start["W"], nmf__H=start["H"])
    alone = ours.NMF(3, init="custom").fit(X, **start)
    assert np.array_equal(pipe[0].components_, alone.components_)


@pytest.mark.parametrize("size", [1e8, 1e12, 1e15, 1e18])
@pytest.mark.parametrize("solver, beta", [("cd", 2), ("mu", 2), ("mu", 1)])
def test_power_spectra_of_whole_numbers_in_single_precision(size, solver, beta):
    """Squares of 16-bit samples, 1e12 and more: nndsvda then begins at about mean(X)^2."""
    X = size * sounds()
    ends = []
    for module, dtype in ((theirs, np.float64), (ours, np.float32)):
        model = module.NMF(3, solver=solver, beta_loss=beta, random_state=0, tol=0, max_iter=300)
        W = model.fit_transform(X.astype(dtype)).astype(float)
        ends.append(divergence(X, W, model.components_.astype(float), beta))
    assert ends[1] <= 1.001 * ends[0] + 1e-9 * np.square(X).sum() * (beta == 2)


def test_a_custom_start_of_two_ranks_is_refused_by_name():
    X, W, H = sounds(), np.ones((250, 3)), np.ones((4, 129))
    for model in (ours.NMF(init="custom"), ours.NMF(init="custom", solver="mu")):
        with pytest.raises(ValueError, match=r"\(input W\). Expected 4, as many as H has rows"):
            model.fit(X, W=W, H=H)


def test_names_of_features_are_those_of_the_fit():
    model = ours.ConeTransformer(2, random_state=0).fit(sounds())
    model.set_params(n_components=5)  # as a search does before it fits again
    assert len(model.get_feature_names_out()) == model.transform(sounds()).shape[1] == 2


def test_a_dictionary_that_is_not_finite_is_named():
    options = {"transform_algorithm": "lasso_cd", "positive_code": True}
    with pytest.raises(ValueError, match="dictionary contains NaN"):
        ours.SparseCoder(np.full((2, 3), np.nan), **options).transform(np.ones((1, 3)))
