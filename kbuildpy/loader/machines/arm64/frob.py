# SPDX-License-Identifier: GPL-2.0-only
"""Reserves memory for PLT entries: arch/arm64/kernel/module-plts.c: module_frob_arch_sections.

A branch that does not reach its target goes through a PLT entry. The linker script leaves one byte in `.plt` and
`.init.plt`. This stage sets the sizes of both before the sections are laid out.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA, SHT_SYMTAB
from kbuildpy.elf.symbols import SymbolRows
from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, MODULE_LDS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.arm64.relocate import BRANCHES, INIT_PLT, PLT, has_plts
from kbuildpy.loader.verdict import Undefined

PLT_ENTRY_SIZE = 12
TRAMPOLINES = (".text.ftrace_trampoline", ".init.text.ftrace_trampoline")
"""The sections of the trampolines to ftrace, one PLT entry or two each."""
L1_CACHE_BYTES = 64


Entry = tuple[int, int, int]
"""Type, symbol and addend of a relocation, in the order in which cmp_rela() compares them."""


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Set the sizes of `.plt`, `.init.plt` and the sections of trampolines.

    Raises `Refusal` (ENOEXEC) if `.plt`, `.init.plt` or the symbol table is missing, `Undefined` for a branch to a
    symbol outside of the table, and for a relocation section whose target section does not exist. PLT entries for
    erratum 843419 are not counted: whether a CPU has it is known only on the running machine.
    """
    if not has_plts(info):
        return
    numbers = {info.section_name(number): number for number in range(len(info.sechdrs))}
    if not numbers.get(PLT) or not numbers.get(INIT_PLT):
        raise info.refuse(
            "ENOEXEC",
            f"{info.mod_name}: module PLT section(s) missing",
            "the module has no section .plt or no section .init.plt",
            hint=MODULE_LDS,
        )
    sections = _symbol_sections(info)
    counts = {PLT: 0, INIT_PLT: 0}
    for relsec, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_RELA:
            continue
        target = section.sh_info
        if target >= len(info.sechdrs):
            raise Undefined(
                info.stage,
                f"{info.section_name(relsec)} is for section {target}, but there are {len(info.sechdrs)} sections",
                AS_BUILT,
            )
        if info.sechdrs[target].sh_flags & SHF_EXECINSTR:
            is_init = info.is_init_section(info.section_name(target))
            counts[INIT_PLT if is_init else PLT] += _count_plts(info, relsec, sections)
    info.plt_entries = counts
    for name, count in counts.items():
        _resize(info, numbers[name], (count + 1) * PLT_ENTRY_SIZE, L1_CACHE_BYTES)
    trampoline = (2 if info.kernel.version < since.ONE_TRAMPOLINE else 1) * PLT_ENTRY_SIZE
    for name in trampolines(info):
        if name in numbers:
            _resize(info, numbers[name], trampoline, 4)


def trampolines(info: LoadInfo) -> tuple[str, ...]:
    """Return the names of the sections of trampolines that the kernel looks for."""
    return TRAMPOLINES if has_change(info.kernel.version, since.INIT_TRAMPOLINE) else TRAMPOLINES[:1]


def _symbol_sections(info: LoadInfo) -> list[int]:
    """st_shndx of each symbol in the last SHT_SYMTAB section. Raises `Refusal` if there is none."""
    symtab = next((i for i in reversed(range(len(info.sechdrs))) if info.sechdrs[i].sh_type == SHT_SYMTAB), None)
    if symtab is None:
        raise info.refuse(
            "ENOEXEC",
            f"{info.mod_name}: module symtab section missing",
            "the module has no symbol table",
            "strip modules with --strip-debug only",
        )
    rows = SymbolRows(memoryview(info.data(symtab)), info.hdr.order)
    return [st_shndx for _, _, _, st_shndx, _, _ in rows]


def _resize(info: LoadInfo, number: int, size: int, alignment: int) -> None:
    section = info.sechdrs[number]
    section.sh_type = SHT_NOBITS
    section.sh_flags = SHF_EXECINSTR | SHF_ALLOC
    section.sh_addralign = alignment
    section.sh_size = size


def _count_plts(info: LoadInfo, relsec: int, sections: list[int]) -> int:
    """The number of PLT entries that the branches of a section may need: one for each target outside of the section
    (count_plts)."""
    columns = info.relocations(relsec)
    if BRANCHES.isdisjoint(columns.types):
        return 0
    entries: list[Entry] = list(zip(columns.types, columns.symbols, columns.addends, strict=True))
    if any(kind in BRANCHES and symbol >= len(sections) for kind, symbol, _ in entries):
        raise Undefined(
            info.stage, f"a branch of {info.section_name(relsec)} is to a symbol outside of the table", AS_BUILT
        )
    target = info.sechdrs[relsec].sh_info
    needs_plt = [kind in BRANCHES and sections[symbol] != target for kind, symbol, _ in entries]
    order = _partitioned(entries, needs_plt)
    info.reorder_relocations(relsec, order)
    if not has_change(info.kernel.version, since.ARM64_PLTS_COUNTED) and info.kernel.has("RANDOMIZE_BASE") is False:
        return 0
    count = 0
    previous: Entry | None = None
    for number in order:
        entry = entries[number]
        _, _, addend = entry
        # Branches with the same target share a PLT entry only if their addend is 0.
        if needs_plt[number] and (addend or entry != previous):
            count += 1
        previous = entry
    return count


def _partitioned(entries: list[Entry], needs_plt: list[bool]) -> list[int]:
    """The numbers of `entries` with those that need a PLT entry first, and sorted. As in the kernel
    (partition_branch_plt_relas), the last entry that the loop visits is not sorted with them, so its symbol may be
    counted twice."""
    order = list(range(len(entries)))
    front, back = 0, len(entries) - 1
    while front < back:
        if needs_plt[order[front]]:
            front += 1
        elif needs_plt[order[back]]:
            order[front], order[back] = order[back], order[front]
        else:
            back -= 1
    return sorted(order[:front], key=entries.__getitem__) + order[front:]
