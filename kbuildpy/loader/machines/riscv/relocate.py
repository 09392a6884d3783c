# SPDX-License-Identifier: GPL-2.0-only
"""Applies the relocations of riscv64: arch/riscv/kernel/module.c: apply_relocate_add.

The kernel checks few values: distances of 32 bits, and absolute numbers of 32 bits. The low half of a distance is
computed from the relocation of its high half, which must be in the same section of relocations. From 6.7 on, sums,
differences and stores of one place are accumulated, and written when all else is done: what does not fit is logged, and
not written, and the module is loaded nevertheless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kbuildpy.elf.constants import SHF_EXECINSTR, SHN_ABS, STB_WEAK
from kbuildpy.elf.rela_columns import RelaColumns
from kbuildpy.elf.relocation_types import (
    R_RISCV_32,
    R_RISCV_32_PCREL,
    R_RISCV_64,
    R_RISCV_ADD8,
    R_RISCV_ADD16,
    R_RISCV_ADD32,
    R_RISCV_ADD64,
    R_RISCV_ALIGN,
    R_RISCV_BRANCH,
    R_RISCV_CALL,
    R_RISCV_CALL_PLT,
    R_RISCV_COPY,
    R_RISCV_GOT_HI20,
    R_RISCV_HI20,
    R_RISCV_IRELATIVE,
    R_RISCV_JAL,
    R_RISCV_JUMP_SLOT,
    R_RISCV_LO12_I,
    R_RISCV_LO12_S,
    R_RISCV_PCREL_HI20,
    R_RISCV_PCREL_LO12_I,
    R_RISCV_PCREL_LO12_S,
    R_RISCV_PLT32,
    R_RISCV_RELATIVE,
    R_RISCV_RELAX,
    R_RISCV_RVC_BRANCH,
    R_RISCV_RVC_JUMP,
    R_RISCV_SET6,
    R_RISCV_SET8,
    R_RISCV_SET16,
    R_RISCV_SET32,
    R_RISCV_SET_ULEB128,
    R_RISCV_SUB6,
    R_RISCV_SUB8,
    R_RISCV_SUB16,
    R_RISCV_SUB32,
    R_RISCV_SUB64,
    R_RISCV_SUB_ULEB128,
    R_RISCV_TLS_DTPMOD32,
    R_RISCV_TLS_DTPMOD64,
    R_RISCV_TLS_DTPREL32,
    R_RISCV_TLS_DTPREL64,
    R_RISCV_TLS_GD_HI20,
    R_RISCV_TLS_GOT_HI20,
    R_RISCV_TLS_TPREL32,
    R_RISCV_TLS_TPREL64,
    R_RISCV_TPREL_ADD,
    R_RISCV_TPREL_HI20,
    R_RISCV_TPREL_LO12_I,
    R_RISCV_TPREL_LO12_S,
)
from kbuildpy.kernel.release import Version
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, FLAGS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.riscv.accumulate import Addend, accumulate
from kbuildpy.loader.verdict import Refusal, Undefined

MASK = (1 << 64) - 1
SIGN = 1 << 63
ERROR = (1 << 64) - 4095
"""The smallest value that the kernel takes for an error number (IS_ERR_VALUE)."""
REACH = 1 << 20
"""The largest addend, in bytes, with which an address of the kernel stays in reach of all modules."""
FAR = 1 << 34
"""The smallest addend, in bytes, with which no address of the kernel is in reach of any module."""

WIDTHS = {
    R_RISCV_32: 4,
    R_RISCV_64: 8,
    R_RISCV_BRANCH: 4,
    R_RISCV_JAL: 4,
    R_RISCV_CALL: 8,
    R_RISCV_CALL_PLT: 8,
    R_RISCV_GOT_HI20: 4,
    R_RISCV_PCREL_HI20: 4,
    R_RISCV_PCREL_LO12_I: 4,
    R_RISCV_PCREL_LO12_S: 4,
    R_RISCV_HI20: 4,
    R_RISCV_LO12_I: 4,
    R_RISCV_LO12_S: 4,
    R_RISCV_ADD32: 4,
    R_RISCV_ADD64: 8,
    R_RISCV_SUB32: 4,
    R_RISCV_SUB64: 8,
    R_RISCV_ALIGN: 0,
    R_RISCV_RVC_BRANCH: 2,
    R_RISCV_RVC_JUMP: 2,
    R_RISCV_RELAX: 0,
    # From 6.7 on (ADD16 and SUB16 from 6.3 on):
    R_RISCV_ADD8: 1,
    R_RISCV_ADD16: 2,
    R_RISCV_SUB8: 1,
    R_RISCV_SUB16: 2,
    R_RISCV_SUB6: 1,
    R_RISCV_SET6: 1,
    R_RISCV_SET8: 1,
    R_RISCV_SET16: 2,
    R_RISCV_SET32: 4,
    R_RISCV_32_PCREL: 4,
    R_RISCV_PLT32: 4,
    R_RISCV_SET_ULEB128: 1,
    R_RISCV_SUB_ULEB128: 1,
}
"""The bytes that each type writes, at least."""
EARLY = frozenset(list(WIDTHS)[: list(WIDTHS).index(R_RISCV_ADD8)])
"""The types that kernels before 6.3 apply."""
SIXTEEN_BITS = frozenset({R_RISCV_ADD16, R_RISCV_SUB16})
"""The types that kernels from 6.3 on apply, too."""
ACCUMULATED = frozenset(
    {
        R_RISCV_ADD8,
        R_RISCV_ADD16,
        R_RISCV_ADD32,
        R_RISCV_ADD64,
        R_RISCV_SUB6,
        R_RISCV_SUB8,
        R_RISCV_SUB16,
        R_RISCV_SUB32,
        R_RISCV_SUB64,
        R_RISCV_SET6,
        R_RISCV_SET8,
        R_RISCV_SET16,
        R_RISCV_SET32,
        R_RISCV_SET_ULEB128,
        R_RISCV_SUB_ULEB128,
    }
)
DYNAMIC = frozenset(
    {
        R_RISCV_RELATIVE,
        R_RISCV_COPY,
        R_RISCV_JUMP_SLOT,
        R_RISCV_TLS_DTPMOD32,
        R_RISCV_TLS_DTPMOD64,
        R_RISCV_TLS_DTPREL32,
        R_RISCV_TLS_DTPREL64,
        R_RISCV_TLS_TPREL32,
        R_RISCV_TLS_TPREL64,
        R_RISCV_IRELATIVE,
    }
)
"""Types of shared objects, which kernels from 6.7 on know by name."""
THREAD_LOCAL = frozenset(
    {
        R_RISCV_TLS_GOT_HI20,
        R_RISCV_TLS_GD_HI20,
        R_RISCV_TPREL_HI20,
        R_RISCV_TPREL_LO12_I,
        R_RISCV_TPREL_LO12_S,
        R_RISCV_TPREL_ADD,
    }
)
LOW_HALVES = frozenset({R_RISCV_PCREL_LO12_I, R_RISCV_PCREL_LO12_S})
HIGH_HALVES = frozenset({R_RISCV_PCREL_HI20, R_RISCV_GOT_HI20})
DISTANCES = frozenset({R_RISCV_PCREL_HI20, R_RISCV_CALL, R_RISCV_CALL_PLT, R_RISCV_PLT32})
"""Types whose value must be a distance of 32 bits."""
CHECKED = DISTANCES | {R_RISCV_32, R_RISCV_ALIGN, R_RISCV_GOT_HI20, R_RISCV_HI20}
"""Types that may be refused for their value."""
THROUGH_PLT = frozenset({R_RISCV_CALL_PLT, R_RISCV_PLT32})
"""Those that go through an entry of the PLT where they do not reach, if the kernel reserves any."""


def apply_relocate_add(info: LoadInfo, relsec: int, written: dict[int, int] | None) -> None:
    """Apply the relocation section `relsec`. riscv64 ignores `written`: it does not check that the place is zero.
    Raises `Refusal` or `Undefined`."""
    columns = info.relocations(relsec)
    number = info.sechdrs[relsec].sh_info
    target = info.sechdrs[number]
    highs: set[int] | None = None
    places: dict[int, list[Addend]] = {}
    name = info.section_name(relsec)
    accumulates = info.kernel.version >= since.RISCV_ACCUMULATION
    known = _known_types(info.kernel.version)
    for entry, (offset, kind, symbol, addend) in enumerate(zip(*columns, strict=True)):
        if symbol >= len(info.values):
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} names symbol {symbol}, but there are {len(info.values)} symbols",
                AS_BUILT,
            )
        value = info.values[symbol]
        if value is not None and value >= ERROR:
            if info.symbol(symbol).st_info >> 4 == STB_WEAK:
                continue
            raise info.refuse(
                "ENOENT",
                f"{info.mod_name}: Unknown symbol {info.symbol_name(symbol)}",
                f"relocation {entry} of {name} names {info.symbol_name(symbol)!r}, whose value is an error number",
                "give the absolute symbol a value below -4095, as a number of 64 bits",
            )
        if kind not in known:
            raise _not_applied(info, relsec, entry, kind)
        if kind in LOW_HALVES:
            if highs is None:
                highs = {target.sh_addr + at for at, other in zip(*columns[:2], strict=True) if other in HIGH_HALVES}
            if value not in highs:
                raise info.refuse(
                    "EINVAL",
                    f"{info.mod_name}: Can not find HI20 relocation information",
                    f"relocation {entry} of {name} is for the low half of a distance, whose high half is not relocated",
                    hint=FLAGS,
                )
        if kind in CHECKED:
            _check(info, relsec, entry, kind)
        if offset + WIDTHS[kind] > target.sh_size:
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes {WIDTHS[kind]} bytes at {offset:#x} of "
                f"{info.section_name(number)}, which has {target.sh_size:#x} bytes",
                AS_BUILT,
            )
        if accumulates and kind in ACCUMULATED:
            if len(columns.offsets) == 1:
                raise Undefined(
                    info.stage,
                    f"the only relocation of {name} is of type {kind}: the kernel looks for its place in a hash table "
                    "of one entry, and writes outside of that",
                    hint=FLAGS,
                )
            total = None if value is None else value + addend & MASK
            places.setdefault(offset, []).append(Addend(kind, total))
    accumulate(info, relsec, places)


def _known_types(version: Version) -> Collection[int]:
    if version >= since.RISCV_ACCUMULATION:
        return WIDTHS.keys()
    return EARLY | SIXTEEN_BITS if version >= since.RISCV_SIXTEEN_BITS else EARLY


def has_sections(info: LoadInfo) -> bool:
    """Return whether the kernel makes a GOT and a PLT for modules (CONFIG_MODULE_SECTIONS)."""
    return info.kernel.has("MODULE_SECTIONS") is not False


def _not_applied(info: LoadInfo, relsec: int, entry: int, kind: int) -> Refusal:
    """The refusal of a type that this kernel does not apply."""
    what = f"Unknown relocation type {kind}"
    if info.kernel.version >= since.RISCV_ACCUMULATION and kind in DYNAMIC:
        what = "Dynamic linking not supported in kernel modules PC = <loc>"
    elif info.kernel.version >= since.RISCV_ACCUMULATION and kind in THREAD_LOCAL:
        what = "Thread local storage not supported in kernel modules PC = <loc>"
    return info.refuse(
        "EINVAL",
        f"{info.mod_name}: {what}",
        f"relocation {entry} of {info.section_name(relsec)} is of type {kind}, which the kernel does not apply",
        hint=f"{FLAGS} (-mno-relax, -fno-pic)",
    )


def _check(info: LoadInfo, relsec: int, entry: int, kind: int) -> None:
    """Check the value of one relocation where the kernel does."""
    name = info.section_name(relsec)
    columns = info.relocations(relsec)
    symbol, addend = columns.symbols[entry], columns.addends[entry]
    if kind == R_RISCV_ALIGN:
        raise info.refuse(
            "EINVAL",
            f"{info.mod_name}: The unexpected relocation type 'R_RISCV_ALIGN' from PC = <loc>",
            f"relocation {entry} of {name} is for a linker that moves code",
            hint=f"{FLAGS} (-mno-relax)",
        )
    if kind == R_RISCV_GOT_HI20:
        _check_got(info, relsec, entry)
    elif kind == R_RISCV_HI20 and info.is_set("CMODEL_MEDLOW"):
        raise _out_of_reach(info, relsec, entry)
    elif kind == R_RISCV_32:
        fits = _fits_32_bits(info, symbol, addend)
        if fits is None:
            _depends(info, name)
        elif not fits:
            raise info.refuse(
                "EINVAL",
                f"{info.mod_name}: value {_shown(info, symbol, addend)} out of range for 32-bit field",
                f"relocation {entry} of {name} writes an address of 64 bits to 32",
                hint=FLAGS,
            )
    elif kind in DISTANCES:
        reaches = _reaches(info, relsec, entry)
        if reaches is None:
            _depends(info, name)
        elif not reaches and not (kind in THROUGH_PLT and has_sections(info)):
            raise _out_of_reach(info, relsec, entry)
        elif not reaches and not _is_counted(info, relsec):
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} needs an entry of the PLT, and only code has those reserved: BUG()",
                FLAGS,
            )


def _check_got(info: LoadInfo, relsec: int, entry: int) -> None:
    name = info.section_name(relsec)
    columns = info.relocations(relsec)
    if info.kernel.has("MODULE_SECTIONS") is False:
        shown = _shown(info, columns.symbols[entry], columns.addends[entry])
        raise info.refuse(
            "EINVAL",
            f"{info.mod_name}: can not generate the GOT entry for symbol = {shown} from PC = <loc>",
            f"relocation {entry} of {name} needs a GOT, and this kernel makes none for modules",
            hint=f"{FLAGS} (-fno-pic)",
        )
    if not _is_counted(info, relsec):
        raise Undefined(
            info.stage,
            f"relocation {entry} of {name} needs an entry of the GOT, and only code has those reserved: BUG()",
            f"{FLAGS} (-fno-pic)",
        )


def _is_counted(info: LoadInfo, relsec: int) -> bool:
    """Whether the kernel has reserved entries of GOT and PLT for this section (`frob`)."""
    return bool(info.sechdrs[info.sechdrs[relsec].sh_info].sh_flags & SHF_EXECINSTR)


def _reaches(info: LoadInfo, relsec: int, entry: int) -> bool | None:
    """Whether a distance fits in 32 bits; None if that depends on the running kernel's addresses."""
    columns = info.relocations(relsec)
    symbol, addend = columns.symbols[entry], columns.addends[entry]
    value = info.values[symbol]
    if value is None or _is_percpu(info, symbol):
        # The kernel is within 2 GiB of its modules, and so is what it reserves for their per-CPU variables.
        if abs(addend) <= REACH:
            return True
        return False if abs(addend) >= FAR else None
    place = info.sechdrs[info.sechdrs[relsec].sh_info].sh_addr + columns.offsets[entry]
    distance = (value + addend - place + SIGN & MASK) - SIGN
    return -(1 << 31) - (1 << 11) <= distance < (1 << 31) - (1 << 11)


