# SPDX-License-Identifier: GPL-2.0-only
"""Reserves memory for GOT and PLT: arch/riscv/kernel/module-sections.c: module_frob_arch_sections.

Only kernels with CONFIG_MODULE_SECTIONS have this (all before 6.4, later the relocatable ones). The linker script
leaves one byte in `.plt`, `.got` and `.got.plt`.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA
from kbuildpy.elf.relocation_types import R_RISCV_CALL_PLT, R_RISCV_GOT_HI20, R_RISCV_PLT32
from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import AS_BUILT, MODULE_LDS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.riscv.relocate import entries
from kbuildpy.loader.verdict import Undefined

PLT, GOT, GOT_PLT = ".plt", ".got", ".got.plt"
PLT_ENTRY_SIZE, GOT_ENTRY_SIZE = 12, 8
L1_CACHE_BYTES = 64


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Set the sizes of `.plt`, `.got` and `.got.plt`.

    Raises `Refusal` (ENOEXEC) if one of them is missing, `Undefined` for a relocation section whose target section does
    not exist.
    """
    known = info.kernel.has("MODULE_SECTIONS")
    if known is None:
        info.not_checked("whether it has the sections of GOT and PLT", Fact.CONFIG)
    if not known:
        return
    numbers = {info.section_name(number): number for number in range(len(info.sechdrs))}
    for name, called in ((PLT, "PLT section(s)"), (GOT, "GOT section(s)"), (GOT_PLT, "GOT.PLT section(s)")):
        if name not in numbers:
            raise info.refuse(
                "ENOEXEC",
                f"{info.mod_name}: module {called} missing",
                f"the module has no section {name}",
                hint=MODULE_LDS,
            )
    plts, gots = _count(info)
    _resize(info, numbers[PLT], SHF_EXECINSTR | SHF_ALLOC, (plts + 1) * PLT_ENTRY_SIZE)
    _resize(info, numbers[GOT], SHF_ALLOC, (gots + 1) * GOT_ENTRY_SIZE)
    _resize(info, numbers[GOT_PLT], SHF_ALLOC, (plts + 1) * GOT_ENTRY_SIZE)


def _count(info: LoadInfo) -> tuple[int, int]:
    """The numbers of entries that the PLT and the GOT may need: a relocation of a section that is like an earlier one
    counts once; in later kernels one of the whole module."""
    through_plt = {R_RISCV_CALL_PLT}
    if has_change(info.kernel.version, since.RISCV_PLT32_COUNTED):
        through_plt.add(R_RISCV_PLT32)
    found: set[tuple[int, ...]] = set()
    together = info.kernel.version >= since.RISCV_COUNTED_TOGETHER
    for relsec, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_RELA:
            continue
        if section.sh_info >= len(info.sechdrs):
            raise Undefined(
                info.stage,
                f"{info.section_name(relsec)} is for section {section.sh_info}, but there are {len(info.sechdrs)} "
                f"sections",
                AS_BUILT,
            )
        if info.sechdrs[section.sh_info].sh_flags & SHF_EXECINSTR:
            wanted = entries(info.relocations(relsec), {*through_plt, R_RISCV_GOT_HI20})
            found.update((*entry, 0 if together else relsec) for entry in wanted)
    gots = sum(kind == R_RISCV_GOT_HI20 for kind, *_ in found)
    return len(found) - gots, gots


def _resize(info: LoadInfo, number: int, flags: int, size: int) -> None:
    section = info.sechdrs[number]
    section.sh_type = SHT_NOBITS
    section.sh_flags = flags
    section.sh_addralign = L1_CACHE_BYTES
    section.sh_size = size
