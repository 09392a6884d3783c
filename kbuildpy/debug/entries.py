# SPDX-License-Identifier: GPL-2.0-only
"""The entries of one unit: reading one, and passing over many.

A unit of a small driver has 10^4 entries, nearly all of them types of the kernel's headers. They are passed over
without being decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from kbuildpy.debug import forms
from kbuildpy.debug.abbreviations import Abbreviation
from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.debug_sections import DebugSection, DebugSections
from kbuildpy.debug.forms import FIXED, end_of_form, fixed_size
from kbuildpy.debug.leb128 import read_sleb, read_uleb
from kbuildpy.debug.units import UnitHeader


class Value(NamedTuple):
    """One attribute: its form, and the number in it, relocated; for a block or a string the offset where it begins."""

    form: int
    number: int


@dataclass(frozen=True)
class EntryReader:
    """Reads the entries of one unit."""

    sections: DebugSections
    info: DebugSection
    header: UnitHeader
    abbreviations: dict[int, Abbreviation]

    def abbreviation(self, at: int) -> tuple[Abbreviation | None, int]:
        """The abbreviation of the entry at `at`, and where its attributes begin; None for the end of a list of
        children."""
        if not self.header.entries <= at < self.header.stop:
            raise DamagedDebugInfo(f"an entry at {at:#x} is outside its unit")
        code, at = read_uleb(self.info.contents, at)
        if not code:
            return None, at
        found = self.abbreviations.get(code)
        if found is None:
            raise DamagedDebugInfo(f"the entry at {at:#x} has no abbreviation")
        return found, at

    @cached_property
    def root_attributes(self) -> dict[int, Value]:
        """The attributes of the unit's first entry."""
        root, at = self.abbreviation(self.header.entries)
        return self.attributes(root, at)[0] if root else {}

    def attributes(self, abbreviation: Abbreviation, at: int) -> tuple[dict[int, Value], int]:
        """The attributes that begin at `at`, by their names, and where they end."""
        found = {}
        for name, form, implicit in abbreviation.attributes:
            if form == forms.FORM_INDIRECT:
                form, at = read_uleb(self.info.contents, at)
            found[name], at = self._value(form, at, implicit)
        return found, at

    def _value(self, form: int, at: int, implicit: int) -> tuple[Value, int]:
        header, info = self.header, self.info
        size = fixed_size(
            form, version=header.version, address_size=header.address_size, offset_size=header.offset_size
        )
        if form == forms.FORM_IMPLICIT_CONST:
            return Value(form, implicit), at
        if size is not None:
            number = info.number(at, size) if size in (1, 2, 3, 4, 8) else 1 if size == 0 else at
            return Value(form, number), at + size
        if form in forms.NUMBERS:
            number, stop = (read_sleb if form == forms.FORM_SDATA else read_uleb)(info.contents, at)
            return Value(form, number), stop
        return Value(form, at), end_of_form(form, info.contents, at, self.sections.image.header.order)

    def skip(self, abbreviation: Abbreviation, at: int) -> int:
        """Where the attributes end that begin at `at`."""
        contents = self.info.contents
        for step in abbreviation.steps:
            if step >= 0:
                at += step
            elif step == -forms.FORM_STRING:
                at = contents.find(b"\0", at) + 1
                if not at:
                    raise DamagedDebugInfo("a string has no end")
            elif step == -forms.FORM_INDIRECT:
                form, at = read_uleb(contents, at)
                _, at = self._value(form, at, 0)
            elif step == -forms.FORM_EXPRLOC and contents[at] < 0x80:
                at += 1 + contents[at]
            else:
                at = end_of_form(-step, contents, at, self.sections.image.header.order)
        return at

    def top_level(self, wanted: frozenset[int]) -> Iterator[tuple[int, Abbreviation, int]]:
        """The entries directly below the unit's first one, and those of namespaces, whose tags are `wanted`: each its
        offset, its abbreviation and where its attributes begin."""
        root, at = self.abbreviation(self.header.entries)
        if root is None or not root.has_children:
            return
        at, depth, open_to = self.skip(root, at), 1, 1
        contents, table, stop = self.info.contents, self.abbreviations, self.header.stop
        while at < stop and depth:
            start = at
            code = contents[at]
            at += 1
            if code >= 0x80:
                code, at = read_uleb(contents, start)
            if not code:
                depth -= 1
                open_to = min(open_to, max(depth, 1))
                continue
            entry = table.get(code)
            if entry is None:
                raise DamagedDebugInfo(f"the entry at {start:#x} has no abbreviation")
            if depth == open_to and entry.tag in wanted:
                yield start, entry, at
            if not entry.has_children:
                at = self.skip(entry, at)
            elif depth == open_to and entry.tag in (forms.TAG_NAMESPACE, forms.TAG_MODULE):
                at, depth, open_to = self.skip(entry, at), depth + 1, open_to + 1
            else:
                sibling = self._sibling(entry, at)
                if sibling > start:
                    at = sibling
                else:
                    at, depth = self.skip(entry, at), depth + 1

    def _sibling(self, entry: Abbreviation, at: int) -> int:
        """Where the entry after the children of this one begins; 0 if it does not say so."""
        if entry.sibling is None:
            return 0
        before, form = entry.sibling
        size = FIXED.get(form)
        if size not in (1, 2, 4, 8):
            return 0
        sibling = self.header.start + self.info.plain(at + before, size)
        return sibling if sibling <= self.header.stop else 0

    def below(self, start: int) -> Iterator[tuple[int, int, Abbreviation, int]]:
        """All entries below the one at `start`: each its depth (1: a child), offset, abbreviation, and where its
        attributes begin."""
        entry, at = self.abbreviation(start)
        if entry is None or not entry.has_children:
            return
        at, depth = self.skip(entry, at), 1
        while depth:
            offset = at
            entry, at = self.abbreviation(at)
            if entry is None:
                depth -= 1
                continue
            yield depth, offset, entry, at
            at = self.skip(entry, at)
            depth += entry.has_children

    def text(self, value: Value) -> str:
        """The string of an attribute; "" for one in another file."""
        sections, header = self.sections, self.header
        if value.form == forms.FORM_STRING:
            return self.info.text(value.number)
        if value.form == forms.FORM_STRP:
            return sections["str"].text(value.number)
        if value.form == forms.FORM_LINE_STRP:
            return sections["line_str"].text(value.number)
        if forms.FORM_STRX1 <= value.form <= forms.FORM_STRX4 or value.form == forms.FORM_STRX:
            at = self.base(forms.AT_STR_OFFSETS_BASE, 8) + value.number * header.offset_size
            return sections["str"].text(sections["str_offsets"].number(at, header.offset_size))
        return ""

    def address(self, value: Value) -> int | None:
        """The address of an attribute; None for a number that is none."""
        if value.form == forms.FORM_ADDR:
            return value.number
        if value.form == forms.FORM_ADDRX or forms.FORM_ADDRX1 <= value.form <= forms.FORM_ADDRX4:
            return self.indexed_address(value.number)
        return None

    def indexed_address(self, index: int) -> int:
        """Address number `index` of the unit in `.debug_addr`."""
        size = self.header.address_size
        return self.sections["addr"].number(self.base(forms.AT_ADDR_BASE, 8) + index * size, size)

    def base(self, name: int, default: int) -> int:
        """Where the unit's part of another section begins: attribute `name` of its first entry."""
        found = self.root_attributes.get(name)
        return found.number if found else default

    def target(self, value: Value) -> int | None:
        """The offset in `.debug_info` that a reference leads to; None for one into another file, or to a type unit."""
        if value.form in (forms.FORM_REF1, forms.FORM_REF2, forms.FORM_REF4, forms.FORM_REF8, forms.FORM_REF_UDATA):
            return self.header.start + value.number
        return value.number if value.form == forms.FORM_REF_ADDR else None
