# SPDX-License-Identifier: BSD-3-Clause
"""A command line that is measured: its status, its streams, its cost, its table."""

import csv
import io
import sys

import pytest

from fastcone import __main__ as cli
from fastcone.green import CpuTimeMeter, Profiler, measure


def test_a_command_is_charged_with_its_own_cpu_time_and_keeps_its_status():
    burn = "import time\nwhile time.process_time() < 0.2: pass\nraise SystemExit(7)"
    status, report = measure([sys.executable, "-c", burn])
    region = report.regions["command"]
    assert status == 7
    assert 0.2 <= region.cpu_seconds < 2.0
    assert region.energy.kind == "modelled"
    assert (region.peak_memory_bytes, region.peak_memory_kind) == (None, "absent")


def test_no_command_is_refused():
    with pytest.raises(ValueError, match="command"):
        measure([])


def test_the_command_line_prints_the_cost_on_stderr_and_leaves_stdout_alone(capfd, tmp_path):
    table = tmp_path / "cost.csv"
    options = ["measure", "--csv", str(table), "--", sys.executable, "-c", "print('--own')"]
    assert cli.main(options) == 0
    printed = capfd.readouterr()
    assert printed.out == "--own\n"
    assert "not measured" in printed.err
    (row,) = csv.DictReader(table.open())
    assert row["project_name"] == "command"
    assert float(row["energy_lo"]) <= float(row["energy_consumed"]) <= float(row["energy_hi"])


@pytest.mark.parametrize(
    ("program", "status"),
    [(["/no/such/program"], 127), ([sys.executable, "-c", "raise SystemExit(3)"], 3)],
)
def test_the_exit_status_is_the_commands(program, status, capfd):
    assert cli.main(["measure", "--", *program]) == status


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_command_ended_by_a_signal_exits_as_a_shell_says(capfd):
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert cli.main(["measure", "--", sys.executable, "-c", kill]) == 128 + 15


def test_an_unknown_is_an_empty_cell_and_flags_are_kept():
    now = [10**9]
    p = Profiler(CpuTimeMeter(clock=lambda: now[0]))
    with p.region("a, b"):
        now[0] = 0
    (row,) = csv.DictReader(io.StringIO(p.report().to_csv()))
    assert (row["project_name"], row["energy_kind"]) == ("a, b", "absent")
    assert (row["energy_consumed"], row["energy_hi"]) == ("", "")
    assert "gap" in row["flags"].split()


def test_a_table_that_cannot_be_written_is_told_before_the_command_runs(capfd, tmp_path):
    ran = tmp_path / "ran"
    make = [sys.executable, "-c", f"open({str(ran)!r}, 'w')"]
    assert cli.main(["measure", "--csv", str(tmp_path / "no" / "x.csv"), "--", *make]) == 2
    assert not ran.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="statuses of POSIX")
def test_what_may_not_be_run_exits_as_a_shell_says(capfd, tmp_path):
    assert cli.main(["measure", "--", str(tmp_path)]) == 126


def test_the_table_has_the_columns_of_codecarbon_that_are_known():
    p = Profiler(CpuTimeMeter())
    with p.region("r"):
        sum(range(10_000))
    (row,) = csv.DictReader(io.StringIO(p.report().to_csv()))
    assert row["cpu_energy"] == row["energy_consumed"] != ""
    assert (row["gpu_energy"], row["python_version"]) == ("", sys.version.split()[0])
