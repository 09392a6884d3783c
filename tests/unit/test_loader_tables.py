# SPDX-License-Identifier: GPL-2.0-only
"""Tables of pointers in a module, and what the kernel does about entries that are not as they should be."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from kbuildpy.elf.constants import STB_WEAK
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.pointers import pointers
from kbuildpy.loader.stages.coming import prepare_coming_module
from kbuildpy.loader.stages.finalize import post_relocation
from kbuildpy.loader.stages.ftrace import ftrace_module_init
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym
from tests.support.loader_info import Version, info_of

R_64, R_PC32, R_PLT32, R_PC64 = 1, 2, 4, 24
NAMES = ("__x86_return_thunk", "__x86_indirect_thunk_rax", "__fentry__", "printk", "__SCK__x", "__SCT__x")
SYMBOLS = (Sym("text", 1), Sym("data", 2), *(Sym(name, 0) for name in NAMES))
TEXT_SYMBOL, DATA_SYMBOL, RETURN, INDIRECT, FENTRY, PRINTK, KEY, TRAMPOLINE = range(1, 9)
PLTS = (Sec(".plt", TEXT, b"\0"), Sec(".init.plt", TEXT, b"\0"))
VERSIONS: tuple[Version, ...] = ((6, 1), (6, 12), (7, 3))

# What a compiler makes: call of __fentry__, call of a thunk, jump to the return thunk, static call, endbr64, then nops.
CODE = bytes.fromhex("e800000000 2ee800000000 e900000000 e800000000 f30f1efa".replace(" ", "")) + bytes([0x90] * 39)
AT_FENTRY, AT_RETPOLINE, AT_RETURN, AT_STATIC_CALL, AT_ENDBR, AT_NOPS = 0, 5, 11, 16, 21, 25
CALLS = (
    Rel(1, R_PLT32, FENTRY, -4),
    Rel(7, R_PLT32, INDIRECT, -4),
    Rel(12, R_PLT32, RETURN, -4),
    Rel(17, R_PLT32, TRAMPOLINE, -4),
)
WRITTEN = ("__jump_table", ".static_call_sites")
MODULE = (Sec(".text", TEXT, CODE, CALLS), Sec(".data", DATA))


def go(
    tables: Sequence[Sec],
    *,
    version: Version = (6, 12),
    config: Mapping[str, str] | None = None,
    code: bytes = CODE,
    taints: str = "",
) -> LoadInfo:
    """Take a module with these tables from relocation to its parameters."""
    module = [replace(MODULE[0], contents=code), MODULE[1], *tables]
    info = info_of(module, SYMBOLS, version=version, config=config)
    info.taints.module |= set(taints)
    apply_relocations(info)
    info.stage = "post_relocation"
    post_relocation(info)
    info.stage = "ftrace_module_init"
    ftrace_module_init(info)
    prepare_coming_module(info)
    return info


def table(name: str, relocations: Sequence[Rel], size: int = 4) -> Sec:
    """A table of pointers, `size` bytes."""
    return Sec(name, DATA if name in WRITTEN else RODATA, bytes(size), relocations)


def to(place: int, kind: int = R_PC32, offset: int = 0) -> Rel:
    """A pointer, at `offset` of a table, to `place` in the code."""
    return Rel(offset, kind, TEXT_SYMBOL, place)


def alternatives(version: Version, feature: int, before: int, after: int, flags: int = 0) -> Sec:
    """One alternative, from the nops to the nops."""
    packed = struct.pack("<HH", feature, flags) if version >= (6, 3) else struct.pack("<H", feature)
    contents = bytes(8) + packed + bytes([before, after])
    return Sec(".altinstructions", RODATA, contents, [to(AT_NOPS), to(AT_NOPS, offset=4)])


GOOD = (
    table(".retpoline_sites", [to(AT_RETPOLINE)]),
    table(".return_sites", [to(AT_RETURN)]),
    table(".ibt_endbr_seal", [to(AT_ENDBR)]),
    table(".orc_unwind_ip", [to(0), to(8, offset=4)], 8),
    table(".orc_unwind", [], 12),
    table("__mcount_loc", [to(AT_FENTRY, R_64)], 16),
    table("__jump_table", [to(AT_NOPS), to(AT_NOPS, offset=4), Rel(8, R_PC64, DATA_SYMBOL, 1)], 16),
    table(".static_call_sites", [to(AT_STATIC_CALL), Rel(4, R_PC32, KEY)], 8),
    table("_ftrace_events", [Rel(0, R_64, DATA_SYMBOL, 8)], 8),
)


FOLLOWED = [section.name for section in GOOD if not section.name.startswith((".orc", "__mcount"))]


@pytest.mark.parametrize("version", VERSIONS)
def test_takes_what_compilers_and_objtool_make(version: Version) -> None:
    info = go([*GOOD, alternatives(version, 3, 8, 8)], version=version)
    assert info.journal.lines == []
    assert info.taints.kernel == set()


@pytest.mark.parametrize(
    ("name", "missing"),
    [(each.name, number) for each in GOOD if each.name in FOLLOWED for number in range(len(each.relocations))],
)
def test_a_pointer_that_is_not_relocated_is_undefined(name: str, missing: int) -> None:
    section = next(each for each in GOOD if each.name == name)
    left = [each for number, each in enumerate(section.relocations) if number != missing]
    with pytest.raises(Undefined, match="not relocated"):
        go([replace(section, relocations=left)])


@pytest.mark.parametrize("name", [".retpoline_sites", ".return_sites", ".ibt_endbr_seal"])
def test_half_an_entry_is_undefined(name: str) -> None:
    with pytest.raises(Undefined, match="beyond the end"):
        go([table(name, [], 3)])


@pytest.mark.parametrize("name", [".retpoline_sites", ".return_sites", ".ibt_endbr_seal", ".static_call_sites"])
@pytest.mark.parametrize(
    "relocation", [Rel(0, R_PC32, DATA_SYMBOL), Rel(0, R_PC32, PRINTK), Rel(0, R_PC32, 1, 1 << 20)]
)
def test_a_pointer_that_does_not_lead_to_code_of_the_module_is_undefined(name: str, relocation: Rel) -> None:
    with pytest.raises(Undefined):
        go([table(name, [relocation, Rel(4, R_PC32, KEY)], 8 if name == ".static_call_sites" else 4)])


@pytest.mark.parametrize(
    ("name", "place", "function", "message"),
    [
        (".retpoline_sites", AT_NOPS, "apply_retpolines", None),
        (".retpoline_sites", AT_RETURN, "apply_retpolines", None),
        (".return_sites", AT_NOPS, "apply_returns", "missing return thunk: <site>-0x0: <bytes>"),
        (".ibt_endbr_seal", AT_NOPS, "poison_endbr", None),
    ],
)
def test_other_code_than_expected_is_warned_of(name: str, place: int, function: str, message: str | None) -> None:
    info = go([table(name, [to(place)])])
    line = f"WARNING: CPU: <cpu> PID: <pid> at arch/x86/kernel/alternative.c:<line> {function}+<offset>"
    assert info.journal.lines == ([message, line] if message else [line])
    assert info.taints.kernel == {"W"}


HASHED = bytes.fromhex("b878563412") + bytes([0x90] * 16) + CODE[21:]
"""The hash of a type before a function, and no calls."""


def hashes(place: int, code: bytes = HASHED, *, config: Mapping[str, str] | None = None) -> list[str]:
    """The log of a kernel with FineIBT, of an entry that leads to `place` in the code."""
    module = [Sec(".text", TEXT, code), MODULE[1], table(".cfi_sites", [to(place)])]
    info = info_of(module, SYMBOLS, config={"CONFIG_FINEIBT": "y"} if config is None else config)
    apply_relocations(info)
    info.stage = "post_relocation"
    post_relocation(info)
    return info.journal.lines


def test_a_function_without_a_hash_ends_the_change_of_hashes_with_a_warning() -> None:
    assert hashes(0) == []
    said = hashes(AT_ENDBR)
    assert [line.split(":")[0] for line in said] == ["no CFI hash found at", "WARNING", "SMP alternatives"]
    assert hashes(0, bytes.fromhex("b800000000") + HASHED[5:]) == said
    # (a kernel without FineIBT does not look)
    assert hashes(AT_ENDBR, config={}) == []


def test_the_hash_before_a_retpoline_is_looked_for() -> None:
    config = {"CONFIG_FINEIBT": "y"}
    with pytest.raises(Undefined, match=r"\.retpoline_sites points to -0x9 of \.text"):
        go([table(".retpoline_sites", [to(AT_RETPOLINE)])], config=config)
    assert go([table(".retpoline_sites", [to(AT_RETURN + 3)])], config=config).journal.lines == []


def test_a_jump_to_an_absolute_address_is_no_return() -> None:
    """Debian's 6.1 says of it: missing return thunk."""
    calls = [replace(call, type=11) if call.offset == AT_RETURN + 1 else call for call in CALLS]
    info = info_of([replace(MODULE[0], relocations=calls), MODULE[1], GOOD[1]], SYMBOLS)
    apply_relocations(info)
    post_relocation(info)
    assert info.journal.lines[0] == "missing return thunk: <site>-<dest>: <bytes>"


