# SPDX-License-Identifier: GPL-2.0-only
"""The units of `.debug_info`, one for each source file that was compiled (DWARF 5, section 7.5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.debug_sections import DebugSection

_TYPE_UNITS = (0x02, 0x06)
_SKELETON, _SPLIT_COMPILE = 0x04, 0x05


@dataclass(frozen=True, slots=True)
class UnitHeader:
    """Where a unit is, and how its numbers are written."""

    start: int
    """Its offset in the section: references within the unit count from here."""
    entries: int
    """The offset of its first entry."""
    stop: int
    version: int
    address_size: int
    offset_size: int
    abbreviations: int
    """The offset of its table in `.debug_abbrev`."""


def read_unit_headers(info: DebugSection) -> Iterator[UnitHeader]:
    """The units of the section but those that only describe types. Raises `DamagedDebugInfo` for a version of DWARF
    other than 2 to 5."""
    at, end = 0, len(info.contents)
    while at < end:
        start = at
        at, stop, offset_size = info.initial_length(at)
        version = info.plain(at, 2)
        at += 2
        if not 2 <= version <= 5:
            raise DamagedDebugInfo(f"the unit at {start:#x} is of DWARF version {version}")
        kind = 0
        if version == 5:
            kind, address_size = info.plain(at, 1), info.plain(at + 1, 1)
            abbreviations = info.number(at + 2, offset_size)
            at += 2 + offset_size + (8 if kind in (_SKELETON, _SPLIT_COMPILE) else 0)
        else:
            abbreviations = info.number(at, offset_size)
            address_size = info.plain(at + offset_size, 1)
            at += offset_size + 1
        if address_size not in (4, 8):
            raise DamagedDebugInfo(f"the unit at {start:#x} has addresses of {address_size} bytes")
        if kind not in _TYPE_UNITS:
            yield UnitHeader(start, at, stop, version, address_size, offset_size, abbreviations)
        at = stop
