"""What an architecture does to the section headers before sections are laid out: module_frob_arch_sections.

Only arm64 does something (arch/arm64/kernel/module-plts.c) makes room for the PLT entries through which branches go
that do not reach: the linker script leaves one byte in `.plt` and `.init.plt`, and here they get their size.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA, SHT_SYMTAB
from kbuildpy.elf.symbols import SymbolRows
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo, is_init_section
from kbuildpy.loader.stages.relocate_arm64 import BRANCHES
from kbuildpy.loader.verdict import Undefined

PLT_ENTRY_SIZE = 12
L1_CACHE_BYTES = 64

Entry = tuple[int, int, int]
"""Type, symbol and addend of a relocation: what cmp_rela sorts by."""


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Give `.plt`, `.init.plt` and the trampolines' sections of an arm64 module their sizes.

    Raises `Refusal` (ENOEXEC) where one of the first two is missing, `Undefined` for a branch to a symbol outside of
    the table. Entries for CPUs with erratum 843419 are not counted: whether there are any only the machine knows.
    """
    if info.kernel.version < since.ARM64_PREFIX and info.kernel.has("ARM64_MODULE_PLTS") is False:
        return
    names = {info.section_name(number): number for number in range(len(info.sechdrs))}
    if not names.get(".plt") or not names.get(".init.plt"):
        raise info.refuse(
            "ENOEXEC",
            f"{info.mod_name}: module PLT section(s) missing",
            "the module has no section .plt or no section .init.plt",
            hint="link it with the module linker script of the kernel tree (scripts/module.lds)",
        )
    symtab = next((i for i in reversed(range(len(info.sechdrs))) if info.sechdrs[i].sh_type == SHT_SYMTAB), None)
    if symtab is None:
        raise info.refuse(
            "ENOEXEC", f"{info.mod_name}: module symtab section missing", "the module has no symbol table"
        )
    plts = {".plt": 0, ".init.plt": 0}
    shndxs = [row[3] for row in SymbolRows(memoryview(info.data(symtab)), info.hdr.order)]
    for number, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_RELA:
            continue
        if section.sh_info >= len(info.sechdrs):
            raise Undefined(
                info.stage, f"{info.section_name(number)} is for section {section.sh_info}, of {len(info.sechdrs)}"
            )
        if info.sechdrs[section.sh_info].sh_flags & SHF_EXECINSTR:
            which = ".init.plt" if is_init_section(info, info.section_name(section.sh_info)) else ".plt"
            plts[which] += _count_plts(info, number, shndxs)
    for name, count in plts.items():
        _reserve(info, names[name], (count + 1) * PLT_ENTRY_SIZE, L1_CACHE_BYTES)
    trampoline = (2 if info.kernel.version < since.ONE_TRAMPOLINE else 1) * PLT_ENTRY_SIZE
    for name in (".text.ftrace_trampoline", ".init.text.ftrace_trampoline")[
        : 2 if since.has(info.kernel.version, since.INIT_TRAMPOLINE) else 1
    ]:
        if name in names:
            _reserve(info, names[name], trampoline, 4)


def _reserve(info: LoadInfo, number: int, size: int, alignment: int) -> None:
    section = info.sechdrs[number]
    section.sh_type = SHT_NOBITS
    section.sh_flags = SHF_EXECINSTR | SHF_ALLOC
    section.sh_addralign = alignment
    section.sh_size = size


def _count_plts(info: LoadInfo, relsec: int, shndxs: list[int]) -> int:
    """How many entries the branches of a section may need: one for each symbol in another section (count_plts)."""
    columns = info.relocations(relsec)
    if BRANCHES.isdisjoint(columns.types):
        return 0
    target = info.sechdrs[relsec].sh_info
    if any(
        symbol >= len(shndxs) for kind, symbol in zip(columns.types, columns.symbols, strict=True) if kind in BRANCHES
    ):
        raise Undefined(info.stage, f"a branch of {info.section_name(relsec)} is to a symbol outside of the table")
    entries = list(zip(columns.types, columns.symbols, columns.addends, strict=True))
    needs = [entry[0] in BRANCHES and shndxs[entry[1]] != target for entry in entries]
    if info.kernel.version < since.ARM64_PREFIX and info.kernel.has("RANDOMIZE_BASE") is False:
        return 0
    entries = _partitioned(entries, needs)
    count = 0
    previous = None
    for entry in entries:
        if entry[0] in BRANCHES and shndxs[entry[1]] != target and (entry[2] or entry != previous):
            count += 1
        previous = entry
    return count


def _partitioned(entries: list[Entry], needs: list[bool]) -> list[Entry]:
    """Those that need an entry to the front, sorted; like the kernel's (partition_branch_plt_relas), the loop leaves
    the one where its ends meet as it is, so that a symbol may be counted twice."""
    entries, needs = entries[:], needs[:]
    front, back = 0, len(entries) - 1
    while front < back:
        if needs[front]:
            front += 1
        elif needs[back]:
            entries[front], entries[back] = entries[back], entries[front]
            needs[front], needs[back] = needs[back], needs[front]
        else:
            back -= 1
    return sorted(entries[:front]) + entries[front:]
