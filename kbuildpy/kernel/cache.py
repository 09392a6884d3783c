# SPDX-License-Identifier: GPL-2.0-only
"""Where a user's caches live, and how a value gets in and out of them.

A cache may be lost at any time and is never the reason for a failure: what cannot be read is not there, what
cannot be written is worked out again. It holds commands that will be run, so its directory, and all that leads there,
has to be this user's own.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbuildpy import __version__
from kbuildpy.errors import KbuildError
from kbuildpy.own_paths import foreign_entry, found_foreign
from kbuildpy.printable import printable
from kbuildpy.say import complain


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """The directory of this user's caches, made if it is not there.

    `KBUILDPY_CACHE`, else `$XDG_CACHE_HOME/kbuildpy`, else `~/.cache/kbuildpy`; where that cannot be written (a
    build daemon's HOME, a read-only one) or is not this user's alone (under sudo; see `kbuildpy.own_paths`), which is
    said once: a private one below the temporary directory. Raises `KbuildError` if that one is somebody else's.
    """
    variables = os.environ if environment is None else environment
    chosen = variables.get("KBUILDPY_CACHE", "")
    wanted = Path(chosen).absolute() if chosen else _home_cache(variables)
    if wanted is not None:
        # A directory of another user could feed us commands, and under sudo we would leave root's files in it.
        foreign = found_foreign(wanted)
        if not foreign and _make(wanted):
            # (made in a directory, or through a link, that no other user can change meanwhile)
            foreign = found_foreign(wanted) or (foreign_entry(wanted) if _lets_others_in(wanted) else "")
            if not foreign:
                return wanted
        if foreign:
            _say_once(wanted, foreign)
    return _private_directory()


def read_json(path: Path) -> Any:
    """The value that `write_json` put into `path`; None if there is no such file, or it is not as this version writes
    it."""
    try:
        text, _, checksum = path.read_bytes().rpartition(b"\n")
        return json.loads(text) if checksum == _checksum(text) else None
    except (OSError, ValueError, RecursionError):
        return None


def write_json(path: Path, value: Any) -> bool:
    """Put `value` into `path`, whole or not at all, and a checksum as the last line; whether that worked.

    Writers may race: each writes a file of its own and renames it, the last one stays.
    """
    text = json.dumps(value, separators=(",", ":")).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.{time.monotonic_ns()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(text + b"\n" + _checksum(text))
        beside.replace(path)
    except OSError:
        _forget(beside)
        return False
    except BaseException:
        _forget(beside)
        raise
    return True


def _checksum(text: bytes) -> bytes:
    """Of `text` and our version, so that a value which another version wrote, in another form, is not there.

    Against a form that nobody wrote it is no guard: who can write here, could write the commands of a build as well.
    """
    return b"%08x" % zlib.crc32(text, _VERSION)


_VERSION = zlib.crc32(__version__.encode())


def _home_cache(variables: Mapping[str, str]) -> Path | None:
    xdg = variables.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, says the XDG base directory specification.
    if xdg.startswith("/"):
        return Path(xdg) / "kbuildpy"
    home = Path(variables.get("HOME") or "/nonexistent")
    # Never make the home itself: for Debian's system users it is /nonexistent, and has to stay so.
    return home / ".cache/kbuildpy" if home.is_dir() else None


def _make(directory: Path) -> bool:
    try:
        # (mkdir() gives folders on the way the mode of the umask, which may let a group write)
        for folder in (*reversed(directory.parents), directory):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.R_OK | os.W_OK | os.X_OK)


def _lets_others_in(directory: Path) -> bool:
    return bool(directory.stat().st_mode & 0o011)


_said: set[Path] = set()
"""Caches of which it was said that they are not used."""


def _say_once(directory: Path, foreign: str) -> None:
    if directory not in _said:
        _said.add(directory)
        complain(
            f"kbuildpy: warning: the cache {printable(str(directory))} is not used: {printable(foreign)}\n"
            "  its commands are run, so no other user may be able to change it; set KBUILDPY_CACHE to a "
            "directory of your own, or remove the cache, and it is made again"
        )


def _private_directory() -> Path:
    import tempfile  # (costs more than the rest of this file, and is seldom needed)

    directory = Path(tempfile.gettempdir()) / f"kbuildpy-{os.geteuid()}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as failed:
        raise KbuildError(
            f"{directory}: cannot be the cache directory: {failed.strerror}",
            hint="set KBUILDPY_CACHE to a directory that you can write",
        ) from failed
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    foreign = found_foreign(directory)
    if not private or foreign:
        raise KbuildError(
            f"{directory}: cannot be the cache directory: it is not a private directory of this user"
            f"{f' ({printable(foreign)})' if foreign else ''}",
            hint="set KBUILDPY_CACHE to a directory of your own",
        )
    return directory


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
