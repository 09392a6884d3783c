# SPDX-License-Identifier: GPL-2.0-only
"""Type information in a module: what is said of it where a kernel's own is not there to ask, or is of few types."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from time import process_time

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.release import Version
from kbuildpy.loader.btf.types import BtfTypes, Kind, read_types
from kbuildpy.loader.kernels.own_types import types_of_image, types_of_vmlinux
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.btf import btf_module_notify
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.btf_draft import BtfDraft, Word, drafted, info, places_of
from tests.support.elf_objects import Sec, elf_object
from tests.support.loader_info import info_of, sentences

HEADER = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 4, 4, 2)
BTF = HEADER + bytes(6)
INSISTS = {"CONFIG_DEBUG_INFO_BTF_MODULES": "y"}
ALLOWS = {**INSISTS, "CONFIG_MODULE_ALLOW_BTF_MISMATCH": "y"}
SIGNED = 1 << 24 | 32
Types = Sequence[Sequence[Word]]
BASE: Types = [("int", info(Kind.INT), 4, SIGNED), ("list_head", info(Kind.STRUCT), 16)]
OWN = 3
"""The number of the first type that goes on from BASE."""


def known(types: Types, version: Version = (7, 3)) -> Callable[[], BtfTypes]:
    """A kernel's own types."""
    draft = drafted(types)
    return lambda: read_types(memoryview(draft.types), draft.strings, version)


def go(
    contents: bytes,
    base: bytes | None = None,
    *,
    config: Mapping[str, str] = INSISTS,
    version: Version = (7, 3),
    own_types: Callable[[], BtfTypes | None] | None = None,
) -> LoadInfo:
    """Have a kernel look at a module with that type information."""
    sections = [Sec(".BTF", 0, contents)] + ([Sec(".BTF.base", 0, base)] if base is not None else [])
    found = info_of(sections, [], version=version, config=config)
    found.kernel = replace(found.kernel, own_types=own_types)
    found.stage = "btf_module_notify"
    btf_module_notify(found)
    return found


def refused(types: Types, before: Types = BASE, *, version: Version = (7, 3), own: Types = BASE) -> tuple[str, ...]:
    """What is said of types that go on from `before`, in a kernel with types of its `own`; () if they are taken."""
    base = drafted(before)
    try:
        module = go(
            drafted(types, base).contents(), base.contents(), version=version, own_types=known(own, version=version)
        )
    except Refusal as refusal:
        assert refusal.errno in ("EINVAL", "ENOTSUPP", "ELOOP", "ENOENT")
        # (without the same in plain words, which comes last)
        return (refusal.errno, refusal.reason.rpartition(": ")[0])
    assert sentences(module) == []
    return ()