def _fits_32_bits(info: LoadInfo, symbol: int, addend: int) -> bool | None:
    value = info.values[symbol]
    if value is None or _is_percpu(info, symbol):
        # All addresses of the kernel and its modules are in the last 4 GiB.
        return False if -FAR < addend <= REACH else None
    return not value + addend & MASK & ~0xFFFFFFFF


def _is_percpu(info: LoadInfo, symbol: int) -> bool:
    return bool(info.index.pcpu and info.symbol(symbol).st_shndx == info.index.pcpu)


def _out_of_reach(info: LoadInfo, relsec: int, entry: int) -> Refusal:
    columns = info.relocations(relsec)
    shown = _shown(info, columns.symbols[entry], columns.addends[entry])
    return info.refuse(
        "EINVAL",
        f"{info.mod_name}: target {shown} can not be addressed by the 32-bit offset from PC = <loc>",
        f"relocation {entry} of {info.section_name(relsec)} does not reach "
        f"{info.symbol_name(columns.symbols[entry])!r}",
        hint=FLAGS,
    )


def _depends(info: LoadInfo, name: str) -> None:
    # The text is the same for all relocations of a section, so it is noted once: there may be millions.
    info.not_checked(f"whether relocations of {name} overflow", reason="that depends on the kernel's address")


def _shown(info: LoadInfo, symbol: int, addend: int) -> str:
    """The sum of symbol and addend in hexadecimal, as the message shows it. "<val>" unless the sum is the same on every
    machine, as for absolute symbols and for weak ones that nothing exports."""
    value = info.values[symbol]
    if value is None or info.symbol(symbol).st_shndx not in (0, SHN_ABS):
        return "<val>"
    return f"{value + addend & MASK:016x}"


def entries(columns: RelaColumns, kinds: Iterable[int]) -> list[tuple[int, int, int]]:
    """Type, symbol and addend of the relocations of types `kinds`, in order."""
    wanted = frozenset(kinds)
    return [(kind, symbol, addend) for _, kind, symbol, addend in zip(*columns, strict=True) if kind in wanted]
