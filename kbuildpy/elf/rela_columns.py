# SPDX-License-Identifier: GPL-2.0-only
"""A 64-bit SHT_RELA section as columns, for readers that compare one field of all entries.

Most of a module's 10^4..10^6 relocations have one type: a set or a slice of a column answers a question about all of
them, where rows would cost a tuple each.
"""

from __future__ import annotations

import sys
from array import array
from typing import NamedTuple

ENTRY_SIZE = 24


class RelaColumns(NamedTuple):
    """r_offset, type and symbol of r_info, and r_addend of each entry, in the section's order."""

    offsets: array[int]
    types: array[int]
    symbols: array[int]
    addends: array[int]


def decode_rela_columns(table: bytes, order: str) -> RelaColumns:
    """Decode `table`, little-endian if `order` is "<"; bytes behind the last whole entry are not read."""
    entries = memoryview(table)[: len(table) // ENTRY_SIZE * ENTRY_SIZE]
    low, high = (2, 3) if order == "<" else (3, 2)
    columns = RelaColumns(
        array("Q", entries.cast("Q")[0::3].tobytes()),
        array("I", entries.cast("I")[low::6].tobytes()),
        array("I", entries.cast("I")[high::6].tobytes()),
        array("q", entries.cast("q")[2::3].tobytes()),
    )
    if (order == "<") != (sys.byteorder == "little"):
        for column in columns:
            column.byteswap()
    return columns
