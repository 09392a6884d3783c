# SPDX-License-Identifier: GPL-2.0-only
"""Applies the relocations of arm64: arch/arm64/kernel/module.c: apply_relocate_add.

A branch that does not reach its target goes through a PLT entry (`frob` counts these entries), so branches to the
kernel never overflow. The PLT entries for erratum 843419 are not modelled: the kernel reserves enough of them.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHN_ABS
from kbuildpy.elf.rela_columns import RelaColumns
from kbuildpy.elf.relocation_types import (
    R_AARCH64_ABS16,
    R_AARCH64_ABS32,
    R_AARCH64_ABS64,
    R_AARCH64_ADD_ABS_LO12_NC,
    R_AARCH64_ADR_PREL_LO21,
    R_AARCH64_ADR_PREL_PG_HI21,
    R_AARCH64_ADR_PREL_PG_HI21_NC,
    R_AARCH64_CALL26,
    R_AARCH64_CONDBR19,
    R_AARCH64_JUMP26,
    R_AARCH64_LD_PREL_LO19,
    R_AARCH64_LDST8_ABS_LO12_NC,
    R_AARCH64_LDST16_ABS_LO12_NC,
    R_AARCH64_LDST32_ABS_LO12_NC,
    R_AARCH64_LDST64_ABS_LO12_NC,
    R_AARCH64_LDST128_ABS_LO12_NC,
    R_AARCH64_MOVW_PREL_G0,
    R_AARCH64_MOVW_PREL_G0_NC,
    R_AARCH64_MOVW_PREL_G1,
    R_AARCH64_MOVW_PREL_G1_NC,
    R_AARCH64_MOVW_PREL_G2,
    R_AARCH64_MOVW_PREL_G2_NC,
    R_AARCH64_MOVW_PREL_G3,
    R_AARCH64_MOVW_SABS_G0,
    R_AARCH64_MOVW_SABS_G1,
    R_AARCH64_MOVW_SABS_G2,
    R_AARCH64_MOVW_UABS_G0,
    R_AARCH64_MOVW_UABS_G0_NC,
    R_AARCH64_MOVW_UABS_G1,
    R_AARCH64_MOVW_UABS_G1_NC,
    R_AARCH64_MOVW_UABS_G2,
    R_AARCH64_MOVW_UABS_G2_NC,
    R_AARCH64_MOVW_UABS_G3,
    R_AARCH64_NONE,
    R_AARCH64_PREL16,
    R_AARCH64_PREL32,
    R_AARCH64_PREL64,
    R_AARCH64_TSTBR14,
    R_ARM_NONE,
)
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, FLAGS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.verdict import Undefined

SIGN = 1 << 63
MASK = (1 << 64) - 1
REACH = 1 << 24
"""The largest addend, in bytes, with which an address stays in the range of the kernel and its modules."""
FAR = 1 << 56
"""The smallest addend, in bytes, that overflows every checked type."""
NEAR = 1 << 27
"""The reach of a branch in bytes, which is about the largest distance between sections of a module."""
KERNEL_ADDRESS = 0xFFFF_8000_0800_0000
"""An arbitrary address of the kernel: absolute types overflow for all of them or for none."""


class Arm64Type(NamedTuple):
    """How the kernel computes the value of a relocation type, and writes it."""

    operation: str
    """The value: "abs" is S + A, "prel" is S + A - P, "page" is the distance between the pages of S + A and P."""
    field: str
    """The field that is written: "data", or of an instruction the immediate of MOVK and MOVZ ("movkz"), of MOVN and
    MOVZ ("movnz"), or any other ("imm")."""
    lsb: int
    """The lowest bit of the value that is written."""
    length: int
    """The number of bits that are written."""
    is_checked: bool
    """Whether the kernel refuses a value that does not fit in the field."""


NONE = frozenset({R_ARM_NONE, R_AARCH64_NONE})
TYPES = {
    R_AARCH64_ABS64: Arm64Type("abs", "data", 0, 64, False),
    R_AARCH64_ABS32: Arm64Type("abs", "data", 0, 32, True),
    R_AARCH64_ABS16: Arm64Type("abs", "data", 0, 16, True),
    R_AARCH64_PREL64: Arm64Type("prel", "data", 0, 64, False),
    R_AARCH64_PREL32: Arm64Type("prel", "data", 0, 32, True),
    R_AARCH64_PREL16: Arm64Type("prel", "data", 0, 16, True),
    R_AARCH64_MOVW_UABS_G0: Arm64Type("abs", "movkz", 0, 16, True),
    R_AARCH64_MOVW_UABS_G0_NC: Arm64Type("abs", "movkz", 0, 16, False),
    R_AARCH64_MOVW_UABS_G1: Arm64Type("abs", "movkz", 16, 16, True),
    R_AARCH64_MOVW_UABS_G1_NC: Arm64Type("abs", "movkz", 16, 16, False),
    R_AARCH64_MOVW_UABS_G2: Arm64Type("abs", "movkz", 32, 16, True),
    R_AARCH64_MOVW_UABS_G2_NC: Arm64Type("abs", "movkz", 32, 16, False),
    R_AARCH64_MOVW_UABS_G3: Arm64Type("abs", "movkz", 48, 16, False),
    R_AARCH64_MOVW_SABS_G0: Arm64Type("abs", "movnz", 0, 16, True),
    R_AARCH64_MOVW_SABS_G1: Arm64Type("abs", "movnz", 16, 16, True),
    R_AARCH64_MOVW_SABS_G2: Arm64Type("abs", "movnz", 32, 16, True),
    R_AARCH64_LD_PREL_LO19: Arm64Type("prel", "imm", 2, 19, True),
    R_AARCH64_ADR_PREL_LO21: Arm64Type("prel", "imm", 0, 21, True),
    R_AARCH64_ADR_PREL_PG_HI21: Arm64Type("page", "imm", 12, 21, True),
    R_AARCH64_ADR_PREL_PG_HI21_NC: Arm64Type("page", "imm", 12, 21, False),
    R_AARCH64_ADD_ABS_LO12_NC: Arm64Type("abs", "imm", 0, 12, False),
    R_AARCH64_LDST8_ABS_LO12_NC: Arm64Type("abs", "imm", 0, 12, False),
    R_AARCH64_TSTBR14: Arm64Type("prel", "imm", 2, 14, True),
    R_AARCH64_CONDBR19: Arm64Type("prel", "imm", 2, 19, True),
    R_AARCH64_JUMP26: Arm64Type("prel", "imm", 2, 26, True),
    R_AARCH64_CALL26: Arm64Type("prel", "imm", 2, 26, True),
    R_AARCH64_LDST16_ABS_LO12_NC: Arm64Type("abs", "imm", 1, 11, False),
    R_AARCH64_LDST32_ABS_LO12_NC: Arm64Type("abs", "imm", 2, 10, False),
    R_AARCH64_LDST64_ABS_LO12_NC: Arm64Type("abs", "imm", 3, 9, False),
    R_AARCH64_MOVW_PREL_G0: Arm64Type("prel", "movnz", 0, 16, True),
    R_AARCH64_MOVW_PREL_G0_NC: Arm64Type("prel", "movkz", 0, 16, False),
    R_AARCH64_MOVW_PREL_G1: Arm64Type("prel", "movnz", 16, 16, True),
    R_AARCH64_MOVW_PREL_G1_NC: Arm64Type("prel", "movkz", 16, 16, False),
    R_AARCH64_MOVW_PREL_G2: Arm64Type("prel", "movnz", 32, 16, True),
    R_AARCH64_MOVW_PREL_G2_NC: Arm64Type("prel", "movkz", 32, 16, False),
    R_AARCH64_MOVW_PREL_G3: Arm64Type("prel", "movnz", 48, 16, False),
    R_AARCH64_LDST128_ABS_LO12_NC: Arm64Type("abs", "imm", 4, 8, False),
}
PLT, INIT_PLT = ".plt", ".init.plt"
BRANCHES = frozenset({R_AARCH64_JUMP26, R_AARCH64_CALL26})
FAR_REACHING = frozenset(
    {
        R_AARCH64_PREL32,
        R_AARCH64_ADR_PREL_PG_HI21,
        R_AARCH64_JUMP26,
        R_AARCH64_CALL26,
        R_AARCH64_MOVW_PREL_G1,
        R_AARCH64_MOVW_PREL_G2,
    }
)
"""Checked types that reach every address within 2 GiB of a module; branches reach it through a PLT entry."""
HARMLESS = NONE | FAR_REACHING | {number for number, kind in TYPES.items() if not kind.is_checked}


def apply_relocate_add(info: LoadInfo, relsec: int, written: dict[int, int] | None) -> None:
    """Apply the relocation section `relsec`. arm64 ignores `written`: it does not check that the place is zero. Raises
    `Refusal` or `Undefined`."""
    columns = info.relocations(relsec)
    if columns.offsets and not _is_harmless(info, relsec, columns):
        _apply_each(info, relsec, columns)


def _is_harmless(info: LoadInfo, relsec: int, columns: RelaColumns) -> bool:
    """Whether a check of whole columns shows that no entry can be refused; False if the entries must be checked."""
    number = info.sechdrs[relsec].sh_info
    target = info.sechdrs[number]
    used = set(columns.symbols)
    return (
        HARMLESS.issuperset(columns.types)
        and (has_counted_branches(info, number) or BRANCHES.isdisjoint(columns.types))
        and max(columns.offsets) + 8 <= target.sh_size
        and min(columns.addends) >= -REACH
        and max(columns.addends) <= REACH
        and max(used) < len(info.values)
        and all(_is_near(info.values[symbol], target.sh_addr) for symbol in used)
    )


def _is_near(value: int | None, address: int) -> bool:
    return value is None or -NEAR + REACH < value - address < NEAR - REACH


def _apply_each(info: LoadInfo, relsec: int, columns: RelaColumns) -> None:
    """Check the relocations one by one, in the kernel's order."""
    number = info.sechdrs[relsec].sh_info
    target = info.sechdrs[number]
    prefix = "Modules: " if info.kernel.version >= since.ARM64_PREFIX else ""
    for entry, (offset, kind, symbol, addend) in enumerate(zip(*columns, strict=True)):
        name = info.section_name(relsec)
        if symbol >= len(info.values):
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} names symbol {symbol}, but there are {len(info.values)} symbols",
                AS_BUILT,
            )
        if kind in NONE:
            continue
        if kind not in TYPES:
            raise info.refuse(
                "ENOEXEC",
                f"{prefix}module {info.mod_name}: unsupported RELA relocation: {kind}",
                f"relocation {entry} of {name} is of type {kind}, which the kernel does not apply",
                hint=f"{FLAGS} (-fno-pic)",
            )
        length = TYPES[kind].length if TYPES[kind].field == "data" else 32
        if offset + length // 8 > target.sh_size:
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes {length // 8} bytes at {offset:#x} of "
                f"{info.section_name(number)}, which has {target.sh_size:#x} bytes",
                AS_BUILT,
            )
        if not TYPES[kind].is_checked:
            continue
        overflow = _overflow(info, number, kind, offset, symbol, addend)
        if overflow and kind in BRANCHES and has_plts(info):
            _emit_plt_entry(info, relsec, entry)
        elif overflow is None:
            # The text is the same for all relocations of a section, so it is noted once: there may be millions.
            info.not_checked(f"whether relocations of {name} overflow", reason="that depends on the kernel's address")
        elif overflow:
            raise info.refuse(
                "ENOEXEC",
                f"{prefix}module {info.mod_name}: overflow in relocation type {kind} "
                f"val {_shown_value(info, symbol, addend)}",
                f"relocation {entry} of {name} does not reach {info.symbol_name(symbol)!r}",
                hint=FLAGS,
            )


