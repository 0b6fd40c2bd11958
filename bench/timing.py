# SPDX-License-Identifier: BSD-3-Clause
"""Timing on a shared, noisy machine: contestants take turns, medians are compared."""

import json
import platform
import time
from pathlib import Path

import numpy as np

import fastcone


def rounds(contestants, seconds=4.0, least=3, most=25, turn=0.0):
    """Run every contestant at least once a round and return their lists of seconds.

    Taking turns lets slow phases of the machine hit all alike; one warm-up round is discarded.
    A quick contestant repeats while its turn has time left, so that its median rests on more.
    """
    for run in contestants.values():
        run()
    times = {name: [] for name in contestants}
    start = time.perf_counter()
    for done in range(most):
        if done >= least and time.perf_counter() - start >= seconds:
            break
        for name, run in contestants.items():
            opened = begin = time.perf_counter()
            while True:
                run()
                end = time.perf_counter()
                times[name].append(end - begin)
                begin = end
                if end - opened >= turn:
                    break
    return times


def median(values):
    return float(np.median(values))


def machine():
    """What the figures depend on, for the record."""
    cpu = platform.processor() or "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines()
                 if line.startswith("model name")]  # fmt: skip
        cpu = f"{names[0]} ({len(names)} threads)" if names else cpu
    return {"cpu": cpu, "date": time.strftime("%Y-%m-%d"), **fastcone.show_config().as_dict()}


def write(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **record}, indent=1) + "\n")
