# SPDX-License-Identifier: GPL-2.0-only
"""Exchanges two directories in one step (renameat2(2), RENAME_EXCHANGE), puts one in the place of another, and puts
directories on the disk."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
NO_EXCHANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS)
"""What file systems say that exchange no directories: those of containers for a directory of a lower layer, and
others where the staged one is on another file system."""


def exchange(one: Path, other: Path) -> None:
    """Let two paths of one file system change places: whoever looks sees the one state or the other. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


def put_in_place(new: Path, place: Path) -> None:
    """Let the directory `new` take `place`, on the disk when this returns. What was there is at `new` afterwards; where
    the file system exchanges no directories it is removed first. Raises OSError."""
    if os.path.lexists(place):
        try:
            exchange(new, place)
        except OSError as error:
            if error.errno not in NO_EXCHANGE:
                raise
            remove_directory(place)
            new.rename(place)
    else:
        new.rename(place)
    sync_directory(place.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory with all that is in it, or a link and not what it leads to."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk when this returns. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Have a directory with all that is in it on the disk. Raises OSError."""
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            if not file.is_symlink():
                descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        sync_directory(Path(folder))
