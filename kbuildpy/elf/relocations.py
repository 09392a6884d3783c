"""Relocation sections, decoded in bulk."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kbuildpy.elf.constants import EM_MIPS, SHT_RELA
from kbuildpy.elf.sections import Header, Section


class Relocation(NamedTuple):
    """One relocation; `addend` is 0 where the format keeps it in the section (SHT_REL)."""

    offset: int
    type: int
    symbol: int
    addend: int


def decode_relocations(table: bytes, section: Section, header: Header) -> list[Relocation]:
    """Decode `table`, the contents of the SHT_REL or SHT_RELA `section`.

    64-bit MIPS keeps the symbol in its own half of r_info and up to three types in the other.
    """
    rela = section.type == SHT_RELA
    if header.is_64bit:
        if header.machine == EM_MIPS:
            mips = header.order + ("QIBBBBq" if rela else "QIBBBB")
            size = struct.calcsize(mips)
            return [
                Relocation(row[0], row[5], row[1], row[6] if rela else 0)
                for row in struct.iter_unpack(mips, table[: len(table) // size * size])
            ]
        layout, shift, mask = header.order + ("QQq" if rela else "QQ"), 32, 0xFFFFFFFF
    else:
        layout, shift, mask = header.order + ("IIi" if rela else "II"), 8, 0xFF
    size = struct.calcsize(layout)
    rows = struct.iter_unpack(layout, table[: len(table) // size * size])
    if rela:
        return [Relocation(offset, info & mask, info >> shift, addend) for offset, info, addend in rows]
    return [Relocation(offset, info & mask, info >> shift, 0) for offset, info in rows]
