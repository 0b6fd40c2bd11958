# SPDX-License-Identifier: BSD-3-Clause
"""The model file: named arrays on disk, checked bit by bit, written whole or not at all.

It is an ``.npz`` that `numpy.load` opens: a zip of uncompressed members, ``NAME.npy`` for each
array (float32 or float64, little-endian, C order) and ``fastcone.json``::

    {"version": 1, "kind": str, "notes": {...},
     "arrays": {NAME: {"dtype": "<f4" or "<f8", "shape": [...], "sha256": str}, ...}}

The comment of the zip, its last 64 bytes, is the SHA-256 of all bytes before it, in hexadecimal.

Nothing in the file is executed or unpickled, and no length in it is believed: what the members
claim must fit into the size of the file, and a shape into its member, before memory is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import secrets
import stat
import struct
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastcone._runtime.validation import shown

if sys.platform != "win32":
    import fcntl

VERSION = 1
HEADER = "fastcone.json"
MAX_HEADER = 1_000_000
LONG_NAME = 200  # bytes of a name beside which a temporary one might be too long
LOCK_SECONDS = 2.0
SEAL = 64
_CHUNK = 1 << 20
_DTYPES = (np.dtype("<f4"), np.dtype("<f8"))
_MALFORMED = (  # what the parsers of zip, npy and JSON raise
    zipfile.BadZipFile, struct.error, ArithmeticError, AttributeError, EOFError, LookupError,
    OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip

Array = npt.NDArray[Any]
_log = logging.getLogger(__name__)


def write_model(
    path: str | os.PathLike[str],
    kind: str,
    arrays: Mapping[str, Array],
    notes: Mapping[str, Any] | None = None,
    patience: float | None = None,
) -> None:
    """Write float32 or float64 `arrays` to `path`, which holds the old file or the new one.

    Another writer to the same directory is waited for, `patience` seconds at most
    (LOCK_SECONDS by default).
    """
    disk = {n: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for n, a in arrays.items()}
    header = {"version": VERSION, "kind": kind, "notes": dict(notes or {}), "arrays": _facts(disk)}
    with _atomic_file(_checked_path(path), patience) as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = bytes(SEAL)
            archive.writestr(zipfile.ZipInfo(HEADER), json.dumps(header))
            for name, array in disk.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)
        seal = _seal(file)
        file.seek(-SEAL, os.SEEK_END)
        file.write(seal)


def read_model(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the notes of a model file, or raise ValueError naming the path."""
    source = _checked_path(path)
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise ValueError(f"path must name a regular file, found {source!r}")
    with open(source, "rb") as file:
        sealed = _seal(file) == file.read()
        try:
            if not sealed:
                raise ValueError("it does not end with the SHA-256 of what is before")
            with zipfile.ZipFile(file) as archive:
                return _read(archive, kind, os.fstat(file.fileno()).st_size)
        except _MALFORMED as error:
            reason = f"{error!s:.300}" or type(error).__name__
            raise ValueError(f"path {source!r} is not a sound model file: {reason}") from error


