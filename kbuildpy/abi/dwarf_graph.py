# SPDX-License-Identifier: GPL-2.0-only
"""The types that a module was compiled with, from its DWARF. A type is the offset of its entry in `.debug_info`."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.abi.type_graph import VOID, Form, Type, TypePart, follow
from kbuildpy.debug import forms
from kbuildpy.debug.abbreviations import Abbreviation
from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.debug_info import DebugInfo
from kbuildpy.debug.entries import EntryReader, Value
from kbuildpy.debug.leb128 import read_uleb

_COMPOSITE = {forms.TAG_STRUCTURE_TYPE: (Form.STRUCT, "struct"), forms.TAG_UNION_TYPE: (Form.UNION, "union")}
_QUALIFIERS = {
    forms.TAG_CONST_TYPE: "const",
    forms.TAG_VOLATILE_TYPE: "volatile",
    forms.TAG_RESTRICT_TYPE: "restrict",
    forms.TAG_ATOMIC_TYPE: "_Atomic",
}
_PLUS_UCONST = 0x23
"""DW_OP_plus_uconst, by which old compilers tell the offset of a member."""

Attributes = dict[int, Value]


class DwarfGraph:
    """The types in the debug information of one module."""

    def __init__(self, info: DebugInfo) -> None:
        self._info = info
        self._types: dict[int, Type] = {0: VOID}
        self._real: dict[int, tuple[int, tuple[str, ...]]] = {}

    def at(self, number: int) -> Type:
        """The type whose entry is at `number`."""
        found = self._types.get(number)
        if found is None:
            found = self._types[number] = self._read(number)
        return found

    def real(self, number: int) -> tuple[int, tuple[str, ...]]:
        """The type behind typedefs and qualifiers, and their names."""
        found = self._real.get(number)
        if found is None:
            found = self._real[number] = follow(self, number)
        return found

    def target(self, reader: EntryReader, attributes: Attributes) -> int:
        """The type that an entry is of."""
        value = attributes.get(forms.AT_TYPE)
        return (reader.target(value) or 0) if value else 0

    def _read(self, offset: int) -> Type:
        reader = self._info.unit_of(offset)
        if reader is None:
            raise DamagedDebugInfo(f"there is no unit with the entry at {offset:#x}")
        entry, at = reader.abbreviation(offset)
        if entry is None:
            return VOID
        attributes, _ = reader.attributes(entry, at)
        name = reader.text(attributes[forms.AT_NAME]) if forms.AT_NAME in attributes else ""
        size, target = _number(attributes, forms.AT_BYTE_SIZE), self.target(reader, attributes)
        if entry.tag in _COMPOSITE:
            form, keyword = _COMPOSITE[entry.tag]
            if forms.AT_DECLARATION in attributes:
                return Type(Form.FORWARD, name, 0, 0, (), 0, keyword)
            return Type(form, name, size, 0, tuple(self._members(reader, offset)), 0, keyword)
        if entry.tag == forms.TAG_ENUMERATION_TYPE:
            if forms.AT_DECLARATION in attributes:
                return Type(Form.FORWARD, name, 0, 0, (), 0, "enum")
            return Type(Form.ENUM, name, size, 0, tuple(self._values(reader, offset)), 0, "enum")
        if entry.tag == forms.TAG_BASE_TYPE:
            return Type(Form.NUMBER, name, size)
        if entry.tag == forms.TAG_POINTER_TYPE:
            return Type(Form.POINTER, "", size, target)
        if entry.tag == forms.TAG_ARRAY_TYPE:
            return self._array(reader, offset, target)
        if entry.tag == forms.TAG_TYPEDEF:
            return Type(Form.ALIAS, name, 0, target, (), 0, "typedef")
        if entry.tag in _QUALIFIERS:
            return Type(Form.ALIAS, _QUALIFIERS[entry.tag], 0, target)
        if entry.tag in (forms.TAG_SUBROUTINE_TYPE, forms.TAG_SUBPROGRAM):
            return self._function(reader, offset, target)
        return VOID

    def _children(self, reader: EntryReader, offset: int) -> Iterator[tuple[int, int, Attributes]]:
        """The entries directly below the one at `offset`: offset, tag and attributes."""
        for depth, start, entry, at in reader.below(offset):
            if depth == 1:
                yield start, entry.tag, reader.attributes(entry, at)[0]

    def _members(self, reader: EntryReader, offset: int) -> Iterator[TypePart]:
        for _, tag, attributes in self._children(reader, offset):
            if tag != forms.TAG_MEMBER:
                continue
            name = reader.text(attributes[forms.AT_NAME]) if forms.AT_NAME in attributes else ""
            width = _number(attributes, forms.AT_BIT_SIZE)
            target = self.target(reader, attributes)
            yield TypePart(name, target, self._place(reader, attributes, target, width), width)

    def _place(self, reader: EntryReader, attributes: Attributes, target: int, width: int) -> int:
        """The offset of a member in bits."""
        if forms.AT_DATA_BIT_OFFSET in attributes:
            return _number(attributes, forms.AT_DATA_BIT_OFFSET)
        value = attributes.get(forms.AT_DATA_MEMBER_LOCATION)
        place = 0
        if value is not None and value.form in forms.BLOCKS:
            at = value.number + (forms.BLOCKS[value.form] or 1)
            if reader.info.contents[at] != _PLUS_UCONST:
                raise DamagedDebugInfo("the offset of a member is computed")
            place, _ = read_uleb(reader.info.contents, at + 1)
        elif value is not None:
            place = value.number
        if width and forms.AT_BIT_OFFSET in attributes:
            # (before DWARF 4: counted from the highest bit of what the bit-field is a part of)
            size = _number(attributes, forms.AT_BYTE_SIZE) or self.at(self.real(target)[0]).size
            return 8 * place + 8 * size - _number(attributes, forms.AT_BIT_OFFSET) - width
        return 8 * place

    def _values(self, reader: EntryReader, offset: int) -> Iterator[TypePart]:
        for _, tag, attributes in self._children(reader, offset):
            if tag == forms.TAG_ENUMERATOR:
                name = reader.text(attributes[forms.AT_NAME])
                yield TypePart(name, _number(attributes, forms.AT_CONST_VALUE))

    def _array(self, reader: EntryReader, offset: int, target: int) -> Type:
        """An array; one of several dimensions is an array of arrays, whose numbers are made up: negative ones."""
        counts = []
        for _, tag, attributes in self._children(reader, offset):
            if tag == forms.TAG_SUBRANGE_TYPE:
                bound = attributes.get(forms.AT_UPPER_BOUND)
                count = _number(attributes, forms.AT_COUNT)
                counts.append(bound.number + 1 if bound and bound.form not in forms.BLOCKS else count)
        for number, count in reversed(list(enumerate(counts))[1:]):
            made_up = -(offset * 16 + number)
            self._types[made_up] = Type(Form.ARRAY, "", 0, target, (), count)
            target = made_up
        return Type(Form.ARRAY, "", 0, target, (), counts[0] if counts else 0)

    def _function(self, reader: EntryReader, offset: int, target: int) -> Type:
        parts, variable = [], 0
        for _, tag, attributes in self._children(reader, offset):
            if tag == forms.TAG_FORMAL_PARAMETER:
                name = reader.text(attributes[forms.AT_NAME]) if forms.AT_NAME in attributes else ""
                parts.append(TypePart(name, self.target(reader, attributes)))
            elif tag == forms.TAG_UNSPECIFIED_PARAMETERS:
                variable = 1
        return Type(Form.FUNCTION, "", 0, target, tuple(parts), variable)


def name_of_entry(reader: EntryReader, entry: Abbreviation, at: int) -> str:
    """The name of an entry, without reading its other attributes twice; "" if it has none."""
    attributes, _ = reader.attributes(entry, at)
    return reader.text(attributes[forms.AT_NAME]) if forms.AT_NAME in attributes else ""


def _number(attributes: Attributes, name: int) -> int:
    found = attributes.get(name)
    return found.number if found else 0
