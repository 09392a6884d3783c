# SPDX-License-Identifier: GPL-2.0-only
"""Reads the entries of a device table by the names of their members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.layouts import StructLayout
from kbuildpy.modpost.versions import Dialect


@dataclass(frozen=True)
class TableContents:
    """A device table."""

    contents: bytes
    """The bytes of the table, with the terminator."""
    layout: StructLayout
    """The layout of an entry."""
    order: Literal["little", "big"]
    """The byte order of the target."""
    long_size: int
    """The size of a `long` of the target, in bytes."""
    module: str
    """The module's nominal name, for messages."""
    dialect: Dialect
    log: Log

    def __len__(self) -> int:
        """The number of entries, without the terminator."""
        return len(self.contents) // self.layout.size - 1


@dataclass(frozen=True)
class TableEntry:
    """One entry (struct) of a device table; `entry["member"]` is the value of an integer member."""

    table: TableContents
    index: int
    """The number of the entry in the table."""

    @property
    def start(self) -> int:
        """The offset of the struct in the table, in bytes."""
        return self.index * self.table.layout.size

    def __getitem__(self, member: str) -> int:
        """The value of an integer member, unsigned. Raises KeyError for a member that the struct does not have."""
        return int.from_bytes(self.bytes_of(member), self.table.order)

    def size_of(self, member: str) -> int:
        """The member's size in bytes."""
        return self.table.layout.members[member][1]

    def offset_of(self, member: str) -> int:
        """The member's offset in the struct, in bytes."""
        return self.table.layout.members[member][0]

    def bytes_of(self, member: str) -> bytes:
        """The member's bytes."""
        offset, size = self.table.layout.members[member]
        at = self.start + offset
        return self.table.contents[at : at + size]

    def string(self, member: str) -> str:
        """The text of a character array up to its NUL byte. Without one the text continues with the bytes that follow,
        as in modpost."""
        return self.string_at(self.offset_of(member))

    def string_at(self, offset: int) -> str:
        """The text at `offset` (bytes) of the struct, up to a NUL byte."""
        at = self.start + offset
        stop = self.table.contents.find(b"\0", at)
        return self.table.contents[at : stop if stop >= 0 else None].decode("utf-8", "surrogateescape")

    def hexadecimal(self, member: str) -> str:
        """The value of an integer member as aliases have it: in upper case, with two digits per byte of the member; ""
        for a member of 8 bytes (file2alias.c: ADD)."""
        size = self.size_of(member)
        return f"{self[member]:0{2 * size}X}" if size in (1, 2, 4) else ""

    def earlier(self) -> list[TableEntry]:
        """The entries of the table before this one."""
        return [TableEntry(self.table, index) for index in range(self.index)]
