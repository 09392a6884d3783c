# SPDX-License-Identifier: GPL-2.0-only
"""Applies the relocations of x86-64: arch/x86/kernel/module.c: apply_relocate_add.

The surprise: the kernel refuses a relocation whose place is not zero (the check is for livepatch, which may relocate
twice), but truncates the value of R_X86_64_PC32 and R_X86_64_PLT32 to 32 bits without a check.

A check of whole columns shows for nearly all sections that no entry can be refused. Only the other sections are checked
entry by entry.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import sub

from kbuildpy.elf.constants import SHN_ABS, SHT_NOBITS
from kbuildpy.elf.rela_columns import RelaColumns
from kbuildpy.elf.relocation_types import (
    R_X86_64_32,
    R_X86_64_32S,
    R_X86_64_64,
    R_X86_64_NONE,
    R_X86_64_PC32,
    R_X86_64_PC64,
    R_X86_64_PLT32,
)
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, FLAGS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.allocate import shares_pages
from kbuildpy.loader.verdict import Refusal, Undefined

WIDTHS = {R_X86_64_64: 8, R_X86_64_PC32: 4, R_X86_64_PLT32: 4, R_X86_64_32: 4, R_X86_64_32S: 4, R_X86_64_PC64: 8}
RELATIVE = (R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64)
CHECKED = {R_X86_64_32, R_X86_64_32S}
"""Types whose value the kernel refuses if it does not fit in the field."""

MASK = (1 << 64) - 1
TOP_2G = MASK - (1 << 31) + 1
"""The lowest of the upper 2 GiB of addresses, which R_X86_64_32S can hold."""
_NONZERO_HINT = (
    "for .gnu.linkonce.this_module build it for this kernel: it was built with another struct module; for another "
    "section link it with the kernel tree's linker and flags (ld -r), which leaves zeros there"
)
_UNKNOWN = -1
"""A byte that is not the same on every boot."""
ELSEWHERE = (-(1 << 31) + (1 << 24), -(1 << 24))
"""The lowest and the highest address of the kernel and its modules, as negative numbers: bytes from the end of the
address space (arch/x86/include/asm/pgtable_64_types.h). From 6.15 on, addresses of per-CPU variables are in this range;
before, they are offsets from 0."""


def apply_relocate_add(info: LoadInfo, relsec: int, written: dict[int, int] | None) -> None:
    """Apply the relocation section `relsec`. `written` maps offsets to the bytes that other relocation sections have
    written to the same target, and is extended here; None if only one relocation section has this target.

    Raises `Refusal` or `Undefined`.
    """
    columns = info.relocations(relsec)
    if columns.offsets and not (written is None and _is_harmless(info, relsec, columns)):
        _apply_each(info, relsec, columns, {} if written is None else written)


def _is_harmless(info: LoadInfo, relsec: int, columns: RelaColumns) -> bool:
    """Whether a check of whole columns shows that no entry can be refused; False if the entries must be checked."""
    types = set(columns.types)
    if not types <= WIDTHS.keys() or max(columns.symbols) >= len(info.values):
        return False
    if not types.isdisjoint(CHECKED) and not _fits_everywhere(info, columns):
        return False
    widths = {WIDTHS[kind] for kind in types}
    number = info.sechdrs[relsec].sh_info
    target = info.sechdrs[number]
    if len(widths) == 1:
        width = widths.pop()
        offsets = sorted(columns.offsets)
        if len(offsets) > 1 and min(map(sub, offsets[1:], offsets)) < width:
            return False
        places: set[bytes] = set()
        if target.sh_type != SHT_NOBITS:
            contents = info.data(number)
            places = {contents[offset : offset + width] for offset in offsets}
        return offsets[-1] + width <= target.sh_size and places <= {bytes(width)}
    end = 0
    contents = info.data(number)
    for offset, kind in sorted(zip(columns.offsets, columns.types, strict=True)):
        if offset < end:
            return False
        end = offset + WIDTHS[kind]
        if any(contents[offset:end]):
            return False
    return end <= target.sh_size


def _fits_everywhere(info: LoadInfo, columns: RelaColumns) -> bool:
    return all(
        _overflow(info, kind, symbol, addend) is False
        for kind, symbol, addend in zip(columns.types, columns.symbols, columns.addends, strict=True)
        if kind in CHECKED
    )


def _overflow(info: LoadInfo, kind: int, symbol: int, addend: int) -> bool | None:
    """Whether the value of a R_X86_64_32 or R_X86_64_32S relocation does not fit; None if that depends on the running
    kernel's addresses."""
    value = info.values[symbol]
    if _is_percpu(info, symbol):
        value = 0 if info.kernel.version < since.PERCPU_ADDRESSES else None
    if value is None:
        ends = {_too_large(kind, end + addend) for end in ELSEWHERE}
        return ends.pop() if len(ends) == 1 else None
    return _too_large(kind, value + addend)


def _too_large(kind: int, total: int) -> bool:
    total &= MASK
    return total >> 32 != 0 if kind == R_X86_64_32 else TOP_2G > total >= 1 << 31


