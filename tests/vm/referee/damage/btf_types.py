# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the types in .BTF, and with those that they go on from (kernel/bpf/btf.c: btf_check_all_metas,
btf_check_type_tags; tools/lib/bpf/btf_relocate.c).

Most cases bring what they go on from with them (.BTF.base): two types that every kernel has. So their names and
numbers do not hang on the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from random import Random

from kbuildpy.loader.btf.types import Kind
from tests.support.btf_draft import BtfDraft, Word, drafted, info, places_of
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import case, data, section
from tests.vm.referee.draft import Draft

Types = Sequence[Sequence[Word]]

SIGNED = 1 << 24 | 32
BASE: Types = [("int", info(Kind.INT), 4, SIGNED), ("list_head", info(Kind.STRUCT), 16)]
_INT, _LIST, OWN = 1, 2, 3
"""Numbers: of the two in BASE, and of the first that is not."""
TOO_LARGE = 0x100000
_HEADER = "<HBBIIIII"
"""struct btf_header: magic, version, flags, length, offset and length of the types, of the strings."""
LONG = "n" * 512
LATIN_1 = sorted({*range(0xC0, 0x100)} - {0xD7, 0xF7})

SPLIT: dict[str, Types] = {
    "none": [],
    "int": [("t", info(Kind.INT), 4, SIGNED)],
    "int with a count": [("t", info(Kind.INT, 1), 4, SIGNED)],
    "int with a flag": [("t", info(Kind.INT, flag=True), 4, SIGNED)],
    "int with more bits of data": [("t", info(Kind.INT), 4, 1 << 28 | SIGNED)],
    "int of 128 bits": [("t", info(Kind.INT), 16, 128)],
    "int of 200 bits": [("t", info(Kind.INT), 32, 200)],
    "int of more bits than bytes": [("t", info(Kind.INT), 2, 17)],
    "int with bits far off": [("t", info(Kind.INT), 4, 1 << 16 | 32)],
    "character": [("t", info(Kind.INT), 1, 2 << 24 | 8)],
    "truth value": [("t", info(Kind.INT), 1, 4 << 24 | 8)],
    "int both signed and a character": [("t", info(Kind.INT), 4, 3 << 24 | 32)],
    "int of an unknown encoding": [("t", info(Kind.INT), 4, 8 << 24 | 32)],
    "pointer": [(0, info(Kind.PTR), _INT)],
    "pointer to void": [(0, info(Kind.PTR), 0)],
    "pointer with a count": [(0, info(Kind.PTR, 2), _INT)],
    "pointer with a flag": [(0, info(Kind.PTR, flag=True), _INT)],
    "pointer to no number": [(0, info(Kind.PTR), TOO_LARGE)],
    "pointer with a name": [("t", info(Kind.PTR), _INT)],
    "pointer to a number that no type has": [(0, info(Kind.PTR), 1000)],
    "typedef": [("t", info(Kind.TYPEDEF), _INT)],
    "typedef without a name": [(0, info(Kind.TYPEDEF), _INT)],
    "typedef of a number": [("1t", info(Kind.TYPEDEF), _INT)],
    "typedef with a space": [("a b", info(Kind.TYPEDEF), _INT)],
    "typedef with a full stop": [(".a.b", info(Kind.TYPEDEF), _INT)],
    "typedef with a letter of Latin-1": [(b"\xe9t\xe9", info(Kind.TYPEDEF), _INT)],
    "typedef with all letters of Latin-1": [(bytes(LATIN_1), info(Kind.TYPEDEF), _INT)],
    "typedef with a sign of Latin-1": [(b"t\xd7", info(Kind.TYPEDEF), _INT)],
    "typedef with the other sign among letters": [(b"t\xf7", info(Kind.TYPEDEF), _INT)],
    "typedef with the sign before letters": [(b"t\xbf", info(Kind.TYPEDEF), _INT)],
    "typedef with an empty name": [(b"", info(Kind.TYPEDEF), _INT)],
    "typedef with a long name": [(LONG, info(Kind.TYPEDEF), _INT)],
    "typedef with too long a name": [(LONG + "n", info(Kind.TYPEDEF), _INT)],
    "typedef whose name begins at the end": [(15, info(Kind.TYPEDEF), _INT)],
    "typedef whose name is nowhere": [(1000, info(Kind.TYPEDEF), _INT)],
    "typedef whose name is far away": [(0x1000000, info(Kind.TYPEDEF), _INT)],
    "typedef with bits that mean nothing": [("t", info(Kind.TYPEDEF) | 1 << 20, _INT)],
    "tag": [("t", info(Kind.TYPE_TAG), _INT)],
    "tag without a name": [(0, info(Kind.TYPE_TAG), _INT)],
    "tag with an empty name": [(b"", info(Kind.TYPE_TAG), _INT)],
    "tag with a flag": [("t", info(Kind.TYPE_TAG, flag=True), _INT)],
    "tag with a name of its own kind": [("a (b)", info(Kind.TYPE_TAG), _INT)],
    "tag before const": [("t", info(Kind.TYPE_TAG), OWN + 1), (0, info(Kind.CONST), _INT)],
    "tag behind const": [("t", info(Kind.TYPE_TAG), _INT), (0, info(Kind.CONST), OWN)],
    "tag behind const, the other way round": [(0, info(Kind.CONST), OWN + 1), ("t", info(Kind.TYPE_TAG), _INT)],
    "const with a name": [("t", info(Kind.CONST), _INT)],
    "const of what is not there": [(0, info(Kind.CONST), OWN + 1)],
    "const of itself": [(0, info(Kind.CONST), OWN)],
    "const in a circle": [(0, info(Kind.CONST), OWN + 1), (0, info(Kind.VOLATILE), OWN)],
    "const 31 times": [(0, info(Kind.CONST), OWN + number + 1) for number in range(31)] + [(0, info(Kind.PTR), 0)],
    "const 32 times": [(0, info(Kind.CONST), OWN + number + 1) for number in range(32)] + [(0, info(Kind.PTR), 0)],
    "const 33 times": [(0, info(Kind.CONST), OWN + number + 1) for number in range(33)] + [(0, info(Kind.PTR), 0)],
    "const 40 times, from the end": [(0, info(Kind.PTR), 0)] + [(0, info(Kind.CONST), OWN + n) for n in range(40)],
    "forward": [("t", info(Kind.FWD), 0)],
    "forward of a union": [("t", info(Kind.FWD, flag=True), 0)],
    "forward to a type": [("t", info(Kind.FWD, flag=True), 1)],
    "forward with a count": [("t", info(Kind.FWD, 1), 0)],
    "forward without a name": [(0, info(Kind.FWD), 0)],
    "array": [(0, info(Kind.ARRAY), 0, _INT, _INT, 3)],
    "array with a name": [("t", info(Kind.ARRAY), 0, _INT, _INT, 3)],
    "array with a count": [(0, info(Kind.ARRAY, 1), 0, _INT, _INT, 3)],
    "array with a flag": [(0, info(Kind.ARRAY, flag=True), 0, _INT, _INT, 3)],
    "array with a size": [(0, info(Kind.ARRAY), 12, _INT, _INT, 3)],
    "array of void": [(0, info(Kind.ARRAY), 0, 0, _INT, 3)],
    "array of no number": [(0, info(Kind.ARRAY), 0, TOO_LARGE, _INT, 3)],
    "array with an index of void": [(0, info(Kind.ARRAY), 0, _INT, 0, 3)],
    "array with an index of no number": [(0, info(Kind.ARRAY), 0, _INT, TOO_LARGE, 3)],
    "struct": [("t", info(Kind.STRUCT, 2), 8, "a", _INT, 0, 0, _INT, 32)],
    "struct without a name": [(0, info(Kind.STRUCT), 0)],
    "struct with a bad name": [("a-b", info(Kind.STRUCT), 0)],
    "struct with more members than there are": [("t", info(Kind.STRUCT, 2), 8, "a", _INT, 0)],
    "member whose name is nowhere": [("t", info(Kind.STRUCT, 1), 8, 1000, _INT, 0)],
    "member with a bad name": [("t", info(Kind.STRUCT, 1), 8, "a-b", _INT, 0)],
    "member of void": [("t", info(Kind.STRUCT, 1), 8, "a", 0, 0)],
    "member of no number": [("t", info(Kind.STRUCT, 1), 8, "a", TOO_LARGE, 0)],
    "member before the one before it": [("t", info(Kind.STRUCT, 2), 8, "a", _INT, 32, "b", _INT, 0)],
    "member at the end": [("t", info(Kind.STRUCT, 1), 8, "a", _INT, 64)],
    "member behind the end": [("t", info(Kind.STRUCT, 1), 8, "a", _INT, 65)],
    "bit-field": [("t", info(Kind.STRUCT, 1, flag=True), 8, "a", _INT, 3 << 24 | 5)],
    "bit-field behind the end": [("t", info(Kind.STRUCT, 1, flag=True), 8, "a", _INT, 3 << 24 | 65)],
    "union": [("t", info(Kind.UNION, 2), 8, "a", _INT, 0, "b", _INT, 0)],
    "union with an offset": [("t", info(Kind.UNION, 2), 8, "a", _INT, 0, "b", _INT, 8)],
    "enum": [("t", info(Kind.ENUM, 2), 4, "a", 0, "b", 1)],
    "enum without a name": [(0, info(Kind.ENUM, 1), 4, "a", 0)],
    "enum of no size": [("t", info(Kind.ENUM), 0)],
    "enum of three bytes": [("t", info(Kind.ENUM), 3)],
    "enum of 16 bytes": [("t", info(Kind.ENUM), 16)],
    "enum with a bad name": [("a-b", info(Kind.ENUM), 4)],
    "enum with more values than there are": [("t", info(Kind.ENUM, 2), 4, "a", 0)],
    "value whose name is nowhere": [("t", info(Kind.ENUM, 1), 4, 1000, 0)],
    "value without a name": [("t", info(Kind.ENUM, 1), 4, 0, 0)],
    "value with a bad name": [("t", info(Kind.ENUM, 2), 4, "a", 0, "a-b", 0)],
    "long enum": [("t", info(Kind.ENUM64, 1, flag=True), 8, "a", 0, 1)],
    "long enum of three bytes": [("t", info(Kind.ENUM64), 3)],
    "long enum whose value has a bad name": [("t", info(Kind.ENUM64, 2), 8, "a", 0, 1, "a-b", 0, 0)],
    "prototype": [(0, info(Kind.FUNC_PROTO, 2), 0, "a", _INT, 0, 0)],
    "prototype with more parameters than there are": [(0, info(Kind.FUNC_PROTO, 3), 0, "a", _INT, 0, 0)],
    "prototype with a name": [("t", info(Kind.FUNC_PROTO), _INT)],
    "prototype with a name, of any": [("t", info(Kind.FUNC_PROTO, 1), _INT, 0, 0)],
    "prototype with a name, of one": [("t", info(Kind.FUNC_PROTO, 1), _INT, "a", _INT)],
    "prototype with a name, of two": [("t", info(Kind.FUNC_PROTO, 2), _INT, "a", _INT, 1000, _INT)],
    "prototype with a name, of one whose name begins at the end": [("t", info(Kind.FUNC_PROTO, 1), _INT, 17, _INT)],
    "prototype with a flag, of two and more": [
        (0, info(Kind.FUNC_PROTO, 3, flag=True), 0, 0, _INT, "b", _INT, 0, 0),
    ],
    "function": [(0, info(Kind.FUNC_PROTO), 0), ("t", info(Kind.FUNC, 1), OWN)],
    "function from elsewhere": [(0, info(Kind.FUNC_PROTO), 0), ("t", info(Kind.FUNC, 2), OWN)],
    "function without a name": [(0, info(Kind.FUNC), _INT)],
    "function of an unknown linkage": [("t", info(Kind.FUNC, 3), _INT)],
    "function with a flag": [("t", info(Kind.FUNC, flag=True), _INT)],
    "variable": [("t", info(Kind.VAR), _INT, 1)],
    "variable with a count": [("t", info(Kind.VAR, 1), _INT, 1)],
    "variable with a flag": [("t", info(Kind.VAR, flag=True), _INT, 1)],
    "variable without a name": [(0, info(Kind.VAR), _INT, 1)],
    "variable of void": [("t", info(Kind.VAR), 0, 1)],
    "variable of no number": [("t", info(Kind.VAR), TOO_LARGE, 1)],
    "variable of an unknown linkage": [("t", info(Kind.VAR), _INT, 2)],
    "section": [("t", info(Kind.VAR), _INT, 1), (".data..t", info(Kind.DATASEC, 1), 8, OWN, 4, 4)],
    "section that is full": [(".t", info(Kind.DATASEC, 2), 8, _INT, 0, 4, _INT, 4, 4)],
    "section of one variable": [(".t", info(Kind.DATASEC, 1), 8, _INT, 0, 8)],
    "section with signs in its name": [(b"a-b (c) \xe9", info(Kind.DATASEC), 8)],
    "section with a tab in its name": [("a\tb", info(Kind.DATASEC), 8)],
    "section with a long name": [("-" * 512, info(Kind.DATASEC), 8)],
    "section with too long a name": [("-" * 513, info(Kind.DATASEC), 8)],
    "section of no size": [(".t", info(Kind.DATASEC), 0)],
    "section with a flag": [(".t", info(Kind.DATASEC, flag=True), 8)],
    "section without a name": [(0, info(Kind.DATASEC), 8)],
    "section with an empty name": [(b"", info(Kind.DATASEC), 8)],
    "section with more variables than there are": [(".t", info(Kind.DATASEC, 2), 8, _INT, 0, 4)],
    "section with void": [(".t", info(Kind.DATASEC, 1), 8, 0, 0, 4)],
    "section with no number": [(".t", info(Kind.DATASEC, 1), 8, TOO_LARGE, 0, 4)],
    "variables that overlap": [(".t", info(Kind.DATASEC, 2), 8, _INT, 0, 4, _INT, 3, 4)],
    "variable behind its section": [(".t", info(Kind.DATASEC, 1), 8, _INT, 8, 4)],
    "variable of no size": [(".t", info(Kind.DATASEC, 1), 8, _INT, 0, 0)],
    "variable that is larger than its section": [(".t", info(Kind.DATASEC, 1), 8, _INT, 0, 9)],
    "variable across the end": [(".t", info(Kind.DATASEC, 1), 8, _INT, 6, 4)],
    "variable across the end of numbers": [
        (".t", info(Kind.DATASEC, 2), 0xFFFFFFFF, _INT, 0x80000000, 0x80000000, _INT, 8, 0x80000000),
    ],
    "float": [("t", info(Kind.FLOAT), 8)],
    **{f"float of {size} bytes": [("t", info(Kind.FLOAT), size)] for size in (2, 4, 12, 16)},
    "float with a count": [("t", info(Kind.FLOAT, 1), 8)],
    "float with a flag": [("t", info(Kind.FLOAT, flag=True), 8)],
    "float of three bytes": [("t", info(Kind.FLOAT), 3)],
    "attribute": [("t", info(Kind.DECL_TAG), _LIST, 0xFFFFFFFF)],
    "attribute with a flag": [("t", info(Kind.DECL_TAG, flag=True), _LIST, 0)],
    "attribute with a count": [("t", info(Kind.DECL_TAG, 1), _LIST, 0)],
    "attribute without a name": [(0, info(Kind.DECL_TAG), _LIST, 0)],
    "attribute with an empty name": [(b"", info(Kind.DECL_TAG), _LIST, 0)],
    "attribute of member -2": [("t", info(Kind.DECL_TAG), _LIST, 0xFFFFFFFE)],
    "no kind": [("t", info(0), 0)],
    "kind 20": [("t", info(20), 0)],
    "kind 31": [("t", info(31), 0)],
    "kind 33": [("t", info(33), 0)],
    "kind 127": [("t", info(127), 0)],
    # what the name of a type of the base cannot stand for
    "name of the base's that is no type's": [(2, info(Kind.TYPEDEF), _INT)],
    "name of a type of the base's": [(1, info(Kind.TYPEDEF), _INT)],
    "parameter with a name of the base's that is no type's": [(0, info(Kind.FUNC_PROTO, 1), 0, 2, _INT)],
    "member with a name of the base's that is no type's": [("t", info(Kind.STRUCT, 1), 8, 2, _INT, 0)],
    "value with a name of the base's that is no type's": [("t", info(Kind.ENUM, 1), 4, 2, 0)],
    "long value with a name of the base's that is no type's": [("t", info(Kind.ENUM64, 1), 8, 2, 0, 0)],
}
"""Types that go on from BASE."""

