# SPDX-License-Identifier: GPL-2.0-only
"""arm64: arch/arm64/kernel/ (module.c, module-plts.c, alternative.c, ftrace.c)."""

from __future__ import annotations

from kbuildpy.elf.constants import EM_AARCH64
from kbuildpy.elf.relocation_types import R_AARCH64_ABS64, R_AARCH64_PREL32, R_AARCH64_PREL64
from kbuildpy.loader.machines.arm64.finalize import module_finalize
from kbuildpy.loader.machines.arm64.frob import module_frob_arch_sections
from kbuildpy.loader.machines.arm64.ftrace import trace_sites
from kbuildpy.loader.machines.arm64.relocate import TYPES, apply_relocate_add
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.machine import LoaderMachine

MACHINE = LoaderMachine(
    MachineFacts(
        name="arm64",
        e_machine=EM_AARCH64,
        relocations=RelocationKinds(
            absolute=frozenset({R_AARCH64_ABS64}),
            relative=frozenset({R_AARCH64_PREL32}),
            relative64=frozenset({R_AARCH64_PREL64}),
            applied=frozenset(TYPES),
        ),
        # arch/arm64/include/asm/memory.h: MODULES_VADDR, MODULES_VSIZE
        modules_start=0xFFFF80007A000000,
        modules_size=0x80000000,
        copy_address=0xFFFF800083000000,
        large_page=0x200000,
    ),
    apply_relocate_add=apply_relocate_add,
    module_finalize=module_finalize,
    trace_sites=trace_sites,
    module_frob_arch_sections=module_frob_arch_sections,
)
