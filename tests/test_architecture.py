# SPDX-License-Identifier: BSD-3-Clause
"""The documentation names only what exists: files, and what is to be found in them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
ANSWERS = re.findall(
    r"^\|[^|]+\| `([^`:]+): ([^`]+)` \|$", (ROOT / "docs/architecture.md").read_text(), re.M
)
ANYWHERE = ("", "fastcone", "fastcone/_kernels")  # what a path in prose may begin at


def test_twenty_questions_are_answered():
    assert len(ANSWERS) >= 20


@pytest.mark.parametrize("path, symbol", ANSWERS)
def test_an_answer_leads_there(path, symbol):
    assert symbol in (ROOT / path).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_in_the_prose_exists(page):
    named = re.findall(r"`([\w./]+/[\w.]+\.(?:py|pyx|pxd|pyi|h|md))`", page.read_text())
    for path in (path for path in named if "NAME" not in path and "SOLVER" not in path):
        assert any((ROOT / start / path).exists() for start in ANYWHERE), f"{page.name}: {path}"
