# SPDX-License-Identifier: GPL-2.0-only
"""arm of 32 bits: arch/arm/kernel/ (elf.c, module.c, module-plts.c)."""

from __future__ import annotations

from kbuildpy.elf.constants import EM_ARM, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_REL
from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.relocation_types import (
    R_ARM_ABS32,
    R_ARM_CALL,
    R_ARM_JUMP24,
    R_ARM_PC24,
    R_ARM_REL32,
    R_ARM_THM_CALL,
    R_ARM_THM_JUMP24,
)
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, MODULE_LDS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.partly import partly_known
from kbuildpy.loader.printk import signed
from kbuildpy.loader.verdict import Undefined

_WORD = 4
_EABI, _VFP, _SOFT, _APCS_26 = 0xFF000000, 0x400, 0x200, 0x8
"""Fields of e_flags (arch/arm/include/asm/elf.h)."""
_CALLS = frozenset({R_ARM_CALL, R_ARM_PC24, R_ARM_JUMP24})
_THUMB_CALLS = frozenset({R_ARM_THM_CALL, R_ARM_THM_JUMP24})
_FIXED = 2
"""Entries of a PLT for ftrace (fixed_plts)."""
_ENTRY = 8
"""Bytes of an entry of a PLT: an instruction and an address."""


def elf_check_arch(hdr: Ehdr) -> bool:
    """Return whether the entry address, which is that of an instruction, and the old forms of floating point fit a
    processor with Thumb, and without 26-bit addresses."""
    if not hdr.e_entry & 1 and hdr.e_entry & 3:
        return False
    return bool(hdr.e_flags & _EABI) or not hdr.e_flags & _APCS_26


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Set the sizes of the sections for PLTs. Raises `Refusal` (ENOEXEC) for a module without them."""
    # Other kernels do not have this function, nor what it does to sections for unwinding in newer versions.
    if info.kernel.has("ARM_MODULE_PLTS") is False:
        return
    plts = [(info.numbers_of(name) or [0])[-1] for name in (".plt", ".init.plt")]
    if not all(plts):
        raise info.refuse(
            "ENOEXEC",
            f"{info.mod_name}: module PLT section(s) missing",
            "it has no sections .plt and .init.plt",
            MODULE_LDS,
        )
    fixed = _FIXED if info.is_set("DYNAMIC_FTRACE") else 0
    counts = [fixed, fixed]
    for number, section in enumerate(info.sechdrs):
        target = section.sh_info
        if section.sh_type != SHT_REL or target >= len(info.sechdrs):
            continue
        if info.sechdrs[target].sh_flags & SHF_EXECINSTR:
            counts[info.is_init_section(info.section_name(target))] += _plts(info, number)
    line = 1 << _cache_shift(info)
    whole = 2 * line
    for number, count in zip(plts, counts, strict=True):
        section = info.sechdrs[number]
        section.sh_type, section.sh_flags, section.sh_addralign = SHT_NOBITS, SHF_EXECINSTR | SHF_ALLOC, line
        section.sh_size = -(-count * _ENTRY // whole) * whole
    if info.kernel.version >= since.UNREAD_SIZES and info.kernel.has("VMSPLIT_3G") is False:
        info.size_unknown = "such kernels may put what is for unwinding beside the code"


def _cache_shift(info: LoadInfo) -> int:
    """CONFIG_ARM_L1_CACHE_SHIFT; what it is for every processor from ARMv7 on where that is not known."""
    return 6 if info.kernel.has("ARM_L1_CACHE_SHIFT_6") is not False else 5


def _plts(info: LoadInfo, relsec: int) -> int:
    """The entries of a PLT that the calls in one section may need: each one to another section, but two that are the
    same and lead to the beginning of a function count once (count_plts)."""
    columns = info.relocations(relsec)
    target = info.sechdrs[relsec].sh_info
    contents = info.view(target)
    rows = sorted(zip(columns.types, columns.symbols, range(len(columns.offsets)), strict=True))
    count = 0
    before: tuple[int, int, bool] | None = None
    for kind, symbol, entry in rows:
        is_call = kind in _CALLS or kind in _THUMB_CALLS
        is_plain = is_call and _is_plain(contents, columns.offsets[entry], kind, info.machine.byteorder)
        if is_call and symbol < len(info.symbols) and info.symbol(symbol).st_shndx != target:
            is_same = before is not None and before == (kind, symbol, True)
            if not is_plain or not is_same:
                count += 1
        before = (kind, symbol, is_plain)
    return count


def _is_plain(contents: memoryview, offset: int, kind: int, byteorder: str) -> bool:
    """Whether a call in the file leads to the beginning of its symbol (is_zero_addend_relocation)."""
    if kind in _THUMB_CALLS:
        upper, lower = (
            int.from_bytes(contents[at : at + 2], byteorder)  # type: ignore[arg-type]
            for at in (offset, offset + 2)
        )
        return upper & 0x7FF == 0x7FF and lower & 0x2FFF == 0x2FFE
    word = int.from_bytes(contents[offset : offset + _WORD], byteorder)  # type: ignore[arg-type]
    return word & 0xFFFFFF == 0xFFFFFE


def apply_relocate(info: LoadInfo, relsec: int, written: dict[int, int] | None) -> None:
    """Refuse a relocation whose symbol or place is not there. Raises `Refusal` (ENOEXEC), or `Undefined` for what
    the kernel lets pass: the number behind that of the last symbol, and places in a section shorter than a word."""
    columns = info.relocations(relsec)
    name, target = info.section_name(relsec), info.sechdrs[info.sechdrs[relsec].sh_info]
    # Relocations of code were sorted for counting, and are numbered in that order.
    is_sorted = target.sh_flags & SHF_EXECINSTR and info.kernel.has("ARM_MODULE_PLTS") is not False
    for entry, (offset, kind, symbol, _) in enumerate(zip(*columns, strict=True)):
        where = f"{info.mod_name}: section {relsec} reloc {'<number>' if is_sorted else entry}"
        if symbol > len(info.values):
            raise info.refuse(
                "ENOEXEC",
                f"{where}: bad relocation sym offset",
                f"relocation {entry} of {name} names symbol {symbol}, but there are {len(info.values)} symbols",
                AS_BUILT,
            )
        if symbol == len(info.values):
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} names symbol {symbol}, but there are {symbol}, and the kernel reads "
                f"on there",
                AS_BUILT,
            )
        if offset > target.sh_size - _WORD & info.machine.mask:
            shown = info.symbol_name(symbol)
            raise info.refuse(
                "ENOEXEC",
                f"{where} sym '{shown}': out of bounds relocation, offset {signed(offset)} size {target.sh_size}",
                f"relocation {entry} of {name} writes at {offset:#x}, and the section has {target.sh_size:#x} bytes",
                AS_BUILT,
            )
        if kind and offset + _WORD > target.sh_size:
            # Of a section that is shorter than a word, the kernel computes the last place as a huge one.
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes {_WORD} bytes to a section of {target.sh_size}",
                AS_BUILT,
            )


MACHINE = partly_known(
    MachineFacts(
        name="arm",
        e_machine=EM_ARM,
        relocations=RelocationKinds(
            absolute=frozenset({R_ARM_ABS32}),
            relative=frozenset({R_ARM_REL32}),
            relative64=frozenset(),
            applied=frozenset({R_ARM_ABS32, R_ARM_REL32}),
        ),
        # arch/arm/include/asm/memory.h: 16 MiB below the kernel, of which PKMAP takes the end; with PLTs also all of
        # vmalloc()'s range.
        modules_start=0xBF000000,
        modules_size=1 << 30,
        copy_address=0xF0000000,
        large_page=0x200000,
        bits=32,
        rela=False,
        init_prefixes=(".init", ".ARM.extab.init", ".ARM.exidx.init"),
        exit_prefixes=(".exit", ".ARM.extab.exit", ".ARM.exidx.exit"),
        warns_with_trap=False,
        is_whole=False,
    ),
    module_frob_arch_sections=module_frob_arch_sections,
    elf_check_arch=elf_check_arch,
    apply_relocate=apply_relocate,
)
