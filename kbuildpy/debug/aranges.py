# SPDX-License-Identifier: GPL-2.0-only
"""`.debug_aranges`: which unit an address belongs to (DWARF 5, section 6.1.2). clang leaves it out."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.debug_sections import DebugSection


def read_aranges(section: DebugSection) -> Iterator[tuple[int, int, int]]:
    """Each range as its first address, the first one behind it, and the offset of its unit in `.debug_info`."""
    at, end = 0, len(section.contents)
    while at < end:
        start = at
        at, stop, offset_size = section.initial_length(at)
        unit = section.number(at + 2, offset_size)
        size = section.plain(at + 2 + offset_size, 1)
        at += 4 + offset_size
        if size not in (4, 8):
            raise DamagedDebugInfo(f"the set at {start:#x} of .debug_aranges has addresses of {size} bytes")
        # (the pairs are aligned to their size, counted from the beginning of the set)
        at += -(at - start) % (2 * size)
        while at + 2 * size <= stop:
            address, length = section.number(at, size), section.plain(at + size, size)
            at += 2 * size
            if length:
                yield address, address + length, unit
        at = stop
