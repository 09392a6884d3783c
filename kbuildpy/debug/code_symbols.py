# SPDX-License-Identifier: GPL-2.0-only
"""The functions of a file, with the sizes that a kernel prints for them.

A kernel knows where a function begins, and takes it to end where the next symbol begins, or the memory that it is in
(kernel/module/kallsyms.c: find_kallsyms_symbol; kernel/kallsyms.c: get_symbol_pos). So the size in a log is not that of
the symbol table, but with padding; and for the last function of a section it depends on what the loader puts behind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.elf import ModuleImage, Section
from kbuildpy.elf.constants import ET_REL, SHF_ALLOC, SHN_LORESERVE, SHN_UNDEF, STT_FILE, STT_SECTION

_BEHIND = 1 << 16
"""Bytes that the memory of a module can go on behind its last section: less than the largest page."""
_NO_FUNCTIONS = ("__pfx_", "__cfi_", "__kcfi_typeid_")
"""Beginnings of names that a kernel leaves out of its own symbols (scripts/mksysmap, scripts/kallsyms.c)."""


class CodeSymbol(NamedTuple):
    """A function, or a variable, by its name."""

    section: Section
    offset: int
    """Where it begins in the section."""
    sizes: tuple[int, int]
    """The least and the largest size that a kernel prints for it."""

    def has_size(self, size: int) -> bool:
        """Whether a kernel can print this size for it."""
        least, largest = self.sizes
        return least <= size <= largest


@dataclass(frozen=True)
class CodeSymbols:
    """The symbols of one file by their names."""

    by_name: Mapping[str, Sequence[CodeSymbol]]

    def called(self, name: str) -> Sequence[CodeSymbol]:
        """All symbols of that name: a name can be static in several source files."""
        return self.by_name.get(name, ())


def read_symbols(image: ModuleImage) -> CodeSymbols:
    """The symbols of `image` that have a place in memory."""
    linked = image.header.e_type != ET_REL
    allocated = {section.index: section for section in image.sections if section.flags & SHF_ALLOC}
    places: dict[int, list[int]] = {index: [] for index in allocated}
    found = []
    symbols = image.symbols
    for number, (st_name, info, _, shndx, value, size) in enumerate(symbols.rows):
        if shndx == SHN_UNDEF or info & 15 in (STT_SECTION, STT_FILE) or not st_name:
            continue
        if shndx >= SHN_LORESERVE:
            shndx = symbols.section_index(number)
        section = allocated.get(shndx)
        if section is None:
            continue
        name = symbols.text(st_name)
        if _is_mapping_symbol(name) or (linked and name.startswith(_NO_FUNCTIONS)):
            continue
        offset = value - section.address if linked else value
        places[shndx].append(offset)
        found.append((name, section, offset, size))
    for offsets in places.values():
        offsets.sort()
    by_name: dict[str, list[CodeSymbol]] = {}
    for name, section, offset, size in found:
        following = places[section.index]
        index = bisect_right(following, offset)
        if index < len(following):
            distance = following[index] - offset
            # (a kernel's own list is not quite the symbol table of vmlinux)
            sizes = (min(size or distance, distance), distance) if linked else (distance, distance)
        else:
            sizes = max(section.size - offset, 0), section.size - offset + _BEHIND
        symbol = CodeSymbol(section, offset, sizes)
        # (clang's ThinLTO gives static functions a suffix, which the kernel does not print)
        for known in {name, name.partition(".llvm.")[0]}:
            by_name.setdefault(known, []).append(symbol)
    return CodeSymbols({name: list(dict.fromkeys(symbols)) for name, symbols in by_name.items()})


def _is_mapping_symbol(name: str) -> bool:
    """Whether it is a label of the assembler's (include/linux/module_symbol.h: is_mapping_symbol)."""
    if name.startswith((".L", "L0\x02")):
        return True
    return name.startswith("$") and name[1:2] in ("a", "d", "t", "x") and name[2:3] in ("", ".")
