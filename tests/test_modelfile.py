# SPDX-License-Identifier: BSD-3-Clause
"""The model file: every damage is refused, every save is whole or leaves the old file."""

import base64
import builtins
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastcone import Cone
from fastcone._runtime import modelfile
from fastcone._runtime.modelfile import (
    HEADER,
    MAX_HEADER,
    SEAL,
    VERSION,
    read_model,
    write_model,
)

SMALL = np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)

# Cone([[1, 0], [0.5, 2]]) in float32 as version 1 wrote it: later versions must read it.
GOLDEN_1 = base64.b64decode(
    "UEsDBBQAAAAAAAAAIQAOQk4PrQAAAK0AAAANAAAAZmFzdGNvbmUuanNvbnsidmVyc2lvbiI6IDEsICJraW5kIjogImNv"
    "bmUiLCAibm90ZXMiOiB7fSwgImFycmF5cyI6IHsiVyI6IHsiZHR5cGUiOiAiPGY0IiwgInNoYXBlIjogWzIsIDJdLCAi"
    "c2hhMjU2IjogIjFmYTFmZDFkM2Y2ZTE0NmVhZGRiODZkNTA0YzNiODZlZDhjNmI3MWIxZjNhYTNiODgzZGZkNjg3MmYy"
    "NjY5ZTMifX19UEsDBC0AAAAAAAAAIQBwHevk//////////8FABQAVy5ucHkBABAAkAAAAAAAAACQAAAAAAAAAJNOVU1Q"
    "WQEAdgB7J2Rlc2NyJzogJzxmNCcsICdmb3J0cmFuX29yZGVyJzogRmFsc2UsICdzaGFwZSc6ICgyLCAyKSwgfSAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAKAACAPwAAAAAAAAA/AAAA"
    "QFBLAQIUAxQAAAAAAAAAIQAOQk4PrQAAAK0AAAANAAAAAAAAAAAAAACAAQAAAABmYXN0Y29uZS5qc29uUEsBAi0DLQAA"
    "AAAAAAAhAHAd6+SQAAAAkAAAAAUAAAAAAAAAAAAAAIAB2AAAAFcubnB5UEsFBgAAAAACAAIAbgAAAJ8BAABAAGQyNTUx"
    "OWEzNDBmYTgwOWRjYzA4NDEwNjdmZjQwZGQ1Y2ZkYzBlYmEzMThiOTVkNjhmNDhiMGE1ODRkNDgxN2E="
)


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, (1, 0), allow_pickle=True)
    return out.getvalue()


