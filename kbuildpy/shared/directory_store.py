# SPDX-License-Identifier: GPL-2.0-only
"""Entries in a directory, which may be on a network's file system.

An entry is written beside its place and linked there: a link fails if the place is taken, also on NFS. The time of the
last use is the file's modification time, as SCons has it.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kbuildpy.files import read_limited
from kbuildpy.shared.entry import MOST_BYTES
from kbuildpy.shared.store import FOLDER, Stored, path_of

_UNFINISHED = ".new-"
_STALE_SECONDS = 86400.0
_FRESH_SECONDS = 3600.0


class DirectoryStore:
    """The entries below the directory `top`."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def get(self, key: str) -> bytes | None:
        """As `Store`; notes that the entry was used."""
        path = self._top / path_of(key)
        try:
            stored = read_limited(path, MOST_BYTES + (1 << 20))
        except FileNotFoundError:
            return None
        with suppress(OSError):  # (who may only read leaves no note)
            if path.stat().st_mtime < time.time() - _FRESH_SECONDS:
                os.utime(path)
        return stored

    def put(self, key: str, stored: bytes, *, replace: bool) -> None:
        """As `Store`."""
        path = self._top / path_of(key)
        if path.exists() and not replace:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
        try:
            with beside.open("xb") as file:
                file.write(stored)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                beside.replace(path)
                return
            try:
                path.hardlink_to(beside)
            except FileExistsError:
                return
            except OSError:
                beside.replace(path)  # (a file system without links)
        finally:
            beside.unlink(missing_ok=True)

    def entries(self) -> Iterator[Stored]:
        """As `Store`; removes what writers that were killed left a day ago."""
        for folder, _, names in os.walk(self._top / FOLDER):
            for name in names:
                path = Path(folder, name)
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if not name.startswith(_UNFINISHED):
                    yield Stored(str(path.relative_to(self._top)), status.st_size, status.st_mtime)
                elif status.st_mtime < time.time() - _STALE_SECONDS:
                    path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """As `Store`."""
        (self._top / name).unlink(missing_ok=True)
