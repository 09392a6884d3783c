# SPDX-License-Identifier: GPL-2.0-only
"""x86-64: arch/x86/kernel/ (module.c, alternative.c, ftrace.c, static_call.c, unwind_orc.c)."""

from __future__ import annotations

from kbuildpy.elf.constants import EM_X86_64
from kbuildpy.elf.relocation_types import R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.machine import LoaderMachine
from kbuildpy.loader.machines.x86_64.finalize import module_finalize
from kbuildpy.loader.machines.x86_64.ftrace import trace_sites
from kbuildpy.loader.machines.x86_64.relocate import WIDTHS, apply_relocate_add, nonzero_place
from kbuildpy.loader.machines.x86_64.static_call import is_static_call

MACHINE = LoaderMachine(
    MachineFacts(
        name="x86_64",
        e_machine=EM_X86_64,
        relocations=RelocationKinds(
            absolute=frozenset({R_X86_64_64}),
            relative=frozenset({R_X86_64_PC32, R_X86_64_PLT32}),
            relative64=frozenset({R_X86_64_PC64}),
            applied=frozenset(WIDTHS),
        ),
        # arch/x86/include/asm/pgtable_64_types.h, for a kernel that is loaded without KASLR
        modules_start=0xFFFFFFFFC0200000,
        modules_size=0x3F000000,
        copy_address=0xFFFFC90000100000,
        large_page=0x200000,
        undefined_ok=frozenset({"_GLOBAL_OFFSET_TABLE_"}),
    ),
    apply_relocate_add=apply_relocate_add,
    module_finalize=module_finalize,
    trace_sites=trace_sites,
    nonzero_place=nonzero_place,
    is_static_call=is_static_call,
)
