# SPDX-License-Identifier: GPL-2.0-only
"""Sums, differences and stores of one place: arch/riscv/kernel/module.c: process_accumulated_relocations (from 6.7 on).

The kernel computes in a variable that begins at 0, so what the file has in the place does not count. The last
relocation of a place decides how much is written, and whether the value fits. It is only logged that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kbuildpy.elf.relocation_types import (
    R_RISCV_ADD8,
    R_RISCV_ADD16,
    R_RISCV_ADD32,
    R_RISCV_ADD64,
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
)
from kbuildpy.loader.hints import FLAGS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.verdict import Undefined

MASK = (1 << 64) - 1
SIGN = 1 << 63
ULEB128 = frozenset({R_RISCV_SET_ULEB128, R_RISCV_SUB_ULEB128})
_ADD = {R_RISCV_ADD8: 8, R_RISCV_ADD16: 16, R_RISCV_ADD32: 32, R_RISCV_ADD64: 64}
_SUB = {R_RISCV_SUB8: 8, R_RISCV_SUB16: 16, R_RISCV_SUB32: 32, R_RISCV_SUB64: 64, R_RISCV_SUB_ULEB128: 64}
_SET = {R_RISCV_SET8: 8, R_RISCV_SET16: 16, R_RISCV_SET32: 32, R_RISCV_SET_ULEB128: 64}
_SIX = frozenset({R_RISCV_SUB6, R_RISCV_SET6})
_BITS = {**_ADD, **_SUB, **_SET, **dict.fromkeys(_SIX, 6)}


class Addend(NamedTuple):
    """A relocation of a place."""

    kind: int
    value: int | None
    """Symbol and addend; None if it depends on the running kernel."""


def accumulate(info: LoadInfo, relsec: int, places: Mapping[int, Sequence[Addend]]) -> None:
    """Compute what is written to each of `places` (by offset) where the value may not fit, and log what the kernel
    logs. Raises `Undefined` for a negative number in ULEB128, which the kernel writes without an end."""
    for offset, addends in places.items():
        kinds = {addend.kind for addend in addends}
        last = addends[-1].kind
        if not kinds & ULEB128 and len({_BITS[kind] for kind in kinds}) == 1:
            continue
        total = _total(addends)
        if total is None and last in ULEB128:
            raise Undefined(
                info.stage,
                f"an address of the kernel, at {offset:#x} of {info.section_name(info.sechdrs[relsec].sh_info)}, is a "
                "negative number, and written in ULEB128 without an end",
                FLAGS,
            )
        if total is None:
            info.not_checked(
                f"whether sums of {info.section_name(relsec)} fit", reason="that depends on the kernel's address"
            )
        elif last in ULEB128:
            _check_uleb128(info, relsec, offset, total)
        elif total >= 1 << _BITS[last]:
            info.log(f"{info.mod_name}: value {total} out of range for {_BITS[last]}-bit relocation.")


def _total(addends: Sequence[Addend]) -> int | None:
    """The sum, as a signed number of 64 bits; None if it is not known."""
    total = 0
    for kind, value in addends:
        if value is None:
            return None
        if kind == R_RISCV_SUB6:
            low = ((total & 0xFF) - (value & 0x3F)) & 0x3F
            total = total & ~0xFF | low
        elif kind == R_RISCV_SET6:
            total = total & ~0x3F | value & 0x3F
        else:
            mask = (1 << _BITS[kind]) - 1
            old = total & mask
            new = old + value if kind in _ADD else old - value if kind in _SUB else value
            total = total & ~mask | new & mask
        total &= MASK
    return (total + SIGN & MASK) - SIGN


def _check_uleb128(info: LoadInfo, relsec: int, offset: int, total: int) -> None:
    target = info.sechdrs[info.sechdrs[relsec].sh_info]
    length = -(-total.bit_length() // 7)
    if total < 0 or offset + length > target.sh_size:
        raise Undefined(
            info.stage,
            f"the number {total} at {offset:#x} of {info.section_name(info.sechdrs[relsec].sh_info)} is written in "
            f"ULEB128, {'without an end' if total < 0 else f'{length} bytes'}",
            FLAGS,
        )
