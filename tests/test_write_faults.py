# SPDX-License-Identifier: BSD-3-Clause
"""Short writes, EIO and ENOSPC at every call that writes a file: it stays whole, old or new."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
from test_threads import ENVIRONMENT

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(
    not (COMPILER and sys.platform == "linux"), reason="wants Linux and a C compiler"
)

# One process for all faults of a kind; prints what was wrong, and how many calls a writing makes.
SCRIPT = """
import hashlib, json, os, sys
import numpy as np, fastcone
folder, error, stays = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "stays"
shim = __import__("ctypes").CDLL(None)
rng = np.random.default_rng(0)
X = rng.random((40, 60))
old, new = fastcone.Cone(rng.random((200, 60))), fastcone.Cone(rng.random((200, 60)))
wrong, failed, at = [], 0, 0

def setting(name, value):
    # getenv of the shim reads the C environment, which os.environ writes
    os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)

def leftovers():
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]

def save(path):
    new.save(path)

def train(path):
    # 40 iterations in all; the first checkpoint is of 20 of them
    fastcone.nmf(X, 3, tol=0, max_iter=40, random_state=0, checkpoint=fastcone.Checkpoint(path, 0))

def first(path):
    fastcone.nmf(X, 3, tol=0, max_iter=20, random_state=0, checkpoint=path)

for name, write, begin in [("model", save, old.save), ("checkpoint", train, first)]:
    path = os.path.join(folder, name)
    want = fastcone.nmf(X, 3, tol=0, max_iter=40, random_state=0)
    done = 0
    for at in range(1, 400):
        begin(path)
        setting("FAULT_ERROR", str(error))
        setting("FAULT_STAYS", "1" if stays else None)
        before = shim.fault_calls()
        setting("FAULT_AT", str(before + at))
        try:
            write(path)
            raised = None
        except OSError as found:
            raised = found
        made = shim.fault_calls() - before
        setting("FAULT_AT", None)
        if raised is not None:
            failed += 1
            if raised.errno != error:
                wrong.append(f"{name} {at}: {raised!r}")
            if name == "checkpoint" and getattr(raised, "result", None) is None:
                wrong.append(f"{name} {at}: the training is lost")
        if name == "model":
            W = fastcone.Cone.load(path).W
            if not np.array_equal(W, (new if raised is None else old).W):
                wrong.append(f"{name} {at}: neither old nor new")
        else:
            resumed = fastcone.nmf(X, 3, tol=0, max_iter=40, random_state=0, checkpoint=path)
            if not np.array_equal(resumed.W, want.W):
                wrong.append(f"{name} {at}: resumed to other bits")
        if leftovers():
            wrong.append(f"{name} {at}: left {leftovers()}")
        os.unlink(path)
        if made < at:
            done = at
            break
    if not done:
        wrong.append(f"{name}: more than 400 calls to a writing")
print(json.dumps({"wrong": wrong, "failed": failed}))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("shim") / "faults.so"
    source = os.path.join(os.path.dirname(__file__), "faults.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", path, source, "-ldl"], check=True)
    return path


@pytest.mark.parametrize("stays", ["once", "stays"])
@pytest.mark.parametrize("error", [0, errno.EIO, errno.ENOSPC], ids=["short", "EIO", "ENOSPC"])
def test_a_fault_at_any_call_leaves_a_whole_file(shim, tmp_path, error, stays):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(error), stays],
        env=ENVIRONMENT | {"LD_PRELOAD": str(shim)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert not told["wrong"]
    assert bool(told["failed"]) == bool(error)
