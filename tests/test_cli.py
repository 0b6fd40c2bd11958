# SPDX-License-Identifier: BSD-3-Clause
"""The command line: what it prints, what it refuses, and with which status."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fastcone import __main__ as cli
from fastcone import study as study_package
from fastcone.study import account, data, run
from fastcone.study.methods import trained


@pytest.fixture
def images(tmp_path):
    digits = data.load_digits(0).limited(300, 60, 60)
    path = tmp_path / "few.npz"
    np.savez(
        path,
        x_train=np.rint(digits.fit.x * 255).astype(np.uint8),
        y_train=digits.fit.y,
        x_test=np.rint(digits.test.x * 255).astype(np.uint8),
        y_test=digits.test.y,
    )
    return path


def test_study_writes_its_files_and_prints_its_table(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(account, "WINDOW_S", 0.0)
    monkeypatch.setattr(trained, "UPDATES", 20)
    out = tmp_path / "out"
    assert cli.main(["study", "--data", str(images), "--out", str(out), "--quick"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""  # no progress bar where there is no terminal
    assert printed.out.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert printed.out.startswith("task ")
    record = json.loads((out / "study.json").read_text())
    assert record["dataset"]["name"] == "few"
    assert record["environment"]["quick"] is True
    assert record["command"].startswith("python -m fastcone study --data ")


def test_doctor_names_each_meter_and_its_reason(capsys):
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "cpu-time" in printed and "rapl-powercap" in printed


def test_module_and_command_are_one():
    done = subprocess.run(
        [sys.executable, "-m", "fastcone", "doctor"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "cpu-time" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice"),
        (["study", "--dataset", "cifar"], "invalid choice"),
        (["study", "--data", "a.npz", "--dataset", "digits"], "not allowed with"),
        (["study", "--seed", "-1"], "must be an integer from 0 to 2^32 - 1, found -1"),
        (["study", "--seed", "x"], "must be an integer from 0 to 2^32 - 1, found x"),
        (["study", "--pue", "0.9"], "must be a number >= 1, found 0.9"),
        (["study", "--pue", "nan"], "must be a number >= 1, found nan"),
        (["study", "--intensity", "-3"], "must be a number >= 0, found -3"),
        (["study", "--intensity", "inf"], "must be a number >= 0, found inf"),
        (["study", "--intensity", "much"], "must be a number >= 0, found much"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_is_an_error_in_one_line(tmp_path, capsys):
    assert cli.main(["study", "--data", str(tmp_path / "none.npz")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fastcone study: error: ") and "none.npz" in error
    assert error.count("\n") == 1


def test_a_malformed_file_is_an_error_in_one_line(tmp_path, capsys):
    path = tmp_path / "bad.npz"
    np.savez(path, x_train=np.zeros((3, 3)))
    assert cli.main(["study", "--data", str(path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "missing y_train" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused_before_anything_runs(tmp_path, capsys, images):
    taken = tmp_path / "taken"
    taken.write_text("x")
    assert cli.main(["study", "--data", str(images), "--out", str(taken)]) == 1
    assert "taken" in capsys.readouterr().err


def test_a_fault_of_the_study_itself_is_not_hidden(monkeypatch, tmp_path):
    def broken(*arguments, **options):
        raise ValueError("a bug")

    monkeypatch.setattr(run, "run_study", broken)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["study", "--out", str(tmp_path / "out")])


def test_missing_extras_are_named_with_the_command_that_helps(monkeypatch, capsys):
    real = study_package.find_spec
    hidden = ("skimage", "tqdm")
    monkeypatch.setattr(
        study_package, "find_spec", lambda name: None if name in hidden else real(name)
    )
    assert cli.main(["study"]) == 1
    error = capsys.readouterr().err
    assert "scikit-image, tqdm" in error and "pip install fastcone[study]" in error
    assert "scikit-learn" not in error


def test_an_interrupt_is_status_130(monkeypatch, capsys):
    def interrupted(options, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "study", interrupted)
    assert cli.main(["study"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_the_progress_bar_reaches_its_end(capsys):
    progress, close = cli._bar()
    progress(0, 4, "training")
    progress(4, 4, "done")
    close()
    assert "4/4 done" in capsys.readouterr().err
