"""Relocations of arm64: arch/arm64/kernel/module.c: apply_relocate_add.

What a branch does not reach goes through a PLT entry (`frob` counts them), so branches to
the kernel never overflow. Erratum 843419 is left out: it needs more such entries, which the kernel counts generously.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf.constants import SHN_ABS
from kbuildpy.elf.rela_columns import RelaColumns
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.verdict import Undefined

SIGN = 1 << 63
MASK = (1 << 64) - 1
REACH = 1 << 24
"""An addend that does not lead out of the part of memory that holds the kernel and its modules."""
FAR = 1 << 56
"""One that leads out of what any type reaches."""
NEAR = 1 << 27
"""Bytes that a branch reaches, and about how far apart a module's sections are."""
KERNEL_ADDRESS = 0xFFFF_8000_0800_0000
"""Some address of the kernel, where the result is the same for all of them (absolute types)."""


class Type(NamedTuple):
    """What is computed ("abs", "prel", "page"), into what ("data", "movkz", "movnz", "imm"), the lowest bit that is
    kept, the number of bits, and whether the kernel looks if the result fits."""

    operation: str
    field: str
    lsb: int
    length: int
    is_checked: bool


NONE = frozenset({0, 256})
TYPES = {
    257: Type("abs", "data", 0, 64, False),
    258: Type("abs", "data", 0, 32, True),
    259: Type("abs", "data", 0, 16, True),
    260: Type("prel", "data", 0, 64, False),
    261: Type("prel", "data", 0, 32, True),
    262: Type("prel", "data", 0, 16, True),
    263: Type("abs", "movkz", 0, 16, True),
    264: Type("abs", "movkz", 0, 16, False),
    265: Type("abs", "movkz", 16, 16, True),
    266: Type("abs", "movkz", 16, 16, False),
    267: Type("abs", "movkz", 32, 16, True),
    268: Type("abs", "movkz", 32, 16, False),
    269: Type("abs", "movkz", 48, 16, False),
    270: Type("abs", "movnz", 0, 16, True),
    271: Type("abs", "movnz", 16, 16, True),
    272: Type("abs", "movnz", 32, 16, True),
    273: Type("prel", "imm", 2, 19, True),
    274: Type("prel", "imm", 0, 21, True),
    275: Type("page", "imm", 12, 21, True),
    276: Type("page", "imm", 12, 21, False),
    277: Type("abs", "imm", 0, 12, False),
    278: Type("abs", "imm", 0, 12, False),
    279: Type("prel", "imm", 2, 14, True),
    280: Type("prel", "imm", 2, 19, True),
    282: Type("prel", "imm", 2, 26, True),
    283: Type("prel", "imm", 2, 26, True),
    284: Type("abs", "imm", 1, 11, False),
    285: Type("abs", "imm", 2, 10, False),
    286: Type("abs", "imm", 3, 9, False),
    287: Type("prel", "movnz", 0, 16, True),
    288: Type("prel", "movkz", 0, 16, False),
    289: Type("prel", "movnz", 16, 16, True),
    290: Type("prel", "movkz", 16, 16, False),
    291: Type("prel", "movnz", 32, 16, True),
    292: Type("prel", "movkz", 32, 16, False),
    293: Type("prel", "movnz", 48, 16, False),
    299: Type("abs", "imm", 4, 8, False),
}
BRANCHES = frozenset({282, 283})
FAR_REACHING = frozenset({261, 275, 282, 283, 289, 291})
"""Checked types that reach whatever lies within the 2 GiB around a module, branches by way of a PLT entry."""
HARMLESS = NONE | FAR_REACHING | {number for number, kind in TYPES.items() if not kind.is_checked}


def apply_relocate_add(info: LoadInfo, relsec: int) -> None:
    """Apply the relocation section `relsec`. Raises `Refusal` or `Undefined`."""
    columns = info.relocations(relsec)
    if columns.offsets and not _is_harmless(info, relsec, columns):
        _apply_each(info, relsec, columns)


