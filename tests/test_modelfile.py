# SPDX-License-Identifier: BSD-3-Clause
"""The model file: every damage is refused, every save is whole or leaves the old file."""

import builtins
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

from fastcone import Cone
from fastcone._runtime.modelfile import MAGIC, MAX_HEADER, VERSION

SMALL = np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)

# Cone([[1, 0], [0.5, 2]]) in float32 as version 1 wrote it: later versions must read it.
GOLDEN_1 = bytes.fromhex(
    "46415354434f4e45010000009a000000f9ce5ebad354b2230bcdfb8bf58e5e3bc2c3497599022bd8a0710285"
    "6248309b7b226b696e64223a2022636f6e65222c2022617272617973223a205b7b226e616d65223a20225722"
    "2c20226474797065223a20223c6634222c20227368617065223a205b322c20325d2c2022736861323536223a"
    "2022316661316664316433663665313436656164646238366435303463336238366564386336623731623166"
    "33616133623838336466643638373266323636396533227d5d7d0000803f000000000000003f00000040"
)


def model_bytes(header: object, arrays: bytes = b"", *, version: int = VERSION) -> bytes:
    """A file with a right magic and a right header checksum around any content."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    fixed = MAGIC + struct.pack("<II", version, len(text))
    return fixed + hashlib.sha256(fixed + text).digest() + text + arrays


def entry(array: np.ndarray, **changes: object) -> dict:
    raw = {"name": "W", "dtype": array.dtype.str, "shape": array.shape}
    return raw | {"sha256": hashlib.sha256(array.tobytes()).hexdigest()} | changes


def cone_bytes(array: np.ndarray, **changes: object) -> bytes:
    header = {"kind": "cone", "arrays": [entry(array, **changes)]}
    return model_bytes(header, array.tobytes())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.cone"


@pytest.fixture
def refused(path):
    """A check that these bytes are refused by a ValueError that names the path."""

    def check(content: bytes, reason: str = "") -> None:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"(?s)^path .*some\.cone.*{reason}"):
            Cone.load(path)

    return check


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_load_returns_the_bits_that_were_saved(path, rng, dtype, order):
    W = np.asarray(rng.random((7, 3)), dtype, order=order)
    W[2, 1], W[0, 0] = 5e-40, 0.0
    Cone(W).save(path)
    found = Cone.load(path).W
    assert found.dtype == Cone(W).W.dtype and found.dtype.isnative
    assert found.tobytes() == Cone(W).W.tobytes()
    assert not found.flags.writeable


def test_a_file_of_version_1_is_read_and_written_to_the_byte(path):
    path.write_bytes(GOLDEN_1)
    np.testing.assert_array_equal(Cone.load(path).W, SMALL)
    Cone(SMALL).save(path)
    assert path.read_bytes() == GOLDEN_1


def test_paths_of_every_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("a", tmp_path / "a", os.path.join(".", "a")):
        Cone(SMALL).save(path)
        np.testing.assert_array_equal(Cone.load(path).W, SMALL)
    os.symlink("a", "link")
    Cone(2 * SMALL).save("link")
    assert os.path.islink("link")
    np.testing.assert_array_equal(Cone.load("a").W, 2 * SMALL)


# --- damaged files


def test_every_single_bit_flip_is_refused(refused):
    for position in range(8 * len(GOLDEN_1)):
        damaged = bytearray(GOLDEN_1)
        damaged[position // 8] ^= 1 << position % 8
        refused(bytes(damaged))


def test_every_truncation_and_every_extension_is_refused(refused):
    for length in range(len(GOLDEN_1)):
        refused(GOLDEN_1[:length])
    for extra in (b"\0", b"x", GOLDEN_1):
        refused(GOLDEN_1 + extra)


def test_random_damage_is_refused(refused, rng):
    for _ in range(500):
        damaged = np.frombuffer(GOLDEN_1, np.uint8).copy()
        start, length = rng.integers(len(damaged)), rng.integers(1, 40)
        damaged[start : start + length] = rng.integers(256, size=len(damaged[start:][:length]))
        if damaged.tobytes() != GOLDEN_1:
            refused(damaged.tobytes())


def test_a_newer_version_is_refused_by_its_number(refused):
    header = {"kind": "cone", "arrays": [entry(SMALL)]}
    refused(model_bytes(header, SMALL.tobytes(), version=VERSION + 1), f"version is {VERSION + 1}")
    refused(model_bytes(header, SMALL.tobytes(), version=0), "version is 0")


GOOD = {"kind": "cone", "arrays": [entry(SMALL)]}
LYING_HEADERS = {
    "another kind": GOOD | {"kind": "estimator"},
    "no arrays": GOOD | {"arrays": []},
    "no kind": {"arrays": [entry(SMALL)]},
    "arrays not a list": GOOD | {"arrays": 3},
    "entry not a dict": GOOD | {"arrays": ["W"]},
    "a list": [],
    "a number": 7,
    "not JSON": b"{]",
    "not UTF-8": b"\xff\xfe\xfd",
    "deeply nested": b"[" * 100_000,
    "a number of 5000 digits": b'{"kind": "cone", "arrays": [' + b"9" * 5000 + b"]}",
    "empty": b"",
    "other array": GOOD | {"arrays": [entry(SMALL, name="H")]},
    "nameless": GOOD | {"arrays": [entry(SMALL, name=None)]},
    "an array too many": GOOD | {"arrays": [entry(SMALL), entry(SMALL, name="H")]},
    "same name twice": GOOD | {"arrays": [entry(SMALL), entry(SMALL)]},
    "object dtype": GOOD | {"arrays": [entry(SMALL, dtype="|O")]},
    "big-endian dtype": GOOD | {"arrays": [entry(SMALL, dtype=">f4")]},
    "dtype not a string": GOOD | {"arrays": [entry(SMALL, dtype=["<f4"])]},
    "wider dtype": GOOD | {"arrays": [entry(SMALL, dtype="<f8")]},
    "larger shape": GOOD | {"arrays": [entry(SMALL, shape=[2, 3])]},
    "smaller shape": GOOD | {"arrays": [entry(SMALL, shape=[2, 1])]},
    "huge shape": GOOD | {"arrays": [entry(SMALL, shape=[2**40, 2**40])]},
    "shape past every integer": GOOD | {"arrays": [entry(SMALL, shape=[10**3000, 10**3000])]},
    "shape with a zero": GOOD | {"arrays": [entry(SMALL, shape=[0, 10**30])]},
    "negative shape": GOOD | {"arrays": [entry(SMALL, shape=[-2, -2])]},
    "fractional shape": GOOD | {"arrays": [entry(SMALL, shape=[2.0, 2])]},
    "boolean shape": GOOD | {"arrays": [entry(SMALL, shape=[True, 4])]},
    "shape not a list": GOOD | {"arrays": [entry(SMALL, shape=4)]},
    "one axis": GOOD | {"arrays": [entry(SMALL, shape=[4])]},
    "a hundred axes": GOOD | {"arrays": [entry(SMALL, shape=[1] * 98 + [2, 2])]},
    "checksum not a string": GOOD | {"arrays": [entry(SMALL, sha256=5)]},
    "other checksum": GOOD | {"arrays": [entry(SMALL, sha256="0" * 64)]},
}


@pytest.mark.parametrize("header", LYING_HEADERS.values(), ids=LYING_HEADERS.keys())
def test_a_header_that_lies_under_a_right_checksum_is_refused(refused, header):
    for copies in (0, 1, 2):  # so that the size of the file gives none of them away
        refused(model_bytes(header, copies * SMALL.tobytes()))


def test_a_header_above_its_limit_is_refused_before_it_is_read(refused):
    refused(model_bytes(b" " * (MAX_HEADER + 1)), "at most")
    refused(MAGIC + struct.pack("<II", VERSION, 2**32 - 1) + bytes(32), "at most")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_sound_file_with_a_bad_dictionary_is_refused(refused, bad):
    refused(cone_bytes(np.array([[1.0, bad]])), "W")


def test_foreign_files_are_refused(refused, rng):
    for content in (b"", b"FASTCONE", b"\x80\x04K\x05.", bytes(1000), rng.bytes(10_000)):
        refused(content)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_RDWR)  # a reader that trusts it shall not wait
    os.write(writer, bytes(100))
    for name in (tmp_path / "fifo", tmp_path, "/dev/null"):
        with pytest.raises(ValueError, match=r"^path must name a regular file"):
            Cone.load(name)
    os.close(writer)
    with pytest.raises(FileNotFoundError):
        Cone.load(tmp_path / "absent")
    for bad in (None, 3, SMALL):
        with pytest.raises(TypeError, match=r"^path "):
            Cone.load(bad)
        with pytest.raises(TypeError, match=r"^path "):
            Cone(SMALL).save(bad)


def test_loading_takes_at_most_twice_the_file_in_memory(path):
    Cone(np.ones((1000, 500))).save(path)
    tracemalloc.start()
    try:
        Cone.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 2 * path.stat().st_size + 2 * MAX_HEADER


# --- interrupted saves


class FailingFile:
    """A file whose n-th write fails after half of its bytes, as on a full disk."""

    def __init__(self, file, failing_write):
        self._file, self._left = file, failing_write

    def write(self, data):
        self._left -= 1
        if self._left == 0:
            self._file.write(bytes(memoryview(data))[: memoryview(data).nbytes // 2])
            raise OSError(28, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)


def fail_write(number):
    def inject(monkeypatch):
        real = builtins.open
        monkeypatch.setattr(builtins, "open", lambda *a, **k: FailingFile(real(*a, **k), number))

    return inject


def fail_call(name, error):
    def inject(monkeypatch):
        def failing(*args, **kwargs):
            raise error

        monkeypatch.setattr(os, name, failing)

    return inject


FAILURES = {
    "first write": fail_write(1),
    "second write": fail_write(2),
    "fsync": fail_call("fsync", OSError(5, "Input/output error")),
    "replace": fail_call("replace", OSError(13, "Permission denied")),
    "Ctrl-C in fsync": fail_call("fsync", KeyboardInterrupt()),
}


@pytest.mark.parametrize("old", [True, False], ids=["over an old file", "as a new file"])
@pytest.mark.parametrize("inject", FAILURES.values(), ids=FAILURES.keys())
def test_a_failed_save_leaves_the_old_file_and_nothing_else(path, monkeypatch, inject, old):
    if old:
        path.write_bytes(GOLDEN_1)
    with monkeypatch.context() as patch:
        inject(patch)
        with pytest.raises((OSError, KeyboardInterrupt)):
            Cone(np.ones((50, 4))).save(path)
    assert os.listdir(path.parent) == ([path.name] if old else [])
    if old:
        assert path.read_bytes() == GOLDEN_1
    Cone(np.ones((50, 4))).save(path)
    assert Cone.load(path).W.shape == (50, 4)


def test_a_full_disk_leaves_the_old_file(path):
    resource = pytest.importorskip("resource")
    path.write_bytes(GOLDEN_1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError):
            Cone(np.ones((1000, 100))).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == GOLDEN_1


def test_a_failed_fsync_of_the_directory_leaves_the_new_file(path, monkeypatch):
    real, calls = os.fsync, []

    def second_fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        real(descriptor)

    path.write_bytes(GOLDEN_1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", second_fails)
        with pytest.raises(OSError):
            Cone(np.ones((5, 4))).save(path)
    assert os.listdir(path.parent) == [path.name]
    assert Cone.load(path).W.shape == (5, 4)


def test_bytes_are_synced_before_the_rename_and_the_directory_after(path, monkeypatch):
    order = []

    def logged(name, real):
        return lambda *args: (order.append(name), real(*args))[1]

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, logged(name, getattr(os, name)))
    Cone(SMALL).save(path)
    assert order == ["fsync", "replace", "fsync"]


def test_a_missing_directory_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Cone(SMALL).save(tmp_path / "absent" / "some.cone")
    with pytest.raises(OSError):
        Cone(SMALL).save(tmp_path)
    assert os.listdir(tmp_path) == []


ENDLESS_SAVES = """
import sys, numpy as np
from fastcone import Cone
cones = [Cone(np.full((400, 300), value)) for value in (1.0, 2.0)]
cones[0].save(sys.argv[1])
print("ready", flush=True)
while True:
    for cone in cones:
        cone.save(sys.argv[1])
"""


def test_a_killed_writer_leaves_a_whole_file_and_the_next_save_cleans_up(path, rng):
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", ENDLESS_SAVES, path], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.1))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        W = Cone.load(path).W
        assert W.shape == (400, 300) and W.min() == W.max()
    (path.parent / f".{path.name}.0123456789abcdef.tmp").write_bytes(b"left by a killed writer")
    other = path.parent / f".{path.name}.notes.tmp"
    other.write_bytes(b"not ours")
    Cone(SMALL).save(path)
    assert sorted(os.listdir(path.parent)) == sorted([path.name, other.name])


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_writers_of_the_same_file_do_not_mix(path, monkeypatch, locks):
    if not locks:
        fcntl = pytest.importorskip("fcntl")

        def no_locks(*args):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(fcntl, "flock", no_locks)
    cones = [Cone(np.full((50, 40), float(value))) for value in range(1, 5)]
    failures = []

    def save_often(cone):
        try:
            for _ in range(20):
                cone.save(path)
                W = Cone.load(path).W
                assert W.min() == W.max()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=save_often, args=(cone,)) for cone in cones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and os.listdir(path.parent) == [path.name]