def _overflow(info: LoadInfo, target: int, kind: int, offset: int, symbol: int, addend: int) -> bool | None:
    """Whether the value does not fit in the field; None if that depends on the running kernel's addresses."""
    operation, field, lsb, length, _ = TYPES[kind]
    value = info.values[symbol]
    if operation != "abs" and not _is_kept(info, symbol):
        return None
    if value is None or (info.index.pcpu and info.symbol(symbol).st_shndx == info.index.pcpu):
        if operation == "abs":
            value = KERNEL_ADDRESS
        elif kind in FAR_REACHING and abs(addend) <= REACH:
            return False if kind not in BRANCHES or has_counted_branches(info, target) else None
        else:
            return True if abs(addend) >= FAR else None
    place = info.sechdrs[target].sh_addr + offset
    total = (value + addend) & MASK
    if operation == "prel":
        total = (total - place) & MASK
    elif operation == "page":
        total = ((total & ~0xFFF) - (place & ~0xFFF)) & MASK
    signed = ((total + SIGN) & MASK) - SIGN
    if field == "data":
        low = 0 if operation == "abs" else -1 << (length - 1)
        return not low <= signed < low + (1 << length)
    signed >>= lsb
    if field == "imm":
        return not -1 << (length - 1) <= signed < 1 << (length - 1)
    if field == "movnz" and signed < 0:
        signed = ~signed
    return not 0 <= signed <= 0xFFFF