def test_the_warning_of_7_3_says_where_first() -> None:
    info = go([table(".ibt_endbr_seal", [to(AT_NOPS)])], version=(7, 3))
    assert info.journal.lines == [
        "WARNING: arch/x86/kernel/alternative.c:<line> at poison_endbr+<offset>, CPU#<cpu>: <command>/<pid>"
    ]


def test_tables_that_the_kernel_was_not_built_for_are_left_alone() -> None:
    bad = [table(name, []) for name in (".retpoline_sites", ".return_sites", ".ibt_endbr_seal", ".static_call_sites")]
    assert go(bad, config={"CONFIG_SMP": "y"}).journal.lines == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("feature", "before", "after"), [(24 * 32, 8, 8), (3, 255, 8)])
def test_an_alternative_out_of_bounds_is_undefined(version: Version, feature: int, before: int, after: int) -> None:
    with pytest.raises(Undefined, match="BUG_ON"):
        go([alternatives(version, feature, before, after)], version=version)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_alternative_whose_replacement_is_nowhere_is_undefined(version: Version) -> None:
    section = alternatives(version, 3, 8, 8)
    with pytest.raises(Undefined, match="not relocated"):
        go([replace(section, relocations=section.relocations[:1])], version=version)


def test_an_alternative_that_is_longer_than_its_place_is_undefined_until_places_are_put_together() -> None:
    for version in ((6, 1), (6, 3), (6, 12), (6, 19)):
        with pytest.raises(Undefined, match="replaces 4 bytes by 8"):
            go([alternatives(version, 3, 4, 8)], version=version)
    go([alternatives((7, 0), 3, 4, 8)], version=(7, 0))