def sealed(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of any members under the right seal."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.comment = bytes(SEAL)
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    body = out.getvalue()[:-SEAL]
    return body + hashlib.sha256(body).hexdigest().encode()


def model_bytes(header: object, arrays: dict[str, bytes]) -> bytes:
    """A sealed file with any header and any content of its arrays."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return sealed({HEADER: text} | {f"{name}.npy": raw for name, raw in arrays.items()})


def entry(array: np.ndarray, **changes: object) -> dict:
    raw = {"dtype": array.dtype.str, "shape": array.shape}
    return raw | {"sha256": hashlib.sha256(array.tobytes()).hexdigest()} | changes


def header_of(*arrays: object, version: int = VERSION, kind: str = "cone") -> dict:
    named = dict(zip(("W", "H"), arrays, strict=False))
    return {"version": version, "kind": kind, "notes": {}, "arrays": named}


def cone_bytes(array: np.ndarray) -> bytes:
    return model_bytes(header_of(entry(array)), {"W": npy(array)})


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
    if sys.version_info >= (3, 11, 4):  # zipfile before wrote another version into its headers
        assert path.read_bytes() == GOLDEN_1
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(io.BytesIO(GOLDEN_1)) as old:
        assert new.namelist() == old.namelist()
        assert all(new.read(name) == old.read(name) for name in new.namelist())


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


def test_numpy_opens_the_file(path):
    Cone(SMALL).save(path)
    with np.load(path) as file:
        np.testing.assert_array_equal(file["W"], SMALL)


def test_a_newer_version_is_refused_by_its_number(refused):
    for version in (VERSION + 1, 0):
        content = model_bytes(header_of(entry(SMALL), version=version), {"W": npy(SMALL)})
        refused(content, f"version is {version}")


GOOD = header_of(entry(SMALL))
LYING_HEADERS = {
    "another kind": header_of(entry(SMALL), kind="estimator"),
    "no arrays": GOOD | {"arrays": {}},
    "no kind": {"version": VERSION, "notes": {}, "arrays": {"W": entry(SMALL)}},
    "no version": {"kind": "cone", "notes": {}, "arrays": {"W": entry(SMALL)}},
    "no notes": {"version": VERSION, "kind": "cone", "arrays": {"W": entry(SMALL)}},
    "notes not an object": GOOD | {"notes": 3},
    "arrays not an object": GOOD | {"arrays": 3},
    "entry not an object": header_of("W"),
    "a list": [],
    "a number": 7,
    "not JSON": b"{]",
    "not UTF-8": b"\xff\xfe\xfd",
    "deeply nested": b"[" * 100_000,
    "a number of 5000 digits": b'{"version": 1, "kind": "cone", "arrays": [' + b"9" * 5000 + b"]}",
    "empty": b"",
    "other array": GOOD | {"arrays": {"H": entry(SMALL)}},
    "an array too many": header_of(entry(SMALL), entry(SMALL)),
    "big-endian dtype": header_of(entry(SMALL, dtype=">f4")),
    "wider dtype": header_of(entry(SMALL, dtype="<f8")),
    "larger shape": header_of(entry(SMALL, shape=[2, 3])),
    "one axis": header_of(entry(SMALL, shape=[4])),
    "shape not a list": header_of(entry(SMALL, shape=4)),
    "checksum not a string": header_of(entry(SMALL, sha256=5)),
    "other checksum": header_of(entry(SMALL, sha256="0" * 64)),
}


@pytest.mark.parametrize("header", LYING_HEADERS.values(), ids=LYING_HEADERS.keys())
def test_a_header_that_lies_under_a_right_seal_is_refused(refused, header):
    for content in ({}, {"W": npy(SMALL)}):
        refused(model_bytes(header, content))


def changed_npy(shape: str) -> bytes:
    """An array whose own header claims another shape, its length unchanged."""
    return npy(SMALL).replace(
        b"'shape': (2, 2), }".ljust(40), f"'shape': {shape}, }}".ljust(40).encode()
    )


LYING_ARRAYS = {
    "objects": npy(np.array([[object]])),
    "big-endian": npy(SMALL.astype(">f4")),
    "integers": npy(SMALL.astype(int)),
    "Fortran order": npy(np.asfortranarray(SMALL)),
    "no npy": SMALL.tobytes(),
    "empty": b"",
    "truncated": npy(SMALL)[:-1],
    "extended": npy(SMALL) + b"\0",
    "larger": changed_npy("(2, 3)"),
    "huge": changed_npy(f"({2**40}, {2**40})"),
    "a zero": changed_npy("(0, 4)"),
    "negative": changed_npy("(-2, -2)"),
    "true": changed_npy("(True, 4)"),
    "one axis": changed_npy("(4,)"),
    "code": changed_npy("(exit(), 2)"),
}


@pytest.mark.parametrize("raw", LYING_ARRAYS.values(), ids=LYING_ARRAYS.keys())
def test_an_array_that_lies_under_a_right_seal_is_refused(refused, raw):
    assert raw != npy(SMALL)
    refused(model_bytes(GOOD, {"W": raw}))


def test_other_zips_under_a_right_seal_are_refused(refused):
    text, raw = json.dumps(GOOD).encode(), npy(SMALL)
    refused(sealed({HEADER: text, "W.npy": raw}, zipfile.ZIP_DEFLATED), "compressed")
    refused(sealed({HEADER: text, "W.npy": raw, "more": b""}))
    refused(sealed({"W.npy": raw, HEADER: text}))
    refused(sealed({"W.npy": raw}))
    refused(sealed({}))


def test_a_header_above_its_limit_is_refused_before_it_is_read(refused):
    refused(model_bytes(b" " * (MAX_HEADER + 1), {}), "at most")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_sound_file_with_a_bad_dictionary_is_refused(refused, bad):
    refused(cone_bytes(np.array([[1.0, bad]])), "W")


def test_foreign_files_are_refused(refused, rng):
    for content in (b"", b"PK", b"\x80\x04K\x05.", bytes(1000), rng.bytes(10_000)):
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
    (path.parent / f".{path.name}.tmp").write_bytes(b"left by a killed writer")
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


ARRAYS = {"W": np.ones((2, 3))}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_what_is_not_a_regular_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for target in (tmp_path / "fifo", "/dev/null"):
        with pytest.raises(ValueError, match="regular file or none"):
            write_model(target, "cone", ARRAYS)
    assert stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        write_model(loop, "cone", ARRAYS)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are of another kind")
def test_permissions_and_long_names_are_kept(tmp_path):
    path = tmp_path / "private.npz"
    write_model(path, "cone", ARRAYS)
    path.chmod(0o600)
    write_model(path, "cone", ARRAYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path = tmp_path / ("n" * 250)
    write_model(path, "cone", ARRAYS)
    assert np.array_equal(read_model(path, "cone")[0]["W"], ARRAYS["W"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["n" * 250, "private.npz"]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_lock_that_another_holds_for_ever_does_not_stop_a_writer(tmp_path, monkeypatch, caplog):
    import fcntl

    monkeypatch.setattr(modelfile, "LOCK_SECONDS", 0.05)
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_model(tmp_path / "a.npz", "cone", ARRAYS)
    finally:
        os.close(held)
    assert "locked by another process" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