@pytest.mark.parametrize(
    ("contents", "errno", "number", "message"),
    [
        (b"\x9f", "EINVAL", 22, "hdr_len not found"),
        (BTF[:20], "EINVAL", 22, "btf_header not found"),
        (b"\0\0" + BTF[2:], "EINVAL", 22, "Invalid magic"),
        (BTF[:2] + b"\2" + BTF[3:], "ENOTSUPP", 524, "Unsupported version"),
        (BTF[:3] + b"\1" + BTF[4:], "ENOTSUPP", 524, "Unsupported flags"),
        (BTF + b"\0", "EINVAL", 22, "Unsupported section found"),
        (BTF[:-1], "EINVAL", 22, "Total section length too long"),
        (BTF[:-1] + b"\1", "EINVAL", 22, "Invalid string section"),
    ],
)
def test_a_damaged_header_is_refused(contents: bytes, errno: str, number: int, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        go(contents, version=(6, 12))
    assert (caught.value.errno, caught.value.line) == (errno, f"failed to validate module [m] BTF: -{number}")
    for version, line in ((6, 1), caught.value.line), ((6, 12), "Kernel module BTF mismatch detected, BTF debug info"):
        said = go(contents, config=ALLOWS, version=version).journal.lines
        assert said[0] == f"BPF: {message}"
        assert said[1].startswith(str(line))


def test_what_is_not_known_of_the_kernel_is_said() -> None:
    empty = BtfDraft(after=1).contents()
    (unchecked,) = sentences(go(empty))
    assert unchecked.startswith("whether .BTF fits: the kernel's own types are not known (there is neither a vmlinux")
    assert sentences(go(empty, own_types=lambda: None)) == [unchecked]
    assert sentences(go(empty, own_types=known(BASE))) == []
    assert sentences(go(empty, config=ALLOWS)) == [unchecked]
    assert sentences(go(b"\0", config={"CONFIG_DEBUG_INFO_BTF_MODULES": "n", **ALLOWS}, version=(6, 12))) == []


def test_an_image_that_cannot_be_read_is_a_reason() -> None:
    def damaged() -> BtfTypes:
        raise KbuildError("vmlinuz: the image is cut off before its end")

    assert sentences(go(BtfDraft(after=1).contents(), own_types=damaged)) == [
        "whether .BTF fits: the kernel's own types are not known (vmlinuz: the image is cut off before its end)"
    ]


def test_a_base_of_its_own_is_looked_at_without_the_kernel() -> None:
    base = drafted(BASE)
    (unchecked,) = sentences(go(drafted([(0, info(Kind.PTR), 1)], base).contents(), base.contents()))
    assert "there is neither a vmlinux" in unchecked
    with pytest.raises(Refusal, match="Invalid name"):
        go(drafted([(0, info(Kind.TYPEDEF), 1)], base).contents(), base.contents())


def test_the_lines_tell_the_type_and_what_is_wrong_with_it() -> None:
    base = drafted(BASE)
    types = drafted([("t", info(Kind.STRUCT, 1), 8, "a b", 1, 0)], base)
    with pytest.raises(Refusal) as caught:
        go(types.contents(), base.contents(), own_types=known(BASE))
    assert caught.value.reason == (
        ".BTF is damaged, or made for another kernel: Invalid name: the name of a member is no identifier of C"
    )
    found = info_of([Sec(".BTF", 0, types.contents()), Sec(".BTF.base", 0, base.contents())], [], config=INSISTS)
    with pytest.raises(Refusal):
        btf_module_notify(found)
    assert found.journal.lines == [
        "BPF: \ta b type_id=1 bits_offset=0",
        "BPF:  ",
        "BPF: Invalid name",
        "BPF: ",
        "failed to validate module [m] BTF: -22",
    ]


def test_a_kernel_that_takes_types_of_another_one_says_so() -> None:
    # (tests/vm/referee asks kernels of all three lines)
    base = drafted(BASE)
    members = drafted([("t", info(Kind.STRUCT, 1), 8, "a b", 1, 0)], base).contents()
    mismatch = "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules"
    said = go(members, base.contents(), config=ALLOWS, version=(6, 12), own_types=known(BASE)).journal.lines
    assert said == [mismatch]
    variables = drafted([(".t", info(Kind.DATASEC, 1), 8, 0, 0, 4)], base).contents()
    said = go(variables, base.contents(), config=ALLOWS, version=(6, 12), own_types=known(BASE)).journal.lines
    assert said == ["BPF: \t type_id=0 offset=0 size=4", "BPF:  ", "BPF: Invalid type_id", "BPF: ", mismatch]
    said = go(members, config=ALLOWS, version=(6, 1), own_types=known(BASE)).journal.lines
    assert said[2:] == ["BPF: Invalid name", "BPF: ", "failed to validate module [m] BTF: -22"]


def test_what_kernels_have_learned_is_taken_by_those_only() -> None:
    # include/uapi/linux/btf.h, kernel/bpf/btf.c of 6.1, 6.12 and 7.3
    tags: Types = [(0, info(Kind.CONST), OWN + 1), ("t", info(Kind.TYPE_TAG), 1)]
    assert refused(tags, version=(6, 12)) == ("EINVAL", DAMAGED.format("Type tags don't precede modifiers"))
    assert refused(tags) == ()
    assert refused([("t", info(Kind.TYPE_TAG), OWN + 1), (0, info(Kind.CONST), 1)], version=(6, 12)) == ()
    assert refused([(0, info(Kind.CONST), OWN + 1), (0, info(Kind.VOLATILE), 1)], version=(6, 12)) == ()
    flag: Types = [("t", info(Kind.TYPE_TAG, flag=True), 1)]
    assert refused(flag, version=(6, 12)) == ("EINVAL", DAMAGED.format("Invalid btf_info kind_flag"))
    assert refused(flag) == ()
    attribute: Types = [("t", info(Kind.DECL_TAG, flag=True), 2, 0)]
    assert refused(attribute, version=(6, 12)) == ("EINVAL", DAMAGED.format("Invalid btf_info kind_flag"))
    assert refused(attribute) == ()
    for since, last in ((7, 2), (7, 1)), ((7, 3), (7, 0)):
        assert (refused(tags, version=since), refused(tags, version=last)) == (
            (),
            ("EINVAL", DAMAGED.format("Type tags don't precede modifiers")),
        )
    bits: Types = [("t", info(Kind.TYPEDEF) | 1 << 20, 1)]
    assert refused(bits, version=(6, 12)) == ("EINVAL", DAMAGED.format("[3] Invalid btf_info:8100000"))
    assert refused(bits, version=(7, 1)) == ("EINVAL", DAMAGED.format("[3] Invalid btf_info:8100000"))
    assert refused(bits, version=(7, 2)) == refused(bits) == ("EINVAL", DAMAGED.format("vlen != 0"))
    with pytest.raises(Refusal, match="Invalid name"):
        # (6.1 has no bases, so this goes on from the kernel's own)
        go(drafted([("a b", info(Kind.DATASEC), 8)], after=5).contents(), version=(6, 1), own_types=known(BASE[:1]))
    assert refused([("a b", info(Kind.DATASEC), 8)], version=(6, 12)) == ()


@pytest.mark.parametrize(
    ("version", "spaced", "begins_oddly"),
    [
        ((6, 8), False, False),
        ((6, 9), True, True),
        ((6, 10, 9), True, True),
        ((6, 10, 10), True, False),
        ((6, 11), True, False),
    ],
)
def test_a_kernel_looks_at_the_characters_of_a_sections_name_in_its_way(
    version: Version, spaced: bool, begins_oddly: bool
) -> None:
    def taken(name: str) -> bool:
        # (before 6.11 there are no bases, so this goes on from the kernel's own)
        types = drafted([(name, info(Kind.DATASEC), 8)], after=1 + len("int\0")).contents()
        try:
            go(types, version=version, own_types=known(BASE[:1], version))
        except Refusal as refusal:
            assert "Invalid name" in refusal.reason
            return False
        return True

    assert (taken("a b"), taken("\1b"), taken("a\1")) == (spaced, begins_oddly, False)


DAMAGED = ".BTF is damaged, or made for another kernel: {}"


def test_types_of_the_kernel_count() -> None:
    own = known([*BASE, (0, info(Kind.CONST), 1)])  # type 3; the module's first is 4

    def taken(*types: Sequence[Word]) -> bool:
        try:
            go(drafted(types, drafted(BASE)).contents(), own_types=own)
        except Refusal:
            return False
        return True

    assert taken(*[(0, info(Kind.CONST), 4 + number + 1) for number in range(30)], (0, info(Kind.CONST), 3))
    assert taken(*[(0, info(Kind.CONST), 4 + number + 1) for number in range(31)], (0, info(Kind.CONST), 2))
    # 32 of its own, and the kernel's
    assert not taken(*[(0, info(Kind.CONST), 4 + number + 1) for number in range(31)], (0, info(Kind.CONST), 3))


@pytest.mark.parametrize(
    ("own", "before", "after", "words"),
    [
        # of two structs of a name, the one of that size
        ([("s", info(Kind.STRUCT), 8), ("s", info(Kind.STRUCT), 16)], [("s", info(Kind.STRUCT), 16)], [], None),
        (
            [("s", info(Kind.STRUCT), 8), ("s", info(Kind.STRUCT), 16)],
            [("s", info(Kind.STRUCT), 24)],
            [],
            "'s' [1] is not mapped",
        ),
        # a struct and a union count together
        ([("s", info(Kind.STRUCT), 8), ("s", info(Kind.UNION), 16)], [("s", info(Kind.UNION), 16)], [], None),
        (
            [("s", info(Kind.STRUCT), 8), ("t", info(Kind.STRUCT), 8), ("s", info(Kind.STRUCT), 8)],
            [("s", info(Kind.STRUCT), 8)],
            [],
            "'s' [1], size 8 has multiple candidates of the same size (ids [3, 1])",
        ),
        # the one that shows first in the kernel is told
        (
            [*[(name, info(Kind.STRUCT), 8) for name in "abba"]],
            [("a", info(Kind.STRUCT), 8), ("b", info(Kind.STRUCT), 8)],
            [],
            "'b' [2], size 8 has multiple candidates of the same size (ids [3, 2])",
        ),
        # there being one only, its size is asked for where it is embedded
        ([("s", info(Kind.STRUCT), 8)], [("s", info(Kind.STRUCT), 16)], [(0, info(Kind.PTR), 1)], None),
        (
            [("s", info(Kind.STRUCT), 8)],
            [("s", info(Kind.STRUCT), 16)],
            [("t", info(Kind.STRUCT, 1), 16, "a", 1, 0)],
            "not mapped",
        ),
        ([("e", info(Kind.ENUM64), 8)], [("e", info(Kind.ENUM), 8)], [], None),
        ([("e", info(Kind.ENUM64), 8)], [("e", info(Kind.ENUM), 4)], [], "not mapped"),
        ([("s", info(Kind.FWD), 0)], [("s", info(Kind.FWD), 0)], [], None),
        ([("s", info(Kind.FWD), 0)], [("s", info(Kind.FWD, flag=True), 0)], [], "not mapped"),
        # (of a union it is the kernel's flag that is looked at, which says that there are bit-fields in it)
        ([("s", info(Kind.UNION), 8)], [("s", info(Kind.FWD, flag=True), 0)], [], "not mapped"),
        ([("s", info(Kind.UNION, flag=True), 8)], [("s", info(Kind.FWD), 0)], [], None),
        ([("s", info(Kind.STRUCT, flag=True), 8)], [("s", info(Kind.FWD), 0)], [], "not mapped"),
        (
            [("s", info(Kind.FWD), 0), ("s", info(Kind.STRUCT), 8)],
            [("s", info(Kind.FWD), 0)],
            [],
            "multiple candidates",
        ),
        ([("s", info(Kind.FWD), 0)], [("s", info(Kind.STRUCT), 8)], [], None),
        # what is no type of such a kind is not looked at
        ([("s", info(Kind.TYPEDEF), 0)], [("s", info(Kind.STRUCT), 8)], [], "not mapped"),
    ],
)
def test_types_of_a_base_are_looked_for_in_the_kernel(
    own: Types, before: Types, after: Types, words: str | None
) -> None:
    found = refused(after, before, own=own)
    assert bool(found) == (words is not None)
    assert words is None or words in found[1]


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([(0, info(Kind.PTR), 1000)], "a type refers to type 1000, and there are 4"),
        ([(0, info(Kind.PTR), 4)], "a type refers to type 4, and there are 4"),
        ([(0, info(Kind.FUNC_PROTO, 1), 0, "a", 1000)], "type 1000"),
        ([("t", info(Kind.STRUCT, 1), 8, "a", 1000, 0)], "a member is of type 1000"),
        ([(0, info(Kind.ARRAY), 0, OWN, 1, 1), ("t", info(Kind.STRUCT, 1), 8, "a", OWN, 0)], "is an array of itself"),
        (
            [
                (0, info(Kind.ARRAY), 0, OWN + 1, 1, 1),
                (0, info(Kind.CONST), OWN),
                ("t", info(Kind.STRUCT, 1), 8, "a", OWN + 1, 0),
            ],
            "is an array of itself",
        ),
    ],
)
def test_numbers_that_the_kernel_follows_unchecked_are_undefined(types: Types, words: str) -> None:
    base = drafted(BASE)
    with pytest.raises(Undefined, match=words):
        go(drafted(types, base).contents(), base.contents(), own_types=known(BASE))
    # (only what is embedded is followed to its end, and without a base nothing is)
    assert go(drafted(types, base).contents(), own_types=known(BASE)).journal.lines == []


