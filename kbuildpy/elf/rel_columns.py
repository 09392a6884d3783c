# SPDX-License-Identifier: GPL-2.0-only
"""A 32-bit SHT_REL section as columns (`rela_columns`). The addends are where the relocations write to."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection

from kbuildpy.elf.rela_columns import RelaColumns

ENTRY_SIZE = 8


def decode_rel_columns(table: bytes, order: str, *, target: bytes | memoryview, kinds: Collection[int]) -> RelaColumns:
    """Decode `table`; bytes behind the last whole entry are not read.

    `target` is the contents of the section that is relocated. An addend is read there if its type, one of `kinds`,
    writes a number of 32 bits; it is 0 for all others, and for those that are outside of the contents.
    """
    entries = list(struct.iter_unpack(f"{order}II", table[: len(table) // ENTRY_SIZE * ENTRY_SIZE]))
    number = struct.Struct(f"{order}i")
    last = len(target) - number.size
    return RelaColumns(
        array("Q", [offset for offset, _ in entries]),
        array("I", [word & 0xFF for _, word in entries]),
        array("I", [word >> 8 for _, word in entries]),
        array(
            "q",
            [
                number.unpack_from(target, offset)[0] if word & 0xFF in kinds and offset <= last else 0
                for offset, word in entries
            ],
        ),
    )
