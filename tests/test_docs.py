# SPDX-License-Identifier: BSD-3-Clause
"""The documentation's examples run, its links lead somewhere, and the tree is as it says."""

import doctest
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page):
    failed, _ = doctest.testfile(str(page), module_relative=False)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_sources_carry_a_licence_line_and_stay_short():
    listed = subprocess.run(
        ["git", "ls-files", "fastcone", "tests", "bench"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split():
        if name.endswith((".py", ".pyx", ".pxd", ".h")) and (ROOT / name).exists():
            text = (ROOT / name).read_text()
            assert not text or "SPDX-License-Identifier: BSD-3-Clause" in text[:120], name
            if name.startswith("fastcone"):
                assert text.count("\n") <= 400, f"{name} has {text.count(chr(10))} lines"
