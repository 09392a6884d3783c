# SPDX-License-Identifier: GPL-2.0-only
"""Finds the types of `.BTF.base` in the kernel: tools/lib/bpf/btf_relocate.c.

`.BTF.base` (distilled base BTF) has names and sizes of the kernel types that a module refers to. The kernel that loads
the module must have exactly one fitting type for each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from kbuildpy.loader.btf.env import KIND_FLAG
from kbuildpy.loader.btf.invalid import BeyondTypes, InvalidBtf
from kbuildpy.loader.btf.types import COMPOSITE, EACH, MODIFIERS, WORDS, BtfTypes, Kind

_DISTILLED = frozenset((Kind.INT, Kind.FLOAT, Kind.ENUM, *COMPOSITE, Kind.FWD))
_SIZED = frozenset((Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.ENUM64))
_SIZE = 0x7FFFFFFF  # struct btf_name_info keeps a size in 31 bits, and only these are compared.


def relocate(types: BtfTypes, kernel: BtfTypes) -> None:
    """Look each type of the base of `types` up in `kernel` (btf_relocate).

    Raises `InvalidBtf` for a type that is missing or ambiguous, `BeyondTypes` for a reference to a missing type.
    """
    distilled = types.base
    assert distilled is not None
    _validate_distilled_base(distilled)
    mapped = _map_distilled_base(types, distilled, kernel)
    names = {}
    for start, number in zip(distilled.starts, mapped, strict=True):
        names[distilled.words[start]] = kernel.words[kernel.start_of(number)]
    for start in types.starts:
        for number in _ids(types, start):
            if number >= types.count:
                raise BeyondTypes(f"a type refers to type {number}, and there are {types.count}")
    for start in types.starts:
        for offset in _name_offsets(types, start):
            if 0 < offset < types.start_str_off and not names.get(offset):
                raise _warned(
                    "ENOENT",
                    f"string '' [offset {offset}] is not mapped to base BTF",
                    "the module uses a name of .BTF.base that is not the name of a type there",
                )


def _warned(errno: str, line: str, why: str) -> InvalidBtf:
    return InvalidBtf(errno, (line,), f"{line}: {why}")


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "surrogateescape")


def _validate_distilled_base(distilled: BtfTypes) -> None:
    for number, start in enumerate(distilled.starts, distilled.start_id):
        kind = distilled.kind_at(start)
        if kind not in _DISTILLED:
            line = f"type [{number}] in distilled based BTF has unexpected kind [{kind}]"
            raise _warned("EINVAL", line, ".BTF.base has a type of a kind that does not belong there")
        if not distilled.words[start]:
            line = f"type [{number}], kind [{kind}] is invalid for distilled base BTF; it is anonymous"
            raise _warned(
                "EINVAL", line, ".BTF.base has a type without a name, which cannot be looked up in the kernel"
            )


def _map_distilled_base(types: BtfTypes, distilled: BtfTypes, kernel: BtfTypes) -> Sequence[int]:
    """The kernel's number for each type of the distilled base, in order (btf_relocate_map_distilled_base).

    The kernel looks each of its own types up in the base. This function looks each type of the base up in the kernel,
    which is faster and finds the same.
    """
    embedded = _embedded(types, distilled)
    found = array("I")
    twice: tuple[int, int, int] | None = None
    for number, at in enumerate(distilled.starts, distilled.start_id):
        name = distilled.name_at(distilled.words[at]) or b""
        fitting = [
            candidate
            for candidate in kernel.named.get(name, ())
            if _is_compatible(distilled, at, kernel, candidate, is_embedded=bool(embedded[number]))
        ]
        found.append(fitting[0] if fitting else 0)
        if len(fitting) > 1 and (twice is None or fitting[1] < twice[0]):
            twice = (fitting[1], fitting[0], number)
    if twice is not None:
        second, first, number = twice
        shown = _text(distilled.name_at(distilled.words[distilled.start_of(number)]))
        size = kernel.words[kernel.start_of(second) + 2]
        raise _warned(
            "EINVAL",
            f"distilled base BTF type '{shown}' [{number}], size {size} has multiple candidates of the same size "
            f"(ids [{second}, {first}]) in base BTF",
            "the kernel has two types that a type of .BTF.base could be",
        )
    for number, (at, mapped) in enumerate(zip(distilled.starts, found, strict=True), distilled.start_id):
        if not mapped:
            missing = _text(distilled.name_at(distilled.words[at]))
            raise _warned(
                "EINVAL",
                f"distilled base BTF type '{missing}' [{number}] is not mapped to base BTF id",
                "the kernel has no type of this name and size: the module was built against another kernel",
            )
    return found


def _is_compatible(ours: BtfTypes, at: int, kernel: BtfTypes, number: int, *, is_embedded: bool) -> bool:
    """Whether the distilled type at `at` can be the kernel's type `number`, which has the same name."""
    start = kernel.start_of(number)
    _, info, size = ours.words[at : at + WORDS]
    kernel_name, kernel_info, kernel_size = kernel.words[start : start + WORDS]
    kind, kernel_kind = ours.kind_at(at), kernel.kind_at(start)
    # The kernel compares sizes of structs and unions only if it has several of that name.
    needs_size = kernel_kind in _SIZED or (kernel_kind in COMPOSITE and kernel.composites[kernel_name] > 1)
    if needs_size and (size ^ kernel_size) & _SIZE:
        return False
    if kind == Kind.FWD:
        if kernel_kind == Kind.FWD:
            return not (info ^ kernel_info) & KIND_FLAG
        if kernel_kind in COMPOSITE:
            return bool(kernel_info & KIND_FLAG) == (kernel_kind == Kind.UNION)
        return False
    if kind == Kind.INT:
        return kernel_kind == Kind.INT and not (ours.words[at + WORDS] ^ kernel.words[start + WORDS]) >> 24 & 0xF
    if kind == Kind.FLOAT:
        return kernel_kind == Kind.FLOAT
    if kind == Kind.ENUM:
        return kernel_kind in (Kind.ENUM, Kind.ENUM64)
    # The kernel does not compare kinds here: a struct may match a union.
    return not is_embedded or size == kernel_size


