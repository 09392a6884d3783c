# SPDX-License-Identifier: GPL-2.0-only
"""i386: arch/x86/kernel/module.c. What it does to the code is x86-64's in other words, and is not checked."""

from __future__ import annotations

from kbuildpy.elf.constants import EM_386, EM_486
from kbuildpy.elf.relocation_types import R_386_32, R_386_PC32, R_386_PLT32
from kbuildpy.loader.hints import FLAGS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.partly import check_places, partly_known

_KINDS = frozenset({R_386_32, R_386_PC32, R_386_PLT32})


def apply_relocate(info: LoadInfo, relsec: int, written: dict[int, int] | None) -> None:
    """Refuse a relocation of a type that the kernel does not apply. No value overflows: all addresses have 32 bits.

    Raises `Refusal` (ENOEXEC), or `Undefined` for a place outside of the section."""
    check_places(info, relsec, written)
    columns = info.relocations(relsec)
    for entry, kind in enumerate(columns.types):
        if kind not in _KINDS:
            raise info.refuse(
                "ENOEXEC",
                f"module: {info.mod_name}: Unknown relocation: {kind}",
                f"relocation {entry} of {info.section_name(relsec)} is of type {kind}, which the kernel does not apply",
                FLAGS,
            )


MACHINE = partly_known(
    MachineFacts(
        name="i386",
        e_machine=EM_386,
        other_numbers=frozenset({EM_486}),
        relocations=RelocationKinds(
            absolute=frozenset({R_386_32}),
            relative=frozenset({R_386_PC32, R_386_PLT32}),
            relative64=frozenset(),
            applied=_KINDS,
        ),
        # arch/x86/include/asm/pgtable_32_areas.h: MODULES_VADDR is where vmalloc()'s range begins, above all memory
        # that has an address. How much that is decides the room, too.
        modules_start=0xF8000000,
        modules_size=1 << 30,
        copy_address=0xF0000000,
        large_page=0x200000,
        bits=32,
        rela=False,
        has_percpu_reserve=False,
        is_whole=False,
        undefined_ok=frozenset({"_GLOBAL_OFFSET_TABLE_"}),
    ),
    apply_relocate=apply_relocate,
)
