# SPDX-License-Identifier: GPL-2.0-only
"""A module image: a parsed `.o` or `.ko`.

Header and section headers are read and checked at once (a section outside the file is refused here), everything
else when it is first used. The headers are decoded with `struct`: importing pyelftools takes 70 ms, which is most of
the time that modpost has for a small module. `ModuleImage.elffile()` gives pyelftools' view of the same bytes.
"""

from __future__ import annotations

import io
import struct
from functools import cached_property
from pathlib import Path
from typing import Any

from kbuildpy.elf.constants import (
    MAX_NAME,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_REL,
    SHT_RELA,
    SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
    STB_LOCAL,
)
from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.relocations import Relocation, decode_relocations
from kbuildpy.elf.sections import Section, read_sections, read_sound_ehdr
from kbuildpy.elf.symbols import Symbol, SymbolTable, decode_symbols
from kbuildpy.errors import KbuildError


class ModuleImage:
    """The bytes of an ELF file and their decoded tables. Nothing here changes after construction."""

    def __init__(self, contents: bytes, filename: str) -> None:
        self.contents = contents
        self.filename = filename
        self.header: Ehdr = read_sound_ehdr(contents, filename)
        self.sections: tuple[Section, ...] = read_sections(contents, self.header, filename)

    @classmethod
    def from_path(cls, path: Path, *, filename: str = "") -> ModuleImage:
        """Read the file at `path`; errors call it `filename` where that is given."""
        try:
            contents = path.read_bytes()
        except OSError as error:
            raise KbuildError(f"{path}: {error.strerror}") from error
        return cls(contents, filename or str(path))

    def section(self, name: str) -> Section | None:
        """The last section of that name (as modpost takes it), or None."""
        return self._by_name.get(name)

    def section_name(self, index: int) -> str:
        """The name of section number `index`; "" for a reserved or impossible index."""
        return self.sections[index].name if 0 <= index < len(self.sections) else ""

    def section_data(self, section: Section) -> bytes:
        """The contents of `section`; empty for SHT_NOBITS."""
        if section.type == SHT_NOBITS:
            return b""
        return self.contents[section.offset : section.offset + section.size]

    def relocations(self, section: Section) -> list[Relocation]:
        """The entries of a SHT_REL or SHT_RELA section."""
        return decode_relocations(self.section_data(section), section, self.header)

    def relocations_of(self, target: Section) -> list[Relocation]:
        """All relocations that apply to section `target`, in the file's order."""
        found: list[Relocation] = []
        for section in self.sections:
            if section.type in (SHT_REL, SHT_RELA) and section.info == target.index:
                found += self.relocations(section)
        return found

    def string_at(self, section_index: int, offset: int) -> str:
        """The NUL-terminated string at `offset` of a section."""
        if not 0 <= section_index < len(self.sections):
            raise KbuildError(f"{self.filename}: section {section_index} does not exist")
        section = self.sections[section_index]
        start, end = section.offset + offset, section.offset + section.size
        stop = self.contents.find(b"\0", start, min(end, start + MAX_NAME)) if section.type != SHT_NOBITS else -1
        if offset < 0 or stop < 0:
            raise KbuildError(f"{self.filename}: section {section.name}: no string at {offset:#x}")
        return self.contents[start:stop].decode("utf-8", "surrogateescape")

    @cached_property
    def has_symtab(self) -> bool:
        """Whether there is a symbol table at all."""
        return any(section.type == SHT_SYMTAB for section in self.sections)

    @cached_property
    def symbols(self) -> SymbolTable:
        """The symbol table; empty in a file that has none."""
        symtab = next((section for section in reversed(self.sections) if section.type == SHT_SYMTAB), None)
        if symtab is None:
            return SymbolTable([], b"", (), self.filename)
        if symtab.link >= len(self.sections):
            raise KbuildError(f"{self.filename}: section {symtab.name}: its string table {symtab.link} does not exist")
        extended: tuple[int, ...] = ()
        for section in self.sections:
            if section.type == SHT_SYMTAB_SHNDX and section.link == symtab.index:
                words = self.section_data(section)
                extended = struct.unpack(f"{self.header.order}{len(words) // 4}I", words[: len(words) // 4 * 4])
        rows = decode_symbols(self.section_data(symtab), self.header.order, is_64bit=self.header.is_64bit)
        return SymbolTable(rows, self.section_data(self.sections[symtab.link]), extended, self.filename)

    @cached_property
    def undefined(self) -> tuple[Symbol, ...]:
        """The global and weak symbols that the file does not define, in its order."""
        symbols = self.symbols
        return tuple(
            symbols[index]
            for index, (_, st_info, _, st_shndx, _, _) in enumerate(symbols.rows)
            if st_shndx == SHN_UNDEF and st_info >> 4 != STB_LOCAL
        )

    @cached_property
    def modinfo(self) -> tuple[tuple[str, str], ...]:
        """`.modinfo` as (tag, value) pairs in the file's order, duplicates included."""
        section = self.section(".modinfo")
        if section is None:
            return ()
        text = self.section_data(section).decode("utf-8", "surrogateescape")
        pairs = (entry.partition("=") for entry in text.split("\0") if entry)
        return tuple((tag, value) for tag, equals, value in pairs if equals)

    def modinfo_values(self, tag: str) -> tuple[str, ...]:
        """Every value of `tag` in `.modinfo`."""
        return tuple(value for name, value in self.modinfo if name == tag)

    def elffile(self) -> Any:
        """pyelftools' `ELFFile` over the same bytes."""
        from elftools.elf.elffile import ELFFile

        return ELFFile(io.BytesIO(self.contents))

    @cached_property
    def _by_name(self) -> dict[str, Section]:
        return {section.name: section for section in self.sections}
