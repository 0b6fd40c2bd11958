# SPDX-License-Identifier: BSD-3-Clause
"""The doctor gives a reason everywhere, and nothing modelled is ever called measured."""

import json
import os
import subprocess
import sys

import pytest
from test_green_fakes import FakeTree

from fastcone.green import (
    CpuTimeMeter,
    MemoryWatch,
    PowercapMeter,
    Profiler,
    default_meter,
    doctor,
)

has_counter = PowercapMeter().probe().ok


def test_every_meter_has_a_reason_and_the_result_is_plain_json():
    found = doctor()
    assert [check.name for check in found.meters] == ["rapl-powercap", "perf", "cpu-time"]
    assert [check.kind for check in found.meters] == ["measured", "measured", "modelled"]
    assert all(check.reason for check in (*found.meters, *found.sources))
    assert found.chosen in ("rapl-powercap", "perf", "cpu-time")
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()


def test_the_text_names_every_meter_source_and_the_choice():
    found = doctor()
    text = str(found)
    for check in (*found.meters, *found.sources):
        assert check.name in text
        assert check.reason in text
    assert f"energy is read from: {found.chosen}" in text


def test_the_doctor_prints_nothing(capsys):
    doctor()
    assert capsys.readouterr() == ("", "")


def test_the_doctor_agrees_with_the_profiler():
    p = Profiler()
    with p.region("r"):
        pass
    assert p.report().regions["r"].energy.meter == doctor().chosen == default_meter().name


def test_a_fake_tree_is_chosen_and_measured(tmp_path):
    tree = FakeTree(tmp_path)
    tree.zone("intel-rapl:0", "package-0")
    found = doctor([PowercapMeter(**tree.meter_options()), CpuTimeMeter()])
    assert found.chosen == "rapl-powercap"
    assert found.meters[0].ok
    assert "package-0" in found.meters[0].reason
    assert not any("no joule is measured" in note for note in found.notes)


def test_no_meter_that_works_is_said():
    found = doctor([PowercapMeter(root="/no/such/folder")])
    assert found.chosen is None
    assert "energy is read from: nothing" in str(found)


@pytest.mark.skipif(has_counter, reason="this machine has an energy counter")
def test_without_a_counter_no_joule_is_labelled_measured():
    p = Profiler()
    with p.region("outer"), p.region("inner"):
        sum(range(100_000))
    for region in p.report().regions.values():
        readings = [region.energy, region.exclusive_energy, *region.readings.values()]
        assert all(reading.kind != "measured" for reading in readings)
        assert "not measured" in str(region.energy)
    explicit = Profiler(PowercapMeter())
    with explicit.region("r"):
        pass
    reading = explicit.report().regions["r"].energy
    assert (reading.kind, reading.joules) == ("absent", None)
    assert any("no joule is measured" in note for note in doctor().notes)


def test_green_stands_alone():
    code = (
        "import sys; before = set(sys.modules); import fastcone.green as g;"
        "mine = [m for m in set(sys.modules) - before if m.split('.')[0] == 'fastcone'"
        " and not (m + '.').startswith('fastcone.green.')];"
        "third = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names);"
        "print(sorted(mine), sorted(third & {'scipy', 'psutil', 'sklearn', 'matplotlib'}))"
    )
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    stub = (
        "import sys, types; package = types.ModuleType('fastcone');"
        f"package.__path__ = [{os.path.join(folder, 'fastcone')!r}];"
        "sys.modules['fastcone'] = package;"
    )
    done = subprocess.run(
        [sys.executable, "-c", stub + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] []"


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="Linux only")
def test_memory_source_is_told_as_it_is_used():
    source = next(check for check in doctor().sources if check.name == "peak_memory_bytes")
    assert source.kind == MemoryWatch().close().kind
