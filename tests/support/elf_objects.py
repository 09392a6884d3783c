# SPDX-License-Identifier: GPL-2.0-only
"""Writes relocatable objects byte by byte: for machines without an assembler here, and for damage no assembler does."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kbuildpy.elf.constants import (
    EM_MIPS,
    EM_X86_64,
    ET_REL,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHN_LORESERVE,
    SHN_XINDEX,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
    STB_GLOBAL,
    STT_NOTYPE,
)

TEXT, DATA, RODATA = SHF_ALLOC | SHF_EXECINSTR, SHF_ALLOC | SHF_WRITE, SHF_ALLOC
MODINFO = b"license=GPL\0description=x\0"


@dataclass(frozen=True)
class Rel:
    """A relocation; `symbol` counts the symbols that are given from 1."""

    offset: int
    type: int
    symbol: int
    addend: int = 0


@dataclass(frozen=True)
class Sec:
    """A section and the relocations that apply to it; `link` replaces what their header says they apply to."""

    name: str
    flags: int = DATA
    contents: bytes = bytes(64)
    relocations: Sequence[Rel] = ()
    rela: bool = True
    type: int = SHT_PROGBITS
    link: int | None = None
    relocation_name: str | None = None


@dataclass(frozen=True)
class Sym:
    """A symbol; `section` counts the sections that are given from 1, 0 and reserved numbers are what ELF has them for.

    `within` is a longer name whose end its name shares in the string table.
    """

    name: str
    section: int
    value: int = 0
    type: int = STT_NOTYPE
    bind: int = STB_GLOBAL
    within: str = ""


def elf_object(
    sections: Sequence[Sec],
    symbols: Sequence[Sym],
    *,
    machine: int = EM_X86_64,
    bits: int = 64,
    order: str = "<",
    modinfo: bytes = MODINFO,
) -> bytes:
    """The bytes of a relocatable object; `modinfo` (by default, what satisfies modpost) is added."""
    wide = bits == 64
    sections = [*sections, Sec(".modinfo", RODATA, modinfo)]
    names = _Strings()
    strings = _Strings()
    headers: list[tuple[int, int, int, bytes, int, int, int]] = [(0, 0, 0, b"", 0, 0, 0)]
    for section in sections:
        headers.append((names.add(section.name), section.type, section.flags, section.contents, 0, 0, 0))
    related = [(number, section) for number, section in enumerate(sections, 1) if section.relocations]
    symtab = len(sections) + len(related) + 1
    for number, section in related:
        table = b"".join(_relocation(rel, section, machine, wide, order) for rel in section.relocations)
        prefix = ".rela" if section.rela else ".rel"
        name = section.relocation_name if section.relocation_name is not None else prefix + section.name
        target = number if section.link is None else section.link
        size = (3 if section.rela else 2) * bits // 8
        headers.append((names.add(name), SHT_RELA if section.rela else SHT_REL, 0, table, symtab, target, size))
    rows = [_symbol(0, Sym("", 0, bind=0), 0, wide, order)]
    extended = [0]
    for symbol in symbols:
        big = SHN_LORESERVE <= symbol.section <= len(headers) + 4
        at = strings.within(symbol.within, symbol.name) if symbol.within else strings.add(symbol.name)
        rows.append(_symbol(at, symbol, SHN_XINDEX if big else symbol.section, wide, order))
        extended.append(symbol.section if big else 0)
    headers.append((names.add(".symtab"), SHT_SYMTAB, 0, b"".join(rows), symtab + 1, 1, 24 if wide else 16))
    headers.append((names.add(".strtab"), SHT_STRTAB, 0, bytes(strings.table), 0, 0, 0))
    if any(extended):
        words = struct.pack(f"{order}{len(extended)}I", *extended)
        headers.append((names.add(".symtab_shndx"), SHT_SYMTAB_SHNDX, 0, words, symtab, 0, 4))
    names.add(".shstrtab")
    headers.append((names.add(".shstrtab"), SHT_STRTAB, 0, bytes(names.table), 0, 0, 0))
    return _file(headers, machine, wide, order)


def _file(headers: list[tuple[int, int, int, bytes, int, int, int]], machine: int, wide: bool, order: str) -> bytes:
    header_size = 64 if wide else 52
    contents = bytearray(header_size)
    rows = []
    many = len(headers) >= SHN_LORESERVE
    for number, (name, kind, flags, data, link, info, entsize) in enumerate(headers):
        contents += bytes(-len(contents) % 8)
        size = len(data)
        if many and number == 0:
            size, link = len(headers), len(headers) - 1
        layout = "IIQQQQIIQQ" if wide else "IIIIIIIIII"
        offset = len(contents) if number else 0
        rows.append(struct.pack(order + layout, name, kind, flags, 0, offset, size, link, info, 1, entsize))
        contents += data
    contents += bytes(-len(contents) % 8)
    start = len(contents)
    contents += b"".join(rows)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    fields = (ET_REL, machine, 1, 0, 0, start, 0, header_size, 0, 0, len(rows[0]))
    counts = (0, SHN_XINDEX) if many else (len(headers), len(headers) - 1)
    contents[:header_size] = ident + struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *fields, *counts
    )
    return bytes(contents)


def _relocation(rel: Rel, section: Sec, machine: int, wide: bool, order: str) -> bytes:
    if wide and machine == EM_MIPS:
        entry = struct.pack(f"{order}QI4B", rel.offset, rel.symbol, 0, 0, 0, rel.type)
    elif wide:
        entry = struct.pack(f"{order}QQ", rel.offset, rel.symbol << 32 | rel.type)
    else:
        entry = struct.pack(f"{order}II", rel.offset, rel.symbol << 8 | rel.type)
    return entry + struct.pack(order + ("q" if wide else "i"), rel.addend) if section.rela else entry


def _symbol(name: int, symbol: Sym, section: int, wide: bool, order: str) -> bytes:
    info = symbol.bind << 4 | symbol.type
    if wide:
        return struct.pack(f"{order}IBBHQQ", name, info, 0, section, symbol.value, 0)
    return struct.pack(f"{order}IIIBBH", name, symbol.value, 0, info, 0, section)


class _Strings:
    """A string table."""

    def __init__(self) -> None:
        self.table = bytearray(1)
        self._known = {"": 0}

    def add(self, text: str) -> int:
        """Where `text` is."""
        if text not in self._known:
            self._known[text] = len(self.table)
            self.table += text.encode() + b"\0"
        return self._known[text]

    def within(self, whole: str, end: str) -> int:
        """Where `end` is as the end of `whole`."""
        assert whole.endswith(end)
        return self.add(whole) + len(whole) - len(end)