def test_alternatives_for_one_place_have_the_room_of_the_longest_once_they_may_be_nested() -> None:
    def both(version: Version) -> Sec:
        short, long = alternatives(version, 3, 4, 8), alternatives(version, 4, 8, 8)
        size = len(short.contents)
        moved = [replace(rel, offset=rel.offset + size) for rel in long.relocations]
        return replace(short, contents=short.contents + long.contents, relocations=[*short.relocations, *moved])

    with pytest.raises(Undefined, match="replaces 4 bytes by 8"):
        go([both((6, 10))], version=(6, 10))
    go([both((6, 11))], version=(6, 11))


def test_an_alternative_may_stand_for_a_call_only_where_the_kernel_knows_the_flag() -> None:
    go([alternatives((6, 6), 3, 6, 5, flags=2)], version=(6, 6))
    with pytest.raises(Undefined, match="alt_replace_call"):
        go([alternatives((6, 8), 3, 6, 5, flags=2)], version=(6, 8))


@pytest.mark.parametrize("length", [4, 255])
def test_a_paravirt_call_has_room_for_a_call(length: int) -> None:
    contents = bytes(8) + bytes([0, length]) + bytes(6)
    with pytest.raises(Undefined, match=r"BUG\(\) in apply_paravirt"):
        go([Sec(".parainstructions", RODATA, contents, [to(AT_NOPS, R_64)])], version=(6, 1))
    go([Sec(".parainstructions", RODATA, contents, [to(AT_NOPS, R_64)])], version=(6, 12))


def test_a_retpoline_never_goes_through_the_stack_pointer() -> None:
    symbols = [
        replace(symbol, name="__x86_indirect_thunk_rsp") if "_rax" in symbol.name else symbol for symbol in SYMBOLS
    ]
    info = info_of([*MODULE, GOOD[0]], symbols)
    apply_relocations(info)
    with pytest.raises(Undefined, match=r"calls __x86_indirect_thunk_rsp, a jump by the stack pointer: BUG\(\)"):
        post_relocation(info)


def test_a_direct_call_in_an_alternative_must_be_one() -> None:
    with pytest.raises(Undefined, match="alt_replace_call"):
        go([alternatives((6, 12), 3, 6, 5, flags=2)])