ALONE: dict[str, Types] = {
    "pointer to the last number": [(0, info(Kind.PTR), TOO_LARGE - 1)],
    "array of the last number": [(0, info(Kind.ARRAY), 0, TOO_LARGE - 1, TOO_LARGE - 1, 1)],
    "member of the last number": [(0, info(Kind.STRUCT, 1), 8, 0, TOO_LARGE - 1, 0)],
}
"""Types without names that go on from the kernel's own: of a base, a number that no type has would be followed."""

PAIRS: dict[str, tuple[Types, Types]] = {
    "of a struct that there is not": ([("no such struct", info(Kind.STRUCT), 16)], []),
    "of an int that there is not": ([("no such int", info(Kind.INT), 4, SIGNED)], []),
    "of an int of another size": ([("int", info(Kind.INT), 8, SIGNED)], []),
    "of an int of another encoding": ([("int", info(Kind.INT), 4, 32)], []),
    "of a float": ([("int", info(Kind.FLOAT), 4)], []),
    "of an enum that there is not": ([("int", info(Kind.ENUM), 4)], []),
    "of an enum": ([("pid_type", info(Kind.ENUM), 4)], []),
    "of an enum of another size": ([("pid_type", info(Kind.ENUM), 8)], []),
    "of a struct of another size": ([("list_head", info(Kind.STRUCT), 8)], [(0, info(Kind.PTR), 1)]),
    "of a struct that is a union": ([("list_head", info(Kind.UNION), 16)], []),
    "of a struct with members": ([*BASE, ("hlist_head", info(Kind.STRUCT, 1), 8, "a", 1, 0)], []),
    "of a forward that is a struct": ([("list_head", info(Kind.FWD), 0)], []),
    "of a forward to a union that is a struct": ([("list_head", info(Kind.FWD, flag=True), 0)], []),
    "of a forward that is a union": ([("sigval", info(Kind.FWD, flag=True), 0)], []),
    "of a union": ([("sigval", info(Kind.UNION), 8)], []),
    "of a forward that is an int": ([("int", info(Kind.FWD), 0)], []),
    "of a forward that there is not": ([("no_such_struct", info(Kind.FWD), 0)], []),
    "of a pointer": ([(0, info(Kind.PTR), 0)], []),
    "of a typedef": ([("t", info(Kind.TYPEDEF), 0)], []),
    "of a long enum": ([("t", info(Kind.ENUM64), 8)], []),
    "of a struct without a name": ([(0, info(Kind.STRUCT), 16)], []),
    "of the same twice": ([BASE[1], BASE[1]], []),
    "of an int twice": ([BASE[0], BASE[0]], []),
    "of nothing": ([], [(0, info(Kind.PTR), 0)]),
    "of a damaged int": ([("int", info(Kind.INT), 4, 200)], []),
    "of a struct with more members than there are": ([("list_head", info(Kind.STRUCT, 2), 16)], []),
    "of const of itself": ([(0, info(Kind.CONST), 1)], []),
    "of a name that is nowhere": ([(1000, info(Kind.STRUCT), 16)], []),
    "embedded": (BASE, [("t", info(Kind.STRUCT, 1), 16, "a", _LIST, 0)]),
    "embedded, of another size": (
        [("list_head", info(Kind.STRUCT), 8)],
        [("t", info(Kind.STRUCT, 1), 8, "a", 1, 0)],
    ),
    "embedded in a union, of another size": (
        [("list_head", info(Kind.STRUCT), 8)],
        [("t", info(Kind.UNION, 1), 8, "a", 1, 0)],
    ),
    "embedded as an array, of another size": (
        [("list_head", info(Kind.STRUCT), 8), BASE[0]],
        [(0, info(Kind.ARRAY), 0, 1, 2, 2), ("t", info(Kind.STRUCT, 1), 16, "a", 3, 0)],
    ),
    "embedded as const, of another size": (
        [("list_head", info(Kind.STRUCT), 8)],
        [(0, info(Kind.CONST), 3), ("u", info(Kind.TYPEDEF), 1), ("t", info(Kind.STRUCT, 1), 8, "a", 2, 0)],
    ),
    "embedded as a pointer, of another size": (
        [("list_head", info(Kind.STRUCT), 8)],
        [(0, info(Kind.PTR), 1), ("t", info(Kind.STRUCT, 1), 8, "a", 2, 0)],
    ),
}
"""Other bases than BASE, and what goes on from them."""


