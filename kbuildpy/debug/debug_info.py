# SPDX-License-Identifier: GPL-2.0-only
"""What the debug information of one file says of an address."""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from kbuildpy.debug import forms
from kbuildpy.debug.abbreviations import Abbreviation, read_abbreviations
from kbuildpy.debug.address_ranges import Range, base_of_unit, ranges_of
from kbuildpy.debug.aranges import read_aranges
from kbuildpy.debug.damage import readable
from kbuildpy.debug.debug_sections import DebugSections
from kbuildpy.debug.entries import EntryReader
from kbuildpy.debug.inlined import Function, Inlined, calls_at, functions_of, inlined_in, name_of
from kbuildpy.debug.lines import LineTable, read_lines
from kbuildpy.debug.units import UnitHeader, read_unit_headers
from kbuildpy.elf import ModuleImage, Section
from kbuildpy.source_place import Place


@dataclass(frozen=True)
class _Unit:
    """A unit whose first entry was read."""

    reader: EntryReader
    base: int
    ranges: tuple[Range, ...]

    @property
    def directory(self) -> str:
        """Where it was compiled."""
        return self._text(forms.AT_COMP_DIR)

    @property
    def name(self) -> str:
        """Its source file."""
        return self._text(forms.AT_NAME)

    def _text(self, name: int) -> str:
        found = self.reader.root_attributes.get(name)
        return self.reader.text(found) if found else ""


class DebugInfo:
    """The debug information of `image`. It is read as far as questions need it."""

    def __init__(self, image: ModuleImage) -> None:
        self.image = image
        self._sections = DebugSections(image)
        self._tables: dict[tuple[int, int, int, int], dict[int, Abbreviation]] = {}
        self._lines: dict[int, LineTable | None] = {}
        self._functions: dict[int, list[Function]] = {}
        self._inlined: dict[int, list[Inlined]] = {}
        self._units: dict[int, _Unit] = {}

    @cached_property
    def is_there(self) -> bool:
        """Whether the file has debug information at all."""
        with readable(self.image.filename):
            return "info" in self._sections

    def places(self, section: Section, offset: int) -> tuple[Place, ...]:
        """The place of the code at `offset` of `section`, and the places of the calls that it is inlined by, from the
        innermost on. None at all where the debug information does not have that code; a function without a name where
        it has no function there.

        Raises `KbuildError` for debug information that is damaged.
        """
        with readable(self.image.filename):
            address = self._sections.addresses.get(section.index, 0) + offset
            for start in self._units_at(address):
                unit = self._unit(start)
                if any(low <= address < high for low, high in unit.ranges):
                    places = self._places(unit, address)
                    if places:
                        return places
            return ()

    def sources(self) -> tuple[tuple[str, str], ...]:
        """Of each unit that was asked so far: the directory in which it was compiled, and its source file, as the
        compiler was told them."""
        with readable(self.image.filename):
            return tuple((unit.directory, unit.name) for unit in self._units.values())

    def units(self) -> Iterator[EntryReader]:
        """The reader of each unit. Damage that it finds is to be made an error by `readable`."""
        for start in self._headers:
            yield self._unit(start).reader

    def unit_of(self, offset: int) -> EntryReader | None:
        """The reader of the unit that has the entry at `offset`; None if there is none."""
        return self._reader_at(offset)

    def file(self, reader: EntryReader, number: int) -> str:
        """The path of the source file that a unit has under `number`; "" if it is not told."""
        unit = self._unit(reader.header.start)
        lines = self._lines_of(unit)
        return lines.path(number, unit.directory) if lines else ""

    def source(self, reader: EntryReader) -> str:
        """The path of the source file that a unit was compiled from."""
        unit = self._unit(reader.header.start)
        return posixpath.normpath(posixpath.join(unit.directory, unit.name))

    def _places(self, unit: _Unit, address: int) -> tuple[Place, ...]:
        lines = self._lines_of(unit)
        row = lines.row(address) if lines else None
        if lines is None or row is None:
            return ()
        number, line = row
        places: list[Place] = []
        function = self._function(unit, address)
        calls = calls_at(unit.reader, function, self._inlined_in(unit, function), address) if function else []
        for call in calls:
            name = name_of(call, self._reader_at, unit.reader)
            places.append(Place(name, lines.path(number, unit.directory), line or None))
            number, line = call.call_file, call.call_line
        return tuple(places) or (Place("", lines.path(number, unit.directory), line or None),)

    def _inlined_in(self, unit: _Unit, function: Function) -> list[Inlined]:
        if function.entry not in self._inlined:
            self._inlined[function.entry] = inlined_in(unit.reader, function, unit.base)
        return self._inlined[function.entry]

    def _function(self, unit: _Unit, address: int) -> Function | None:
        start = unit.reader.header.start
        if start not in self._functions:
            self._functions[start] = functions_of(unit.reader, unit.base)
        best, best_length = None, 0
        for function in self._functions[start]:
            for low, high in function.ranges:
                if low <= address < high and (best is None or high - low <= best_length):
                    best, best_length = function, high - low
        return best

    def _lines_of(self, unit: _Unit) -> LineTable | None:
        listed = unit.reader.root_attributes.get(forms.AT_STMT_LIST)
        if listed is None:
            return None
        if listed.number not in self._lines:
            size = unit.reader.header.address_size
            self._lines[listed.number] = read_lines(self._sections, listed.number, size)
        return self._lines[listed.number]

    def _units_at(self, address: int) -> Iterator[int]:
        """The offsets of the units that may have code at `address`: those of which `.debug_aranges` says so, then
        those that it does not mention."""
        listed, unlisted = self._aranges
        yield from dict.fromkeys(unit for low, high, unit in listed if low <= address < high and unit in self._headers)
        yield from unlisted

    @cached_property
    def _aranges(self) -> tuple[list[tuple[int, int, int]], list[int]]:
        listed = list(read_aranges(self._sections["aranges"]))
        mentioned = {unit for _, _, unit in listed}
        return listed, [start for start in self._headers if start not in mentioned]

    @cached_property
    def _headers(self) -> dict[int, UnitHeader]:
        """The units by their offsets, in order."""
        return {header.start: header for header in read_unit_headers(self._sections["info"])}

    @cached_property
    def _starts(self) -> list[int]:
        return list(self._headers)

    def _reader_at(self, offset: int) -> EntryReader | None:
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self._headers[self._starts[index]].stop:
            return None
        return self._unit(self._starts[index]).reader

    def _unit(self, start: int) -> _Unit:
        if start not in self._units:
            self._units[start] = self._read_unit(self._headers[start])
        return self._units[start]

    def _read_unit(self, header: UnitHeader) -> _Unit:
        sizes = header.abbreviations, header.version, header.address_size, header.offset_size
        if sizes not in self._tables:
            self._tables[sizes] = read_abbreviations(
                self._sections["abbrev"].contents,
                header.abbreviations,
                version=header.version,
                address_size=header.address_size,
                offset_size=header.offset_size,
            )
        reader = EntryReader(self._sections, self._sections["info"], header, self._tables[sizes])
        base = base_of_unit(reader, reader.root_attributes)
        return _Unit(reader, base, ranges_of(reader, reader.root_attributes, base))