def _is_harmless(info: LoadInfo, relsec: int, columns: RelaColumns) -> bool:
    """Whether the columns show that everything is within reach."""
    target = info.sechdrs[info.sechdrs[relsec].sh_info]
    used = set(columns.symbols)
    return (
        HARMLESS.issuperset(columns.types)
        and max(columns.offsets) + 8 <= target.sh_size
        and min(columns.addends) >= -REACH
        and max(columns.addends) <= REACH
        and max(used) < len(info.values)
        and all(_is_near(info.values[symbol], target.sh_addr) for symbol in used)
    )


def _is_near(value: int | None, address: int) -> bool:
    return value is None or -NEAR + REACH < value - address < NEAR - REACH


def _apply_each(info: LoadInfo, relsec: int, columns: RelaColumns) -> None:
    """Do as the kernel does, entry by entry."""
    number = info.sechdrs[relsec].sh_info
    target = info.sechdrs[number]
    prefix = "Modules: " if info.kernel.version >= since.ARM64_PREFIX else ""
    for entry, (offset, kind, symbol, addend) in enumerate(zip(*columns, strict=True)):
        name = info.section_name(relsec)
        if symbol >= len(info.values):
            raise Undefined(
                info.stage, f"relocation {entry} of {name} names symbol {symbol}, and there are {len(info.values)}"
            )
        if kind in NONE:
            continue
        if kind not in TYPES:
            raise info.refuse(
                "ENOEXEC",
                f"{prefix}module {info.mod_name}: unsupported RELA relocation: {kind}",
                f"relocation {entry} of {name} is of type {kind}, which the kernel does not apply",
                hint="compile with the flags of the kernel tree (-fno-pic)",
            )
        length = TYPES[kind].length if TYPES[kind].field == "data" else 32
        if offset + length // 8 > target.sh_size:
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes {length // 8} bytes at {offset:#x} of "
                f"{info.section_name(number)}, which has {target.sh_size:#x}",
            )
        if not TYPES[kind].is_checked:
            continue
        overflow = _overflow(info, number, kind, offset, symbol, addend)
        if overflow and kind in BRANCHES and _has_plts(info):
            _emit_plt_entry(info, relsec, entry)
        elif overflow is None:
            info.not_checked(f"whether relocation {entry} of {name} overflows: that depends on where the kernel lies")
        elif overflow:
            raise info.refuse(
                "ENOEXEC",
                f"{prefix}module {info.mod_name}: overflow in relocation type {kind} "
                f"val {_shown_value(info, symbol, addend)}",
                f"relocation {entry} of {name} does not reach {info.symbol_name(symbol)!r}",
                hint="compile with the flags of the kernel tree",
            )


def _overflow(info: LoadInfo, target: int, kind: int, offset: int, symbol: int, addend: int) -> bool | None:
    """Whether the result does not fit; None if that depends on the machine."""
    operation, field, lsb, length, _ = TYPES[kind]
    value = info.values[symbol]
    if value is None or (info.index.pcpu and info.symbols[symbol][3] == info.index.pcpu):
        if operation == "abs":
            value = KERNEL_ADDRESS
        elif kind in FAR_REACHING and abs(addend) <= REACH:
            return False
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


def _has_plts(info: LoadInfo) -> bool:
    """Whether the kernel has PLT entries at all (since 6.5 always)."""
    return info.kernel.version >= since.ARM64_PREFIX or info.kernel.has("ARM64_MODULE_PLTS") is not False


def _emit_plt_entry(info: LoadInfo, relsec: int, entry: int) -> None:
    """A branch that does not reach takes one of the entries that were counted; branches within their own section are
    not counted (arch/arm64/kernel/module-plts.c: module_emit_plt_entry)."""
    symbol = info.relocations(relsec).symbols[entry]
    if info.symbols[symbol][3] == info.sechdrs[relsec].sh_info:
        raise info.refuse(
            "ENOEXEC",
            None,
            f"relocation {entry} of {info.section_name(relsec)} is a branch that does not reach its own section, "
            "for which there is no PLT entry (the kernel warns, with a trace)",
        )


def _shown_value(info: LoadInfo, symbol: int, addend: int) -> str:
    """%Lx of the sum where it is the same on every machine: for absolute symbols and for weak ones that nobody has."""
    value = info.values[symbol]
    if value is None or info.symbols[symbol][3] not in (0, SHN_ABS):
        return "<val>"
    return f"{(value + addend) & MASK:x}"
