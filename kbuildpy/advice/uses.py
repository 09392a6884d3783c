# SPDX-License-Identifier: GPL-2.0-only
"""The places in the sources of a module where its object refers to a symbol, or has a given offset of a section.

The debug information tells the line, as for a trace. Without it, the function or variable that the reference lies in is
known from the symbol table, and the line from the text of the sources. Variables have no lines in the line table:
there the text decides in either case.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from kbuildpy.advice.source_text import Definition, SourceText, read_source
from kbuildpy.debug.debug_info import DebugInfo
from kbuildpy.elf import ModuleImage, Section
from kbuildpy.elf.constants import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHN_LORESERVE,
    SHN_XINDEX,
    SHT_REL,
    SHT_RELA,
    STT_FUNC,
    STT_NOTYPE,
    STT_OBJECT,
)
from kbuildpy.elf.relocations import decode_entries, relocation_symbols
from kbuildpy.errors import KbuildError
from kbuildpy.source_place import Place

_MOST_LOOKED_AT = 24
"""References to one symbol that are looked at: one line often has several."""
_ALIASES = ("init_module", "cleanup_module")


class Reference(NamedTuple):
    """A place in a module object."""

    section: Section
    offset: int


class _Symbol(NamedTuple):
    """A function or a variable of the object."""

    start: int
    stop: int
    name: str


@dataclass(frozen=True)
class ModuleSources:
    """A module object with the sources that it was made from."""

    image: ModuleImage = field(repr=False)
    sources: tuple[str, ...]
    """Their paths, where they really are."""
    find: Callable[[str], str] = str
    """Gives the real path of a source that debug information names."""
    shown: Callable[[str], str] = str
    """Gives the path that people know it by."""

    def references(self, symbols: Collection[str]) -> dict[str, list[Reference]]:
        """Where the object refers to each of `symbols`, in the order of the file."""
        wanted = set(symbols)
        table = self.image.symbols
        offsets: dict[int, str] = {}
        for name in wanted:
            encoded = name.encode("utf-8", "surrogateescape")
            offsets.update((at, name) for at in table.starting_with(encoded) if table.text(at) == name)
        numbers = {number: offsets[row[0]] for number, row in enumerate(table.rows) if row[0] in offsets}
        found: dict[str, list[Reference]] = {name: [] for name in wanted}
        for section in self.image.sections:
            if section.type not in (SHT_REL, SHT_RELA) or section.info >= len(self.image.sections):
                continue
            target = self.image.sections[section.info]
            if not target.flags & SHF_ALLOC or _is_bookkeeping(target.name):
                continue
            contents = self.image.section_data(section)
            column = relocation_symbols(contents, section, self.image.header)
            if numbers.keys().isdisjoint(column):
                continue
            places = [index for index, number in enumerate(column) if number in numbers]
            for entry in decode_entries(contents, places, section, self.image.header):
                found[numbers[entry.symbol]].append(Reference(target, entry.offset))
        return found

    def places(self, name: str, references: Sequence[Reference]) -> list[Place]:
        """The lines with the symbol `name` at `references`, each once."""
        found: dict[tuple[str, int | None], Place] = {}
        for reference in references[:_MOST_LOOKED_AT]:
            for place in self._places(name, reference):
                found.setdefault((place.file, place.line), place)
        return list(found.values())

    def definition(self, section: Section, offset: int, name: str) -> Place | None:
        """Where the sources define the function or variable `name`, which lies at `offset` of `section`."""
        symbol = self.symbol_at(section, offset)
        name = source_name(name if name and not name.startswith("(") else symbol.name if symbol else "")
        for source, definition in self._definitions(name):
            return Place(name, self.shown(source.path), source.line(definition.start))
        if section.flags & SHF_EXECINSTR and symbol is not None:
            own = self._own(self._debug_places(section, symbol.start))
            if own is not None:
                return own
        return Place(name, "", None) if name else None

    def at(self, section: Section, offset: int, name: str, word: str) -> Place | None:
        """The place of the reference at `offset` of `section` (in the symbol `name`) to the symbol `word`; "" for none,
        which is the code there itself."""
        found = self._places(word, Reference(section, offset)) if word or section.flags & SHF_EXECINSTR else []
        return found[0] if found else self.definition(section, offset, name)

    def symbol_at(self, section: Section, offset: int) -> _Symbol | None:
        """The function or variable that has `offset` of `section`; without sizes, the one that begins before it."""
        symbols = self._symbols.get(section.index, [])
        index = bisect_right(symbols, offset, key=lambda symbol: symbol.start) - 1
        return symbols[index] if index >= 0 else None

    def _places(self, word: str, reference: Reference) -> list[Place]:
        section, offset = reference
        symbol = self.symbol_at(section, offset)
        if section.flags & SHF_EXECINSTR:
            own = self._own(self._debug_places(section, offset))
            if own is not None:
                return [own]
        name = source_name(symbol.name) if symbol else ""
        defined = list(self._definitions(name))
        lines = [
            Place(name, self.shown(source.path), line)
            for source, definition in defined
            for line in source.uses(word, within=definition)
        ]
        # (else it is in a function that was inlined there)
        lines = lines or (list(self._in_bodies(word)) if word else [])
        if lines or not name:
            return lines
        for source, definition in defined:
            return [Place(name, self.shown(source.path), source.line(definition.start))]
        return [Place(name, "", None)]

    def _in_bodies(self, word: str) -> Iterator[Place]:
        """The lines with `word` in the functions and initializers of all sources."""
        for path in self.sources:
            source = read_source(path)
            if source is None or word.encode() not in source.text:
                continue
            for definition in source.definitions:
                if definition.name != word:
                    for line in source.uses(word, within=definition):
                        yield Place(definition.name, self.shown(path), line)

    def _debug_places(self, section: Section, offset: int) -> tuple[Place, ...]:
        try:
            return self._debug.places(section, offset) if self._debug.is_there else ()
        except KbuildError:
            return ()  # (the symbol table and the text still tell the function)

    def _own(self, places: Sequence[Place]) -> Place | None:
        """The innermost of `places` that is in a source of the module; if there is none, the innermost. (A header's
        inline function is where the kernel uses the symbol, not the module.)"""
        known = set(self.sources)
        for place in places:
            real = self.find(place.file)
            if place.line and (real in known or self.shown(real) in known):
                return place._replace(file=self.shown(real))
        for place in reversed(places):
            if place.file and place.line:
                return place._replace(file=self.shown(self.find(place.file)))
        return None

    def _definitions(self, name: str) -> Iterator[tuple[SourceText, Definition]]:
        """The sources that define `name`."""
        if not name:
            return
        for path in self.sources:
            source = read_source(path)
            definition = source.definition(name) if source else None
            if source is not None and definition is not None:
                yield source, definition

    @cached_property
    def _debug(self) -> DebugInfo:
        return DebugInfo(self.image)

    @cached_property
    def _symbols(self) -> dict[int, list[_Symbol]]:
        """The functions and variables of each section, by address."""
        found: dict[int, list[_Symbol]] = {}
        table = self.image.symbols
        for number, (st_name, info, _, shndx, value, size) in enumerate(table.rows):
            if info & 15 not in (STT_FUNC, STT_OBJECT, STT_NOTYPE) or not st_name or not shndx:
                continue
            if shndx >= SHN_LORESERVE:
                if shndx != SHN_XINDEX:
                    continue
                shndx = table.section_index(number)
            name = table.text(st_name)
            if not name.startswith((".L", "$", "__pfx_", "__cfi_")):
                found.setdefault(shndx, []).append(_Symbol(value, value + size, name))
        for symbols in found.values():
            # (of several at one place the last counts: the function, by the name that the source gives it)
            symbols.sort(key=lambda symbol: (symbol.start, symbol.stop, symbol.name not in _ALIASES))
        return found


def source_name(symbol: str) -> str:
    """A symbol by the name that the source has for it: without what compilers add (`f.part.0`, `x.12`)."""
    return symbol.partition(".")[0] or symbol


def _is_bookkeeping(name: str) -> bool:
    """Whether a section refers to code for tools and tracers alone."""
    return name.startswith(("__mcount_loc", "__patchable_function_entries", ".orc_", "__bug_table", ".eh_frame"))