def _apply_each(info: LoadInfo, relsec: int, columns: RelaColumns, written: dict[int, int]) -> None:
    """Check the relocations one by one, in the kernel's order (__write_relocate_add)."""
    number = info.sechdrs[relsec].sh_info
    target = info.sechdrs[number]
    contents = info.view(number)
    overflow_first = info.kernel.version >= since.RELOCATIONS_CLEARED
    for entry, (offset, kind, symbol, addend) in enumerate(zip(*columns, strict=True)):
        name = info.section_name(relsec)
        if symbol >= len(info.values):
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} names symbol {symbol}, but there are {len(info.values)} symbols",
                AS_BUILT,
            )
        if kind == R_X86_64_NONE:
            continue
        width = WIDTHS.get(kind)
        if width is None:
            raise info.refuse(
                "ENOEXEC",
                f"module: {info.mod_name}: Unknown rela relocation: {kind}",
                f"relocation {entry} of {name} is of type {kind}, which the kernel does not know",
                hint=f"{FLAGS} (-mcmodel=kernel -fno-pic)",
            )
        overflow = _overflow(info, kind, symbol, addend) if kind in CHECKED else False
        if overflow is None:
            # The text is the same for all relocations of a section, so it is noted once: there may be millions.
            info.not_checked(f"whether relocations of {name} overflow", reason="that depends on the kernel's address")
        if overflow and overflow_first:
            raise _overflows(info, relsec, entry)
        if offset + width > target.sh_size:
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes {width} bytes at {offset:#x} of {info.section_name(number)}, "
                f"which has {target.sh_size:#x} bytes",
                AS_BUILT,
            )
        place = contents[offset : offset + width] if contents else bytes(width)
        before = [written.get(offset + index, byte) for index, byte in enumerate(place)]
        if any(byte > 0 for byte in before):
            raise nonzero_place(info, relsec, entry)
        if _UNKNOWN in before:
            raise Undefined(
                info.stage,
                f"relocation {entry} of {name} writes to where another one has written a distance between large pages, "
                "which differs from boot to boot",
                AS_BUILT,
            )
        for index, byte in enumerate(_result(info, number, *(column[entry] for column in columns))[:width]):
            written[offset + index] = byte
        if overflow:
            raise _overflows(info, relsec, entry)


def _result(info: LoadInfo, target: int, offset: int, kind: int, symbol: int, addend: int) -> list[int]:
    """The value as eight bytes in little-endian order; if the address of the symbol is not known, bytes that are not
    zero. `_UNKNOWN` for those that depend on whether the kernel put its large pages before or behind other memory."""
    value = info.values[symbol]
    if value is None:
        return [0xFF] * 8
    if kind in RELATIVE:
        value -= info.sechdrs[target].sh_addr + offset
    found = ((value + addend) & MASK).to_bytes(8, "little")
    if kind in RELATIVE and _in_large_pages(info, info.symbol(symbol).st_shndx) != _in_large_pages(info, target):
        # (only the place in a page is known)
        return [found[0], *[_UNKNOWN] * 7]
    return [*found]


def _in_large_pages(info: LoadInfo, number: int) -> bool:
    """Whether section `number` is placed in pages that the code of several modules shares."""
    if not shares_pages(info, "text"):
        return False
    layout = info.layout
    # The numbers ascend, except that of the per-CPU section, which is the last. There may be 10^5 of them.
    ascending = len(layout.numbers) - bool(info.index.pcpu)
    at = bisect_left(layout.numbers, number, hi=ascending)
    return at < ascending and layout.numbers[at] == number and shares_pages(info, layout.placed[at].memory)


def nonzero_place(info: LoadInfo, relsec: int, entry: int, reason: str = "", hint: str = "") -> Refusal:
    """Return the refusal of a relocation whose place is not zero; `reason` and `hint` replace the default texts."""
    offset, kind, symbol, addend = (column[entry] for column in info.relocations(relsec))
    value = "<val>" if kind in RELATIVE else _shown_value(info, symbol, addend)
    before = (
        "x86/modules: Skipping invalid" if info.kernel.version < since.RELOCATIONS_CLEARED else "x86/modules: Invalid"
    )
    place = f"sec {relsec}, idx {entry}, " if info.kernel.version >= since.RELOCATION_PLACES else ""
    number = info.sechdrs[relsec].sh_info
    return info.refuse(
        "ENOEXEC",
        f"module: {before} relocation target, existing value is nonzero for {place}type {kind}, loc <loc>, val {value}",
        f"relocation {entry} of {info.section_name(relsec)} is for {offset:#x} of {info.section_name(number)}, "
        + (reason or "at a place that is not zero"),
        hint or _NONZERO_HINT,
    )


def _overflows(info: LoadInfo, relsec: int, entry: int) -> Refusal:
    kind, symbol, addend = (column[entry] for column in info.relocations(relsec)[1:])
    place = f" sec {relsec} idx {entry}" if info.kernel.version >= since.RELOCATION_PLACES else ""
    refusal = info.refuse(
        "ENOEXEC",
        f"module: overflow in relocation type {kind} val {_shown_value(info, symbol, addend)}{place}",
        f"relocation {entry} of {info.section_name(relsec)} needs the address of {info.symbol_name(symbol)!r} in "
        + ("32 bits without sign" if kind == R_X86_64_32 else "32 bits with sign"),
        hint=f"{FLAGS} (-mcmodel=kernel)",
    )
    info.log(f"module: `{info.mod_name}' likely not compiled with -mcmodel=kernel")
    return refusal


def _shown_value(info: LoadInfo, symbol: int, addend: int) -> str:
    """The sum of symbol and addend in hexadecimal, as the message shows it. "<val>" unless the sum is the same on every
    machine, as for absolute symbols and for weak ones that nothing exports."""
    # A refusal may be raised for a symbol that is not in the table: the kernel does not check the number.
    value = info.values[symbol] if symbol < len(info.values) else None
    if value is None or (info.symbol(symbol).st_shndx not in (0, SHN_ABS)):
        return "<val>"
    return f"{(value + addend) & MASK:x}"


def _is_percpu(info: LoadInfo, symbol: int) -> bool:
    return bool(info.index.pcpu) and info.symbol(symbol).st_shndx == info.index.pcpu
