# SPDX-License-Identifier: GPL-2.0-only
"""The function at an address, and the calls inlined there.

Of several that cover the address the one with the shortest range counts, of equal ones the later, as in binutils
(bfd/dwarf2.c: lookup_address_in_function_table): that is the innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kbuildpy.debug import forms
from kbuildpy.debug.address_ranges import Range, ranges_of
from kbuildpy.debug.entries import EntryReader, Value

_DEEPEST = 16
"""Entries that may refer to each other for a name."""
_FUNCTIONS = frozenset({forms.TAG_SUBPROGRAM})


@dataclass(frozen=True)
class Call:
    """A function at an address: the innermost one, or one that another is inlined into."""

    origin: Value | None
    """Where the function itself is described, if the entry is only a copy of it."""
    name: str
    """As the entry has it; "" for a copy."""
    call_file: int
    """Of an inlined function: the number of the file where it is called."""
    call_line: int


@dataclass(frozen=True)
class Function:
    """A function that is there as code."""

    entry: int
    ranges: Sequence[Range]


@dataclass(frozen=True)
class Inlined:
    """A call that was inlined."""

    ranges: Sequence[Range]
    chain: tuple[int, ...]
    """The offsets of the entries of the inlined calls around it, from the outermost on, and its own."""


def functions_of(reader: EntryReader, base: int) -> list[Function]:
    """The functions of a unit that have code; `base` is the unit's first address."""
    found = []
    for start, abbreviation, at in reader.top_level(_FUNCTIONS):
        named = {name for name, _, _ in abbreviation.attributes}
        if named & {forms.AT_RANGES, forms.AT_LOW_PC}:
            ranges = ranges_of(reader, reader.attributes(abbreviation, at)[0], base)
            if ranges:
                found.append(Function(start, ranges))
    return found


def inlined_in(reader: EntryReader, function: Function, base: int) -> list[Inlined]:
    """The calls that are inlined in `function`, each behind those around it."""
    found = []
    above: list[tuple[int, int]] = []  # the inlined functions around, each with its depth
    for depth, start, abbreviation, at in reader.below(function.entry):
        while above and above[-1][0] >= depth:
            above.pop()
        if abbreviation.tag != forms.TAG_INLINED_SUBROUTINE:
            continue
        above.append((depth, start))
        ranges = ranges_of(reader, reader.attributes(abbreviation, at)[0], base)
        if ranges:
            found.append(Inlined(ranges, tuple(entry for _, entry in above)))
    return found


def calls_at(reader: EntryReader, function: Function, inlined: Sequence[Inlined], address: int) -> list[Call]:
    """The calls at `address` in `function`, from the innermost to the function itself; `inlined` are those in it."""
    chain: tuple[int, ...] = (function.entry,)
    best = _length(function.ranges, address) or 0
    for each in inlined:
        length = _length(each.ranges, address)
        if length is not None and length <= best:
            best, chain = length, (function.entry, *each.chain)
    return [_call(reader, entry) for entry in reversed(chain)]


def _length(ranges: Sequence[Range], address: int) -> int | None:
    return min((stop - start for start, stop in ranges if start <= address < stop), default=None)


def _call(reader: EntryReader, entry: int) -> Call:
    abbreviation, at = reader.abbreviation(entry)
    found = reader.attributes(abbreviation, at)[0] if abbreviation else {}

    def number(name: int) -> int:
        return found[name].number if name in found else 0

    return Call(_origin(found), _name(reader, found), number(forms.AT_CALL_FILE), number(forms.AT_CALL_LINE))


def name_of(call: Call, reader_at: Callable[[int], EntryReader | None], reader: EntryReader) -> str:
    """The function's name, for which its description may be in another unit: `reader_at` gets the reader of an offset
    in `.debug_info`. "" if it has none."""
    name, origin = call.name, call.origin
    for _ in range(_DEEPEST):
        target = reader.target(origin) if origin and not name else None
        found = reader_at(target) if target is not None else None
        if target is None or found is None:
            break
        reader = found
        abbreviation, at = reader.abbreviation(target)
        attributes = reader.attributes(abbreviation, at)[0] if abbreviation else {}
        name, origin = _name(reader, attributes), _origin(attributes)
    return name


def _origin(attributes: dict[int, Value]) -> Value | None:
    return attributes.get(forms.AT_ABSTRACT_ORIGIN) or attributes.get(forms.AT_SPECIFICATION)


def _name(reader: EntryReader, attributes: dict[int, Value]) -> str:
    for name in (forms.AT_LINKAGE_NAME, forms.AT_MIPS_LINKAGE_NAME, forms.AT_NAME):
        if name in attributes:
            return reader.text(attributes[name])
    return ""
