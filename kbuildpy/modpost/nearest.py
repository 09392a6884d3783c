# SPDX-License-Identifier: GPL-2.0-only
"""Finds the symbol nearest to an address (scripts/mod/symsearch.c: symsearch_find_nearest; before 6.7 modpost.c).

Messages name symbols, but many relocations name only a section and an offset. Kernels choose the symbol in three ways
(before 6.5, before 6.7, later), which differ where symbols have the same address or the same distance. The tables of
symbols are built only when there is a message.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import EM_ARM, SHN_LORESERVE, SHN_XINDEX, STT_FUNC, STT_SECTION
from kbuildpy.elf.symbols import SymbolTable
from kbuildpy.modpost.versions import Dialect

NEAR = 20


@dataclass(frozen=True)
class _Places:
    """The symbols of a section by their addresses."""

    addresses: list[int]
    """The addresses, sorted."""
    first: dict[int, int]
    """By address: the number of the first symbol there, in the order of the symbol table."""
    last: dict[int, int]
    """By address: the number of the last symbol there."""


@dataclass
class NearestSymbols:
    """Searches for symbols of one module by address."""

    image: ModuleImage
    dialect: Dialect
    _tables: dict[tuple[int | str, bool], _Places] = field(default_factory=dict)

    def name(self, number: int) -> str:
        """The name of symbol `number` as modpost has it when it checks sections: without a compiler's suffix `.123`."""
        return self._names.name(number)

    def before(self, address: int, section: int, section_name: str) -> int | None:
        """The number of the symbol at or before `address` in a section, or None (find_fromsym; before 6.5
        find_elf_symbol2, in all sections of this name)."""
        dialect = self.dialect
        places = self._places(section if dialect.locates_mismatches else section_name)
        place = bisect_right(places.addresses, address) - 1
        if place < 0:
            return None
        found = places.addresses[place]
        if dialect.first_symbol_counts or (dialect.locates_mismatches and found == address):
            return places.first[found]
        return places.last[found]

    def around(self, address: int, number: int) -> int | None:
        """The number of the symbol to name for a relocation with symbol `number` that refers to `address` of its
        section, or None (find_tosym; before 6.5 find_elf_symbol)."""
        section = self.image.symbols.section_index(number)
        if not self.dialect.locates_mismatches:
            st_name, *_ = self.image.symbols.rows[number]
            if st_name:
                return number
            return self._closest(address, self._places(section, no_sections=True))
        if self._is_named(self.name(number)):
            return number
        places = self._places(section)
        if address in places.first:
            return places.first[address]
        after = bisect_right(places.addresses, address)
        near = [value for value in places.addresses[max(after - 1, 0) : after + 1] if abs(value - address) <= NEAR]
        if not near:
            return number if self.dialect.nearest_or_own else None
        if self.dialect.first_symbol_counts:
            return places.first[min(near, key=lambda value: abs(value - address))]
        return min((abs(value - address), -places.last[value]) for value in near)[1] * -1

    def _closest(self, address: int, places: _Places) -> int | None:
        """The nearest symbol before 6.5: addresses are signed numbers of 32 bits, and of equally near symbols the first
        of the symbol table is chosen."""
        address = _signed(address)
        exact = places.first.get(address & (1 << (64 if self.image.header.is_64bit else 32)) - 1)
        if exact is not None:
            return exact
        start, stop = bisect_right(places.addresses, address - NEAR), bisect_left(places.addresses, address + NEAR)
        near = ((abs(value - address), places.first[value]) for value in places.addresses[start:stop])
        return min(near, default=(0, None))[1]

    def _is_named(self, name: str) -> bool:
        return bool(name) and self._mapping.match(name) is None

    def _places(self, section: int | str, *, no_sections: bool = False) -> _Places:
        """The symbols of a section (by index), or of all sections of one name; `no_sections` leaves out section
        symbols."""
        key = section, no_sections
        places = self._tables.get(key)
        if places is None:
            places = self._tables[key] = self._collect(section, no_sections)
        return places

    def _collect(self, section: int | str, no_sections: bool) -> _Places:
        rows = self.image.symbols.rows
        if isinstance(section, int):
            numbers = self._by_section[section]
        else:
            numbers = sorted(number for index in self._same_name[section] for number in self._by_section[index])
        thumb = self.dialect.locates_mismatches and self.image.header.e_machine == EM_ARM
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for number in numbers:
            _, info, _, _, value, _ = rows[number]
            if (no_sections and info & 15 == STT_SECTION) or not self._is_named(self.name(number)):
                continue
            if thumb and info & 15 == STT_FUNC:
                value &= ~1
            first.setdefault(value, number)
            last[value] = number
        return _Places(sorted(first), first, last)

    @cached_property
    def _mapping(self) -> re.Pattern[str]:
        return re.compile(self.dialect.mapping_symbols)

    @cached_property
    def _by_section(self) -> defaultdict[int, list[int]]:
        found: defaultdict[int, list[int]] = defaultdict(list)
        symbols = self.image.symbols
        for number, (_, _, _, section, _, _) in enumerate(symbols.rows):
            if section >= SHN_LORESERVE:
                if section != SHN_XINDEX:
                    continue
                section = symbols.section_index(number)
            found[section].append(number)
        return found

    @cached_property
    def _same_name(self) -> defaultdict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for section in self.image.sections:
            found[section.name].append(section.index)
        return found

    @cached_property
    def _names(self) -> SymbolTable:
        symbols = self.image.symbols
        return SymbolTable(symbols.rows, _cut_suffixes(symbols), (), self.image.filename)


def _cut_suffixes(symbols: SymbolTable) -> bytes:
    """The string table after modpost removed the suffix `.123` of every symbol in it (remove_dot writes a NUL byte).

    Names can share their ends in a string table: `a.b.1` becomes `a.b` if there is also a symbol `b.1`.
    """
    strings = symbols.strings
    starts = sorted({st_name for st_name, *_ in symbols.rows})
    cut = bytearray(strings)
    for found in NUMBER.finditer(strings):
        dot = found.start()
        place = bisect_left(starts, dot) - 1
        if place < 0:
            continue
        start = starts[place]
        if strings.find(b".", start, dot) < 0 and strings.find(b"\0", start, dot) < 0:
            cut[dot] = 0
    return bytes(cut)


def _signed(value: int) -> int:
    """`value` as a 32-bit signed integer."""
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


NUMBER = re.compile(rb"\.[0-9]+(?=[.\0])")
