# SPDX-License-Identifier: BSD-3-Clause
"""The clients in examples/ run, at a small size, and find what they set out to find."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
if not FOLDER.exists():
    pytest.skip("the examples are not beside this installation", allow_module_level=True)
pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def run(name, *arguments):
    """Return what an example's main returns."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():  # what it sets is its own affair
        return module.main(list(arguments))


def test_unmixing(capsys):
    found, truth, _ = run("unmixing", "--rows", "12", "--columns", "15")
    loop, batch = found.values()
    np.testing.assert_allclose(batch, loop, atol=1e-6)
    np.testing.assert_allclose(batch.sum(axis=1), 1, atol=1e-12)
    assert np.sqrt(np.mean((batch - truth) ** 2)) < 0.01
    assert "speed-up" in capsys.readouterr().out


def test_topics(capsys):
    models, shares, _ = run("topics", "--documents", "300")
    (a, _), (b, weights) = models.values()
    assert b.reconstruction_err_ <= a.reconstruction_err_ * (1 + 1e-6)
    main = shares.max(axis=1) > 0.8  # documents about one subject
    pairs = {(t, s) for t, s in zip(weights[main].argmax(1), shares[main].argmax(1), strict=True)}
    assert len(pairs) == 5  # a topic for each subject
    assert "speed-up" in capsys.readouterr().out


def test_relaxometry(capsys):
    spectra, _ = run("relaxometry", "--size", "8")
    loop, batch = spectra.values()
    np.testing.assert_allclose(batch, loop, atol=1e-8)
    assert "speed-up" in capsys.readouterr().out


def test_signatures(capsys):
    found, truth, _ = run("signatures", "--genomes", "80")
    unit = [S / np.linalg.norm(S, axis=0) for S in (found["fastcone"], truth)]
    assert (unit[1].T @ unit[0]).max(axis=1).min() > 0.99
    assert "speed-up" in capsys.readouterr().out


def test_recommender(capsys):
    errors, _ = run("recommender", "--people", "250", "--films", "200")
    known = errors.pop("fastcone, known alone")
    assert known < 0.9 * min(errors.values())
    assert "held-out" in capsys.readouterr().out


def test_digits(capsys):
    scores, _ = run("digits", "--ranks", "16", "--samples", "500")
    assert scores["fastcone"] > scores["scikit-learn"] - 0.03 and scores["cones"] > 0.9
    assert "speed-up" in capsys.readouterr().out
