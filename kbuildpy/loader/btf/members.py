# SPDX-License-Identifier: GPL-2.0-only
"""The offsets and sizes of the members of a kernel's struct, read from the kernel's BTF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.loader.btf.types import MODIFIERS, WORDS, BtfTypes, Kind

_POINTER = 8
_ELEMENTS = 16
"""An array of structs is divided into its elements up to this length; a longer array is one member."""
_DEPTH = 8
"""Levels of nested structs that are divided into members."""


class Member(NamedTuple):
    """A member that is not divided further."""

    path: str
    """Its name, with the names of the members that contain it: `list.next`, `mem[1].base`."""
    offset: int
    """Bytes from the beginning of the outermost struct."""
    size: int
    """In bytes."""


def members_of(types: BtfTypes, name: bytes) -> list[Member]:
    """Return the members of `struct name`, with nested structs divided into theirs; [] if `types` have no such struct.

    A union is one member, and so are the bytes of a bit-field.
    """
    for number in types.named.get(name, []):
        if types.kind_of(number) == Kind.STRUCT:
            return list(_members(types, number, "", 0, _DEPTH))
    return []


def _members(types: BtfTypes, number: int, prefix: str, base: int, depth: int) -> Iterator[Member]:
    at = types.start_of(number)
    has_bitfields = types.words[at + 1] >> 31
    first = at + WORDS
    for member in range(first, first + 3 * types.vlen_at(at), 3):
        name, kind_of, bits = types.words[member : member + 3]
        width = bits >> 24 if has_bitfields else 0
        offset = base + (bits & 0xFFFFFF if has_bitfields else bits) // 8
        path = prefix + (types.name_at(name) or b"").decode("utf-8", "surrogateescape")
        number = _unmodified(types, kind_of)
        size = (width + 7) // 8 or _size(types, number)
        yield from _parts(types, number, path, offset, size, depth)


def _parts(types: BtfTypes, number: int, path: str, offset: int, size: int, depth: int) -> Iterator[Member]:
    kind = types.kind_of(number)
    if kind == Kind.STRUCT and depth:
        yield from _members(types, number, f"{path}.", offset, depth - 1)
        return
    if kind == Kind.ARRAY and depth:
        element, _, count = types.words[types.start_of(number) + WORDS :][:3]
        element = _unmodified(types, element)
        if types.kind_of(element) == Kind.STRUCT and count <= _ELEMENTS:
            each = _size(types, element)
            for index in range(count):
                yield from _members(types, element, f"{path}[{index}].", offset + index * each, depth - 1)
            return
    yield Member(path, offset, size)


def _unmodified(types: BtfTypes, number: int) -> int:
    while types.kind_of(number) in MODIFIERS:
        number = types.words[types.start_of(number) + 2]
    return number


def _size(types: BtfTypes, number: int) -> int:
    kind = types.kind_of(number)
    if kind == Kind.PTR:
        return _POINTER
    at = types.start_of(number) if kind else 0
    if kind == Kind.ARRAY:
        element, _, count = types.words[at + WORDS : at + WORDS + 3]
        return count * _size(types, _unmodified(types, element))
    return types.words[at + 2] if kind else 0
