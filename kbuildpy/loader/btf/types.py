# SPDX-License-Identifier: GPL-2.0-only
"""Types as BTF keeps them: include/uapi/linux/btf.h.

Each is three words (struct btf_type: the offset of its name, its kind with a count and a flag, its size or the number
of another type), and the words that its kind adds.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from kbuildpy.loader import since
from kbuildpy.loader.since import Version


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
"""Of a struct btf_type."""
ONE: dict[int, int] = {Kind.INT: 1, Kind.ARRAY: 3, Kind.VAR: 1, Kind.DECL_TAG: 1}
"""Words that follow a type of such a kind."""
EACH: dict[int, int] = {
    Kind.STRUCT: 3,
    Kind.UNION: 3,
    Kind.ENUM: 2,
    Kind.FUNC_PROTO: 2,
    Kind.DATASEC: 3,
    Kind.ENUM64: 3,
}
"""Words that follow for each of its members, values, parameters or variables."""


def info_masks(version: Version) -> tuple[int, int]:
    """The bits of the kind (from 24 on) and of the count in the second word (BTF_INFO_KIND, BTF_INFO_VLEN)."""
    return (0x7F, 0xFFFFFF) if version >= since.BTF_WIDE_INFO else (0x1F, 0xFFFF)


@dataclass(frozen=True, eq=False)
class BtfTypes:
    """`words` are the types, `starts` where each begins in them, `strings` the names; `base` has the types before them.

    Type 0 is void. Numbers below `start_id`, and offsets of names below `start_str_off`, are the base's.
    """

    words: Sequence[int]
    starts: Sequence[int]
    strings: bytes
    masks: tuple[int, int]
    base: BtfTypes | None = None
    start_id: int = field(init=False)
    start_str_off: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_id", self.base.count if self.base else 1)
        object.__setattr__(self, "start_str_off", len(self.base.strings) if self.base else 0)

    @property
    def count(self) -> int:
        """The number of types, void and the base's among them (btf_nr_types)."""
        return self.start_id + len(self.starts)

    def holder(self, number: int) -> BtfTypes | None:
        """The types that have number `number`: these, or the base; None if there is none, and for void."""
        if number >= self.start_id:
            return self if number < self.count else None
        return self.base.holder(number) if self.base else None

    def start_of(self, number: int) -> int:
        """Where in `words` the type `number` begins, which is one of its own."""
        return self.starts[number - self.start_id]

    def kind_of(self, number: int) -> int | None:
        """The kind of type `number` (void: 0); None if there is none."""
        holder = self.holder(number)
        if holder is None:
            return None if number else 0
        return holder.kind_at(holder.start_of(number))

    def kind_at(self, at: int) -> int:
        """The kind of the type at `at` in `words`."""
        return self.words[at + 1] >> 24 & self.masks[0]

    def vlen_at(self, at: int) -> int:
        """The number of its members, values or parameters (btf_type_vlen)."""
        return self.words[at + 1] & self.masks[1]

    def name_at(self, offset: int) -> bytes | None:
        """The name at `offset`, None if it is beyond all strings (btf_str_by_offset). Of one that is longer than a line
        of the kernel's log, the rest is left out."""
        if offset < self.start_str_off and self.base:
            return self.base.name_at(offset)
        start = offset - self.start_str_off
        if start >= len(self.strings):
            return None
        stop = self.strings.find(b"\0", start, start + _LONG_NAME)
        return self.strings[start : stop if stop >= 0 else start + _LONG_NAME]

    @cached_property
    def named(self) -> dict[bytes, list[int]]:
        """The numbers of its own types that can be looked for by name, those of typedefs and functions not among them,
        in order."""
        found: dict[bytes, list[int]] = {}
        for number, at in enumerate(self.starts, self.start_id):
            if self.words[at] and self.kind_at(at) in _FOUND:
                found.setdefault(self.name_at(self.words[at]) or b"", []).append(number)
        return found

    @cached_property
    def composites(self) -> Counter[int]:
        """How many structs and unions there are of a name, by its offset."""
        return Counter(self.words[at] for at in self.starts if self.kind_at(at) in COMPOSITE)


def words_of(types: memoryview) -> array[int]:
    """The whole words in `types`."""
    words = array("I")
    words.frombytes(types[: len(types) // 4 * 4])
    if sys.byteorder == "big":
        words.byteswap()
    return words


def read_types(types: memoryview, strings: bytes, version: Version) -> BtfTypes:
    """The types of a kernel, which are taken to be sound; reading ends at one that is cut off."""
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
    return BtfTypes(words, starts, strings, masks)