@pytest.mark.parametrize(("ips", "orcs"), [(4, 12), (5, 6), (8, 13)])
def test_the_unwinder_warns_of_tables_that_do_not_match(ips: int, orcs: int) -> None:
    info = go([table(".orc_unwind_ip", [], ips), table(".orc_unwind", [], orcs)])
    assert [line for line in info.journal.lines if "unwind_module_init" in line] == info.journal.lines != []


def test_more_places_than_entries_to_unwind_by_is_undefined() -> None:
    with pytest.raises(Undefined, match="sorted"):
        go([table(".orc_unwind_ip", [], 8), table(".orc_unwind", [], 6)])


def test_a_function_that_does_not_begin_with_fentry_ends_tracing_and_loads() -> None:
    info = go([table("__mcount_loc", [to(AT_RETPOLINE, R_64), to(AT_NOPS, R_64, 8)], 16)])
    assert [line for line in info.journal.lines if not line.startswith("WARNING")] == [
        "------------[ ftrace bug ]------------",
        "ftrace failed to modify ",
        "[<<ip>>] 0x<ip>",
        " actual:   <bytes>",
        " expected: <bytes>",
        "Initializing ftrace call sites",
    ]


@pytest.mark.parametrize("name", [".retpoline_sites", ".return_sites"])
@pytest.mark.parametrize("place", [AT_RETPOLINE + 2, AT_RETURN + 1, AT_RETURN + 4])
def test_a_field_that_is_relocated_is_no_code(name: str, place: int) -> None:
    with pytest.raises(Undefined, match="no code"):
        go([table(name, [to(place)])])


def test_a_function_that_is_listed_twice_has_no_call_the_second_time() -> None:
    info = go([table("__mcount_loc", [to(AT_FENTRY, R_64), to(AT_FENTRY, R_64, 8)], 16)])
    assert "ftrace failed to modify " in info.journal.lines


def test_an_entry_that_is_made_zero_is_passed_over() -> None:
    assert go([table("__mcount_loc", [Rel(0, R_64, 0)], 8)]).journal.lines == []
    assert "ftrace faulted on modifying " in go([table("__mcount_loc", [Rel(0, R_64, 0, 8)], 8)]).journal.lines


@pytest.mark.parametrize(("kind", "size"), [(R_PC32, 4), (R_64, 8)])
def test_pointers_that_overlap_are_undefined(kind: int, size: int) -> None:
    # (where the bytes in common are zeros the kernel writes both)
    for distance in range(1, size + 1):
        relocations = [to(AT_FENTRY, kind), to(AT_FENTRY, kind, distance)]
        info = info_of([*MODULE, table("pointers", relocations, 16)], SYMBOLS)
        info.relocated[3] = [info.find_any_sec(".relapointers")]
        if distance == size:
            assert sorted(pointers(info, 3, frozenset({kind}))) == [0, size]
        else:
            with pytest.raises(Undefined, match="overlap"):
                pointers(info, 3, frozenset({kind}))


def damaged_call(target: Rel | None, distance: int = 0) -> Sec:
    """The code where what should be a call of a thunk leads elsewhere, by a relocation or by the distance there."""
    calls = [call for call in CALLS if call.offset != 7] + ([target] if target else [])
    return replace(MODULE[0], contents=CODE[:7] + struct.pack("<i", distance) + CODE[11:], relocations=calls)


@pytest.mark.parametrize(
    ("target", "distance", "is_read"),
    [
        (Rel(7, R_PLT32, TEXT_SYMBOL, -4), 0, False),
        (Rel(7, R_PLT32, TEXT_SYMBOL, -3), 0, True),
        (Rel(7, R_PLT32, TEXT_SYMBOL, 1 << 20), 0, False),
        (Rel(7, R_PLT32, PRINTK, -4), 0, True),
        (Rel(7, R_PLT32, PRINTK, 1 << 30), 0, False),
        (Rel(7, R_PLT32, PRINTK, (1 << 32) - 4), 0, True),
        (Rel(7, R_PLT32, 0, -4), 0, False),
        (None, 8, True),
        (None, -11, False),
        (None, 1 << 20, False),
    ],
)
def test_before_the_destination_of_a_call_there_must_be_something(
    target: Rel | None, distance: int, is_read: bool
) -> None:
    module = [damaged_call(target, distance), MODULE[1], table(".retpoline_sites", [to(AT_RETPOLINE)])]
    for version in VERSIONS:
        info = info_of(module, SYMBOLS, version=version)
        apply_relocations(info)
        info.stage = "post_relocation"
        if is_read or version < (6, 15):
            post_relocation(info)
            assert any("apply_retpolines" in line for line in info.journal.lines)
        else:
            with pytest.raises(Undefined, match="whose byte before"):
                post_relocation(info)


