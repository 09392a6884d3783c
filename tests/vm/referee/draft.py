# SPDX-License-Identifier: GPL-2.0-only
"""A module that can be damaged: headers, symbols, relocations and modinfo to read and to write, anything goes.

What is put in place of a section's contents goes there if there is room, else to the end of the file, as the
section headers do when there are more of them. Nothing else moves: every other offset stays what the linker made it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from kbuildpy.elf.constants import EM_386, EM_ARM, SHT_NOBITS, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_SYMTAB
from kbuildpy.elf.headers import SHDR, Shdr, c_string

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
_SHORTER = {"e_entry": 24, "e_phoff": 28, "e_shoff": 32, "e_flags": 36}
"""Where fields are in a header for 32 bits, which has shorter ones."""
_BEHIND = 12
"""Bytes that the fields behind these are further in front there."""
_REL_MACHINES = tuple(number.to_bytes(2, "little") for number in (EM_386, EM_ARM))
"""Machines whose relocations have no addends."""
Symbol = list[int]
"""st_name, st_info, st_other, st_shndx, st_value, st_size."""


class Draft:
    """A module on its way to be damaged; `file()` gives its bytes."""

    def __init__(self, contents: bytes) -> None:
        self.contents = bytearray(contents)
        self.is_64bit, self.order = contents[4] == 2, "<" if contents[5] == 1 else ">"
        self._shdr = struct.Struct(self.order + SHDR[self.is_64bit])
        self._symbol = struct.Struct(self.order + ("IBBHQQ" if self.is_64bit else "IIIBBH"))
        self._has_rela = contents[18:20] not in _REL_MACHINES
        words = ("QQ" if self.is_64bit else "II") + (("q" if self.is_64bit else "i") if self._has_rela else "")
        self._relocation = struct.Struct(self.order + words)
        self._shoff, self._shnum = self.ehdr("e_shoff"), self.ehdr("e_shnum")
        step = self._shdr.size
        self.sections = [
            Shdr(*self._shdr.unpack_from(contents, self._shoff + step * number)) for number in range(self._shnum)
        ]

    def file(self) -> bytes:
        """The module as a file."""
        table = b"".join(
            self._shdr.pack(
                s.sh_name, s.sh_type, *map(self._long, (s.sh_flags, s.sh_addr, s.sh_offset, s.sh_size)),
                s.sh_link, s.sh_info, *map(self._long, (s.sh_addralign, s.sh_entsize)),
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
                    offset, width = self.ehdr_field(field)
                    struct.pack_into(self.order + width, contents, offset, new)
        contents[start : start + len(table)] = table
        return bytes(contents)

    def ehdr_field(self, field: str) -> tuple[int, str]:
        """Where a field of the ELF header is, and how wide."""
        offset, width = EHDR_FIELDS[field]
        if self.is_64bit or offset < EHDR_FIELDS["e_entry"][0]:
            return offset, width
        return _SHORTER.get(field, offset - _BEHIND), width.replace("Q", "I")

    def ehdr(self, field: str) -> int:
        """A field of the ELF header."""
        offset, width = self.ehdr_field(field)
        return int(struct.unpack_from(self.order + width, self.contents, offset)[0])

    def set_ehdr(self, field: str, value: int) -> None:
        """Write a field of the ELF header."""
        offset, width = self.ehdr_field(field)
        value = self._long(value) if width == self.ehdr_field("e_entry")[1] else value
        struct.pack_into(self.order + width, self.contents, offset, value)

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
        rows = [list(row) for row in self._symbol.iter_unpack(self.data(self._symtab()))]
        return rows if self.is_64bit else [[row[place] for place in (0, 3, 4, 5, 1, 2)] for row in rows]

    def set_symbols(self, rows: Sequence[Symbol]) -> None:
        """Write the symbol table."""
        if not self.is_64bit:
            rows = [[row[0], self._long(row[4]), self._long(row[5]), *row[1:4]] for row in rows]
        self.put(self._symtab(), b"".join(self._symbol.pack(*row) for row in rows))

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

    def table_of(self, section: str) -> str:
        """The name of the section with the relocations of `section`."""
        return f".rela{section}" if self._has_rela else f".rel{section}"

    def relocations(self, section: str) -> list[list[int]]:
        """Of section `section`: offset, type, symbol, addend (0 where that is in its place)."""
        rows = self._relocation.iter_unpack(self.data(self.section(self.table_of(section))))
        shift, mask = (32, 0xFFFFFFFF) if self.is_64bit else (8, 0xFF)
        return [[row[0], row[1] & mask, row[1] >> shift, *(row[2:] or (0,))] for row in rows]

    def set_relocations(self, section: str, rows: Sequence[Sequence[int]]) -> None:
        """Write them; the section may have had none."""
        shift = 32 if self.is_64bit else 8
        entries = ((row[0], row[2] << shift | row[1], *row[3 : 3 + self._has_rela]) for row in rows)
        table = b"".join(self._relocation.pack(*entry) for entry in entries)
        name = self.table_of(section)
        try:
            self.put(self.section(name), table)
        except KeyError:
            self.add(
                name, table, sh_type=SHT_RELA if self._has_rela else SHT_REL, sh_flags=0x40,
                sh_addralign=8 if self.is_64bit else 4, sh_entsize=self._relocation.size,
                sh_link=self.sections.index(self._symtab()), sh_info=self.number(section),
            )  # fmt: skip

    def _long(self, value: int) -> int:
        """A number of 64 bits as the class of the file has room for it."""
        return value if self.is_64bit else value & 0xFFFFFFFF

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
