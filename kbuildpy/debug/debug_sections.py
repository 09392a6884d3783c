# SPDX-License-Identifier: GPL-2.0-only
"""The `.debug_*` sections of a file, decompressed, and the numbers in them, relocated.

A module is a relocatable file: each address and each offset into another debug section is the sum of a symbol and an
addend. A section has 10^5 of them, and a question needs a hundred, so a relocation is looked up when its number is
read. Sections of code get addresses of their own here, far from 0 and from each other.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from functools import cached_property
from operator import le

from kbuildpy.compression import compression_of, decompress, inflate
from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.elf import ModuleImage, Section
from kbuildpy.elf.constants import (
    ELFCOMPRESS_ZLIB,
    ELFCOMPRESS_ZSTD,
    ET_REL,
    SHF_ALLOC,
    SHF_COMPRESSED,
    SHT_NOBITS,
    SHT_REL,
    SHT_RELA,
)
from kbuildpy.elf.headers import read_chdr
from kbuildpy.elf.relocations import decode_entries, relocation_offsets
from kbuildpy.errors import CommandError, KbuildError

_DWARF_64 = 0xFFFFFFFF
"""An initial length that stands for one of 8 bytes behind it."""
_FIRST, _GAP = 1 << 20, 1 << 12
_NUMBERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class DebugSection:
    """One section: `contents`, decompressed, and numbers with their relocations applied."""

    def __init__(self, contents: bytes, order: str, relocations: _Relocations | None = None) -> None:
        self.contents = contents
        self._order = order
        self._layouts = {size: struct.Struct(order + letter) for size, letter in _NUMBERS.items()}
        self._relocations = relocations

    def plain(self, at: int, size: int) -> int:
        """The number of `size` bytes at `at` as the file has it."""
        if size == 3:
            # (DW_FORM_strx3 and DW_FORM_addrx3)
            low, high = (at, at + 2) if self._order == "<" else (at + 1, at)
            return self.plain(low, 2) | self.plain(high, 1) << 16
        return int(self._layouts[size].unpack_from(self.contents, at)[0])

    def number(self, at: int, size: int) -> int:
        """The number of `size` bytes at `at`, relocated."""
        number = self.plain(at, size)
        return number if self._relocations is None else self._relocations.apply(at, number)

    def initial_length(self, at: int) -> tuple[int, int, int]:
        """The initial length at `at` (DWARF 5, section 7.4): where what follows it begins and ends, and the size of an
        offset there. Raises `DamagedDebugInfo` for an end beyond the section's."""
        length, offset_size, begin = self.plain(at, 4), 4, at + 4
        if length == _DWARF_64:
            length, offset_size, begin = self.plain(begin, 8), 8, begin + 8
        if not 0 < length <= len(self.contents) - begin:
            raise DamagedDebugInfo(f"what begins at {at:#x} reaches beyond the end of its section")
        return begin, begin + length, offset_size

    def text(self, at: int) -> str:
        """The string at `at`."""
        stop = self.contents.find(b"\0", at) if 0 <= at < len(self.contents) else -1
        if stop < 0:
            raise DamagedDebugInfo("a string lies outside its section")
        return self.contents[at:stop].decode("utf-8", "surrogateescape")


class _Relocations:
    """The relocations of one section, which are in the order of their offsets."""

    def __init__(self, image: ModuleImage, section: Section, addresses: dict[int, int]) -> None:
        self._image, self._section, self._addresses = image, section, addresses
        self._table = image.section_data(section)
        offsets = relocation_offsets(self._table, section, image.header)
        self._offsets: array[int] | list[int] = offsets
        self._indices: list[int] | None = None
        if not all(map(le, offsets, offsets[1:])):
            self._indices = sorted(range(len(offsets)), key=offsets.__getitem__)
            self._offsets = [offsets[index] for index in self._indices]

    def apply(self, at: int, number: int) -> int:
        """The `number` at `at`, with its relocation if it has one."""
        place = bisect_left(self._offsets, at)
        if place == len(self._offsets) or self._offsets[place] != at:
            return number
        index = place if self._indices is None else self._indices[place]
        [relocation] = decode_entries(self._table, [index], self._section, self._image.header)
        addend = relocation.addend if self._section.type == SHT_RELA else number
        symbols = self._image.symbols
        if relocation.symbol >= len(symbols):
            raise DamagedDebugInfo(f"a relocation of symbol {relocation.symbol}, which does not exist")
        _, _, _, _, value, _ = symbols.rows[relocation.symbol]
        base = self._addresses.get(symbols.section_index(relocation.symbol), 0)
        return (base + value + addend) & 0xFFFFFFFFFFFFFFFF


class DebugSections:
    """The debug sections of `image`. They are read when they are first used."""

    def __init__(self, image: ModuleImage) -> None:
        self.image = image
        self._read: dict[str, DebugSection] = {}

    @cached_property
    def addresses(self) -> dict[int, int]:
        """The address of each section with code or variables, by its index."""
        allocated = [section for section in self.image.sections if section.flags & SHF_ALLOC]
        if self.image.header.e_type != ET_REL:
            return {section.index: section.address for section in allocated}
        address, addresses = _FIRST, {}
        for section in allocated:
            addresses[section.index] = address
            address += -(-section.size // _GAP) * _GAP + _GAP
        return addresses

    def __getitem__(self, name: str) -> DebugSection:
        """The section `.debug_NAME`; an empty one where the file has none."""
        if name not in self._read:
            self._read[name] = self._section(f".debug_{name}") or self._section(f".zdebug_{name}") or self._empty()
        return self._read[name]

    def __contains__(self, name: str) -> bool:
        return bool(self[name].contents)

    def _empty(self) -> DebugSection:
        return DebugSection(b"", self.image.header.order)

    def _section(self, name: str) -> DebugSection | None:
        section = self.image.section(name)
        if section is None or section.type == SHT_NOBITS:
            return None
        order = self.image.header.order
        relocations = next(
            (
                _Relocations(self.image, each, self.addresses)
                for each in self.image.sections
                if each.type in (SHT_REL, SHT_RELA) and each.info == section.index
            ),
            None,
        )
        # (of a linked kernel with --emit-relocs they are applied already)
        used = relocations if self.image.header.e_type == ET_REL else None
        return DebugSection(self._contents(section), order, used)

    def _contents(self, section: Section) -> bytes:
        contents = self.image.section_data(section)
        if section.flags & SHF_COMPRESSED:
            compressed = read_chdr(contents, self.image.header)
            return _decompressed(contents[compressed.packed_at :], compressed.ch_type, section.name)
        if contents.startswith(b"ZLIB") and section.name.startswith(".zdebug_"):
            return _decompressed(contents[12:], ELFCOMPRESS_ZLIB, section.name)
        return contents


def _decompressed(packed: bytes, kind: int, name: str) -> bytes:
    try:
        if kind == ELFCOMPRESS_ZLIB:
            return inflate(packed)
        if kind == ELFCOMPRESS_ZSTD and compression_of(packed) == "zstd":
            return decompress(packed)
    except CommandError:  # (the program for it is missing: that says nothing of the file)
        raise
    except KbuildError as error:
        raise DamagedDebugInfo(f"{name}: {error.message}") from error
    raise DamagedDebugInfo(f"{name}: its contents are not compressed as its header says ({kind})")
