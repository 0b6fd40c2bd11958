# SPDX-License-Identifier: BSD-3-Clause
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from test_green_fakes import FakeTree

from fastcone._runtime import dispatch

# A job in the background starts with Ctrl-C ignored, and so would the children of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Files whose tests start processes, watch clocks or run the study: seconds each, and at the mercy
# of what else the machine does.
SLOW = {
    "test_interrupt",
    "test_threads",
    "test_study",
    "test_study_parts",
    "test_cli",
    "test_bench",
    "test_nmf_checkpoint",
}

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in SLOW or item.name.startswith("test_long"):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def mnist():
    """10,000 + 10,000 real digits: x_train, y_train, x_test, y_test as stored."""
    path = SHARED / "mnist10k.npz"
    if not path.exists():
        pytest.skip("the shared MNIST file is not beside this checkout")
    with np.load(path) as data:
        return dict(data)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=dispatch.built_levels())
def level(request):
    """Run the test once per SIMD level of this CPU."""
    before = dispatch.level()
    dispatch.use(request.param)
    yield request.param
    dispatch.use(before)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut small sparse data into as many blocks as large ones, for tests of threads."""
    from fastcone._nmf import sparse

    monkeypatch.setattr(sparse, "BLOCK_WORTH", 1e3)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A fake tree of power zones, read in place of the machine's."""
    fake = FakeTree(tmp_path)
    monkeypatch.setattr(os, "pread", fake.pread)
    return fake


@pytest.fixture
def package(tree):
    """Its first package, at 50 W."""
    return tree.zone("intel-rapl:0", "package-0", watts=50)
