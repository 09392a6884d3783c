# SPDX-License-Identifier: GPL-2.0-only
"""Replaces files whole or not at all, by one process at a time.

A temporary file that a killed process left is reused by the next process that replaces the same file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ATTEMPTS = 16
"""How often the lock is tried again because another process has just renamed the locked file."""


class Replacement:
    """A file that is about to be replaced; `replacing` makes it."""

    def __init__(self, path: Path, beside: str, descriptor: int) -> None:
        self.path = path
        self._beside = beside
        self._descriptor = descriptor

    def write(self, contents: bytes, *, mode: int | None = None, durable: bool = True) -> None:
        """Replace the contents of the file by `contents`. Mode, owner and extended attributes stay, unless `mode` is
        given: then the file is like a new one with that mode.

        With `durable` the contents are on the disk when this returns, which takes milliseconds: a power failure leaves
        the old file or the new one. Without it, it may leave an empty file. Raises OSError, and then the file is as it
        was.
        """
        os.ftruncate(self._descriptor, 0)
        view = memoryview(contents)
        while view:
            view = view[os.write(self._descriptor, view) :]
        if mode is None:
            _copy_attributes(self.path, self._descriptor)
        else:
            os.fchmod(self._descriptor, mode)
        if durable:
            os.fsync(self._descriptor)
        os.replace(self._beside, self.path)  # noqa: PTH105


@contextmanager
def replacing(path: Path) -> Iterator[Replacement]:
    """Lock `path` for replacing it. A second process waits, and then sees the file that the first one wrote: decisions
    that depend on the contents belong inside. A symbolic link stays one: the file that it leads to is replaced. Raises
    OSError when nothing can be written beside the file.
    """
    # (unlike Path.resolve(), it leaves the error about a link to itself to open(); most files are none)
    real = Path(os.path.realpath(path)) if path.is_symlink() else path
    beside = os.path.join(real.parent, f".{real.name}.new~")  # noqa: PTH118 - thousands of files
    descriptor = _claim(beside, real)
    try:
        yield Replacement(real, beside, descriptor)
    finally:
        # (the temporary file has no such name any more once it replaced the file, or was given up)
        if _is_same(beside, descriptor):
            with suppress(OSError):
                os.unlink(beside)  # noqa: PTH108
        os.close(descriptor)


def read_limited(path: Path, limit: int) -> bytes:
    """The contents of `path`, which may be a pipe or a device. Raises OSError, also (EFBIG) for more than `limit`."""
    with path.open("rb") as file:
        contents = file.read(limit + 1)
    if len(contents) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return contents


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of the regular file `path`, made where `flags` have O_CREAT. Raises OSError, also (EINVAL) for a
    pipe or a device, which might never end, without waiting for it."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_regular(path: Path) -> bytes:
    """The contents of the regular file `path`. Raises OSError as `open_regular`."""
    with open(open_regular(path), "rb") as file:
        return file.read()


def umask() -> int:
    """The bits that the modes of new files lack. umask(2) can only read it by setting it, for all threads."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022


def _claim(beside: str, real: Path) -> int:
    """The locked file `beside`, made if it is not there."""
    for _ in range(_ATTEMPTS):
        try:
            descriptor = _open_beside(beside, real)
        except FileNotFoundError:
            if not real.parent.is_dir():
                raise
            continue  # (the process that held the lock has just renamed it)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        if _is_same(beside, descriptor):
            return descriptor
        os.close(descriptor)
    raise OSError(errno.EBUSY, "too many processes replace this file at the same time", beside)


def _open_beside(beside: str, real: Path) -> int:
    """A new file `beside`, else the existing one, which a killed process left, or which another process that replaces
    `real` has locked. In a directory where other users can write, they can create a file or a link of that name: they
    could then change the contents, or redirect them. So a file that is there is this user's, or belongs to the owner of
    `real`, as a replacement does in the end, and has no other name.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(beside, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        descriptor = os.open(beside, flags)
    found = os.fstat(descriptor)
    owners = {os.geteuid()}
    with suppress(OSError):
        owners.add(real.stat().st_uid)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_uid not in owners:
        os.close(descriptor)
        raise OSError(errno.EPERM, f"{beside}, a file of another user, is in the way: remove it", str(real))
    return descriptor


def _is_same(path: str, descriptor: int) -> bool:
    try:
        found, mine = os.lstat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _copy_attributes(path: Path, descriptor: int) -> None:
    """Mode, owner and extended attributes of `path`; an attribute that this user may not set is left out, as by
    `cp --preserve`."""
    try:
        status = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o666 & ~umask())
        return
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
        with suppress(PermissionError):
            os.fchown(descriptor, status.st_uid, status.st_gid)
    for name in os.listxattr(path):
        with suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(path, name))
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
