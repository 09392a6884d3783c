# SPDX-License-Identifier: GPL-2.0-only
"""The files with the facts of modules, in the user's cache: `check/CODE/DI/GEST`, by SHA-256 of the module file.

CODE is a digest of the state of the code that makes verdicts; what other code has kept is not read. A file is written
whole or not at all, with a checksum. Of two writers the last one stays, and what the other had found is found again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.loader.kept.forms import Json

_FORM = 1
_PACKAGE = Path(__file__).resolve().parents[2]
_ROOMS = ("", "elf", "kernel", "loader", "signing")
_MOST_CODES = 4
_MOST_IN_SHARD = 1 << 20
"""Bytes; there are 256 shards."""
MOST_OF_MODULE = 1 << 19
"""Characters of the facts of one module."""
_WRITES_PER_LOOK = 16


class VerdictStore:
    """The kept facts of modules, for the present code."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the user's cache."""
        self._codes = directory / "check"
        self._directory = self._codes / code_state()
        self._writes = 0

    def read(self, digest: str) -> Json | None:
        """Return the facts of the module file with SHA-256 `digest` (hexadecimal); None if there are none, or they are
        damaged."""
        value = read_json(self._path(digest))
        return value if isinstance(value, dict) and value.get("module") == digest else None

    def write(self, digest: str, facts: Json) -> None:
        """Keep `facts`, unless they are very large, as those of a hostile file may be."""
        if len(json.dumps(facts)) > MOST_OF_MODULE:
            return
        if not self._directory.is_dir():
            self._forget_other_codes()
        path = self._path(digest)
        write_json(path, {"module": digest, **facts})
        self._writes += 1
        if self._writes % _WRITES_PER_LOOK == 1:
            shrink(path.parent)

    def _path(self, digest: str) -> Path:
        return self._directory / digest[:2] / digest[2:]

    def _forget_other_codes(self) -> None:
        with suppress(OSError):
            others = sorted(self._codes.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for path in others[: 1 - _MOST_CODES]:
                shutil.rmtree(path, ignore_errors=True)


def open_store() -> VerdictStore | None:
    """Return the store in the user's cache; None if there can be none."""
    try:
        return VerdictStore(cache_directory())
    except (KbuildError, OSError):
        return None


def shrink(shard: Path, most: int = _MOST_IN_SHARD) -> None:
    """Remove the oldest files of `shard` until at most `most` bytes are left."""
    with suppress(OSError):
        with os.scandir(shard) as entries:
            states = [(status.st_mtime_ns, status.st_size, entry.path) for entry in entries if (status := entry.stat())]
        total = sum(size for _, size, _ in states)
        for _, size, path in sorted(states):
            if total <= most:
                break
            Path(path).unlink(missing_ok=True)
            total -= size


def code_state() -> str:
    """Return a digest of the names, sizes and modification times of the source files that decide a verdict, and of the
    versions of Python and of the library that verifies signatures."""
    library = find_spec("cryptography")
    seen = blake2b(f"{_FORM}\n{sys.version}\n".encode(), digest_size=16)
    if library is not None and library.origin is not None:
        status = Path(library.origin).stat()
        seen.update(f"{library.origin} {status.st_mtime_ns} {status.st_size}\n".encode(errors="surrogateescape"))
    for room in _ROOMS:
        for path, status in _sources(_PACKAGE / room, below=bool(room)):
            seen.update(f"{path}\0{status.st_mtime_ns} {status.st_size}\n".encode(errors="surrogateescape"))
    return seen.hexdigest()


def _sources(directory: Path, *, below: bool) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                yield entry.path, entry.stat()
            elif below and entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(Path(entry.path), below=True)