def cases(bases: Bases) -> Iterator[Case]:
    """All of them, for a kernel that looks at types: it refuses modules for them, or says so and goes on."""
    if "CONFIG_DEBUG_INFO_BTF_MODULES" not in bases.tree.config:
        return
    base = drafted(BASE)
    for what, types in SPLIT.items():
        yield _pair(bases, f"btf/{what}", base, drafted(types, base))
    for what, (before, types) in PAIRS.items():
        draft = drafted(before)
        yield _pair(bases, f"btf/on a base {what}", draft, drafted(types, draft))
    own = drafted(SPLIT["array"], base)
    for cut in (1, 12, 13, 23):
        yield _pair(bases, f"btf/without the last {cut} bytes", base, own, cut=cut)
    yield _pair(bases, "btf/3 bytes more", base, own, more=b"abc")
    for what, types in ALONE.items():
        yield case(f"btf/{what}", bases.untyped, section(".BTF", drafted(types, after=1).contents()))
    yield from _headers(bases)
    yield from _shipped(bases)


def _headers(bases: Bases) -> Iterator[Case]:
    """What is wrong with the header of types, and with the parts that it names."""
    base = drafted(BASE)
    whole, own = base.contents(), drafted(SPLIT["int"], base).contents()
    _, _, _, length, _, type_length, _, string_length = struct.unpack_from(_HEADER, own)
    strings = own[length + type_length :]
    turned = (
        own[:8]
        + struct.pack("<4I", string_length, type_length, 0, string_length)
        + strings
        + own[length:][:type_length]
    )
    both = {
        "a header that is longer than the section": (whole, own[:4] + struct.pack("<I", len(own) + 1) + own[8:]),
        "a base of a header alone": (whole[:length], own),
        "strings that overlap with the types": (whole, own[:16] + struct.pack("<I", type_length - 4) + own[20:]),
        "strings before the types": (whole, turned),
        "strings without an end": (whole, own[:-1] + b"x"),
        "a base whose strings begin with a letter": (whole.replace(b"\0int\0", b"xint\0"), own),
    }
    for what, (before, after) in both.items():
        sections = (section(".BTF.base", before), section(".BTF", after))
        yield case(f"btf/header: {what}", bases.untyped, *sections)


def _pair(bases: Bases, name: str, base: BtfDraft, split: BtfDraft, *, cut: int = 0, more: bytes = b"") -> Case:
    sections = [
        section(".BTF.base", base.contents()),
        section(".BTF", split.contents(cut=cut, more=more)),
    ]
    return case(name, bases.untyped, *sections)


def _shipped(bases: Bases) -> Iterator[Case]:
    """One bit of each word of the first types of a module that the kernel came with, which go on from the kernel's."""
    if bases.shipped is None:
        return
    draft = Draft(bases.shipped)
    if not any(draft.name_of(item) == ".BTF" for item in draft.sections):
        return
    contents = draft.data(draft.section(".BTF"))
    random = Random(len(contents))
    for number, (at, words) in enumerate(places_of(contents)[:40]):
        for word in range(words):
            bit = random.randrange(32)
            place = at + 4 * word
            (value,) = struct.unpack_from("<I", contents, place)
            changed = struct.pack("<I", value ^ 1 << bit)
            name = f"btf/bit {bit} of word {word} of the kernel's own module's type {number}"
            yield case(name, bases.shipped, data(".BTF", place, changed))
