# SPDX-License-Identifier: GPL-2.0-only
"""Computes the address that a relocation refers to, as an offset in the section of its symbol.

The counterpart is scripts/mod/modpost.c: addend_386_rel, addend_arm_rel, addend_mips_rel. An entry of SHT_RELA has the
addend. An entry of SHT_REL has none: the addend is in the section that the relocation applies to, where each
architecture encodes it in instructions. Until 6.4 modpost knew few relocation types, and took 0 for the addend of
others.
"""

from __future__ import annotations

import struct

from kbuildpy.elf import ModuleImage, Relocation, Section
from kbuildpy.elf.constants import EM_386, EM_ARM, EM_MIPS, SHT_NOBITS
from kbuildpy.elf.relocation_types import (
    R_386_32,
    R_386_PC32,
    R_ARM_ABS32,
    R_ARM_CALL,
    R_ARM_JUMP24,
    R_ARM_MOVT_ABS,
    R_ARM_MOVW_ABS_NC,
    R_ARM_PC24,
    R_ARM_REL32,
    R_ARM_THM_CALL,
    R_ARM_THM_JUMP19,
    R_ARM_THM_JUMP24,
    R_ARM_THM_MOVT_ABS,
    R_ARM_THM_MOVW_ABS_NC,
    R_MIPS_26,
    R_MIPS_32,
    R_MIPS_HI16,
    R_MIPS_LO16,
)
from kbuildpy.errors import KbuildError

REL_MACHINES = (EM_386, EM_ARM, EM_MIPS)
NOWHERE = -0x40000000
"""An address far from every symbol. It stands for the address of a Thumb branch, which modpost until 6.4 computed from
the address of the file in its own memory."""


def rel_address(image: ModuleImage, section: Section, relocation: Relocation) -> int:
    """The address that an entry of SHT_REL refers to, from 6.5 on; all bits are one for an unknown relocation type.

    The relocation applies to `section`. Raises `KbuildError` if its offset lies outside of that section.
    """
    machine, kind = image.header.e_machine, relocation.type
    _, _, _, _, value, _ = image.symbols.rows[relocation.symbol]
    address = -1
    if machine == EM_386:
        if kind in (R_386_32, R_386_PC32):
            address = _word(image, section, relocation) + (4 if kind == R_386_PC32 else 0)
    elif machine == EM_ARM:
        if kind in (R_ARM_ABS32, R_ARM_REL32):
            address = value + _word(image, section, relocation)
        elif kind in (R_ARM_MOVW_ABS_NC, R_ARM_MOVT_ABS):
            word = _word(image, section, relocation)
            address = value + _sign_extended((word & 0xF0000) >> 4 | word & 0xFFF, 15)
        elif kind in (R_ARM_PC24, R_ARM_CALL, R_ARM_JUMP24):
            address = value + _sign_extended((_word(image, section, relocation) & 0xFFFFFF) << 2, 25) + 8
        elif kind in (R_ARM_THM_MOVW_ABS_NC, R_ARM_THM_MOVT_ABS):
            upper, lower = _halves(image, section, relocation)
            immediate = (upper & 0xF) << 12 | (upper & 0x400) << 1 | (lower & 0x7000) >> 4 | lower & 0xFF
            address = value + _sign_extended(immediate, 15)
        elif kind in (R_ARM_THM_JUMP19, R_ARM_THM_CALL, R_ARM_THM_JUMP24):
            address = value + _thumb_branch(*_halves(image, section, relocation), conditional=kind == R_ARM_THM_JUMP19)
    elif machine == EM_MIPS and kind in (R_MIPS_LO16, R_MIPS_26, R_MIPS_32):
        address = _mips(_word(image, section, relocation), kind)
    return address & (1 << (64 if image.header.is_64bit else 32)) - 1


def old_rel_addend(image: ModuleImage, section: Section, relocation: Relocation) -> int | None:
    """The addend of an entry of SHT_REL until 6.4; None where modpost skips the entry. Raises `KbuildError` as
    `rel_address`."""
    machine, kind = image.header.e_machine, relocation.type
    if machine == EM_386:
        if kind in (R_386_32, R_386_PC32):
            return _word(image, section, relocation) + (4 if kind == R_386_PC32 else 0)
    elif machine == EM_ARM:
        _, _, _, _, value, _ = image.symbols.rows[relocation.symbol]
        if kind == R_ARM_ABS32:
            return value + _word(image, section, relocation)
        if kind in (R_ARM_PC24, R_ARM_CALL, R_ARM_JUMP24):
            return value + _sign_extended((_word(image, section, relocation) & 0xFFFFFF) << 2, 25) + 8
        return NOWHERE if kind in (R_ARM_THM_CALL, R_ARM_THM_JUMP24, R_ARM_THM_JUMP19) else None
    elif machine == EM_MIPS:
        if kind == R_MIPS_HI16:
            return None
        if kind in (R_MIPS_LO16, R_MIPS_26, R_MIPS_32):
            return _mips(_word(image, section, relocation), kind)
    return 0


def _mips(word: int, kind: int) -> int:
    if kind == R_MIPS_LO16:
        return word & 0xFFFF
    return (word & 0x03FFFFFF) << 2 if kind == R_MIPS_26 else word


def _thumb_branch(upper: int, lower: int, *, conditional: bool) -> int:
    """The offset of a Thumb branch, encoding T3 (conditional) or T4, from the instruction's own address."""
    sign, j1, j2 = upper >> 10 & 1, lower >> 13 & 1, lower >> 11 & 1
    low = (lower & 0x7FF) << 1
    if conditional:
        return _sign_extended(sign << 20 | j2 << 19 | j1 << 18 | (upper & 0x3F) << 12 | low, 20) + 4
    i1, i2 = 1 - (j1 ^ sign), 1 - (j2 ^ sign)
    return _sign_extended(sign << 24 | i1 << 23 | i2 << 22 | (upper & 0x3FF) << 12 | low, 24) + 4


def _sign_extended(value: int, sign_bit: int) -> int:
    value &= (2 << sign_bit) - 1
    return value - (2 << sign_bit) if value >> sign_bit else value


def _word(image: ModuleImage, section: Section, relocation: Relocation) -> int:
    (word,) = struct.unpack_from(f"{image.header.order}I", image.contents, _place(image, section, relocation))
    return int(word)


def _halves(image: ModuleImage, section: Section, relocation: Relocation) -> tuple[int, int]:
    upper, lower = struct.unpack_from(f"{image.header.order}HH", image.contents, _place(image, section, relocation))
    return upper, lower


def _place(image: ModuleImage, section: Section, relocation: Relocation) -> int:
    if section.type == SHT_NOBITS or relocation.offset + 4 > section.size:
        raise KbuildError(
            f"{image.filename}: section {section.name or section.index}: a relocation at {relocation.offset:#x} lies "
            "outside of it",
            hint="the file is damaged; remove it and build it again",
        )
    return section.offset + relocation.offset
