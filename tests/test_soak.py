# SPDX-License-Identifier: BSD-3-Clause
"""Whether the judge of `make soak` sees what it is to see."""

import sys
import threading

import numpy as np
import pytest
from soak import Load, Soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="wants fork and /proc")


def test_the_judge_sees_a_wrong_answer(tmp_path):
    load = Load(0, tmp_path)
    load.answers = {name: answer + 1 for name, answer in load.answers.items()}
    soak = Soak(load, 60.0, 0)
    worker = threading.Thread(target=soak.work, args=(0,))
    worker.start()
    worker.join(60)
    assert soak.wrong and "differs from its answer alone" in soak.wrong[0]
    load.inputs[0][0, 0] += 1
    assert not all(map(np.array_equal, load.inputs, load.before))
