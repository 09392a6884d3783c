# SPDX-License-Identifier: GPL-2.0-only
"""The symbol table, decoded in bulk.

A big module has 10^5 symbols, of which a reader needs a few dozen: rows stay plain tuples from `struct.iter_unpack`,
and a name is looked up only when it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast, overload

from kbuildpy.elf.constants import MAX_NAME, SHN_XINDEX
from kbuildpy.errors import KbuildError

SYM_SIZE = {False: 16, True: 24}
"""Bytes of an entry of a symbol table, by whether the class is ELFCLASS64."""
Row = tuple[int, int, int, int, int, int]
"""A symbol table entry in the order of Elf64_Sym: st_name, st_info, st_other, st_shndx, st_value, st_size."""


class Sym(NamedTuple):
    """A symbol table entry with its fields by name: Elf64_Sym."""

    st_name: int
    st_info: int
    st_other: int
    st_shndx: int
    st_value: int
    st_size: int

    @property
    def bind(self) -> int:
        """STB_LOCAL, STB_GLOBAL, STB_WEAK."""
        return self.st_info >> 4


class Symbol(NamedTuple):
    """One symbol with its name; `shndx` is the real section index (SHN_XINDEX is resolved)."""

    number: int
    name: str
    info: int
    other: int
    shndx: int
    value: int
    size: int

    @property
    def bind(self) -> int:
        """STB_LOCAL, STB_GLOBAL, STB_WEAK."""
        return self.info >> 4

    @property
    def type(self) -> int:
        """STT_FUNC, STT_OBJECT, ..."""
        return self.info & 15


class SymbolTable:
    """The symbols of a file in its order; `rows` are the undecorated entries, indexing gives a `Symbol`."""

    def __init__(self, rows: list[Row], strings: bytes, extended: tuple[int, ...], filename: str) -> None:
        self.rows = rows
        self.strings = strings
        self._extended = extended
        self._filename = filename

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Symbol:
        name, info, other, shndx, value, size = self.rows[index]
        if shndx == SHN_XINDEX:
            shndx = self.section_index(index)
        return Symbol(index, self.text(name), info, other, shndx, value, size)

    def __iter__(self) -> Iterator[Symbol]:
        return map(self.__getitem__, range(len(self.rows)))

    def name(self, index: int) -> str:
        """The name of symbol number `index`. Raises `KbuildError`, which names the file, if there is no such symbol."""
        try:
            st_name, *_ = self.rows[index]
        except IndexError:
            raise KbuildError(f"{self._filename}: symbol {index} does not exist: there are {len(self.rows)}") from None
        return self.text(st_name)

    def text(self, offset: int) -> str:
        """The string at `offset` of the string table."""
        stop = self.strings.find(b"\0", offset, offset + MAX_NAME)
        if stop < 0:
            raise KbuildError(f"{self._filename}: symbol table: a name at {offset:#x} has no end")
        return self.strings[offset:stop].decode("utf-8", "surrogateescape")

    def section_index(self, index: int) -> int:
        """The section of symbol number `index`, also where that does not fit into st_shndx."""
        _, _, _, shndx, _, _ = self.rows[index]
        if shndx != SHN_XINDEX:
            return shndx
        if index >= len(self._extended):
            raise KbuildError(f"{self._filename}: symbol {index}: its section index is missing from .symtab_shndx")
        return self._extended[index]

    def starting_with(self, *prefixes: bytes) -> set[int]:
        """The `st_name` values whose string begins with one of `prefixes`.

        Searching the string table for them is much cheaper than looking every symbol's name up.
        """
        offsets = set()
        for prefix in prefixes:
            at = self.strings.find(prefix)
            while at >= 0:
                offsets.add(at)
                at = self.strings.find(prefix, at + 1)
        return offsets


class SymbolRows(Sequence[Row]):
    """The rows of a symbol table, each decoded when it is asked for: decoded all at once they take ten times the room,
    which matters where a table that is damaged claims to be most of the file. 32-bit ones are put into the order of
    64-bit ones."""

    def __init__(self, table: memoryview, order: str, *, is_64bit: bool = True) -> None:
        self._is_64bit = is_64bit
        self._layout = struct.Struct(order + ("IBBHQQ" if is_64bit else "IIIBBH"))
        self._table = table[: len(table) // self._layout.size * self._layout.size]

    def __len__(self) -> int:
        return len(self._table) // self._layout.size

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = self._layout.unpack_from(self._table, index % len(self) * self._layout.size)
        return cast("Row", row) if self._is_64bit else _reordered(row)

    def __iter__(self) -> Iterator[Row]:
        rows = self._layout.iter_unpack(self._table)
        return cast("Iterator[Row]", rows) if self._is_64bit else map(_reordered, rows)


def decode_symbols(table: bytes, order: str, *, is_64bit: bool) -> list[Row]:
    """Decode a SHT_SYMTAB section; 32-bit entries are put into the order of 64-bit ones."""
    if is_64bit:
        return list(struct.iter_unpack(order + "IBBHQQ", table[: len(table) // 24 * 24]))
    return list(map(_reordered, struct.iter_unpack(order + "IIIBBH", table[: len(table) // 16 * 16])))


def _reordered(row: tuple[int, ...]) -> Row:
    """A row of Elf32_Sym in the order of Elf64_Sym."""
    name, value, size, info, other, shndx = row
    return name, info, other, shndx, value, size