def test_numbers_may_be_as_large_as_any() -> None:
    last = 0xFFFFF
    types: Types = [("v", info(Kind.VAR), last, 1), (".d", info(Kind.DATASEC, 1), 8, last, 0, 8)]
    assert go(drafted(types, drafted(BASE)).contents(), own_types=known(BASE)).journal.lines == []
    for number in range(2):
        words = [list(item) for item in types]
        words[number][2 if number == 0 else 3] = last + 1
        with pytest.raises(Refusal, match="Invalid type_id"):
            go(drafted(words, drafted(BASE)).contents(), own_types=known(BASE))


def test_no_type_information_takes_long() -> None:
    many = 20_000
    base = drafted([("int", info(Kind.INT), 4, SIGNED)])
    arrays: Types = [(0, info(Kind.ARRAY), 0, 2 + number + 1, 1, 1) for number in range(many)]
    members = [word for number in range(many) for word in ("a", 2 + number, 0)]
    types = drafted([*arrays, (0, info(Kind.PTR), 0), ("t", info(Kind.STRUCT, many), 8, *members)], base).contents()
    names = drafted([("n" * 100_000, info(Kind.INT), 4, SIGNED)])
    offsets: Types = [(1 + number, info(Kind.INT), 4, SIGNED) for number in range(many)]
    for name in offsets:
        names.add(*name)
    start = process_time()
    assert go(types, base.contents(), own_types=known(BASE)).journal.lines == []
    with pytest.raises(Refusal):
        go(drafted([], names).contents(), names.contents(), own_types=known(BASE))
    # (half a second; where each is followed anew, minutes)
    assert process_time() - start < 10


