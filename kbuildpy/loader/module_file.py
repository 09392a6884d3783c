# SPDX-License-Identifier: GPL-2.0-only
"""The module's file as the kernel reads it during loading: `struct load_info` of kernel/module/internal.h.

The stages write to the section headers, as the kernel does. `sh_flags` loses SHF_ALLOC if the section is not kept in
memory, `sh_entsize` becomes the offset in its block of memory, and `sh_addr` the address.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from operator import ne

from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOBITS
from kbuildpy.elf.headers import SHDR_SIZE, Ehdr, Shdr
from kbuildpy.elf.rel_columns import decode_rel_columns
from kbuildpy.elf.rela_columns import RelaColumns, decode_rela_columns
from kbuildpy.elf.relocations import Relocation
from kbuildpy.elf.symbols import SYM_SIZE, Row, Sym, SymbolRows
from kbuildpy.loader.hints import DAMAGED
from kbuildpy.loader.verdict import Undefined

THIS_MODULE = ".gnu.linkonce.this_module"
"""The section that holds struct module."""
_LONG_NAME = 1024
"""The most bytes of a name that are read. A message of the kernel has no room for more."""


# Comparison and repr are left out because generating them takes a millisecond in every build.
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
    """The bytes of the module, its ELF headers after `elf_validity`, and functions to look up sections and symbols."""

    contents: bytes
    """The bytes that init_module(2) gets."""
    stage: str = ""
    """The current stage: the function of the kernel that a refusal names."""
    len: int = 0
    """The length of the module in `contents` in bytes; its signature follows."""
    hdr: Ehdr = field(default_factory=Ehdr)
    """The ELF header."""
    sechdrs: list[Shdr] = field(default_factory=list)
    """The section headers, which the stages write to."""
    index: Index = field(default_factory=Index)
    """The numbers of the sections that the kernel looks up by name."""
    _long_name: tuple[int, int] = (1, 0)
    """Offsets of the beginning and end of the last long name. The end of a name within it is not searched again."""
    _decoded: int = 0
    """The number of bytes of relocation sections that were decoded so far."""

    def section_name(self, number: int) -> str:
        """Return the name of section `number`. As in the kernel, it ends at the next NUL, even outside of the name
        table."""
        return self.secstring(self.sechdrs[number].sh_name)

    def secstring(self, sh_name: int) -> str:
        """Return the string at offset `sh_name` of the section name table."""
        name = self._secstrings.get(sh_name)
        if name is None:
            names = self.sechdrs[self.hdr.e_shstrndx]
            name = self._secstrings[sh_name] = self.string_at(names.sh_offset + sh_name)
        return name

    @cached_property
    def _secstrings(self) -> dict[int, str]:
        return {}

    def string_at(self, offset: int) -> str:
        """Return the string at `offset` of the file, at most `_LONG_NAME` bytes of it. Raises `Undefined` if the file
        ends before the string does, which the kernel does not check."""
        contents = self.contents
        stop = contents.find(b"\0", offset, offset + _LONG_NAME)
        if stop < 0:
            start, stop = self._long_name
            if not start <= offset <= stop:
                stop = contents.find(b"\0", offset)
                self._long_name = (offset, stop)
            if stop < 0:
                raise Undefined(
                    self.stage,
                    f"a name at {offset:#x} reaches beyond the end of the module, and the kernel reads on there",
                    DAMAGED,
                )
            stop = min(stop, offset + _LONG_NAME)
        return contents[offset:stop].decode("utf-8", "surrogateescape")

    def data(self, number: int) -> bytes:
        """Return the contents of section `number` in the file (empty for SHT_NOBITS)."""
        section = self.sechdrs[number]
        if section.sh_type == SHT_NOBITS:
            return b""
        return self.contents[section.sh_offset : section.sh_offset + section.sh_size]

    def view(self, number: int) -> memoryview:
        """Return the same without a copy: what is read for each of many relocation sections may be most of the file."""
        section = self.sechdrs[number]
        size = 0 if section.sh_type == SHT_NOBITS else section.sh_size
        return memoryview(self.contents)[section.sh_offset : section.sh_offset + size]

    def data_in_file(self, number: int) -> bytes:
        """Return the bytes at the file offset of section `number`, even for SHT_NOBITS: the kernel reads some sections
        in the file without a look at the type. Raises `Undefined` if the section ends after the file."""
        section = self.sechdrs[number]
        stop = section.sh_offset + section.sh_size
        if section.sh_size and stop > len(self.contents):
            name = self.section_name(number)
            raise Undefined(
                self.stage,
                f"section {name} reaches beyond the end of the module, and the kernel reads all of it",
                DAMAGED,
            )
        return self.contents[section.sh_offset : stop]

    @cached_property
    def symbols(self) -> Sequence[Row]:
        """The rows of the symbol table (st_name, st_info, st_other, st_shndx, st_value, st_size). Valid only after
        `elf_validity`."""
        rows = SymbolRows(memoryview(self.data(self.index.sym)), self.hdr.order, is_64bit=self.hdr.is_64bit)
        # Lookups in a list are faster, but a list takes more memory: it is made only of a table that is a small part of
        # the file, as in every sound module.
        return rows if len(rows) * SYM_SIZE[self.hdr.is_64bit] > len(self.contents) // 4 else list(rows)

    def symbol(self, number: int) -> Sym:
        """Return symbol `number`."""
        return Sym._make(self.symbols[number])

    def symbol_name(self, number: int) -> str:
        """Return the name of symbol `number`. Raises `Undefined` for a name that overlaps with the section headers,
        which the kernel has changed by now."""
        st_name, *_ = self.symbols[number]
        start = self.sechdrs[self.index.str].sh_offset + st_name
        name = self.string_at(start)
        headers = self.hdr.e_shoff
        if start + len(name) >= headers and start < headers + len(self.sechdrs) * SHDR_SIZE[self.hdr.is_64bit]:
            raise Undefined(
                self.stage,
                f"the name of symbol {number} is read from the section headers, which the kernel has changed by then",
                DAMAGED,
            )
        return name

    def relocations(self, number: int) -> RelaColumns:
        """Return the entries of the relocation section `number`, as columns. Raises `Undefined` if relocation sections
        overlap so much that together they are more than twice as long as the file."""
        columns = self._relocations.get(number)
        if columns is None:
            self._decoded += self.sechdrs[number].sh_size
            if self._decoded > 2 * len(self.contents):
                raise Undefined(
                    self.stage,
                    "its relocation sections overlap: together they are more than twice as long as the file, and are "
                    "not followed here",
                    DAMAGED,
                )
            columns = self._relocations[number] = self._decoded_relocations(number)
        return columns

    def _decoded_relocations(self, number: int) -> RelaColumns:
        if self.hdr.is_64bit:
            return decode_rela_columns(self.data(number), self.hdr.order)
        target = self.sechdrs[number].sh_info
        contents = self.view(target) if target < len(self.sechdrs) else b""
        return decode_rel_columns(self.data(number), self.hdr.order, target=contents, kinds=self.numbers_in_place)

    def reorder_relocations(self, number: int, order: Sequence[int]) -> None:
        """Put the entries of the relocation section `number` into another order, as a machine does in its copy of the
        file."""
        columns = self.relocations(number)
        if any(map(ne, order, count())):
            moved = (array(column.typecode, map(column.__getitem__, order)) for column in columns)
            self._relocations[number] = RelaColumns(*moved)

    def relocation_entries(self, number: int) -> list[Relocation]:
        """Return the entries of the relocation section `number`, as a list. Raises as `relocations`."""
        return [Relocation(*row) for row in zip(*self.relocations(number), strict=True)]

    @property
    def numbers_in_place(self) -> frozenset[int]:
        """The relocation types that add to a number of 32 bits where they write to (SHT_REL)."""
        return frozenset()

    @cached_property
    def _relocations(self) -> dict[int, RelaColumns]:
        return {}

    def find_sec(self, name: str) -> int:
        """Return the number of the first section called `name` that has SHF_ALLOC, 0 if there is none
        (kernel/module/main.c: find_sec)."""
        # `_allocated` leaves out the other sections, because kernels before 6.4 do not read their names, which may be
        # invalid.
        return next(
            (number for number in self._allocated.get(name, []) if self.sechdrs[number].sh_flags & SHF_ALLOC), 0
        )

    def find_any_sec(self, name: str) -> int:
        """Return the number of the first section called `name`, whatever its flags, 0 if there is none
        (find_any_sec)."""
        return next(iter(self.numbers_of(name)), 0)

    def numbers_of(self, name: str) -> list[int]:
        """Return the numbers of all sections called `name`, in ascending order, without section 0."""
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
