# SPDX-License-Identifier: GPL-2.0-only
"""The archive format of an initramfs: cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).

Every entry is a header of 110 hexadecimal digits, its name and its contents, each padded to four bytes; an
entry called TRAILER!!! ends the archive. Owner and times are 0, so the same files always make the same bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class CpioEntry:
    """A file system object."""

    path: str
    """Without leading slash."""
    mode: int
    """With its type bits."""
    contents: bytes = b""
    """Of a symbolic link its target."""
    device: tuple[int, int] = (0, 0)
    """The major and minor number of a device."""


def file(path: str, contents: bytes, *, executable: bool = False) -> CpioEntry:
    """A regular file."""
    return CpioEntry(path, stat.S_IFREG | (0o755 if executable else 0o644), contents)


def symlink(path: str, target: str) -> CpioEntry:
    """A symbolic link at `path` to `target`."""
    return CpioEntry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> CpioEntry:
    """A device node; writing one into an archive takes no privilege."""
    return CpioEntry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def directory(path: str) -> CpioEntry:
    """An empty directory."""
    return CpioEntry(path, stat.S_IFDIR | 0o755)


def archive(entries: Iterable[CpioEntry]) -> bytes:
    """The archive of `entries`. Directories that lead to them are put in; the kernel makes none by itself.

    Raises `ValueError` for a path that would lead out of the place where it is unpacked.
    """
    wanted = {entry.path: entry for entry in entries}
    for path in wanted:
        if "\0" in path or not set(path.split("/")).isdisjoint({"", ".", ".."}):
            raise ValueError(f"no path of a file in an archive: {path!r}")
    for path in list(wanted):
        for parent in PurePosixPath(path).parents:
            if parent.name:
                wanted.setdefault(str(parent), directory(str(parent)))
    # Sorted, a directory comes before what is in it.
    parts = [_packed(number, wanted[path]) for number, path in enumerate(sorted(wanted), start=1)]
    return b"".join([*parts, _packed(0, CpioEntry(_TRAILER, 0))])


def _packed(inode: int, entry: CpioEntry) -> bytes:
    name = os.fsencode(entry.path) + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    owner = group = modified = checksum = 0
    fields = (
        inode,
        entry.mode,
        owner,
        group,
        links,
        modified,
        len(entry.contents),
        0,
        0,
        *entry.device,
        len(name),
        checksum,
    )
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(entry.contents)


def _padded(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)