def test_damaged_types_are_refused_or_undefined_and_nothing_else() -> None:
    random = Random(0)
    base = drafted(BASE)
    sound = drafted(
        [
            ("t", info(Kind.STRUCT, 2), 24, "a", 2, 0, "b", OWN + 1, 128),
            (0, info(Kind.ARRAY), 0, 1, 1, 2),
            ("e", info(Kind.ENUM, 1), 4, "x", 0),
            (0, info(Kind.FUNC_PROTO, 1), 1, "a", OWN + 2),
            (".data", info(Kind.DATASEC, 1), 8, 1, 0, 4),
        ],
        base,
    ).contents()
    outcomes = []
    for _ in range(3_000):
        contents, before = bytearray(sound), bytearray(base.contents())
        for changed, original in random.choices([(contents, sound), (before, base.contents())], [3, 1], k=2):
            at, words = random.choice(places_of(original))
            changed[at + random.randrange(4 * words)] ^= 1 << random.randrange(8)
        try:
            go(bytes(contents), bytes(before), version=random.choice([(6, 12), (7, 3)]), own_types=known(BASE))
        except (Refusal, Undefined) as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("taken")
    assert set(outcomes) == {"Refusal", "Undefined", "taken"}


BANNER = b"Linux version 7.3-test (somebody)"


