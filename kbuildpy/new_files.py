# SPDX-License-Identifier: GPL-2.0-only
"""Creates several files, all or none, and never overwrites existing ones without --force."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class NewFile:
    """A file to be made. Its mode is `mode` without the bits of the umask. The contents may be secret, and have no
    repr."""

    path: Path
    contents: bytes = field(repr=False)
    mode: int = 0o666


def write_new(files: Sequence[NewFile], *, force: bool = False) -> None:
    """Make `files`. Each has its mode from the first moment, and its name not before its contents are on the disk.

    Raises `KbuildError` when one of them exists, unless `force` says to replace those (a symbolic link too, not what it
    leads to), and OSError when one cannot be written; then none is left that was not there before.
    """
    if not force:
        require_absent([file.path for file in files])
    beside: list[tuple[Path, NewFile]] = []
    made: list[Path] = []
    try:
        for file in files:
            beside.append((file.path.with_name(f".{file.path.name}.{secrets.token_hex(4)}~"), file))
            _write(beside[-1][0], file)
        for path, file in beside:
            if force:
                path.replace(file.path)
            else:
                _name(path, file)
                made.append(file.path)
        for parent in {file.path.parent for file in files}:
            _sync(parent)
    except BaseException:
        for path in made:
            path.unlink()
        raise
    finally:
        for path, _ in beside:
            with suppress(FileNotFoundError):
                path.unlink()


def require_absent(paths: Sequence[Path]) -> None:
    """Raise `KbuildError` when one of `paths` is there."""
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        raise KbuildError(
            f"{', '.join(map(str, there))}: exists already", hint="--force overwrites existing files, also private keys"
        )


def _write(path: Path, file: NewFile) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, file.mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file.path)) from error
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.contents)
            opened.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise


def _name(path: Path, file: NewFile) -> None:
    """Give a finished file its name. Fails if another process has just made a file of that name."""
    try:
        os.link(path, file.path)
    except FileExistsError:
        require_absent([file.path])
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        # A file system without hard links (FAT): existing files are safe, but a kill can leave an incomplete new one.
        _write(file.path, file)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