def test_a_distance_in_place_of_an_address_is_a_fault() -> None:
    info = go([table("__mcount_loc", [to(AT_FENTRY, R_PC32)], 8)])
    assert "ftrace faulted on modifying " in info.journal.lines


def test_where_objtool_has_put_nops_nothing_is_looked_at() -> None:
    config = dict.fromkeys(("CONFIG_DYNAMIC_FTRACE", "CONFIG_FUNCTION_TRACER", "CONFIG_FTRACE_MCOUNT_USE_OBJTOOL"), "y")
    assert go([table("__mcount_loc", [to(AT_NOPS, R_64)], 8)], config=config).journal.lines == []


def test_code_that_is_not_a_static_call_is_undefined() -> None:
    with pytest.raises(Undefined, match="unexpected static_call insn opcode 0x90"):
        go([table(".static_call_sites", [to(AT_NOPS), Rel(4, R_PC32, KEY)], 8)])
    with pytest.raises(Undefined, match="unexpected static_call insn opcode 0xe8"):
        go([table(".static_call_sites", [to(AT_STATIC_CALL), Rel(4, R_PC32, KEY, 1)], 8)])


def test_a_static_call_by_a_trampoline_of_its_own_is_undefined() -> None:
    """6.1 refuses such a module, and so does 6.12, which crashed on the way."""
    with pytest.raises(Undefined, match="key the kernel does not find"):
        go([table(".static_call_sites", [to(AT_STATIC_CALL), Rel(4, R_PC32, TEXT_SYMBOL)], 8)])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (Sym("printk_x", 0), "has 'printk_x' for its key"),
        (Sym("missing", 0, bind=STB_WEAK), "points to the address 0x0: 'missing' is not exported"),
        (Sym("unkept", 3), "points to .comment, which is not kept"),
    ],
)
def test_a_static_call_needs_a_key_that_is_there(key: Sym, words: str) -> None:
    calls = table(".static_call_sites", [to(AT_STATIC_CALL), Rel(4, R_PC32, len(SYMBOLS) + 1)], 8)
    info = info_of([*MODULE, Sec(".comment", 0), calls], [*SYMBOLS, key])
    apply_relocations(info)
    with pytest.raises(Undefined) as caught:
        prepare_coming_module(info)
    assert words in str(caught.value)


def test_an_event_that_is_not_within_a_section_is_undefined() -> None:
    with pytest.raises(Undefined, match=r"points to 'data'\+0x40, which is not within a section"):
        go([table("_ftrace_events", [Rel(0, R_64, DATA_SYMBOL, 64)], 8)])


@pytest.mark.parametrize(
    ("version", "taints", "is_bad"),
    [((6, 1), "OE", False), ((6, 1), "P", True), ((6, 1), "K", True), ((6, 12), "K", False), ((7, 3), "PO", True)],
)
def test_events_of_a_tainted_module_are_not_created(version: Version, taints: str, is_bad: bool) -> None:
    info = go([GOOD[-1]], version=version, taints=taints)
    assert info.journal.lines == (["m: module has bad taint, not creating trace events"] if is_bad else [])


def test_no_module_is_called_vmlinux() -> None:
    info = info_of(MODULE, SYMBOLS)
    info.mod_name = "vmlinux"
    with pytest.raises(Refusal) as caught:
        prepare_coming_module(info)
    assert (caught.value.errno, caught.value.line) == ("EINVAL", "livepatch: vmlinux.ko: invalid module name")


NOP = bytes.fromhex("1f2003d5")
ARM64 = {"CONFIG_DYNAMIC_FTRACE": "y", "CONFIG_FUNCTION_TRACER": "y", "CONFIG_DYNAMIC_FTRACE_WITH_ARGS": "y"}
TRAMPOLINES = (Sec(".text.ftrace_trampoline", TEXT, b"\0"), Sec(".init.text.ftrace_trampoline", TEXT, b"\0"))


