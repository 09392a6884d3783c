# SPDX-License-Identifier: GPL-2.0-only
"""A list of modules that processes on one file system, also on several machines, sign together, each module once.

The file has the modules, in an order that is the same for all. Who works on a module holds the lock of one byte of the
file, by the module's number (fcntl(2): such locks hold across NFS, and end with the process). Who has done it writes
size and time of the signed file into a second file, FILE.done, in as many bytes for each module. So a process that is
killed leaves nothing to clean up, and a module that was built again is one to sign again.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import open_regular, replacing, umask

_MARK = struct.Struct("<BqQ")
"""1 for a module that is done, and of its file the time of the last change (st_mtime_ns), and the size."""
_LONGEST = 1 << 26
_POLL = 0.5
"""Seconds between two looks at modules that others work on."""


@dataclass(frozen=True)
class Turn:
    """A module whose turn it is, in a queue that this process has opened."""

    number: int
    path: Path


class SharedQueue:
    """The queue in the file `path`, with its modules."""

    def __init__(self, path: Path, paths: Sequence[Path], purpose: str) -> None:
        """Open the queue, or make it where it is not there; `purpose` says what is done to the modules, and by which
        signer. Without `paths` it must be there.

        Raises `UsageError` for a queue with other modules or another purpose, `KbuildError` for what is no queue or
        cannot be read or written.
        """
        self._path = path
        try:
            named = _make(path, paths, purpose)
            self._list = open_regular(path, os.O_RDWR)
            self._done = open_regular(_marks(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except OSError as error:
            raise KbuildError(f"{error.filename or path}: {error.strerror}") from error
        # (the same for all processes, whatever their working directories: a manifest has them)
        self.paths = [Path(os.path.abspath(path.parent / name)) for name in named]  # noqa: PTH100 - follows no links

    def close(self) -> None:
        """Give the queue back. When all of its modules are done, its files are removed."""
        finished = all(self._is_done(turn) for turn in self._turns())
        os.close(self._done)
        os.close(self._list)
        if finished:
            for path in (_marks(self._path), self._path):
                with suppress(OSError):
                    path.unlink()

    def turns(self) -> Iterator[Turn]:
        """The modules that are to be done here, each locked until `finish`; ends when others have done the rest.

        The order begins anywhere, so that processes do not ask for the same module. While others work on the last ones,
        this waits: their process may end before.
        """
        turns = list(self._turns())
        start = random.randrange(len(turns)) if turns else 0
        left = turns[start:] + turns[:start]
        while left:
            busy = []
            for turn in left:
                if self._is_done(turn):
                    continue
                if not self._lock(turn):
                    busy.append(turn)
                elif self._is_done(turn):
                    self._unlock(turn)
                else:
                    yield turn
            left = busy
            if left:
                time.sleep(_POLL)

    def finish(self, turn: Turn, *, done: bool) -> None:
        """Let the module go; whether it is `done`."""
        try:
            if done:
                os.pwrite(self._done, _mark(turn.path), turn.number * _MARK.size)
        except OSError as error:
            raise KbuildError(
                f"{_marks(self._path)}: {error.strerror}",
                hint="make room, and run this again",
            ) from error
        finally:
            self._unlock(turn)

    def _turns(self) -> Iterator[Turn]:
        return (Turn(number, path) for number, path in enumerate(self.paths))

    def _is_done(self, turn: Turn) -> bool:
        try:
            return os.pread(self._done, _MARK.size, turn.number * _MARK.size) == _mark(turn.path)
        except OSError:
            return False

    def _lock(self, turn: Turn) -> bool:
        try:
            fcntl.lockf(self._list, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, turn.number)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, turn: Turn) -> None:
        fcntl.lockf(self._list, fcntl.LOCK_UN, 1, turn.number)


def _marks(path: Path) -> Path:
    return path.with_name(f"{path.name}.done")


def _mark(path: Path) -> bytes:
    """What is written of a module that is done. Raises OSError."""
    state = path.stat()
    return _MARK.pack(1, state.st_mtime_ns, state.st_size)


def _make(path: Path, paths: Sequence[Path], purpose: str) -> list[str]:
    """The names in the queue `path`, relative to its directory; it is made where it is not there."""
    directory = path.parent
    names = sorted({os.path.relpath(item, directory) for item in paths})
    with replacing(path) as slot:
        try:
            contents = _read(slot.path)
        except FileNotFoundError:
            if not paths:
                raise
            if _marks(path).exists():
                raise KbuildError(
                    f"{_marks(path)} is in the way", hint="remove it, if it is left of a queue that was removed"
                ) from None
            slot.write(
                json.dumps({"queue": 1, "purpose": purpose, "files": names}).encode() + b"\n", mode=0o666 & ~umask()
            )
            return names
    if contents["purpose"] != purpose:
        raise UsageError(
            f"{path}: a queue of another signer, hash or other options",
            hint="use the same options in each process, or remove the queue when no process uses it",
        )
    if names and names != contents["files"]:
        raise UsageError(
            f"{path}: a queue with other modules",
            hint="name the same modules in each process, or none; or remove the queue when no process uses it",
        )
    return list(contents["files"])


def _read(path: Path) -> dict[str, Any]:
    """What the queue's file says. Raises OSError, and `KbuildError` for what is no queue."""
    with os.fdopen(open_regular(path), "rb") as file:
        contents = file.read(_LONGEST + 1)
    try:
        found = json.loads(contents)
        right = found["queue"] == 1 and isinstance(found["purpose"], str) and all(map(_is_name, found["files"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        right = False
    if not right:
        raise KbuildError(f"{path}: not a queue of modules to sign", hint="name a file that is not there yet")
    return dict(found)


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    # (of bytes that are no UTF-8, Python makes only some of the surrogates: others are a ValueError)
    os.fsencode(name)
    return True
