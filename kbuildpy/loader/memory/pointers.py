# SPDX-License-Identifier: GPL-2.0-only
"""Tables of pointers in a module: `.return_sites`, `__mcount_loc`, `__jump_table` and others.

An entry holds an address, or the distance to it. It is zero until it is relocated, so the relocation has the target of
the entry. The kernel follows the pointer without checking its target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import sub
from typing import NamedTuple

from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.elf.rela_columns import RelaColumns
from kbuildpy.elf.relocation_types import R_RISCV_ADD32, R_RISCV_ADD64
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, TABLES
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.verdict import Undefined

_WIDTH = {R_RISCV_ADD32: 4, R_RISCV_ADD64: 8}
"""Bytes that a sum writes."""


class Pointer(NamedTuple):
    """The target of a relocated pointer."""

    section: int
    """st_shndx of the symbol; 0 (SHN_UNDEF) for a symbol of the kernel or another module."""
    offset: int
    """Bytes from the beginning of the section; for SHN_UNDEF, from the address of the symbol."""
    symbol: int
    """The number of the symbol."""


def pointers(info: LoadInfo, number: int, kinds: frozenset[int] | None = None) -> dict[int, Pointer]:
    """Return the pointers that relocations of types `kinds` (default: distances of 32 bits) write into section
    `number`, by their offset. Raises `Undefined` if relocations overlap, because their result is not the target of
    either."""
    kinds = info.machine.relocations.relative if kinds is None else kinds
    found: dict[int, Pointer] = {}
    rows = info.symbols
    fields: set[int] = set()
    differences = info.machine.relocations.differences
    for relsec in info.relocated.get(number, ()):
        columns = info.relocations(relsec)
        fields.update(columns.offsets)
        whole = differences_to_places(info, number, columns) if not kinds.isdisjoint(differences) else frozenset()
        for offset, kind, symbol, addend in zip(*columns, strict=True):
            if kind in kinds and (kind not in differences or offset in whole):
                _, _, _, st_shndx, st_value, _ = rows[symbol]
                found[offset] = Pointer(st_shndx, st_value + addend, symbol)
    # Every relocation of a table writes at least four bytes.
    if _overlap(fields, 4) or (kinds & info.machine.relocations.of_8_bytes and _overlap(found, 8)):
        raise Undefined(
            info.stage,
            f"relocations of {info.section_name(number)} overlap, and the kernel follows the result",
            AS_BUILT,
        )
    return found


def differences_to_places(info: LoadInfo, number: int, columns: RelaColumns) -> frozenset[int]:
    """Return the offsets in section `number` where `columns`, relocations of it, write the distance of an address from
    that place in two steps (`RelocationKinds.differences`)."""
    differences = info.machine.relocations.differences
    added: dict[int, int] = {}
    whole: set[int] = set()
    odd: set[int] = set()
    subtracted = frozenset(differences.values())
    for offset, kind, symbol, addend in zip(*columns, strict=True):
        if kind in differences and offset not in added:
            added[offset] = kind
        elif kind in subtracted and differences.get(added.get(offset, 0)) == kind and offset not in whole:
            row = info.symbols[symbol] if symbol < len(info.symbols) else None
            is_place = row is not None and (row[3], row[4] + addend) == (number, offset)
            (whole if is_place else odd).add(offset)
        else:
            odd.add(offset)
    if info.kernel.version < since.RISCV_ACCUMULATION:
        # What the file has there counts, too.
        contents = info.data(number)
        odd |= {offset for offset in whole if any(contents[offset : offset + _WIDTH[added[offset]]])}
    return frozenset(whole - odd)


def _overlap(fields: Collection[int], size: int) -> bool:
    offsets = sorted(fields)
    return len(offsets) > 1 and min(map(sub, offsets[1:], offsets)) < size


def sites(info: LoadInfo, number: int, size: int, kinds: frozenset[int] | None = None) -> Iterator[tuple[int, Pointer]]:
    """Yield the offset of each entry of the table in section `number`, and the pointer at the beginning of the entry.

    Entries have `size` bytes; an incomplete one at the end of the section is skipped. `kinds` is as for `pointers()`.
    Raises `Undefined` for an entry without a relocation, and if relocations overlap.
    """
    found = pointers(info, number, kinds)
    for offset in range(0, info.sechdrs[number].sh_size // size * size, size):
        pointer = found.get(offset)
        if pointer is None:
            raise Undefined(
                info.stage,
                f"the pointer at {offset:#x} of {info.section_name(number)} is not relocated, and the kernel follows "
                f"it",
                AS_BUILT,
            )
        yield offset, pointer


def entry(contents: bytes, offset: int, size: int) -> bytes:
    """Return the `size` bytes at `offset` of a section's `contents`, with zeros for bytes that the file does not
    have."""
    return contents[offset : offset + size].ljust(size, b"\0")


def whole_entries(info: LoadInfo, number: int, size: int) -> None:
    """Raise `Undefined` if the last entry of the table in section `number` is incomplete and the kernel reads all of
    it."""
    if info.sechdrs[number].sh_size % size:
        raise Undefined(
            info.stage,
            f"{info.section_name(number)} has {info.sechdrs[number].sh_size} bytes, and entries have {size}: "
            "the last one is read from beyond the end",
            TABLES,
        )


def has_address(info: LoadInfo, number: int) -> bool:
    """Return whether section `number` has an address. Number 0, the result of a search that found no section, has one
    only if the first section header has SHF_ALLOC."""
    return number != 0 or bool(info.sechdrs[0].sh_flags & SHF_ALLOC)
