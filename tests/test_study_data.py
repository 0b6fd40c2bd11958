# SPDX-License-Identifier: BSD-3-Clause
"""Where the images of a study come from, and who may see which of them."""

import numpy as np
import pytest

from fastcone.study import data


@pytest.fixture(scope="module")
def digits():
    return data.load_digits(0)


def arrays(rng, n_train=90, n_test=30, side=8, classes=3):
    """A well-formed file: random uint8 images, labels in turn."""
    shape = (side * side,)
    return {
        "x_train": rng.integers(0, 256, (n_train, *shape)).astype(np.uint8),
        "y_train": np.arange(n_train) % classes,
        "x_test": rng.integers(0, 256, (n_test, *shape)).astype(np.uint8),
        "y_test": np.arange(n_test) % classes,
    }


def saved(tmp_path, **changes):
    content = {**arrays(np.random.default_rng(0)), **changes}
    path = tmp_path / "images.npz"
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def rows(images):
    return {row.tobytes() for row in images.x}


def test_digits_are_8_by_8_in_0_to_1(digits):
    assert digits.shape == (8, 8)
    assert digits.labels == list(range(10))
    assert len(digits.fit) + len(digits.tune) + len(digits.test) == 1797
    assert digits.fit.x.min() == 0 and digits.fit.x.max() == 1


def test_the_three_parts_share_no_image(digits):
    fit, tune, test = map(rows, (digits.fit, digits.tune, digits.test))
    assert not fit & tune and not fit & test and not tune & test


def test_the_seed_chooses_the_split(digits):
    again, other = data.load_digits(0), data.load_digits(1)
    assert again.as_dict() == digits.as_dict()
    assert other.as_dict()["sha256"] != digits.as_dict()["sha256"]


def test_tuning_images_have_the_classes_in_equal_parts(digits):
    _, counts = np.unique(digits.tune.y, return_counts=True)
    assert counts.max() - counts.min() <= 1


def test_mixed_lets_the_classes_take_turns(digits):
    first = digits.test.mixed(20)
    np.testing.assert_array_equal(first.y, np.tile(np.arange(10), 2))


def test_limited_keeps_every_class(digits):
    small = digits.limited(100, 30, 20)
    assert [len(part) for part in (small.fit, small.tune, small.test)] == [100, 30, 20]
    assert small.labels == digits.labels


def test_a_file_is_read_as_written(tmp_path):
    content = arrays(np.random.default_rng(0))
    found = data.load_npz(saved(tmp_path), 0)
    np.testing.assert_array_equal(found.test.x, content["x_test"] / 255.0)
    np.testing.assert_array_equal(found.test.y, content["y_test"])
    assert len(found.fit) + len(found.tune) == 90
    assert rows(found.fit) | rows(found.tune) == {
        (row / 255.0).tobytes() for row in content["x_train"]
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_images_and_3d_arrays_are_taken(tmp_path, dtype):
    rng = np.random.default_rng(1)
    changes = {f"x_{p}": rng.random((n, 8, 12)).astype(dtype) for p, n in (("train", 90), ("test", 30))}  # fmt: skip  # noqa: E501
    found = data.load_npz(saved(tmp_path, **changes), 0)
    assert found.shape == (8, 12)
    assert found.fit.x.dtype == np.float64


BAD = {
    "missing array": ({"y_test": None}, "missing y_test"),
    "integers beyond uint8": ({"x_train": np.zeros((90, 64), np.int64)}, "x_train must be uint8"),
    "not square": ({"x_train": np.zeros((90, 60), np.uint8)}, "x_train must be .N, h, w."),
    "one image": ({"x_test": np.zeros(64, np.uint8)}, "x_test must be .N, pixels."),
    "empty": ({"x_test": np.zeros((0, 64), np.uint8)}, "x_test"),
    "NaN": ({"x_train": np.full((90, 64), np.nan)}, "x_train must be finite"),
    "out of range": ({"x_train": np.full((90, 64), 255.0)}, "x_train must lie in .0, 1."),
    "negative": ({"x_test": np.full((30, 64), -0.1)}, "x_test must lie in .0, 1."),
    "too small": (
        {"x_train": np.zeros((90, 36), np.uint8), "x_test": np.zeros((30, 36), np.uint8)},
        "even height and width >= 8",
    ),
    "odd side": (
        {"x_train": np.zeros((90, 81), np.uint8), "x_test": np.zeros((30, 81), np.uint8)},
        "even height and width >= 8",
    ),
    "other shape": ({"x_test": np.zeros((30, 100), np.uint8)}, "x_test must have images like"),
    "labels as floats": ({"y_train": np.zeros(90)}, "y_train must be a vector of integers"),
    "labels too few": ({"y_train": np.arange(89) % 3}, "y_train must have one label per image"),
    "one class": ({"y_train": np.zeros(90, int)}, "2 classes or more"),
    "a rare class": ({"y_train": np.r_[np.arange(80) % 2, [2] * 10]}, "20 images or more"),
    "an unknown class": ({"y_test": np.arange(30) % 4}, "y_test must have the classes of y_train"),
    "objects": ({"y_train": np.array([None] * 90)}, "not an .npz file of plain arrays"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_file_is_refused_by_name(tmp_path, name):
    changes, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        data.load_npz(saved(tmp_path, **changes), 0)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        data.load_npz(path, 0)


def test_a_single_array_is_no_archive(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        data.load_npz(path, 0)


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.load_npz(tmp_path / "none.npz", 0)


class FakeOpenML:
    def __init__(self, monkeypatch, outcome):
        self.asked = None

        def fetch(name, **options):
            self.asked = name, options
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)


def test_mnist_comes_from_openml_in_its_official_split(monkeypatch):
    class Bunch:  # images of 8 x 8 will do
        data = np.repeat(np.arange(70000)[:, None] % 251, 64, axis=1).astype(np.float32)
        target = np.array([str(i % 10) for i in range(70000)], dtype=object)

    fake = FakeOpenML(monkeypatch, Bunch)
    found = data.fetch_mnist(0)
    assert fake.asked[0] == "mnist_784"
    assert found.shape == (8, 8)
    assert len(found.fit) + len(found.tune) == 60000 and len(found.test) == 10000
    assert found.test.x[0, 0] == (60000 % 251) / 255
    assert found.labels == list(range(10))


def test_without_a_network_the_error_points_at_data(monkeypatch):
    FakeOpenML(monkeypatch, OSError("no route"))
    with pytest.raises(OSError, match=r"--data FILE\.npz"):
        data.fetch_mnist(0)
