# SPDX-License-Identifier: GPL-2.0-only
"""Relocation sections, decoded in bulk."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from kbuildpy.elf.constants import EM_MIPS, SHT_RELA
from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.sections import Section


class Relocation(NamedTuple):
    """One relocation; `addend` is 0 where the format keeps it in the section (SHT_REL)."""

    offset: int
    type: int
    symbol: int
    addend: int


def decode_relocations(table: bytes, section: Section, header: Ehdr) -> list[Relocation]:
    """Decode `table`, the contents of the SHT_REL or SHT_RELA `section`.

    64-bit MIPS keeps the symbol in its own half of r_info and up to three types in the other.
    """
    rela = section.type == SHT_RELA
    if header.is_64bit:
        if header.e_machine == EM_MIPS:
            mips = header.order + ("QIBBBBq" if rela else "QIBBBB")
            size = struct.calcsize(mips)
            return [
                Relocation(offset, kind, symbol, addend[0] if rela else 0)
                for offset, symbol, _, _, _, kind, *addend in struct.iter_unpack(
                    mips, table[: len(table) // size * size]
                )
            ]
        layout, shift, mask = header.order + ("QQq" if rela else "QQ"), 32, 0xFFFFFFFF
    else:
        layout, shift, mask = header.order + ("IIi" if rela else "II"), 8, 0xFF
    size = struct.calcsize(layout)
    rows = struct.iter_unpack(layout, table[: len(table) // size * size])
    if rela:
        return [Relocation(offset, info & mask, info >> shift, addend) for offset, info, addend in rows]
    return [Relocation(offset, info & mask, info >> shift, 0) for offset, info in rows]


def entry_size(section: Section, header: Ehdr) -> int:
    """The bytes that one entry of the SHT_REL or SHT_RELA `section` takes."""
    words = 3 if section.type == SHT_RELA else 2
    return words * (8 if header.is_64bit else 4)


def relocation_symbols(table: bytes, section: Section, header: Ehdr) -> array[int] | list[int]:
    """The symbol number of every entry of `table`, without decoding the entries: for tables of 10^6 of them."""
    size = entry_size(section, header)
    words = array("I", table[: len(table) // size * size])
    symbol_first = header.is_64bit and (header.order == ">" or header.e_machine == EM_MIPS)
    column = words[(2 if symbol_first else 3) if header.is_64bit else 1 :: size // 4]
    if header.order != ORDER:
        column.byteswap()
    return column if header.is_64bit else [info >> 8 for info in column]


def relocation_offsets(table: bytes, section: Section, header: Ehdr) -> array[int]:
    """The offset of every entry of `table`, likewise."""
    size = entry_size(section, header)
    words = array("Q" if header.is_64bit else "I", table[: len(table) // size * size])
    column = words[:: size // words.itemsize]
    if header.order != ORDER:
        column.byteswap()
    return column


def decode_entries(table: bytes, indices: Iterable[int], section: Section, header: Ehdr) -> list[Relocation]:
    """Decode only the entries `indices` of `table`."""
    size = entry_size(section, header)
    chosen = b"".join([table[index * size : (index + 1) * size] for index in indices])
    return decode_relocations(chosen, section, header)


ORDER = "<" if sys.byteorder == "little" else ">"