def _read(
    archive: zipfile.ZipFile, kind: str, size: int
) -> tuple[dict[str, Array], dict[str, Any]]:
    members = {member.filename: member for member in archive.infolist()}
    if any(m.compress_type != zipfile.ZIP_STORED for m in members.values()):
        raise ValueError("it has a compressed member")
    if sum(member.file_size for member in archive.infolist()) > size:
        raise ValueError(f"its members claim more than its {size} bytes")
    if members[HEADER].file_size > MAX_HEADER:
        raise ValueError(f"its {HEADER} must have at most {MAX_HEADER} bytes")
    header = json.loads(archive.read(HEADER))
    if header["version"] != VERSION:
        raise ValueError(f"its version is {header['version']}, this fastcone reads {VERSION}")
    if header["kind"] != kind:
        raise ValueError(f"it holds a {header['kind']!r:.50}, wanted a {kind!r}")
    if [HEADER, *(f"{name}.npy" for name in header["arrays"])] != archive.namelist():
        raise ValueError(f"its members are not those that {HEADER} names")
    arrays = {name: _read_array(archive, members[f"{name}.npy"]) for name in header["arrays"]}
    for name, fact in _facts(arrays).items():
        if header["arrays"][name] != fact:
            raise ValueError(f"array {name!r:.50} is not the one that {HEADER} describes")
    return {n: a.astype(a.dtype.newbyteorder("="), copy=False) for n, a in arrays.items()}, dict(
        header["notes"]
    )


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{info.filename!r:.50} is not of version 1.0 of the npy format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        if fortran or dtype not in _DTYPES or any(type(n) is not int or n < 1 for n in shape):
            raise ValueError(f"{info.filename!r:.50} has no valid dtype, order and shape")
        wanted = member.tell() + math.prod(shape) * dtype.itemsize
        if wanted != info.file_size:
            raise ValueError(f"{info.filename!r:.50} wants {wanted} bytes, has {info.file_size}")
        member.seek(0)
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False))


def _facts(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {
        name: {
            "dtype": array.dtype.newbyteorder("<").str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest(),
        }
        for name, array in arrays.items()
    }


def _seal(file: IO[bytes]) -> bytes:
    # What the last bytes of the file must be; leaves the position before them.
    rest = max(file.seek(0, os.SEEK_END) - SEAL, 0)
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(min(_CHUNK, rest)):
        digest.update(chunk)
        rest -= len(chunk)
    return digest.hexdigest().encode()


def _checked_path(path: str | os.PathLike[str]) -> str:
    try:
        name = os.fsdecode(path)
    except TypeError as error:
        raise TypeError(f"path must be a string or a path, found {type(path).__name__}") from error
    if "\0" in name:
        raise ValueError(f"path must hold no NUL, found {shown(name)}")
    return os.path.realpath(name)


@contextlib.contextmanager
def _atomic_file(target: str, patience: float | None) -> Iterator[IO[bytes]]:
    # A temporary file beside the target, made durable and renamed onto it when the block ends
    # well, removed when it does not. A killed writer's leftover has the name of the next one.
    parent, name = os.path.split(target)
    mode = _mode(target)
    if len(os.fsencode(name)) > LONG_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    with _locked_directory(parent, patience) as (directory, locked):
        token = "" if locked else f".{secrets.token_hex(8)}"
        temporary = os.path.join(parent, f".{name}{token}.tmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        try:
            with open(temporary, "x+b") as file:
                yield file
                file.flush()
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        if directory is not None:
            os.fsync(directory)


def _mode(target: str) -> int | None:
    # Permissions of the file that is to be replaced, None for no file; nothing else is replaced.
    try:
        found = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(found) or stat.S_ISDIR(found)):  # that of a folder has an OSError
        raise ValueError(f"path must name a regular file or none, found {target!r}")
    return stat.S_IMODE(found)


@contextlib.contextmanager
def _locked_directory(parent: str, patience: float | None) -> Iterator[tuple[int | None, bool]]:
    # One writer at a time per directory, across threads and processes; the system drops the lock
    # of a killed writer. Some network file systems have no locks, and others may hold one for
    # ever: after `patience` seconds a writer goes on without, under a name of its own.
    if sys.platform == "win32":
        yield None, False
        return
    directory, locked = os.open(parent, os.O_RDONLY), False
    try:
        locked = _lock(directory, parent, patience)
        yield directory, locked
    finally:
        if locked:
            fcntl.flock(directory, fcntl.LOCK_UN)  # a process forked meanwhile shares the lock
        os.close(directory)


def _lock(directory: int, parent: str, patience: float | None) -> bool:
    # Whether the directory could be locked; waits `patience` seconds for another writer.
    end = time.monotonic() + (LOCK_SECONDS if patience is None else patience)
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                _log.warning("%s is locked by another process: writing without its lock", parent)
                return False
            time.sleep(0.01)
        except OSError:
            return False
