# SPDX-License-Identifier: GPL-2.0-only
"""Room for PLT entries: arch/arm64/kernel/module-plts.c: module_frob_arch_sections.

A branch that does not reach its target goes through a PLT entry. The linker script leaves one byte in `.plt` and
`.init.plt`; here they get their sizes, before the sections are laid out.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA, SHT_SYMTAB
from kbuildpy.elf.symbols import SymbolRows
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.arm64.relocate import BRANCHES, has_plts
from kbuildpy.loader.verdict import Undefined

PLT, INIT_PLT = ".plt", ".init.plt"
TRAMPOLINES = (".text.ftrace_trampoline", ".init.text.ftrace_trampoline")
"""Sections of the entries through which ftrace is reached."""
PLT_ENTRY_SIZE = 12
L1_CACHE_BYTES = 64


Entry = tuple[int, int, int]
"""Type, symbol and addend of a relocation: the order of cmp_rela()."""


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Give `.plt`, `.init.plt` and the trampolines' sections their sizes.

    Raises `Refusal` (ENOEXEC) where one of the first two is missing, `Undefined` for a branch to a symbol outside of
    the table. Entries for CPUs with erratum 843419 are not counted: only the machine knows whether there are any.
    """
    if not has_plts(info):
        return
    numbers = {info.section_name(number): number for number in range(len(info.sechdrs))}
    if not numbers.get(PLT) or not numbers.get(INIT_PLT):
        raise info.refuse(
            "ENOEXEC",
            f"{info.mod_name}: module PLT section(s) missing",
            "the module has no section .plt or no section .init.plt",
            hint="link it with the module linker script of the kernel tree (scripts/module.lds)",
        )
    sections = _symbol_sections(info)
    counts = {PLT: 0, INIT_PLT: 0}
    for relsec, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_RELA:
            continue
        target = section.sh_info
        if target >= len(info.sechdrs):
            raise Undefined(
                info.stage, f"{info.section_name(relsec)} is for section {target}, but there are {len(info.sechdrs)}"
            )
        if info.sechdrs[target].sh_flags & SHF_EXECINSTR:
            is_init = info.is_init_section(info.section_name(target))
            counts[INIT_PLT if is_init else PLT] += _count_plts(info, relsec, sections)
    for name, count in counts.items():
        _resize(info, numbers[name], (count + 1) * PLT_ENTRY_SIZE, L1_CACHE_BYTES)
    trampoline = (2 if info.kernel.version < since.ONE_TRAMPOLINE else 1) * PLT_ENTRY_SIZE
    for name in trampolines(info):
        if name in numbers:
            _resize(info, numbers[name], trampoline, 4)


def trampolines(info: LoadInfo) -> tuple[str, ...]:
    """The sections of trampolines that the kernel knows."""
    return TRAMPOLINES if since.has(info.kernel.version, since.INIT_TRAMPOLINE) else TRAMPOLINES[:1]


def _symbol_sections(info: LoadInfo) -> list[int]:
    """st_shndx of each symbol, of the last symbol table."""
    symtab = next((i for i in reversed(range(len(info.sechdrs))) if info.sechdrs[i].sh_type == SHT_SYMTAB), None)
    if symtab is None:
        raise info.refuse(
            "ENOEXEC", f"{info.mod_name}: module symtab section missing", "the module has no symbol table"
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
    """How many entries the branches of a section may need: one for each symbol in another section (count_plts)."""
    columns = info.relocations(relsec)
    if BRANCHES.isdisjoint(columns.types):
        return 0
    entries = list(zip(columns.types, columns.symbols, columns.addends, strict=True))
    if any(kind in BRANCHES and symbol >= len(sections) for kind, symbol, _ in entries):
        raise Undefined(info.stage, f"a branch of {info.section_name(relsec)} is to a symbol outside of the table")
    if info.kernel.version < since.ARM64_PREFIX and info.kernel.has("RANDOMIZE_BASE") is False:
        return 0
    target = info.sechdrs[relsec].sh_info
    marked = [
        ((kind, symbol, addend), kind in BRANCHES and sections[symbol] != target) for kind, symbol, addend in entries
    ]
    count = 0
    previous: Entry | None = None
    for entry, needs_plt in _partitioned(marked):
        _, _, addend = entry
        # (entries with an addend are not shared)
        if needs_plt and (addend or entry != previous):
            count += 1
        previous = entry
    return count


def _partitioned(entries: list[tuple[Entry, bool]]) -> list[tuple[Entry, bool]]:
    """`entries`, those that need a PLT entry at the front and sorted. As in the kernel (partition_branch_plt_relas) the
    entry where the loop's ends meet stays unsorted, so that a symbol may be counted twice."""
    front, back = 0, len(entries) - 1
    while front < back:
        if entries[front][1]:
            front += 1
        elif entries[back][1]:
            entries[front], entries[back] = entries[back], entries[front]
        else:
            back -= 1
    return sorted(entries[:front]) + entries[front:]
