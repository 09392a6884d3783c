"""Files that are replaced whole or not at all, by one process at a time.

What a kill leaves beside a file is found and taken over by whoever works on that file next.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ATTEMPTS = 16
"""How often a lock may turn out to be one on a file that somebody has just renamed away."""


class Replacement:
    """A file that is about to be replaced; `replacing` makes it."""

    def __init__(self, path: Path, beside: Path, descriptor: int) -> None:
        self.path = path
        self._beside = beside
        self._descriptor = descriptor

    def write(self, contents: bytes, *, mode: int | None = None) -> None:
        """Put `contents` in place of what the file holds; mode, owner and extended attributes stay. With `mode` they do
        not: it is as if a new file had been made, of that mode.

        The contents are on the disk when this returns: a power failure leaves the old file or the new one. Raises
        OSError, and then the file is as it was.
        """
        os.ftruncate(self._descriptor, 0)
        view = memoryview(contents)
        while view:
            view = view[os.write(self._descriptor, view) :]
        if mode is None:
            _copy_attributes(self.path, self._descriptor)
        else:
            os.fchmod(self._descriptor, mode)
        os.fsync(self._descriptor)
        self._beside.replace(self.path)


@contextmanager
def replacing(path: Path) -> Iterator[Replacement]:
    """Claim `path` for replacing: who comes second waits, and finds the file as the first has left it.

    So what is decided by looking at the file is to be decided inside. A symbolic link stays one: the file that it leads
    to is replaced. Raises OSError when nothing can be written beside the file.
    """
    # (unlike Path.resolve(), it leaves a link that leads to itself for open() to complain of)
    real = Path(os.path.realpath(path))
    beside = real.parent / f".{real.name}.new~"
    descriptor = _claim(beside)
    try:
        yield Replacement(real, beside, descriptor)
    finally:
        # (a claim that was given up is not there any more under this name, nor is one that became the file)
        if _is_same(beside, descriptor):
            with suppress(OSError):
                beside.unlink()
        os.close(descriptor)


def umask() -> int:
    """The bits that the modes of new files lack. The system call that tells sets it as well, for all threads."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022


def _claim(beside: Path) -> int:
    """The locked file `beside`, made if it is not there."""
    for _ in range(_ATTEMPTS):
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        if _is_same(beside, descriptor):
            return descriptor
        os.close(descriptor)
    raise OSError(16, "many others replace this file at the same time", str(beside))


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        found, mine = path.lstat(), os.fstat(descriptor)
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
