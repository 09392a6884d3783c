# SPDX-License-Identifier: GPL-2.0-only
"""A module that can be damaged: headers, symbols, relocations and modinfo to read and to write, anything goes.

What is put in place of a section's contents goes there if there is room, else to the end of the file, as the
section headers do when there are more of them. Nothing else moves: every other offset stays what the linker made it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from kbuildpy.elf.constants import SHT_NOBITS, SHT_PROGBITS, SHT_RELA, SHT_SYMTAB
from kbuildpy.elf.headers import Shdr, c_string

# Field of the ELF header -> where it is, and how wide.
EHDR_FIELDS = {
    "ei_class": (4, "B"),
    "ei_data": (5, "B"),
    "ei_version": (6, "B"),
    "ei_osabi": (7, "B"),
    "ei_abiversion": (8, "B"),
    "e_type": (16, "H"),
    "e_machine": (18, "H"),
    "e_version": (20, "I"),
    "e_entry": (24, "Q"),
    "e_phoff": (32, "Q"),
    "e_shoff": (40, "Q"),
    "e_flags": (48, "I"),
    "e_ehsize": (52, "H"),
    "e_phentsize": (54, "H"),
    "e_phnum": (56, "H"),
    "e_shentsize": (58, "H"),
    "e_shnum": (60, "H"),
    "e_shstrndx": (62, "H"),
}
_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
Symbol = list[int]
"""st_name, st_info, st_other, st_shndx, st_value, st_size."""


class Draft:
    """A module on its way to be damaged; `file()` gives its bytes."""

    def __init__(self, contents: bytes) -> None:
        self.contents = bytearray(contents)
        self._shoff, self._shnum = self.ehdr("e_shoff"), self.ehdr("e_shnum")
        self.sections = [Shdr(*_SHDR.unpack_from(contents, self._shoff + 64 * number)) for number in range(self._shnum)]

    def file(self) -> bytes:
        """The module as a file."""
        table = b"".join(
            _SHDR.pack(
                s.sh_name, s.sh_type, s.sh_flags, s.sh_addr, s.sh_offset,
                s.sh_size, s.sh_link, s.sh_info, s.sh_addralign, s.sh_entsize,
            )
            for s in self.sections
        )  # fmt: skip
        contents = bytearray(self.contents)
        start = self._shoff
        if len(self.sections) > self._shnum:
            contents += bytes(-len(contents) % 64)
            start = len(contents)
            for field, old, new in (("e_shoff", self._shoff, start), ("e_shnum", self._shnum, len(self.sections))):
                # (unless that is what was damaged)
                if self.ehdr(field) == old:
                    offset, width = EHDR_FIELDS[field]
                    struct.pack_into("<" + width, contents, offset, new)
        contents[start : start + len(table)] = table
        return bytes(contents)

    def ehdr(self, field: str) -> int:
        """A field of the ELF header."""
        offset, width = EHDR_FIELDS[field]
        return int(struct.unpack_from("<" + width, self.contents, offset)[0])

    def set_ehdr(self, field: str, value: int) -> None:
        """Write a field of the ELF header."""
        offset, width = EHDR_FIELDS[field]
        struct.pack_into("<" + width, self.contents, offset, value)

    def name_of(self, section: Shdr) -> str:
        """The name of a section."""
        names = self.sections[self.ehdr("e_shstrndx")]
        return c_string(bytes(self.contents), names.sh_offset + section.sh_name) or ""

    def number(self, name: str) -> int:
        """The number of the first section called `name`; `KeyError` if there is none."""
        for number, section in enumerate(self.sections):
            if self.name_of(section) == name:
                return number
        raise KeyError(name)

    def section(self, name: str) -> Shdr:
        """The header of the first section called `name`, to be written to."""
        return self.sections[self.number(name)]

    def data(self, section: Shdr) -> bytes:
        """A section's contents."""
        return bytes(self.contents[section.sh_offset : section.sh_offset + section.sh_size])

    def put(self, section: Shdr, data: bytes) -> None:
        """Give a section other contents."""
        if len(data) <= section.sh_size and section.sh_type != SHT_NOBITS:
            self.contents[section.sh_offset : section.sh_offset + len(data)] = data
        else:
            section.sh_offset = self._append(data)
        section.sh_size = len(data)

    def patch(self, name: str, offset: int, data: bytes) -> None:
        """Write over a part of a section."""
        start = self.section(name).sh_offset + offset
        self.contents[start : start + len(data)] = data

    def add(self, name: str, data: bytes = b"", **fields: int) -> Shdr:
        """A new section of type SHT_PROGBITS, not allocated unless `fields` say otherwise."""
        section = Shdr(self._add_name(name), SHT_PROGBITS, 0, 0, 0, 0, 0, 0, 1, 0)
        section.sh_offset, section.sh_size = self._append(data), len(data)
        for field, value in fields.items():
            setattr(section, field, value)
        self.sections.append(section)
        return section

    def rename(self, old: str, new: str) -> None:
        """Give the first section called `old` another name."""
        section = self.section(old)
        section.sh_name = self._add_name(new)

    def modinfo(self) -> list[str]:
        """The entries of .modinfo."""
        return [
            entry.decode("utf-8", "surrogateescape")
            for entry in self.data(self.section(".modinfo")).split(b"\0")
            if entry
        ]

    def set_modinfo(self, entries: Sequence[str]) -> None:
        """Write .modinfo."""
        self.put(
            self.section(".modinfo"), b"".join(entry.encode("utf-8", "surrogateescape") + b"\0" for entry in entries)
        )

    def without(self, tag: str) -> list[str]:
        """The entries of .modinfo but those of `tag`."""
        return [entry for entry in self.modinfo() if not entry.startswith(f"{tag}=")]

    def symbols(self) -> list[Symbol]:
        """The symbol table."""
        return [list(row) for row in _SYMBOL.iter_unpack(self.data(self._symtab()))]

    def set_symbols(self, rows: Sequence[Symbol]) -> None:
        """Write the symbol table."""
        self.put(self._symtab(), b"".join(_SYMBOL.pack(*row) for row in rows))

    def symbol_name(self, row: Symbol) -> str:
        """The name of a symbol."""
        strings = self.sections[self._symtab().sh_link]
        return c_string(bytes(self.contents), strings.sh_offset + row[0]) or ""

    def symbol(self, name: str) -> int:
        """The number of the first symbol called `name`; `KeyError` if there is none."""
        for number, row in enumerate(self.symbols()):
            if self.symbol_name(row) == name:
                return number
        raise KeyError(name)

    def set_symbol(self, name: str, **fields: int) -> None:
        """Write fields of a symbol: name, info, other, shndx, value, size."""
        number, rows = self.symbol(name), self.symbols()
        for field, value in fields.items():
            rows[number][("name", "info", "other", "shndx", "value", "size").index(field)] = value
        self.set_symbols(rows)

    def add_symbol(self, name: str, *, info: int = 0x10, shndx: int = 0, value: int = 0) -> int:
        """A new symbol, global and undefined unless said otherwise; its number."""
        rows = self.symbols()
        self.set_symbols([*rows, [self.add_string(name), info, 0, shndx, value, 0]])
        return len(rows)

    def add_string(self, text: str) -> int:
        """Put a string into the symbols' string table; its offset."""
        return self._extend(self.sections[self._symtab().sh_link], text)

    def relocations(self, section: str) -> list[list[int]]:
        """Of section `section`: offset, type, symbol, addend."""
        rows = _RELOCATION.iter_unpack(self.data(self.section(f".rela{section}")))
        return [[offset, info & 0xFFFFFFFF, info >> 32, addend] for offset, info, addend in rows]

    def set_relocations(self, section: str, rows: Sequence[Sequence[int]]) -> None:
        """Write them; the section may have had none."""
        table = b"".join(_RELOCATION.pack(row[0], row[2] << 32 | row[1], row[3]) for row in rows)
        try:
            self.put(self.section(f".rela{section}"), table)
        except KeyError:
            self.add(
                f".rela{section}", table, sh_type=SHT_RELA, sh_flags=0x40, sh_addralign=8, sh_entsize=24,
                sh_link=self.sections.index(self._symtab()), sh_info=self.number(section),
            )  # fmt: skip

    def _symtab(self) -> Shdr:
        return next(section for section in self.sections if section.sh_type == SHT_SYMTAB)

    def _add_name(self, name: str) -> int:
        return self._extend(self.sections[self.ehdr("e_shstrndx")], name)

    def _extend(self, strings: Shdr, text: str) -> int:
        table = self.data(strings)
        self.put(strings, table + text.encode() + b"\0")
        return len(table)

    def _append(self, data: bytes) -> int:
        self.contents += bytes(-len(self.contents) % 64)
        offset = len(self.contents)
        self.contents += data
        return offset