def test_a_vmlinux_tells_its_types(tmp_path: Path) -> None:
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(elf_object([Sec(".BTF", 0, drafted(BASE).contents())], []))
    vmlinux.write_bytes(vmlinux.read_bytes() + BANNER)
    for read in (types_of_vmlinux, types_of_image):
        types = read(vmlinux, (7, 3))
        assert types is not None
        assert (types.count, types.kind_of(2), types.named) == (3, Kind.STRUCT, {b"int": [1], b"list_head": [2]})


def test_a_vmlinux_without_types_tells_none(tmp_path: Path) -> None:
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(elf_object([], []) + BANNER)
    assert types_of_vmlinux(vmlinux, (7, 3)) is None
    assert types_of_image(vmlinux, (7, 3)) is None
    # (from the cache, too)
    types_of_image.cache_clear()
    assert types_of_image(vmlinux, (7, 3)) is None


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"no ELF file", "no sound ELF file"),
        (elf_object([Sec(".BTF", 0, b"\x9f\xeb")], []), "section .BTF: hdr_len not found"),
        (elf_object([Sec(".BTF", 0, drafted(BASE).contents())], [])[:200], "no sound ELF file"),
    ],
)
def test_a_damaged_vmlinux_is_one_error(contents: bytes, words: str, tmp_path: Path) -> None:
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(contents)
    with pytest.raises(KbuildError, match=words) as caught:
        types_of_vmlinux(vmlinux, (7, 3))
    assert str(vmlinux) in caught.value.message