def _embedded(types: BtfTypes, distilled: BtfTypes) -> bytearray:
    """A mark, by number, for each struct or union of the base that a struct or union of the module contains by value:
    its size must match (btf_mark_embedded_composite_type_ids)."""
    marks = bytearray(distilled.count)
    followed = bytearray(types.count)  # 1: followed to the end of its chain; 2: part of the current chain
    for start in types.starts:
        if types.kind_at(start) not in COMPOSITE:
            continue
        for member in _ids(types, start):
            way = []
            number = member
            while number and (number >= len(followed) or followed[number] != 1):
                holder = types.holder(number)
                if holder is None:
                    raise BeyondTypes(f"a member is of type {number}, and there are {types.count}")
                if followed[number]:
                    raise BeyondTypes(f"type {number} is an array of itself")
                followed[number] = 2
                way.append(number)
                at = holder.start_of(number)
                kind = holder.kind_at(at)
                if kind in COMPOSITE and holder is distilled:
                    marks[number] = 1
                if kind not in MODIFIERS and kind != Kind.ARRAY:
                    break
                number = holder.words[at + 3 if kind == Kind.ARRAY else at + 2]
            for number in way:
                followed[number] = 1
    return marks


def _ids(types: BtfTypes, start: int) -> Iterator[int]:
    """The numbers of types that a type refers to (tools/lib/bpf/btf_iter.c: btf_field_iter_init)."""
    words = types.words
    kind, count = types.kind_at(start), types.vlen_at(start)
    first = start + WORDS
    if kind in (Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.ENUM64):
        return
    if kind == Kind.ARRAY:
        yield words[first]
        yield words[first + 1]
    elif kind in COMPOSITE:
        yield from words[first + 1 : first + 3 * count : 3]
    elif kind == Kind.FUNC_PROTO:
        yield words[start + 2]
        yield from words[first + 1 : first + 2 * count : 2]
    elif kind == Kind.DATASEC:
        yield from words[first : first + 3 * count : 3]
    else:
        yield words[start + 2]


def _name_offsets(types: BtfTypes, start: int) -> Iterator[int]:
    """The offsets of all names in a type."""
    words = types.words
    kind, count = types.kind_at(start), types.vlen_at(start)
    first = start + WORDS
    yield words[start]
    if kind in EACH and kind != Kind.DATASEC:
        yield from words[first : first + EACH[kind] * count : EACH[kind]]
