# SPDX-License-Identifier: GPL-2.0-only
"""The types of BTF in their binary form: include/uapi/linux/btf.h.

A type has three words of 32 bits (struct btf_type): the offset of its name; its kind with a count and a flag; its size
or the number of another type. Some kinds append more words.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from kbuildpy.kernel.release import Version
from kbuildpy.loader import since


class Kind(IntEnum):
    """Kinds of types, by the names that the kernel prints (btf_kind_str)."""

    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


COMPOSITE = (Kind.STRUCT, Kind.UNION)
MODIFIERS: frozenset[int] = frozenset((Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG))

_FOUND: frozenset[int] = frozenset((Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.ENUM64, Kind.FWD, *COMPOSITE))
_LONG_NAME = 1024

WORDS = 3
"""The number of words of a struct btf_type."""
ONE: dict[int, int] = {Kind.INT: 1, Kind.ARRAY: 3, Kind.VAR: 1, Kind.DECL_TAG: 1}
"""Words that a kind appends to struct btf_type, whatever its count."""
EACH: dict[int, int] = {
    Kind.STRUCT: 3,
    Kind.UNION: 3,
    Kind.ENUM: 2,
    Kind.FUNC_PROTO: 2,
    Kind.DATASEC: 3,
    Kind.ENUM64: 3,
}
"""Words that a kind appends for each member, value, parameter or variable."""


def info_masks(version: Version) -> tuple[int, int]:
    """Return the masks of the kind (after a shift by 24 bits) and of the count in the second word of a type
    (BTF_INFO_KIND, BTF_INFO_VLEN)."""
    return (0x7F, 0xFFFFFF) if version >= since.BTF_WIDE_INFO else (0x1F, 0xFFFF)


@dataclass(frozen=True, eq=False)
class BtfTypes:
    """Types and their names (struct btf). Type 0 is void."""

    words: Sequence[int]
    """The words of all types, one type after the other."""
    starts: Sequence[int]
    """The index in `words` at which each type begins."""
    strings: bytes
    """The NUL-terminated names."""
    masks: tuple[int, int]
    """The masks of kind and count (`info_masks`)."""
    base: BtfTypes | None = None
    """The types whose numbers and string offsets these continue; None for the kernel's own."""
    start_id: int = field(init=False)
    """The number of the first type; lower numbers are those of the base."""
    start_str_off: int = field(init=False)
    """The offset of the first name; lower offsets are those of the base."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_id", self.base.count if self.base else 1)
        object.__setattr__(self, "start_str_off", len(self.base.strings) if self.base else 0)

    @property
    def count(self) -> int:
        """The number of types, including void and those of the base (btf_nr_types)."""
        return self.start_id + len(self.starts)

    def holder(self, number: int) -> BtfTypes | None:
        """The object that has type `number`: this one or its base. None for void and for a type that does not exist."""
        if number >= self.start_id:
            return self if number < self.count else None
        return self.base.holder(number) if self.base else None

    def start_of(self, number: int) -> int:
        """The index in `words` at which type `number` begins; the type must not be one of the base."""
        return self.starts[number - self.start_id]

    def kind_of(self, number: int) -> int | None:
        """The kind of type `number` (void: 0); None if the type does not exist."""
        holder = self.holder(number)
        if holder is None:
            return None if number else 0
        return holder.kind_at(holder.start_of(number))

    def kind_at(self, at: int) -> int:
        """The kind of the type at `at` in `words`."""
        return self.words[at + 1] >> 24 & self.masks[0]

    def vlen_at(self, at: int) -> int:
        """The number of members, values or parameters of the type at `at` in `words` (btf_type_vlen)."""
        return self.words[at + 1] & self.masks[1]

    def name_at(self, offset: int) -> bytes | None:
        """The name at `offset`; None if `offset` is beyond all strings (btf_str_by_offset). A name that is longer than
        a line of the kernel's log is cut off."""
        if offset < self.start_str_off and self.base:
            return self.base.name_at(offset)
        start = offset - self.start_str_off
        if start >= len(self.strings):
            return None
        stop = self.strings.find(b"\0", start, start + _LONG_NAME)
        return self.strings[start : stop if stop >= 0 else start + _LONG_NAME]

    @cached_property
    def named(self) -> dict[bytes, list[int]]:
        """The numbers of the types without the base's, in ascending order, by name; only kinds that `.BTF.base` can
        refer to, thus neither typedefs nor functions."""
        found: dict[bytes, list[int]] = {}
        for number, at in enumerate(self.starts, self.start_id):
            if self.words[at] and self.kind_at(at) in _FOUND:
                found.setdefault(self.name_at(self.words[at]) or b"", []).append(number)
        return found

    @cached_property
    def composites(self) -> Counter[int]:
        """The number of structs and unions of the same name, by the offset of the name."""
        return Counter(self.words[at] for at in self.starts if self.kind_at(at) in COMPOSITE)


def words_of(types: memoryview) -> array[int]:
    """Return the words in `types`, without an incomplete last one."""
    words = array("I")
    words.frombytes(types[: len(types) // 4 * 4])
    if sys.byteorder == "big":
        words.byteswap()
    return words


def read_types(types: memoryview, strings: bytes, version: Version, base: BtfTypes | None = None) -> BtfTypes:
    """Return the types of a kernel, or of a module that continue its types `base`, without checking them; a last type
    that is cut off is left out."""
    words = words_of(types)
    masks = kinds, counts = info_masks(version)
    starts = array("I")
    at, end = 0, len(words) - WORDS
    while at <= end:
        starts.append(at)
        info = words[at + 1]
        kind = info >> 24 & kinds
        at += WORDS
        if kind in EACH:
            at += EACH[kind] * (info & counts)
        elif kind in ONE:
            at += ONE[kind]
    if strings and strings[-1]:
        strings += b"\0"
    return BtfTypes(words, starts, strings, masks, base)
