# SPDX-License-Identifier: GPL-2.0-only
"""Checks each type by itself: kernel/bpf/btf.c: btf_check_all_metas, and the check_meta of each kind.

For modules, a kernel does not check the types that a type refers to.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence

from kbuildpy.kernel.release import Version, has_change
from kbuildpy.loader import since
from kbuildpy.loader.btf.env import ENCODINGS, IDENTIFIER, KIND_FLAG, SECTION, SECTION_BUT_FIRST, Env
from kbuildpy.loader.btf.header import Parts
from kbuildpy.loader.btf.invalid import InvalidBtf, verifier_log
from kbuildpy.loader.btf.types import EACH, ONE, WORDS, BtfTypes, Kind, info_masks, words_of
from kbuildpy.loader.printk import signed

MAX_TYPE = 0xFFFFF
_INFO_MASK = 0x9F00FFFF
_INT_MASK = 0x0FFFFFFF
_FLOAT_SIZES = (2, 4, 8, 12, 16)
_FUNC_GLOBAL = 1
_VAR_LINKAGES = (0, 1)
_FLAG = "a type of a kind that has no use for the flag kind_flag has it set"


def check_all_metas(parts: Parts, version: Version, base: BtfTypes | None = None) -> BtfTypes:
    """Return the types in `parts`, whose numbers continue those of `base`. Raises `InvalidBtf` for the first invalid
    type."""
    starts = array("I")
    types = BtfTypes(words_of(parts.types), starts, parts.strings, info_masks(version), base)
    env = Env(
        types,
        size=len(parts.types),
        tag_flags=version >= since.BTF_TAG_FLAGS,
        section_name=_section_name(version),
    )
    words, (kinds, counts) = types.words, types.masks
    has_mask = version < since.BTF_WIDE_INFO
    at = 0
    while 4 * at < env.size:
        if env.left_after(at) < 0:
            raise verifier_log(
                "EINVAL",
                f"[{env.number}] meta_left:{env.size - 4 * at} meta_needed:{4 * WORDS}",
                why="the types end in the middle of a type",
            )
        info = words[at + 1]
        if has_mask and info & ~_INFO_MASK:
            raise verifier_log(
                "EINVAL", f"[{env.number}] Invalid btf_info:{info:x}", why="a type has bits set that mean nothing"
            )
        kind = info >> 24 & kinds
        check = _CHECKS.get(kind)
        if check is None:
            raise verifier_log(
                "EINVAL",
                f"[{env.number}] Invalid kind:{kind}",
                why="a type is of a kind that this kernel does not know",
            )
        if not env.has_name_at(words[at]):
            raise verifier_log(
                "EINVAL",
                f"[{env.number}] Invalid name_offset:{words[at]}",
                why="the name of a type is outside of the strings",
            )
        more = EACH[kind] * (info & counts) if kind in EACH else ONE.get(kind, 0)
        if more and env.left_after(at) < 4 * more:
            raise env.log_basic(
                at,
                f"meta_left:{env.left_after(at)} meta_needed:{4 * more}",
                "the types end in the middle of the members of a type",
            )
        check(env, at)
        starts.append(at)
        at += WORDS + more
    return types


def _section_name(version: Version) -> re.Pattern[bytes]:
    if version < since.BTF_SECTION_NAMES:
        return IDENTIFIER
    return SECTION if has_change(version, since.BTF_FIRST_CHARACTER) else SECTION_BUT_FIRST


def _no_vlen(env: Env, at: int) -> None:
    if env.types.vlen_at(at):
        raise env.log_type(at, "vlen != 0", "a type of a kind without members counts some")


def _no_flag(env: Env, at: int) -> None:
    if env.types.words[at + 1] & KIND_FLAG:
        raise env.log_type(at, "Invalid btf_info kind_flag", _FLAG)


def _no_name(env: Env, at: int) -> None:
    if env.types.words[at]:
        raise env.log_type(at, "Invalid name", "a type of a kind without a name has one")


def _named(env: Env, at: int) -> None:
    name = env.types.words[at]
    if not name or not env.is_identifier(name):
        raise env.log_type(at, "Invalid name", "the name of a type is missing, or no identifier of C")


def _named_or_not(env: Env, at: int) -> None:
    if env.types.words[at]:
        _named(env, at)


def _check_int(env: Env, at: int) -> None:
    _no_vlen(env, at)
    _no_flag(env, at)
    data = env.types.words[at + WORDS]
    if data & ~_INT_MASK:
        raise env.log_basic(at, f"Invalid int_data:{data:x}", "an integer type has bits set that mean nothing")
    bits = (data & 0xFF) + (data >> 16 & 0xFF)
    if bits > 128:
        raise env.log_type(at, "nr_bits exceeds 128", "an integer type has more than 128 bits")
    if (bits + 7) // 8 > env.types.words[at + 2]:
        raise env.log_type(at, "nr_bits exceeds type_size", "an integer type has more bits than fit into its bytes")
    if data >> 24 not in ENCODINGS:
        raise env.log_type(
            at,
            "Unsupported encoding",
            "an integer type is to be more than one of signed, character and truth value",
            errno="ENOTSUPP",
        )


def _check_ref(env: Env, at: int) -> None:
    """btf_ref_type_check_meta"""
    name, info, number = env.types.words[at : at + WORDS]
    kind = env.types.kind_at(at)
    _no_vlen(env, at)
    if info & KIND_FLAG and not (kind == Kind.TYPE_TAG and env.tag_flags):
        raise env.log_type(at, "Invalid btf_info kind_flag", _FLAG)
    if number > MAX_TYPE:
        raise env.log_type(at, "Invalid type_id", "a type refers to a type number that is too large")
    if kind == Kind.TYPEDEF:
        _named(env, at)
    elif kind == Kind.TYPE_TAG:
        if not env.types.name_at(name):
            raise env.log_type(at, "Invalid name", "a type tag has no text")
    elif name:
        raise env.log_type(at, "Invalid name", "a pointer or a modifier (const, volatile, restrict) has a name")


def _check_fwd(env: Env, at: int) -> None:
    _no_vlen(env, at)
    if env.types.words[at + 2]:
        raise env.log_type(at, "type != 0", "a forward declaration refers to a type")
    _named(env, at)


def _check_array(env: Env, at: int) -> None:
    _no_name(env, at)
    _no_vlen(env, at)
    _no_flag(env, at)
    size, element, index = env.types.words[at + 2 : at + 5]
    if size:
        raise env.log_type(at, "size != 0", "the field for a size is set in an array, which has its length elsewhere")
    if not 0 < element <= MAX_TYPE:
        raise env.log_type(
            at, "Invalid elem", "the elements of an array are of no type, or of a number that is too large"
        )
    if not 0 < index <= MAX_TYPE:
        raise env.log_type(at, "Invalid index", "the index of an array is of no type, or of a number that is too large")


def _check_struct(env: Env, at: int) -> None:
    _named_or_not(env, at)
    words = env.types.words
    size, has_bitfields = words[at + 2], words[at + 1] & KIND_FLAG
    is_union = env.types.kind_at(at) == Kind.UNION
    last = 0
    first = at + WORDS
    for member in range(first, first + 3 * env.types.vlen_at(at), 3):
        name, number, offset = words[member : member + 3]
        if not env.has_name_at(name):
            raise _log_member(
                env, at, member, f"Invalid member name_offset:{name}", "the name of a member is outside of the strings"
            )
        if name and not env.is_identifier(name):
            raise _log_member(env, at, member, "Invalid name", "the name of a member is no identifier of C")
        if not 0 < number <= MAX_TYPE:
            raise _log_member(
                env, at, member, "Invalid type_id", "a member is of no type, or of a type number that is too large"
            )
        if has_bitfields:
            offset &= 0xFFFFFF
        if (is_union and offset) or last > offset:
            raise _log_member(
                env,
                at,
                member,
                "Invalid member bits_offset",
                "a member begins before the one before it, or one of a union does not begin at its beginning",
            )
        if (offset + 7) // 8 > size:
            raise _log_member(
                env,
                at,
                member,
                "Member bits_offset exceeds its struct size",
                "a member begins behind the end of its struct",
            )
        last = offset


def _log_member(env: Env, at: int, member: int, text: str, why: str) -> InvalidBtf:
    """btf_verifier_log_member"""
    name, number, offset = env.types.words[member : member + 3]
    place = f"bits_offset={offset}"
    if env.types.words[at + 1] & KIND_FLAG:
        place = f"bitfield_size={offset >> 24} bits_offset={offset & 0xFFFFFF}"
    return env.log("EINVAL", f"\t{env.name(name)} type_id={number} {place}", " ", text, "", why=why)


def _check_enum(env: Env, at: int) -> None:
    words = env.types.words
    size = words[at + 2]
    if size > 8 or size.bit_count() != 1:
        raise env.log_type(at, "Unexpected size", "an enum has a size other than 1, 2, 4 or 8 bytes")
    _named_or_not(env, at)
    step = EACH[env.types.kind_at(at)]
    first = at + WORDS
    for value in range(first, first + step * env.types.vlen_at(at), step):
        name = words[value]
        if not env.has_name_at(name):
            raise verifier_log(
                "EINVAL",
                f"\tInvalid name_offset:{name}",
                why="the name of a value of an enum is outside of the strings",
            )
        if not name or not env.is_identifier(name):
            raise env.log_type(at, "Invalid name", "a value of an enum has no name, or one that is no identifier of C")


def _check_func_proto(env: Env, at: int) -> None:
    _no_name(env, at)
    _no_flag(env, at)


def _check_func(env: Env, at: int) -> None:
    _named(env, at)
    if env.types.vlen_at(at) > _FUNC_GLOBAL:
        raise env.log_type(at, "Invalid func linkage", "a function is neither static nor global")
    _no_flag(env, at)


def _check_var(env: Env, at: int) -> None:
    _no_vlen(env, at)
    _no_flag(env, at)
    _named(env, at)
    number, linkage = env.types.words[at + 2 : at + 4]
    if not 0 < number <= MAX_TYPE:
        raise env.log_type(at, "Invalid type_id", "a variable is of no type, or of a type number that is too large")
    if linkage not in _VAR_LINKAGES:
        raise env.log_type(at, "Linkage not supported", "a variable is neither static nor global")


def _check_datasec(env: Env, at: int) -> None:
    words = env.types.words
    name, _, size = words[at : at + WORDS]
    if not size:
        raise env.log_type(at, "size == 0", "a section of variables has no size")
    _no_flag(env, at)
    if not name or not env.fits(env.section_name, name):
        raise env.log_type(
            at, "Invalid name", "the name of a section is missing, or has characters that it must not have"
        )
    end = total = 0
    first = at + WORDS
    for variable in range(first, first + 3 * env.types.vlen_at(at), 3):
        number, offset, length = words[variable : variable + 3]
        if not 0 < number <= MAX_TYPE:
            why = "an entry of a section of variables is of no type, or of a type number that is too large"
            raise _log_variable(words, variable, "Invalid type_id", why)
        if offset < end or offset >= size:
            why = "a variable overlaps with the one before it, or begins behind the end of its section"
            raise _log_variable(words, variable, "Invalid offset", why)
        if not 0 < length <= size:
            why = "a variable has no size, or is larger than its section"
            raise _log_variable(words, variable, "Invalid size", why)
        if (offset + length) & 0xFFFFFFFF > size:
            why = "a variable ends behind the end of its section"
            raise _log_variable(words, variable, "Invalid offset+size", why)
        end = (offset + length) & 0xFFFFFFFF
        total += length
    if size < total:
        raise env.log_type(
            at, "Invalid btf_info size", "the variables of a section together are larger than the section"
        )


def _log_variable(words: Sequence[int], variable: int, text: str, why: str) -> InvalidBtf:
    """btf_verifier_log_vsi"""
    number, offset, length = words[variable : variable + 3]
    return verifier_log("EINVAL", f"\t type_id={number} offset={offset} size={length}", " ", text, "", why=why)


def _check_float(env: Env, at: int) -> None:
    _no_vlen(env, at)
    _no_flag(env, at)
    if env.types.words[at + 2] not in _FLOAT_SIZES:
        raise env.log_type(
            at, "Invalid type_size", "a floating-point type has a size other than 2, 4, 8, 12 or 16 bytes"
        )


def _check_decl_tag(env: Env, at: int) -> None:
    words = env.types.words
    if not env.types.name_at(words[at]):
        raise env.log_type(at, "Invalid value", "an attribute of a declaration has no text")
    if not env.tag_flags:
        _no_flag(env, at)
    _no_vlen(env, at)
    if signed(words[at + WORDS]) < -1:
        raise env.log_type(at, "Invalid component_idx", "an attribute is for a member with a negative number")


_CHECKS: dict[int, Callable[[Env, int], None]] = {
    Kind.INT: _check_int,
    **dict.fromkeys((Kind.PTR, Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG), _check_ref),
    Kind.ARRAY: _check_array,
    Kind.STRUCT: _check_struct,
    Kind.UNION: _check_struct,
    Kind.ENUM: _check_enum,
    Kind.ENUM64: _check_enum,
    Kind.FWD: _check_fwd,
    Kind.FUNC: _check_func,
    Kind.FUNC_PROTO: _check_func_proto,
    Kind.VAR: _check_var,
    Kind.DATASEC: _check_datasec,
    Kind.FLOAT: _check_float,
    Kind.DECL_TAG: _check_decl_tag,
}
