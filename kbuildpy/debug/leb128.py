# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of variable length (DWARF 5, section 7.6)."""

from __future__ import annotations

from kbuildpy.debug.damage import DamagedDebugInfo

_LONGEST = 19
"""Bytes that a number may take: 128 bits. Producers pad, but nothing needs more, and longer ones only cost time."""


def read_uleb(contents: bytes, at: int) -> tuple[int, int]:
    """The unsigned number at `at`, and where it ends."""
    byte = contents[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    for place in range(at + 1, at + _LONGEST):
        byte = contents[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise DamagedDebugInfo("a number without an end")


def read_sleb(contents: bytes, at: int) -> tuple[int, int]:
    """The signed number at `at`, and where it ends."""
    number, stop = read_uleb(contents, at)
    bits = 7 * (stop - at)
    return number - (1 << bits) if number >> (bits - 1) else number, stop
