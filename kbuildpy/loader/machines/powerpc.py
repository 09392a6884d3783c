# SPDX-License-Identifier: GPL-2.0-only
"""powerpc of 64 bits, little endian: arch/powerpc/kernel/module_64.c.

Calls go through stubs, for which the section `.stubs` gets room. Undefined symbols lose a dot at their beginning, and
`.TOC.` is the machine's own.
"""

from __future__ import annotations

from kbuildpy.elf.constants import EM_PPC64, SHN_ABS, SHN_UNDEF, SHT_RELA
from kbuildpy.elf.relocation_types import (
    R_PPC64_ADDR64,
    R_PPC64_REL24,
    R_PPC64_REL24_NOTOC,
    R_PPC64_REL32,
    R_PPC64_REL64,
)
from kbuildpy.loader import since
from kbuildpy.loader.hints import MODULE_LDS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.partly import partly_known

_STUB = 40
"""sizeof(struct ppc64_stub_entry): seven instructions, a magic number and an address."""
_ABI = 3
"""The version of the ABI in e_flags."""
_TOC = "TOC."


def module_elf_check_arch(info: LoadInfo) -> bool:
    """Return whether the module is of version 2 of the ABI, as kernels of this byte order are."""
    return info.hdr.e_flags & _ABI == 2


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Take the dots from undefined symbols, and set the size of `.stubs`. Raises `Refusal` (ENOEXEC) for a module
    without that section."""
    _take_dots(info)
    found = info.numbers_of(".stubs")
    if not found:
        raise info.refuse(
            "ENOEXEC",
            f"module_64: {info.mod_name}: doesn't contain .stubs.",
            "it has no section .stubs, in which the kernel puts the jumps to its functions",
            MODULE_LDS,
        )
    for number in info.numbers_of(".toc"):
        section = info.sechdrs[number]
        section.sh_addralign = max(section.sh_addralign, 8)
    info.sechdrs[found[-1]].sh_size = _stubs(info) * _STUB


def _take_dots(info: LoadInfo) -> None:
    dotted = {
        number: info.symbol_name(number)
        for number, (st_name, _, _, st_shndx, _, _) in enumerate(info.symbols)
        if number and st_shndx == SHN_UNDEF and st_name and info.symbol_name(number).startswith(".")
    }
    if dotted:
        rows = list(info.symbols)
        for number, name in dotted.items():
            st_name, st_info, st_other, st_shndx, st_value, st_size = rows[number]
            shndx = SHN_ABS if name == f".{_TOC}" else st_shndx
            rows[number] = (st_name + 1, st_info, st_other, shndx, st_value, st_size)
        info.symbols = rows


def _stubs(info: LoadInfo) -> int:
    """The stubs that the kernel makes room for (get_stubs_size)."""
    kinds = [R_PPC64_REL24, *([R_PPC64_REL24_NOTOC] if info.kernel.has("PPC_KERNEL_PCREL") else [])]
    if info.kernel.version >= since.UNREAD_SIZES:
        info.size_unknown = "the stubs of newer kernels for powerpc are not counted here"
    traced = sum(bool(info.kernel.has(name)) for name in ("DYNAMIC_FTRACE", "DYNAMIC_FTRACE_WITH_REGS"))
    # The last one is empty.
    return (
        1
        + traced
        + sum(
            _calls(info, number, kind)
            for number, section in enumerate(info.sechdrs)
            if number and section.sh_type == SHT_RELA
            for kind in kinds
        )
    )


def _calls(info: LoadInfo, relsec: int, kind: int) -> int:
    """The different calls of one type in a section of relocations. One with a negative addend is different from all
    others, for the kernel compares it with an unsigned number (count_relocs)."""
    columns = info.relocations(relsec)
    rows = zip(columns.symbols, columns.types, columns.addends, strict=True)
    count, before = 0, (0, 0)
    for symbol, _, addend in sorted((row for row in rows if row[1] == kind), reverse=True):
        if before != (symbol, addend):
            count += 1
        before = (symbol, addend & 0xFFFFFFFF)
    return count


MACHINE = partly_known(
    MachineFacts(
        name="powerpc",
        e_machine=EM_PPC64,
        relocations=RelocationKinds(
            absolute=frozenset({R_PPC64_ADDR64}),
            relative=frozenset({R_PPC64_REL32}),
            relative64=frozenset({R_PPC64_REL64}),
            applied=frozenset({R_PPC64_ADDR64, R_PPC64_REL32, R_PPC64_REL64}),
        ),
        # Modules are anywhere in vmalloc()'s range (arch/powerpc/include/asm/book3s/64/pgtable.h).
        modules_start=0xC008000000000000,
        modules_size=1 << 46,
        copy_address=0xC008000010000000,
        large_page=0x200000,
        page_size=0x10000,
        page_sizes=(("PPC_4K_PAGES", 0x1000), ("PPC_16K_PAGES", 0x4000)),
        # Init sections stay: the code in them would need a TOC of its own (module_init_section).
        init_prefixes=(),
        has_percpu_reserve=False,
        is_whole=False,
    ),
    module_frob_arch_sections=module_frob_arch_sections,
    module_elf_check_arch=module_elf_check_arch,
)
