# SPDX-License-Identifier: GPL-2.0-only
"""The addresses that an entry covers (DWARF 5, section 2.17): one range, or a list of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kbuildpy.debug import forms
from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.entries import EntryReader, Value
from kbuildpy.debug.leb128 import read_uleb

Range = tuple[int, int]
"""The first address, and the first one after the last."""

_END, _BASE_ADDRESSX, _STARTX_ENDX, _STARTX_LENGTH, _OFFSET_PAIR = range(5)
_BASE_ADDRESS, _START_END, _START_LENGTH = 5, 6, 7


def ranges_of(reader: EntryReader, attributes: Mapping[int, Value], base: int) -> tuple[Range, ...]:
    """The ranges of an entry with these `attributes`, empty ones left out; `base` is the unit's first address."""
    listed = attributes.get(forms.AT_RANGES)
    if listed is not None:
        found = _listed(reader, listed, base)
    else:
        low, high = attributes.get(forms.AT_LOW_PC), attributes.get(forms.AT_HIGH_PC)
        start = reader.address(low) if low else None
        if low is None or high is None or start is None:
            return ()
        end = reader.address(high)
        found = iter([(start, start + high.number if end is None else end)])
    return tuple((start, stop) for start, stop in found if start < stop)


def base_of_unit(reader: EntryReader, attributes: Mapping[int, Value]) -> int:
    """The address that the unit's lists count from: DW_AT_low_pc of its first entry, whose `attributes` these are."""
    low = attributes.get(forms.AT_LOW_PC)
    return (reader.address(low) if low else None) or 0


def _listed(reader: EntryReader, listed: Value, base: int) -> Iterator[Range]:
    if reader.header.version < 5:
        return _of_ranges(reader, listed.number, base)
    at = listed.number
    if listed.form == forms.FORM_RNGLISTX:
        table, size = reader.base(forms.AT_RNGLISTS_BASE, 0), reader.header.offset_size
        at = table + reader.sections["rnglists"].number(table + at * size, size)
    return _of_rnglists(reader, at, base)


def _of_ranges(reader: EntryReader, at: int, base: int) -> Iterator[Range]:
    """A list of `.debug_ranges`, as DWARF 3 and 4 have it."""
    section, size = reader.sections["ranges"], reader.header.address_size
    selector = (1 << 8 * size) - 1
    while True:
        start, stop = section.number(at, size), section.number(at + size, size)
        at += 2 * size
        if start == selector:
            base = stop
        elif start or stop:
            yield base + start, base + stop
        else:
            return


def _of_rnglists(reader: EntryReader, at: int, base: int) -> Iterator[Range]:
    section, size = reader.sections["rnglists"], reader.header.address_size
    contents = section.contents
    while True:
        kind = contents[at]
        at += 1
        if kind == _END:
            return
        if kind in (_BASE_ADDRESS, _START_END, _START_LENGTH):
            start = section.number(at, size)
            at += size
            if kind == _BASE_ADDRESS:
                base = start
            elif kind == _START_END:
                yield start, section.number(at, size)
                at += size
            else:
                length, at = read_uleb(contents, at)
                yield start, start + length
            continue
        first, at = read_uleb(contents, at)
        if kind == _BASE_ADDRESSX:
            base = reader.indexed_address(first)
            continue
        second, at = read_uleb(contents, at)
        if kind == _STARTX_ENDX:
            yield reader.indexed_address(first), reader.indexed_address(second)
        elif kind == _STARTX_LENGTH:
            start = reader.indexed_address(first)
            yield start, start + second
        elif kind == _OFFSET_PAIR:
            yield base + first, base + second
        else:
            raise DamagedDebugInfo(f"a list of ranges has an entry of kind {kind}")
