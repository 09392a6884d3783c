# SPDX-License-Identifier: GPL-2.0-only
"""Tags, attributes and forms of DWARF (DWARF 5, section 7.5), and how long each form is."""

from __future__ import annotations

from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.leb128 import read_uleb

TAG_SUBPROGRAM, TAG_INLINED_SUBROUTINE = 0x2E, 0x1D
TAG_NAMESPACE, TAG_MODULE = 0x39, 0x1E
TAG_ARRAY_TYPE, TAG_ENUMERATION_TYPE, TAG_FORMAL_PARAMETER, TAG_MEMBER = 0x01, 0x04, 0x05, 0x0D
TAG_POINTER_TYPE, TAG_STRUCTURE_TYPE, TAG_SUBROUTINE_TYPE, TAG_TYPEDEF = 0x0F, 0x13, 0x15, 0x16
TAG_UNION_TYPE, TAG_UNSPECIFIED_PARAMETERS, TAG_SUBRANGE_TYPE, TAG_BASE_TYPE = 0x17, 0x18, 0x21, 0x24
TAG_CONST_TYPE, TAG_ENUMERATOR, TAG_VARIABLE, TAG_VOLATILE_TYPE = 0x26, 0x28, 0x34, 0x35
TAG_RESTRICT_TYPE, TAG_ATOMIC_TYPE = 0x37, 0x47

AT_SIBLING, AT_NAME, AT_STMT_LIST, AT_LOW_PC, AT_HIGH_PC = 0x01, 0x03, 0x10, 0x11, 0x12
AT_COMP_DIR, AT_ABSTRACT_ORIGIN = 0x1B, 0x31
AT_SPECIFICATION, AT_RANGES, AT_CALL_FILE, AT_CALL_LINE = 0x47, 0x55, 0x58, 0x59
AT_LINKAGE_NAME, AT_MIPS_LINKAGE_NAME = 0x6E, 0x2007
AT_BYTE_SIZE, AT_BIT_OFFSET, AT_BIT_SIZE, AT_CONST_VALUE, AT_UPPER_BOUND = 0x0B, 0x0C, 0x0D, 0x1C, 0x2F
AT_COUNT, AT_DATA_MEMBER_LOCATION, AT_DECL_FILE, AT_DECL_LINE, AT_DECLARATION = 0x37, 0x38, 0x3A, 0x3B, 0x3C
AT_TYPE, AT_DATA_BIT_OFFSET = 0x49, 0x6B
AT_STR_OFFSETS_BASE, AT_ADDR_BASE, AT_RNGLISTS_BASE = 0x72, 0x73, 0x74

FORM_ADDR, FORM_BLOCK2, FORM_BLOCK4, FORM_DATA2, FORM_DATA4, FORM_DATA8 = 0x01, 0x03, 0x04, 0x05, 0x06, 0x07
FORM_STRING, FORM_BLOCK, FORM_BLOCK1, FORM_DATA1, FORM_FLAG, FORM_SDATA = 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D
FORM_STRP, FORM_UDATA, FORM_REF_ADDR, FORM_REF1, FORM_REF2, FORM_REF4 = 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13
FORM_REF8, FORM_REF_UDATA, FORM_INDIRECT, FORM_SEC_OFFSET, FORM_EXPRLOC = 0x14, 0x15, 0x16, 0x17, 0x18
FORM_FLAG_PRESENT, FORM_STRX, FORM_ADDRX, FORM_REF_SUP4, FORM_STRP_SUP = 0x19, 0x1A, 0x1B, 0x1C, 0x1D
FORM_DATA16, FORM_LINE_STRP, FORM_REF_SIG8, FORM_IMPLICIT_CONST = 0x1E, 0x1F, 0x20, 0x21
FORM_LOCLISTX, FORM_RNGLISTX, FORM_REF_SUP8 = 0x22, 0x23, 0x24
FORM_STRX1, FORM_STRX2, FORM_STRX3, FORM_STRX4 = 0x25, 0x26, 0x27, 0x28
FORM_ADDRX1, FORM_ADDRX2, FORM_ADDRX3, FORM_ADDRX4 = 0x29, 0x2A, 0x2B, 0x2C
FORM_GNU_REF_ALT, FORM_GNU_STRP_ALT = 0x1F20, 0x1F21

_BY_SIZE = {
    0: (FORM_FLAG_PRESENT, FORM_IMPLICIT_CONST),
    1: (FORM_DATA1, FORM_FLAG, FORM_REF1, FORM_STRX1, FORM_ADDRX1),
    2: (FORM_DATA2, FORM_REF2, FORM_STRX2, FORM_ADDRX2),
    3: (FORM_STRX3, FORM_ADDRX3),
    4: (FORM_DATA4, FORM_REF4, FORM_STRX4, FORM_ADDRX4, FORM_REF_SUP4),
    8: (FORM_DATA8, FORM_REF8, FORM_REF_SIG8, FORM_REF_SUP8),
    16: (FORM_DATA16,),
}
FIXED = {form: size for size, found in _BY_SIZE.items() for form in found}
"""Bytes of the forms that have the same size in every unit."""
_OF_OFFSET_SIZE = {FORM_STRP, FORM_SEC_OFFSET, FORM_LINE_STRP, FORM_STRP_SUP, FORM_GNU_REF_ALT, FORM_GNU_STRP_ALT}
NUMBERS = {FORM_UDATA, FORM_SDATA, FORM_REF_UDATA, FORM_STRX, FORM_ADDRX, FORM_LOCLISTX, FORM_RNGLISTX}
"""Forms that are one LEB128 number."""
BLOCKS = {FORM_BLOCK1: 1, FORM_BLOCK2: 2, FORM_BLOCK4: 4, FORM_BLOCK: 0, FORM_EXPRLOC: 0}
"""Forms that begin with their length, and the bytes of that; 0 for a LEB128 number."""


def fixed_size(form: int, *, version: int, address_size: int, offset_size: int) -> int | None:
    """The bytes of `form` in a unit of these sizes; None where they depend on the contents."""
    if form in FIXED:
        return FIXED[form]
    if form == FORM_ADDR:
        return address_size
    if form in _OF_OFFSET_SIZE:
        return offset_size
    if form == FORM_REF_ADDR:
        return address_size if version == 2 else offset_size
    return None


def end_of_form(form: int, contents: bytes, at: int, order: str) -> int:
    """Where a form ends that begins at `at` and has no fixed size."""
    if form in NUMBERS:
        while contents[at] >= 0x80:
            at += 1
        return at + 1
    if form == FORM_STRING:
        stop = contents.find(b"\0", at)
        if stop < 0:
            raise DamagedDebugInfo("a string has no end")
        return stop + 1
    if form in BLOCKS:
        size = BLOCKS[form]
        if size:
            length = int.from_bytes(contents[at : at + size], "little" if order == "<" else "big")
            return at + size + length
        length, at = read_uleb(contents, at)
        return at + length
    raise DamagedDebugInfo(f"form {form:#x} is not known")
