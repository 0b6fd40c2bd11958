# SPDX-License-Identifier: BSD-3-Clause
"""The model file: named arrays on disk, checked bit by bit, written whole or not at all.

Layout, all integers little-endian::

    8 bytes    magic b"FASTCONE"
    4 bytes    version, unsigned; this code writes and reads version 1
    4 bytes    length of the header, unsigned, at most 1 MB
    32 bytes   SHA-256 of the 16 bytes above and of the header
    header     JSON, UTF-8: {"kind": str, "arrays": [{"name", "dtype", "shape", "sha256"}, ...]},
               and "notes", an object of the writer's, if there are any
    arrays     raw, C order, dtype "<f4" or "<f8", one after the other, nothing between or after

Nothing in the file is executed, and no length in it is believed: the sizes that the header states
must add up to the size of the file before any memory is taken for an array.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import stat
import struct
import sys
from collections.abc import Iterator, Mapping
from io import BufferedReader, BufferedWriter
from typing import Any

import numpy as np
import numpy.typing as npt

if sys.platform != "win32":
    import fcntl

MAGIC = b"FASTCONE"
VERSION = 1
MAX_HEADER = 1_000_000
_FIXED = struct.Struct("<8sII")  # magic, version, header length
_DIGEST = 32
_DTYPES = ("<f4", "<f8")

Array = npt.NDArray[Any]


def write_model(
    path: str | os.PathLike[str],
    kind: str,
    arrays: Mapping[str, Array],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write float32 or float64 `arrays` to `path`, which holds the old file or the new one."""
    target = _checked_path(path)
    disk = {name: _as_on_disk(array) for name, array in arrays.items()}
    entries = [
        {
            "name": name,
            "dtype": array.dtype.str,
            "shape": array.shape,
            "sha256": hashlib.sha256(_raw(array)).hexdigest(),
        }
        for name, array in disk.items()
    ]
    content = {"kind": kind, "arrays": entries} | ({"notes": notes} if notes else {})
    header = json.dumps(content).encode()
    fixed = _FIXED.pack(MAGIC, VERSION, len(header))
    digest = hashlib.sha256(fixed + header).digest()
    with _atomic_file(target) as file:
        file.write(fixed + digest + header)
        for array in disk.values():
            file.write(_raw(array))


def read_model(path: str | os.PathLike[str], kind: str) -> dict[str, Array]:
    """Return the arrays of a model file of that kind, or raise ValueError naming the path."""
    return read_noted(path, kind)[0]


def read_noted(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays of a model file and its notes."""
    source = _checked_path(path)
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise ValueError(f"path must name a regular file, found {source!r}")
    with open(source, "rb") as file:
        try:
            return _read(file, kind)
        except ValueError as error:
            raise ValueError(f"path {source!r} is not a sound model file: {error}") from error


def _read(file: BufferedReader, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    entries, notes, start = _read_header(file, kind)
    wanted = start + sum(int(dtype[-1]) * math.prod(shape) for _, dtype, shape, _ in entries)
    found = os.fstat(file.fileno()).st_size
    if wanted != found:
        raise ValueError(f"its header wants {wanted} bytes, found {found}")
    arrays = {}
    for name, dtype, shape, checksum in entries:
        array = np.empty(shape, dtype)
        file.readinto(_raw(array))
        if hashlib.sha256(_raw(array)).hexdigest() != checksum:
            raise ValueError(f"array {name!r} does not match its checksum")
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays, notes


def _read_header(
    file: BufferedReader, kind: str
) -> tuple[list[tuple[str, str, tuple[int, ...], str]], dict[str, Any], int]:
    # The entries (name, dtype, shape, checksum), the notes, the position of the first array.
    fixed = file.read(_FIXED.size)
    if len(fixed) < _FIXED.size or not fixed.startswith(MAGIC):
        raise ValueError(f"it does not begin with {MAGIC!r}")
    _, version, length = _FIXED.unpack(fixed)
    if version != VERSION:
        raise ValueError(f"its version is {version}, this fastcone reads version {VERSION}")
    if length > MAX_HEADER:
        raise ValueError(f"its header must have at most {MAX_HEADER} bytes, found {length}")
    digest, header = file.read(_DIGEST), file.read(length)
    if hashlib.sha256(fixed + header).digest() != digest:
        raise ValueError("its header does not match its checksum")
    try:
        content = json.loads(header)
        found, notes = content["kind"], dict(content.get("notes", {}))
        entries = [
            (entry["name"], entry["dtype"], tuple(entry["shape"]), entry["sha256"])
            for entry in content["arrays"]
        ]
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"its header is malformed: {error!r:.200}") from error
    if found != kind:
        raise ValueError(f"it holds a {found!r:.50}, wanted a {kind!r}")
    names = set()
    for name, dtype, shape, _ in entries:
        if not isinstance(name, str) or name in names:
            raise ValueError(f"its header has no name or a second one in {name!r:.50}")
        names.add(name)
        if dtype not in _DTYPES or any(type(n) is not int or n < 1 for n in shape):
            raise ValueError(f"array {name!r:.50} has no valid dtype and shape")
    return entries, notes, _FIXED.size + _DIGEST + length


def _as_on_disk(array: Array) -> Array:
    # Little-endian and C order; no copy where it is so already.
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _raw(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _checked_path(path: str | os.PathLike[str]) -> str:
    try:
        return os.path.realpath(os.fsdecode(path))
    except TypeError as error:
        raise TypeError(f"path must be a string or a path, found {type(path).__name__}") from error


@contextlib.contextmanager
def _atomic_file(target: str) -> Iterator[BufferedWriter]:
    # A temporary file beside the target, made durable and renamed onto it when the block ends
    # well, removed when it does not. A killed writer's leftover goes with the next save.
    parent, name = os.path.split(target)
    temporary = os.path.join(parent, f".{name}.{secrets.token_hex(8)}.tmp")
    with _locked_directory(parent) as (directory, locked):
        if locked:
            _remove_leftovers(parent, name)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        if directory is not None:
            os.fsync(directory)


@contextlib.contextmanager
def _locked_directory(parent: str) -> Iterator[tuple[int | None, bool]]:
    # One writer at a time per directory, across threads and processes; the system drops the lock
    # of a killed writer. Some network file systems have no locks: there, leftovers are kept.
    if sys.platform == "win32":
        yield None, False
        return
    directory, locked = os.open(parent, os.O_RDONLY), False
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(directory, fcntl.LOCK_EX)
            locked = True
        yield directory, locked
    finally:
        if locked:
            fcntl.flock(directory, fcntl.LOCK_UN)  # a process forked meanwhile shares the lock
        os.close(directory)


def _remove_leftovers(parent: str, name: str) -> None:
    # Only called by the writer that holds the lock: every temporary file of this name is stale.
    start, end = f".{name}.", ".tmp"
    for entry in os.listdir(parent):
        token = entry[len(start) : -len(end)]
        if entry.startswith(start) and entry.endswith(end) and len(token) == 16:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(parent, entry))
