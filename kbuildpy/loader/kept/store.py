# SPDX-License-Identifier: GPL-2.0-only
"""The files with the facts of modules, in the user's cache: `check/CODE/DI/GEST`, by SHA-256 of the module file.

CODE is a digest of the state of the code that makes verdicts; what other code has kept is not read. The state is taken
when this file is imported, and nothing is kept once it has changed: parts of the program that are imported later are
then of other code. A file is written whole or not at all, with a checksum. Of two writers the last one stays, and what
the other had found is found again.
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

    def __init__(self, directory: Path, code: str | None = None) -> None:
        """`directory` is the user's cache, `code` the state of the code, if it is not the present one. Raises
        `KbuildError` if that cannot be told."""
        self._code = code_state() if code is None else code
        if not self._code:
            raise KbuildError("the source files of kbuildpy cannot be read")
        self._codes = directory / "check"
        self._directory = self._codes / self._code
        self._writes = 0

    def read(self, digest: str) -> Json | None:
        """Return the facts of the module file with SHA-256 `digest` (hexadecimal); None if there are none, or they are
        damaged."""
        value = read_json(self._path(digest))
        return value if isinstance(value, dict) and value.get("module") == digest else None

    def write(self, digest: str, facts: Json) -> None:
        """Keep `facts`, unless the code has changed, or they are very large, as those of a hostile file may be."""
        if len(json.dumps(facts)) > MOST_OF_MODULE or code_state() != self._code:
            return
        if not self._directory.is_dir():
            self._forget_other_codes()
        path = self._path(digest)
        try:
            # (others may neither read nor add verdicts, whatever the umask is)
            for folder in (self._codes.parent, self._codes, self._directory, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            return
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
        return VerdictStore(cache_directory(), _CODE_AT_IMPORT)
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
    """Return a digest of the names and states of the source files that decide a verdict, and of the versions of Python
    and of the library that verifies signatures; "" if a room has no source files, or they cannot be read."""
    seen = blake2b(f"{_FORM}\n{sys.version}\n".encode(), digest_size=16)
    library = find_spec("cryptography")
    try:
        if library is not None and library.origin is not None:
            seen.update(_state(library.origin, Path(library.origin).stat()))
        for room in _ROOMS:
            states = [_state(path, status) for path, status in _sources(_PACKAGE / room, below=bool(room))]
            if not states:
                # (compiled files alone: what of them is imported is not known)
                return ""
            seen.update(b"".join(states))
    except OSError:
        return ""
    return seen.hexdigest()


def _state(path: str, status: os.stat_result) -> bytes:
    # (a file's own times can be set, as an archive or an installer does; its ctime cannot)
    state = f"{path}\0{status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}\n"
    return state.encode(errors="surrogateescape")


def _sources(directory: Path, *, below: bool) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                yield entry.path, entry.stat()
            elif below and entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(Path(entry.path), below=True)


_CODE_AT_IMPORT = code_state()
