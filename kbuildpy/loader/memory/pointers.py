# SPDX-License-Identifier: GPL-2.0-only
"""Tables of pointers in a module: `.return_sites`, `__mcount_loc`, `__jump_table` and others.

Their entries hold an address or the distance to one, and are zeros until they are relocated: the relocation names the
target of an entry. The kernel follows the pointer without checking where it leads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import sub
from typing import NamedTuple

from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.verdict import Undefined


class Pointer(NamedTuple):
    """The target of a relocated field: `offset` within section `section`, or where `section` is 0 (SHN_UNDEF) from the
    address of `symbol`, which is the kernel's or another module's."""

    section: int
    offset: int
    symbol: int


def pointers(info: LoadInfo, number: int, kinds: frozenset[int] | None = None) -> dict[int, Pointer]:
    """The pointers that relocations of types `kinds` (default: distances of 32 bits) make in section `number`, by their
    offset there. Raises `Undefined` where relocations overlap: the result is no pointer then."""
    kinds = info.machine.relocations.relative if kinds is None else kinds
    found: dict[int, Pointer] = {}
    rows = info.symbols
    fields: set[int] = set()
    for relsec in info.relocated.get(number, ()):
        columns = info.relocations(relsec)
        fields.update(columns.offsets)
        for offset, kind, symbol, addend in zip(*columns, strict=True):
            if kind in kinds:
                _, _, _, st_shndx, st_value, _ = rows[symbol]
                found[offset] = Pointer(st_shndx, st_value + addend, symbol)
    # (every field has four bytes at least)
    if _overlap(fields, 4) or (kinds & info.machine.relocations.of_8_bytes and _overlap(found, 8)):
        raise Undefined(
            info.stage, f"relocations of {info.section_name(number)} overlap, and the kernel follows the result"
        )
    return found


def _overlap(fields: Collection[int], size: int) -> bool:
    offsets = sorted(fields)
    return len(offsets) > 1 and min(map(sub, offsets[1:], offsets)) < size


def sites(info: LoadInfo, number: int, size: int, kinds: frozenset[int] | None = None) -> Iterator[tuple[int, Pointer]]:
    """For each entry of a table its offset, and the pointer at its beginning; entries have `size` bytes, and one that
    the section's end cuts off is left out. Raises `Undefined` for an entry without a relocation."""
    found = pointers(info, number, kinds)
    for offset in range(0, info.sechdrs[number].sh_size // size * size, size):
        pointer = found.get(offset)
        if pointer is None:
            raise Undefined(
                info.stage,
                f"the pointer at {offset:#x} of {info.section_name(number)} is not relocated, and is followed",
                hint="build the module again: a tool has dropped relocations",
            )
        yield offset, pointer


def entry(contents: bytes, offset: int, size: int) -> bytes:
    """The `size` bytes of an entry in a section's `contents`: zeros where the file has none (SHT_NOBITS)."""
    return contents[offset : offset + size].ljust(size, b"\0")


def whole_entries(info: LoadInfo, number: int, size: int) -> None:
    """Raise `Undefined` for a table whose last entry is cut off, where the kernel reads to the end of that entry."""
    if info.sechdrs[number].sh_size % size:
        raise Undefined(
            info.stage,
            f"{info.section_name(number)} has {info.sechdrs[number].sh_size} bytes, and entries have {size}: "
            "the last one is read from beyond the end",
        )


def has_address(info: LoadInfo, number: int) -> bool:
    """Whether section `number` has an address. Number 0, the result of a search that found nothing, has one only if the
    first section header has SHF_ALLOC."""
    return number != 0 or bool(info.sechdrs[0].sh_flags & SHF_ALLOC)
