# SPDX-License-Identifier: BSD-3-Clause
"""A study on disk: ``study.json``, the model file, PNG pictures and ``report.html``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from fastcone.study import tasks
from fastcone.study.model import FILE
from fastcone.study.report.figures import draw_all
from fastcone.study.report.html import page
from fastcone.study.run import Study

SCHEMA = Path(__file__).with_name("schema.json")
MOST_LETTERS = 200


def write_study(study: Study, folder: Path, *, command: str) -> Path:
    """Write a study and return the path of its report.

    Parameters
    ----------
    study : Study
        From `fastcone.study.run.run_study`.
    folder : Path
        Made if missing; files of an earlier study are replaced.
    command : str
        The command that repeats it, for the report.

    Raises
    ------
    OSError
        The folder or a file cannot be written.
    ValueError
        The record has not the form of ``schema.json``, or names another model.
    """
    record = {**study.record, "command": command}
    wrong = complaints(record)
    if wrong:
        raise ValueError(f"the study's record is malformed: {wrong[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, allow_nan=False)
    (folder / "study.json").write_text(text + "\n", encoding="utf-8")
    if study.model.write(folder / FILE) != record["cone"]["file"]["sha256"]:
        raise ValueError("the study's model is not the one that its record names")
    pictures = draw_all(study, folder)
    report = folder / "report.html"
    report.write_text(page(record, pictures), encoding="utf-8")
    return report


def complaints(record: Any) -> list[str]:
    """Return what is wrong with a study's record, nothing if it may be written.

    Parameters
    ----------
    record : object
        The content of ``study.json``.

    Examples
    --------
    >>> complaints([])
    ["the study: [] is not of type 'object'"]
    """
    try:
        plain = json.loads(json.dumps(record, allow_nan=False)) == record
    except (TypeError, ValueError) as error:
        return [f"the study must be plain JSON: {error}"]
    if not plain:
        return ["the study must be plain JSON: lists, objects with names, no other types"]
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    errors = Draft202012Validator(schema).iter_errors(record)
    return [_sentence(error) for error in errors] or list(_relations(record))


def _sentence(error: ValidationError) -> str:
    path = error.json_path.removeprefix("$.").replace("$", "the study")
    if len(error.message) <= MOST_LETTERS:
        return f"{path}: {error.message}"
    return f"{path}: must satisfy {error.validator} {error.validator_value}"


def _relations(record: dict[str, Any]) -> Iterator[str]:
    """Complain of values that are well-formed but contradict each other."""
    if list(record["tasks"]) != tasks.names():
        yield f"tasks must be {', '.join(tasks.names())}, found {', '.join(record['tasks'])}"
    costs = {"cone.cost": record["cone"]["cost"]}
    for name, task in record["tasks"].items():
        for row in task["results"]:
            path = f"tasks.{name}.results[{row['name']!r}]"
            if not row["quality_ci"][0] <= row["quality_ci"][1]:
                yield f"{path}.quality_ci must not fall, found {row['quality_ci']}"
            costs |= {f"{path}.{step}": row[step] for step in ("train", "use") if row.get(step)}
        compared = {"paired": task.get("paired", []), "margin": []}
        compared["margin"] += [task["margin"]] if task["margin"] else []
        for key, pair in ((key, pair) for key, pairs in compared.items() for pair in pairs):
            lo, hi = pair["difference_ci"]
            if not {pair["ours"], pair["theirs"]} <= {row["name"] for row in task["results"]}:
                yield f"tasks.{name}.{key} must name two of the results"
            if not lo <= pair["difference"] <= hi:
                yield f"tasks.{name}.{key} must have a difference within its interval"
    for path, cost in costs.items():
        lo, joules, hi = (cost["energy"].get(key) for key in ("lo", "joules", "hi"))
        if joules is not None and not lo <= joules <= hi:
            yield f"{path}.energy must have lo <= joules <= hi"