def _is_kept(info: LoadInfo, symbol: int) -> bool:
    """Whether a symbol is among what the kernel keeps, or outside of the module; how far the copy of the file is from
    that, nobody knows."""
    number = info.symbol(symbol).st_shndx
    if not 0 < number < len(info.sechdrs) or number == info.index.pcpu:
        return True
    return bool(info.sechdrs[number].sh_flags & SHF_ALLOC)


def has_counted_branches(info: LoadInfo, target: int) -> bool:
    """Return whether the kernel reserves PLT entries for the branches in section `target`."""
    return bool(info.sechdrs[target].sh_flags & SHF_EXECINSTR)


def has_plts(info: LoadInfo) -> bool:
    """Return whether the kernel supports PLT entries for modules. From 6.5 on, every kernel does."""
    return info.kernel.version >= since.ARM64_PREFIX or info.kernel.has("ARM64_MODULE_PLTS") is not False


def _emit_plt_entry(info: LoadInfo, relsec: int, entry: int) -> None:
    """Use a PLT entry for a branch that does not reach its target (arch/arm64/kernel/module-plts.c:
    module_emit_plt_entry).

    `frob` reserves none for branches within one section and for those that are not in code. These are refused if
    nothing is reserved; else they may find the entry of a branch that reaches its target without one, which depends on
    where the kernel puts the module.
    """
    symbol, target = info.relocations(relsec).symbols[entry], info.sechdrs[relsec].sh_info
    if info.symbol(symbol).st_shndx != target and has_counted_branches(info, target):
        return
    name = info.section_name(relsec)
    if info.plt_entries.get(INIT_PLT if info.is_init_section(info.section_name(target)) else PLT):
        info.not_checked("whether there are enough PLT entries", reason="that depends on the kernel's address")
        return
    info.warn("arch/arm64/kernel/module-plts.c", "module_emit_plt_entry")
    raise info.refuse(
        "ENOEXEC",
        None,
        f"relocation {entry} of {name} is a branch that does not reach, and there is no PLT entry for it",
        FLAGS,
    )


def _shown_value(info: LoadInfo, symbol: int, addend: int) -> str:
    """The sum of symbol and addend in hexadecimal, as the message shows it. "<val>" unless the sum is the same on every
    machine, as for absolute symbols and for weak ones that nothing exports."""
    value = info.values[symbol]
    if value is None or info.symbol(symbol).st_shndx not in (0, SHN_ABS):
        return "<val>"
    return f"{(value + addend) & MASK:x}"
