# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own tests, run on our estimators: what passes, and the few that do not.

Their file is not copied: a child process puts our names in `sklearn.decomposition`, from where
their test module imports them, and runs it where it is installed.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastcone

pytest.importorskip("sklearn.utils.validation", reason="scikit-learn is not installed")
import sklearn
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import fastcone.sklearn as ours

HOME = Path(sklearn.__file__).parent
# What differs by design; docs/sklearn.md says why.
DIFFERENT = {
    # KL with an l2 penalty takes the exact step of its bound, other exponents near 1 a power
    "test_nmf_multiplicative_update_sparse[csr_matrix]",
    "test_nmf_multiplicative_update_sparse[csr_array]",
    # passes there since both fits write into the H that the caller gave
    "test_minibatch_nmf_partial_fit",
}
SUBSTITUTED = """
import sys, pytest, sklearn.decomposition, fastcone.sklearn
for name in fastcone.sklearn.__all__:
    if hasattr(sklearn.decomposition, name):
        setattr(sklearn.decomposition, name, getattr(fastcone.sklearn, name))
sys.exit(pytest.main(sys.argv[1:]))
"""
NNLS = """
import sys, pytest, fastcone
from sklearn.linear_model import _base
class optimize:
    nnls = staticmethod(fastcone.nnls)
_base.optimize = optimize
sys.exit(pytest.main(sys.argv[1:]))
"""


def theirs(program, tests, folder, *options):
    """Run a test file of scikit-learn's in a process of its own; return what pytest printed."""
    path = HOME / tests
    if not path.exists():
        pytest.skip("this scikit-learn was installed without its tests")
    command = [sys.executable, "-c", program, str(path), "-q", "-rfE", "--tb=line", "--noconftest",
               "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder),
               "-W", "ignore", *options]  # fmt: skip
    environment = {"PYTHONPATH": str(Path(fastcone.__file__).parents[1]), "PATH": ""}
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert re.search(r"\d+ passed", run.stdout), run.stdout + run.stderr
    return run.stdout


@pytest.mark.slow
def test_their_tests_of_nmf(tmp_path):
    printed = theirs(SUBSTITUTED, "decomposition/tests/test_nmf.py", tmp_path)
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S*::(\S+)", printed, re.M))
    assert failed <= DIFFERENT, printed
    assert len(DIFFERENT) <= 3
    assert int(re.search(r"(\d+) passed", printed)[1]) >= 250


@pytest.mark.slow
def test_their_tests_of_sparse_codes(tmp_path):
    names = "sparse_encode or sparse_coder"
    printed = theirs(
        SUBSTITUTED, "decomposition/tests/test_dict_learning.py", tmp_path, "-k", names
    )
    assert "FAILED" not in printed


@pytest.mark.slow
def test_their_tests_of_positive_regression(tmp_path):
    printed = theirs(NNLS, "linear_model/tests/test_base.py", tmp_path, "-k", "positive")
    assert "FAILED" not in printed


ESTIMATORS = [
    ours.NMF(max_iter=500),
    ours.MiniBatchNMF(batch_size=10, fresh_restarts=True, max_iter=20),  # as in their own suite
    ours.ConeClassifier(3),
    ours.ConeTransformer(3),
    ours.ConeTransformer(2, features=("coefficients", "distances", "energies"), by_class=True),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_check_estimator(estimator):
    check_estimator(estimator, on_skip=None)


CODER = {"transform_algorithm": "lasso_cd", "positive_code": True, "transform_alpha": 0.1}


@pytest.mark.skipif(
    sklearn.__version__.startswith("1.7."),
    reason="`fit`, scikit-learn's own, looks at nothing before 1.8; theirs fails the same checks",
)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator_of_a_coder():
    """A dictionary is for data of one width, so each check is given one of the width it needs."""
    checked = 0
    coder = ours.SparseCoder(np.ones((5, 3)), **CODER)
    for _, check in estimator_checks_generator(coder, mark="skip"):
        if not hasattr(check, "func"):  # marked as to be skipped
            continue
        raised = []
        for width in (3, 1, 2, 4, 5, 8, 10):
            dictionary = np.random.default_rng(0).standard_normal((5, width))
            try:
                check(ours.SparseCoder(dictionary, **CODER))
            except (ValueError, AssertionError) as error:
                raised.append(error)
            except pytest.skip.Exception:
                raise
            except Exception as error:
                if type(error).__name__ == "SkipTest":
                    break
                raise
            else:
                checked += 1
                break
        else:
            raise raised[0]
    assert checked > 30
