# SPDX-License-Identifier: GPL-2.0-only
"""The module's file, as the kernel reads it while it loads it: `struct load_info` of kernel/module/internal.h.

Section headers are copies that the stages write to, as the kernel's do: `sh_flags` loses SHF_ALLOC where a section is
not kept, `sh_entsize` becomes the offset in memory, and `sh_addr` the address that the section would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOBITS
from kbuildpy.elf.headers import SHDR_SIZE, Ehdr, Shdr
from kbuildpy.elf.rela_columns import RelaColumns, decode_rela_columns
from kbuildpy.elf.relocations import Relocation
from kbuildpy.elf.symbols import Row, Sym, SymbolRows
from kbuildpy.loader.verdict import Undefined

THIS_MODULE = ".gnu.linkonce.this_module"
"""The section that holds struct module."""
_SYM_SIZE = 24
_LONG_NAME = 1024
"""Bytes of a name that are read: no message of the kernel has room for more."""


# (without comparison and repr: generating those takes a millisecond, in every build)
@dataclass(eq=False, repr=False, match_args=False)
class Index:
    """Numbers of the sections that the kernel looks up by name; 0 where the module has no such section."""

    sym: int = 0
    """The symbol table."""
    str: int = 0
    """The string table of the symbols."""
    mod: int = 0
    """`.gnu.linkonce.this_module`: struct module."""
    vers: int = 0
    """`__versions`"""
    info: int = 0
    """`.modinfo`"""
    pcpu: int = 0
    """`.data..percpu`"""
    vers_ext_crc: int = 0
    """`__version_ext_crcs`"""
    vers_ext_name: int = 0
    """`__version_ext_names`"""


@dataclass(eq=False, repr=False, match_args=False)
class ModuleFile:
    """The bytes of the module, its ELF headers once `elf_validity` has read them, and lookups in them."""

    contents: bytes
    """The file that init_module(2) was given."""
    stage: str = ""
    """The function of the kernel that runs now: it is named in refusals."""
    len: int = 0
    """How many bytes of `contents` are the module; the rest is its signature."""
    hdr: Ehdr = field(default_factory=Ehdr)
    """The ELF header."""
    sechdrs: list[Shdr] = field(default_factory=list)
    """The section headers, which the stages write to."""
    index: Index = field(default_factory=Index)
    """The numbers of particular sections."""
    _long_name: tuple[int, int] = (1, 0)
    """Begin and end of the last long name, so that names within it are not searched again."""
    _decoded: int = 0
    """Bytes of relocation sections that were decoded."""

    def section_name(self, number: int) -> str:
        """The name of section `number`, as the kernel reads it: from the name table on, to the next NUL."""
        return self.secstring(self.sechdrs[number].sh_name)

    def secstring(self, sh_name: int) -> str:
        """The string at `sh_name` of the section names."""
        name = self._secstrings.get(sh_name)
        if name is None:
            names = self.sechdrs[self.hdr.e_shstrndx]
            name = self._secstrings[sh_name] = self.string_at(names.sh_offset + sh_name)
        return name

    @cached_property
    def _secstrings(self) -> dict[int, str]:
        return {}

    def string_at(self, offset: int) -> str:
        """The string at `offset` of the file, at most `_LONG_NAME` bytes of it. Raises `Undefined` if the file ends
        before the string does: the kernel does not check that."""
        contents = self.contents
        stop = contents.find(b"\0", offset, offset + _LONG_NAME)
        if stop < 0:
            start, stop = self._long_name
            if not start <= offset <= stop:
                stop = contents.find(b"\0", offset)
                self._long_name = (offset, stop)
            if stop < 0:
                raise Undefined(
                    self.stage, f"a name at {offset:#x} reaches beyond the end of the module, and is read there"
                )
            stop = min(stop, offset + _LONG_NAME)
        return contents[offset:stop].decode("utf-8", "surrogateescape")

    def data(self, number: int) -> bytes:
        """The contents of section `number` in the file (empty for SHT_NOBITS)."""
        section = self.sechdrs[number]
        if section.sh_type == SHT_NOBITS:
            return b""
        return self.contents[section.sh_offset : section.sh_offset + section.sh_size]

    def data_in_file(self, number: int) -> bytes:
        """The bytes at the file offset of section `number`, whatever its type: for sections that the kernel reads in
        the file."""
        section = self.sechdrs[number]
        stop = section.sh_offset + section.sh_size
        if section.sh_size and stop > len(self.contents):
            name = self.section_name(number)
            raise Undefined(self.stage, f"{name} reaches beyond the end of the module, and is read there")
        return self.contents[section.sh_offset : stop]

    @cached_property
    def symbols(self) -> Sequence[Row]:
        """The rows of the symbol table (st_name, st_info, st_other, st_shndx, st_value, st_size); known from the
        validity checks on."""
        rows = SymbolRows(memoryview(self.data(self.index.sym)), self.hdr.order)
        # (lookups in a list are quicker; in a sound module the table is a small part of the file)
        return rows if len(rows) * _SYM_SIZE > len(self.contents) // 4 else list(rows)

    def symbol(self, number: int) -> Sym:
        """Symbol `number`, its fields by name."""
        return Sym._make(self.symbols[number])

    def symbol_name(self, number: int) -> str:
        """The name of symbol `number`. Raises `Undefined` for one within the section headers, where the kernel has
        written by now."""
        st_name, *_ = self.symbols[number]
        start = self.sechdrs[self.index.str].sh_offset + st_name
        name = self.string_at(start)
        headers = self.hdr.e_shoff
        if start + len(name) >= headers and start < headers + len(self.sechdrs) * SHDR_SIZE[True]:
            raise Undefined(self.stage, f"the name of symbol {number} is read from the section headers")
        return name

    def relocations(self, number: int) -> RelaColumns:
        """The entries of the SHT_RELA section `number`, as columns."""
        columns = self._relocations.get(number)
        if columns is None:
            self._decoded += self.sechdrs[number].sh_size
            if self._decoded > 2 * len(self.contents):
                raise Undefined(
                    self.stage,
                    "its relocation sections overlap: together they are more than twice as long as the file, and are "
                    "not followed here",
                )
            columns = self._relocations[number] = decode_rela_columns(self.data(number), self.hdr.order)
        return columns

    def relocation_entries(self, number: int) -> list[Relocation]:
        """The entries of the SHT_RELA section `number`, one by one."""
        return [Relocation(*row) for row in zip(*self.relocations(number), strict=True)]

    @cached_property
    def _relocations(self) -> dict[int, RelaColumns]:
        return {}

    def find_sec(self, name: str) -> int:
        """The first section of that name that has SHF_ALLOC; 0: none (kernel/module/main.c: find_sec)."""
        # (kernels before 6.4 do not even look at the names of the others)
        return next(
            (number for number in self._allocated.get(name, []) if self.sechdrs[number].sh_flags & SHF_ALLOC), 0
        )

    def find_any_sec(self, name: str) -> int:
        """The first section of that name, whatever its flags; 0: none (find_any_sec)."""
        return next(iter(self.numbers_of(name)), 0)

    def numbers_of(self, name: str) -> list[int]:
        """The numbers of all sections of that name, from 1 on."""
        return self._numbers.get(name, [])

    @cached_property
    def _allocated(self) -> dict[str, list[int]]:
        return self._by_name(
            number for number in range(1, len(self.sechdrs)) if self.sechdrs[number].sh_flags & SHF_ALLOC
        )

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        return self._by_name(range(1, len(self.sechdrs)))

    def _by_name(self, chosen: Iterable[int]) -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = {}
        for number in chosen:
            numbers.setdefault(self.section_name(number), []).append(number)
        return numbers
