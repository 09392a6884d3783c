# SPDX-License-Identifier: GPL-2.0-only
"""Machines of whose part of the loader only the beginning is known: what they do up to the layout of the memory.

All stages that are the same for every machine are run. Relocations are looked at, but not computed; what a machine does
to the code, and what the kernel does with pointers that relocations write into tables, is noted as not checked.
"""

from __future__ import annotations

from collections.abc import Callable

from kbuildpy.elf.headers import Ehdr
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts
from kbuildpy.loader.machines.machine import LoaderMachine
from kbuildpy.loader.verdict import Undefined


def partly_known(
    facts: MachineFacts,
    *,
    module_frob_arch_sections: Callable[[LoadInfo], None] | None = None,
    elf_check_arch: Callable[[Ehdr], bool] | None = None,
    module_elf_check_arch: Callable[[LoadInfo], bool] | None = None,
    apply_relocate: Callable[[LoadInfo, int, dict[int, int] | None], None] | None = None,
) -> LoaderMachine:
    """Return the machine with `facts`, whose `is_whole` is False, and with these functions of its own."""
    assert not facts.is_whole
    return LoaderMachine(
        facts,
        apply_relocate_add=apply_relocate or check_places,
        module_finalize=_not_followed,
        trace_sites=lambda _info: None,
        module_frob_arch_sections=module_frob_arch_sections,
        elf_check_arch=elf_check_arch,
        module_elf_check_arch=module_elf_check_arch,
    )


def check_places(info: LoadInfo, relsec: int, written: dict[int, int] | None) -> None:
    """Raise `Undefined` for a relocation of section `relsec` that is outside of the section that it is for, or whose
    symbol is outside of the symbol table. `written` is ignored."""
    columns = info.relocations(relsec)
    name, target = info.section_name(relsec), info.sechdrs[info.sechdrs[relsec].sh_info]
    for entry, (offset, symbol) in enumerate(zip(columns.offsets, columns.symbols, strict=True)):
        if symbol >= len(info.values):
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} names symbol {symbol}, but there are {len(info.values)} symbols",
                AS_BUILT,
            )
        if offset >= target.sh_size:
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes at {offset:#x} of a section of {target.sh_size:#x} bytes",
                AS_BUILT,
            )


def _not_followed(info: LoadInfo) -> None:
    # Every machine looks for sections by their names, of which some may have been checked by nobody.
    info.find_any_sec("")
    info.not_checked(
        "relocations, patches of the code, and tables of pointers to it",
        reason=f"{info.machine.name}'s own part of the loader is not known here",
    )