def arm64(tables: Sequence[Sec], *, version: Version = (6, 12), code: bytes = NOP * 16) -> LoadInfo:
    """The same for arm64, which wants sections for its PLT."""
    info = info_of([Sec(".text", TEXT, code), *PLTS, *tables], [Sym("text", 1)], version=version, machine="arm64")
    apply_relocations(info)
    info.stage = "post_relocation"
    post_relocation(info)
    info.stage = "ftrace_module_init"
    ftrace_module_init(info)
    return info


def test_arm64_expects_nops_where_functions_begin() -> None:
    places = table("__patchable_function_entries", [Rel(0, 257, 1, 8)], 8)
    assert arm64([*TRAMPOLINES, places]).journal.lines == []
    assert "ftrace failed to modify " in arm64([*TRAMPOLINES, places], code=bytes(64)).journal.lines


def test_arm64_expects_each_function_once() -> None:
    places = table("__patchable_function_entries", [Rel(0, 257, 1, 8), Rel(8, 257, 1, 8)], 16)
    assert "ftrace failed to modify " in arm64([*TRAMPOLINES, places]).journal.lines


@pytest.mark.parametrize(
    ("version", "count"),
    [
        *(((6, 1), 1), ((6, 6, 104), 1), ((6, 6, 105), 2), ((6, 12, 117), 2), ((6, 14), 1)),
        *(((6, 16, 5), 1), ((6, 16, 6), 2), ((7, 3), 2)),
    ],
)
def test_arm64_refuses_a_module_without_trampolines(version: Version, count: int) -> None:
    arm64(TRAMPOLINES[:count], version=version)
    with pytest.raises(Refusal) as caught:
        arm64(TRAMPOLINES[: count - 1], version=version)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", None)


@pytest.mark.parametrize(("capability", "before", "after"), [(3, 8, 4), (3 | 1 << 15, 8, 8)])
def test_an_alternative_of_arm64_has_the_size_of_what_it_replaces(capability: int, before: int, after: int) -> None:
    contents = bytes(8) + struct.pack("<HBB", capability, before, after)
    section = Sec(".altinstructions", RODATA, contents, [Rel(0, 261, 1), Rel(4, 261, 1)])
    with pytest.raises(Undefined, match="BUG_ON"):
        arm64([*TRAMPOLINES, section])


def test_an_alternative_of_arm64_whose_replacement_is_nowhere_is_undefined() -> None:
    contents = bytes(8) + struct.pack("<HBB", 3, 8, 8)
    with pytest.raises(Undefined, match="not relocated"):
        arm64([*TRAMPOLINES, Sec(".altinstructions", RODATA, contents, [Rel(0, 261, 1)])])


@pytest.mark.parametrize(
    ("version", "is_fault"),
    [
        *(((6, 1), True), ((6, 6, 143), True), ((6, 6, 144), False), ((6, 12, 94), True), ((6, 12, 95), False)),
        *(((6, 14, 11), True), ((6, 15), False)),
    ],
)
def test_arm64_adds_to_addresses_before_it_leaves_zeros_out(version: Version, is_fault: bool) -> None:
    places = Sec("__patchable_function_entries", DATA, bytes(8))
    assert ("ftrace faulted on modifying " in arm64([*TRAMPOLINES, places], version=version).journal.lines) is is_fault


def test_arm64_looks_capabilities_up_in_a_table() -> None:
    for capability, is_there in ((191, True), (192, False), (0x7FFF, False)):
        contents = bytes(8) + struct.pack("<HBB", capability, 8, 8)
        section = Sec(".altinstructions", RODATA, contents, [Rel(0, 261, 1), Rel(4, 261, 1)])
        if is_there:
            arm64([*TRAMPOLINES, section])
        else:
            with pytest.raises(Undefined, match="behind the end of a table"):
                arm64([*TRAMPOLINES, section])


def test_arm64_of_7_3_takes_patching_functions_of_the_kernel_only() -> None:
    contents = bytes(8) + struct.pack("<HBB", 3 | 1 << 15, 8, 0)
    section = Sec(".altinstructions", RODATA, contents, [Rel(0, 261, 1), Rel(4, 261, 1)])
    with pytest.raises(Undefined, match="not yet executable"):
        arm64([*TRAMPOLINES, section])
    with pytest.raises(Refusal) as caught:
        arm64([*TRAMPOLINES, section], version=(7, 3))
    assert caught.value.line == "Modules: module m: error occurred when applying alternatives"
