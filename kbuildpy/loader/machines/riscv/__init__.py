# SPDX-License-Identifier: GPL-2.0-only
"""riscv64: arch/riscv/kernel/ (module.c, module-sections.c, alternative.c, cpufeature.c, ftrace.c)."""

from __future__ import annotations

from kbuildpy.elf.constants import EM_RISCV
from kbuildpy.elf.relocation_types import (
    R_RISCV_32_PCREL,
    R_RISCV_64,
    R_RISCV_ADD32,
    R_RISCV_ADD64,
    R_RISCV_SUB32,
    R_RISCV_SUB64,
)
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.machine import LoaderMachine
from kbuildpy.loader.machines.riscv.finalize import module_finalize
from kbuildpy.loader.machines.riscv.frob import module_frob_arch_sections
from kbuildpy.loader.machines.riscv.ftrace import trace_sites
from kbuildpy.loader.machines.riscv.relocate import WIDTHS, apply_relocate_add

MACHINE = LoaderMachine(
    MachineFacts(
        name="riscv",
        e_machine=EM_RISCV,
        relocations=RelocationKinds(
            absolute=frozenset({R_RISCV_64}),
            relative=frozenset({R_RISCV_32_PCREL, R_RISCV_ADD32}),
            relative64=frozenset({R_RISCV_ADD64}),
            applied=frozenset(WIDTHS),
            # The assembler writes a distance as a sum and a difference, because a linker might move both ends.
            differences={R_RISCV_ADD32: R_RISCV_SUB32, R_RISCV_ADD64: R_RISCV_SUB64},
        ),
        # arch/riscv/include/asm/pgtable.h: MODULES_VADDR to MODULES_END are the 2 GiB before the kernel's end, less the
        # kernel itself.
        modules_start=0xFFFFFFFF02000000,
        modules_size=0x7E000000,
        copy_address=0xFFFFFFC800100000,
        large_page=0x200000,
        checks_class=True,
    ),
    apply_relocate_add=apply_relocate_add,
    module_finalize=module_finalize,
    trace_sites=trace_sites,
    module_frob_arch_sections=module_frob_arch_sections,
)
