# SPDX-License-Identifier: BSD-3-Clause
"""A study on disk: ``study.json``, PNG pictures and ``report.html``."""

from __future__ import annotations

import json
from pathlib import Path

from fastcone.study.pictures import draw_all
from fastcone.study.report import page
from fastcone.study.runner import Study
from fastcone.study.schema import complaints


def write_study(study: Study, folder: Path, *, command: str) -> Path:
    """Write a study and return the path of its report.

    Parameters
    ----------
    study : Study
        From `fastcone.study.runner.run_study`.
    folder : Path
        Made if missing; files of an earlier study are replaced.
    command : str
        The command that repeats it, for the report.

    Raises
    ------
    OSError
        The folder or a file cannot be written.
    ValueError
        The record has not the form of schema 1.
    """
    record = {**study.record, "command": command}
    wrong = complaints(record)
    if wrong:
        raise ValueError(f"the study's record is malformed: {wrong[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, allow_nan=False)
    (folder / "study.json").write_text(text + "\n", encoding="utf-8")
    pictures = draw_all(study, folder)
    report = folder / "report.html"
    report.write_text(page(record, pictures), encoding="utf-8")
    return report
