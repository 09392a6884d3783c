# SPDX-License-Identifier: GPL-2.0-only
"""Archives of cpio's format `newc`, as the kernel unpacks them into its first file system, read while they arrive.

Counterpart: init/initramfs.c (do_header, do_name, do_copy; Documentation/driver-api/early-userspace/buffer-format.rst).
Several archives may follow each other, with zeroes between them. The contents of a file are handed on in pieces, and
only of files that are asked for, so that memory does not depend on the archive.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from kbuildpy.errors import KbuildError

HEADER = 110
_MAGIC = (b"070701", b"070702")
_FIELDS = re.compile(rb"[0-9a-fA-F]{104}\Z")
_LONGEST_NAME = 4096
_TRAILER = b"TRAILER!!!"
_FILE_KIND, _REGULAR = 0o170000, 0o100000
_MEMBERS = 1_000_000


class ArchiveMember(NamedTuple):
    """A file, directory or link of an archive."""

    name: str
    """Without `/` and `./` at the beginning."""
    mode: int
    size: int
    """Bytes of contents that follow; of a file with several names only the last one has them."""
    identity: tuple[int, int, int]
    """The same for all names of one file."""
    links: int
    """How many names the file has."""

    @property
    def is_regular(self) -> bool:
        """Whether it is a file with contents."""
        return self.mode & _FILE_KIND == _REGULAR


class MemberContents(Protocol):
    """Takes the contents of a file."""

    def add(self, piece: bytes) -> None:
        """Take the next piece."""

    def end(self) -> None:
        """No more pieces follow."""


Choose = Callable[[ArchiveMember], MemberContents | None]
"""Returns what takes the contents of a member; None for a member whose contents are passed over."""


class CpioReader:
    """Reads archives piece by piece: `feed` takes the next bytes."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._pending = b""
        """The beginning of a header or name."""
        self._members = 0
        self._contents: MemberContents | None = None
        self._left = 0
        """Bytes of contents that are still to come."""
        self._skip = 0
        """Bytes between the contents and the next header."""
        self._header: tuple[int, ...] = ()
        """The numbers of a header whose name is still to come."""
        self._ended = True

    def feed(self, piece: bytes) -> int:
        """Read `piece`; returns how many of its bytes belong to archives: fewer than it has if, behind the end of one,
        something begins that is none. Raises `KbuildError` for a damaged archive."""
        buffer = self._pending + piece
        at = 0
        while at < len(buffer):
            if self._left or self._skip:
                at = self._take(buffer, at)
            elif self._ended and buffer[at] == 0:
                at = len(buffer) - len(buffer[at:].lstrip(b"\0"))
            elif self._ended and not _MAGIC[0].startswith(buffer[at : at + 5]):
                before = len(self._pending)
                self._pending = b""
                return max(at - before, 0)
            else:
                wanted = _padded(HEADER + self._header[11]) - HEADER if self._header else HEADER
                if len(buffer) - at < wanted:
                    break
                if self._header:
                    self._read_name(buffer[at : at + wanted])
                else:
                    self._read_header(buffer[at : at + wanted])
                at += wanted
        self._pending = buffer[at:]
        return len(piece)

    def finish(self) -> None:
        """No more bytes follow. Raises `KbuildError` for an archive without its end."""
        if self._pending or not self._ended:
            raise KbuildError("the archive is cut off before its end")

    def _take(self, buffer: bytes, at: int) -> int:
        """Take contents, or what is between them and the next header; returns where the rest begins."""
        if not self._left:
            count = min(self._skip, len(buffer) - at)
            self._skip -= count
            return at + count
        piece = buffer[at : at + self._left]
        self._left -= len(piece)
        if self._contents is not None:
            self._contents.add(piece)
            if not self._left:
                self._contents.end()
                self._contents = None
        return at + len(piece)

    def _read_header(self, header: bytes) -> None:
        if header[:6] not in _MAGIC or not _FIELDS.match(header[6:]):
            raise KbuildError("a damaged cpio archive: no header where one belongs")
        self._ended = False
        self._header = tuple(int(header[6 + 8 * number : 14 + 8 * number], 16) for number in range(12))
        if not 0 < self._header[11] <= _LONGEST_NAME:
            raise KbuildError(f"a damaged cpio archive: a name of {self._header[11]} bytes")

    def _read_name(self, padded: bytes) -> None:
        inode, mode, _, _, links, _, size, major, minor, *_ = self._header
        name = padded.partition(b"\0")[0]
        self._header = ()
        if name == _TRAILER:
            self._ended = True
            return
        self._members += 1
        if self._members > _MEMBERS:
            raise KbuildError(f"the archive has more than {_MEMBERS} files")
        text = name.decode("utf-8", "surrogateescape").lstrip("/")
        while text.startswith("./"):
            text = text[2:].lstrip("/")
        self._left, self._skip = size, _padded(size) - size
        self._contents = self._choose(ArchiveMember(text, mode, size, (inode, major, minor), links))
        if self._contents is not None and not size:
            self._contents.end()
            self._contents = None


def _padded(size: int) -> int:
    return size + (-size & 3)
