# SPDX-License-Identifier: GPL-2.0-only
"""A device table and its entries, readable by the names of their members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.layouts import StructLayout
from kbuildpy.modpost.versions import Dialect


@dataclass(frozen=True)
class TableContents:
    """A device table's bytes and how to read them."""

    contents: bytes
    layout: StructLayout
    order: Literal["little", "big"]
    long_size: int
    module: str
    dialect: Dialect
    log: Log

    def __len__(self) -> int:
        """The number of entries, without the terminator."""
        return len(self.contents) // self.layout.size - 1


@dataclass(frozen=True)
class TableEntry:
    """One struct of a device table, readable by member name."""

    table: TableContents
    index: int

    @property
    def start(self) -> int:
        """Where the struct begins in the table."""
        return self.index * self.table.layout.size

    def __getitem__(self, member: str) -> int:
        """An integer member."""
        return int.from_bytes(self.bytes_of(member), self.table.order)

    def size_of(self, member: str) -> int:
        """The member's size in bytes."""
        return self.table.layout.members[member][1]

    def offset_of(self, member: str) -> int:
        """The member's offset in the struct."""
        return self.table.layout.members[member][0]

    def bytes_of(self, member: str) -> bytes:
        """The member's bytes."""
        offset, size = self.table.layout.members[member]
        at = self.start + offset
        return self.table.contents[at : at + size]

    def string(self, member: str) -> str:
        """A character array up to its NUL; without one, modpost reads on into what follows."""
        return self.string_at(self.offset_of(member))

    def string_at(self, offset: int) -> str:
        """The string at `offset` of the struct."""
        at = self.start + offset
        stop = self.table.contents.find(b"\0", at)
        return self.table.contents[at : stop if stop >= 0 else None].decode("utf-8", "surrogateescape")

    def hexadecimal(self, member: str) -> str:
        """An integer member as aliases show it: as many digits as its type has, none for a long."""
        size = self.size_of(member)
        return f"{self[member]:0{2 * size}X}" if size in (1, 2, 4) else ""

    def earlier(self) -> list[TableEntry]:
        """The entries before this one."""
        return [TableEntry(self.table, index) for index in range(self.index)]
