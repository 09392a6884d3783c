# SPDX-License-Identifier: GPL-2.0-only
"""i386, arm, powerpc and s390: what their kernels do up to the layout of the memory, and what is not checked.

The expectations are read in arch/*/kernel/ of 6.1, 6.12 and 7.3; tests/vm/referee asks kernels of 6.1.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from kbuildpy.elf.constants import EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_S390, SHN_ABS, SHT_NOBITS
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.machines.arm import module_frob_arch_sections
from kbuildpy.loader.machines.machine import machine_named
from kbuildpy.loader.parameters.parse_args import parse_args
from kbuildpy.loader.stages.elf_validity import elf_validity
from kbuildpy.loader.stages.finalize import post_relocation
from kbuildpy.loader.stages.layout import total_size
from kbuildpy.loader.stages.own_exports import own_exports
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.stages.versions import module_versions
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym, elf_object
from tests.support.loader_info import Version, info_of, load_info, sentences

MACHINES = ("i386", "arm", "powerpc", "s390")
ADDRESS = {"i386": 1, "arm": 2, "powerpc": 38, "s390": 22}
"""The type of relocation that writes an address."""
PLTS = (Sec(".plt", TEXT, b"\0"), Sec(".init.plt", TEXT, b"\0"))
OWN = {"i386": (), "arm": PLTS, "powerpc": (Sec(".stubs", TEXT, b""),), "s390": ()}
"""Sections that a module for the machine must have."""
SYMBOLS = (Sym("first", 1), Sym("kernel", 0))
FIRST, KERNEL = 1, 2
PLAIN = {"CONFIG_X": "y"}


def module(
    machine: str,
    sections: Sequence[Sec],
    symbols: Sequence[Sym] = SYMBOLS,
    *,
    version: Version = (6, 1),
    config: Mapping[str, str] = PLAIN,
) -> LoadInfo:
    """A module whose symbols have values."""
    rela = machine_named(machine).facts.rela
    mine = [replace(section, rela=rela) for section in (*sections, *OWN[machine])]
    return info_of(mine, symbols, version=version, machine=machine, config=config)


def place_of(info: LoadInfo, name: str) -> int:
    return info.sechdrs[info.find_any_sec(name)].sh_size


def word(machine: str, *numbers: int) -> bytes:
    """Longs, as the machine has them."""
    facts = machine_named(machine).facts
    return struct.pack(f"{facts.order}{len(numbers)}{'Q' if facts.is_64bit else 'I'}", *numbers)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_not_checked_is_said(machine: str) -> None:
    info = module(machine, [Sec(".text", TEXT)])
    post_relocation(info)
    own = f"{machine}'s own part of the loader is not known here"
    assert sentences(info) == [f"relocations, patches of the code, and tables of pointers to it: {own}"]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_module_of_another_machine_is_refused(machine: str) -> None:
    contents = elf_object([Sec(".text", TEXT)], (), machine=EM_AARCH64, order=machine_named(machine).facts.order)
    verdict, _ = load_module(contents, LoaderKernel("6.1", (6, 1), machine))
    assert (verdict.errno, verdict.log) == ("ENOEXEC", "Invalid architecture in ELF header: 183")


@pytest.mark.parametrize(
    ("machine", "number", "bits", "line"),
    [
        ("i386", 6, 32, None),  # EM_486
        ("s390", 0xA390, 64, None),
        ("s390", EM_S390, 32, f"Invalid architecture in ELF header: {EM_S390}"),
        ("i386", EM_386, 64, "Invalid ELF section header size"),
        ("arm", EM_ARM, 64, "Invalid ELF section header size"),
    ],
)
def test_the_class_counts_where_the_kernel_looks_at_it(machine: str, number: int, bits: int, line: str | None) -> None:
    order = machine_named(machine).facts.order
    contents = elf_object([Sec(".text", TEXT)], (), machine=number, bits=bits, order=order)
    info = load_info(contents, LoaderKernel("6.1", (6, 1), machine))
    with pytest.raises((Refusal, Undefined)) as caught:
        elf_validity(info)
    said = caught.value.line if isinstance(caught.value, Refusal) else ""
    assert said == line if line else "header" not in str(said)


@pytest.mark.parametrize(("entry", "flags", "is_fine"), [(0, 5 << 24, True), (1, 5 << 24, True), (2, 5 << 24, False)])
def test_arm_looks_at_the_entry_address(entry: int, flags: int, is_fine: bool) -> None:
    contents = bytearray(elf_object([Sec(".text", TEXT)], (), machine=EM_ARM, bits=32))
    struct.pack_into("<I", contents, 24, entry)
    struct.pack_into("<I", contents, 36, flags)
    verdict, _ = load_module(bytes(contents), LoaderKernel("6.1", (6, 1), "arm"))
    assert (verdict.log == f"Invalid architecture in ELF header: {EM_ARM}") is not is_fine


@pytest.mark.parametrize(("version", "abi", "is_fine"), [((6, 1), 1, True), ((6, 2), 1, False), ((6, 2), 2, True)])
def test_powerpc_has_one_abi_from_6_2_on(version: Version, abi: int, is_fine: bool) -> None:
    contents = bytearray(elf_object([Sec(".text", TEXT)], (), machine=EM_PPC64))
    struct.pack_into("<I", contents, 48, abi)
    verdict, _ = load_module(bytes(contents), LoaderKernel("test", version, "powerpc"))
    assert (verdict.log == f"Invalid module architecture in ELF header: {EM_PPC64}") is not is_fine


@pytest.mark.parametrize("machine", MACHINES)
def test_relocations_of_the_other_form_are_refused(machine: str) -> None:
    facts = machine_named(machine).facts
    other = replace(Sec(".text", TEXT, bytes(64), [Rel(0, ADDRESS[machine], FIRST)]), rela=not facts.rela)
    info = info_of([other, *OWN[machine]], SYMBOLS, version=(6, 1), machine=machine, config=PLAIN)
    with pytest.raises(Refusal) as caught:
        apply_relocations(info)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", "module m: REL relocation unsupported")


def test_i386_refuses_a_type_that_it_does_not_apply() -> None:
    for kind in (1, 2, 4):
        apply_relocations(module("i386", [Sec(".text", TEXT, bytes(64), [Rel(0, kind, FIRST)])]))
    with pytest.raises(Refusal) as caught:
        apply_relocations(module("i386", [Sec(".text", TEXT, bytes(64), [Rel(0, 20, FIRST)])]))
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", "module: m: Unknown relocation: 20")


@pytest.mark.parametrize("machine", ["i386", "powerpc", "s390"])
def test_a_relocation_outside_of_its_section_is_not_defined(machine: str) -> None:
    for relocation in (Rel(64, ADDRESS[machine], FIRST), Rel(0, ADDRESS[machine], 99)):
        with pytest.raises(Undefined):
            apply_relocations(module(machine, [Sec(".text", TEXT, bytes(64), [relocation])]))


def test_arm_refuses_a_relocation_outside_of_its_section() -> None:
    lines = []
    for relocation in (Rel(61, 2, FIRST), Rel(0, 2, 99)):
        with pytest.raises(Refusal) as caught:
            apply_relocations(module("arm", [Sec(".data", DATA, bytes(64), [Rel(60, 2, FIRST), relocation])]))
        lines.append((caught.value.errno, caught.value.line))
    relsec = 5
    assert lines == [
        ("ENOEXEC", f"m: section {relsec} reloc 1 sym 'first': out of bounds relocation, offset 61 size 64"),
        ("ENOEXEC", f"m: section {relsec} reloc 1: bad relocation sym offset"),
    ]


@pytest.mark.parametrize("offset", [0, 61])
def test_arm_reads_beyond_the_symbols_for_the_number_behind_the_last(offset: int) -> None:
    relocation = Rel(offset, ADDRESS["arm"], 1 + len(SYMBOLS))
    with pytest.raises(Undefined, match="names symbol 3, but there are 3"):
        apply_relocations(module("arm", [Sec(".data", DATA, bytes(64), [relocation])]))


def test_arm_writes_beyond_a_section_that_is_shorter_than_a_word() -> None:
    for kind, is_written in ((0, False), (2, True)):
        info = module("arm", [Sec(".data", DATA, bytes(3), [Rel(8, kind, FIRST)])])
        if is_written:
            with pytest.raises(Undefined, match="writes 4 bytes to a section of 3"):
                apply_relocations(info)
        else:
            apply_relocations(info)


def test_arm_and_powerpc_need_the_sections_of_the_kernels_linker_script() -> None:
    found = []
    config = {"CONFIG_ARM_MODULE_PLTS": "y"}
    for machine, sections in (("arm", PLTS[:1]), ("powerpc", ())):
        with pytest.raises(Refusal) as caught:
            info_of([Sec(".text", TEXT), *sections], SYMBOLS, version=(6, 1), machine=machine, config=config)
        found.append(caught.value.line)
    assert found == ["m: module PLT section(s) missing", "module_64: m: doesn't contain .stubs."]
    assert info_of([Sec(".text", TEXT)], SYMBOLS, version=(6, 1), machine="arm", config=PLAIN)


PLAIN_CALL, FAR_CALL = struct.pack("<I", 0xEBFFFFFE), struct.pack("<I", 0xEB000010)
CALL, JUMP = 28, 29


@pytest.mark.parametrize(
    ("calls", "entries"),
    [
        ([], 0),
        ([(PLAIN_CALL, CALL, KERNEL)] * 5, 1),
        ([(PLAIN_CALL, CALL, KERNEL), (PLAIN_CALL, JUMP, KERNEL)], 2),
        ([(FAR_CALL, CALL, KERNEL)] * 14, 14),
        ([(FAR_CALL, CALL, KERNEL)] * 15, 15),
        ([(PLAIN_CALL, CALL, KERNEL)] + [(FAR_CALL, CALL, KERNEL)] * 14, 15),
        ([(FAR_CALL, CALL, KERNEL)] * 7 + [(PLAIN_CALL, CALL, KERNEL)] * 8, 8),
        ([(PLAIN_CALL, CALL, FIRST)] * 5, 0),  # (to the same section)
    ],
)
def test_arm_counts_the_entries_of_its_plt(calls: list[tuple[bytes, int, int]], entries: int) -> None:
    text = b"".join(code for code, _, _ in calls) or bytes(4)
    relocations = [Rel(4 * number, kind, symbol) for number, (_, kind, symbol) in enumerate(calls)]
    config = {"CONFIG_ARM_MODULE_PLTS": "y", "CONFIG_DYNAMIC_FTRACE": "y", "CONFIG_ARM_L1_CACHE_SHIFT_6": "y"}
    info = module("arm", [Sec(".text", TEXT, text, relocations)], config=config)
    # Two entries are ftrace's; sixteen, with their addresses, fill two lines of the cache.
    assert place_of(info, ".plt") == -(-(2 + entries) // 16) * 128
    assert place_of(info, ".init.plt") == 128
    assert info.sechdrs[info.find_any_sec(".plt")].sh_type == SHT_NOBITS


@pytest.mark.parametrize("version", [(6, 12), (6, 13)])
@pytest.mark.parametrize("has_plts", [False, True])
@pytest.mark.parametrize("split", ["VMSPLIT_3G", "VMSPLIT_2G"])
def test_arm_may_put_what_is_for_unwinding_beside_the_code(version: Version, has_plts: bool, split: str) -> None:
    """(arch/arm/kernel/module-plts.c of 7.3; that of 6.12 does not)"""
    config = {f"CONFIG_{split}": "y"} | ({"CONFIG_ARM_MODULE_PLTS": "y"} if has_plts else {})
    info = module("arm", [Sec(".text", TEXT)], version=version, config=config)
    assert (total_size(info) is None) is (has_plts and split == "VMSPLIT_2G" and version == (6, 13))


def peak_of(read: Callable[[], object]) -> int:
    """The bytes that a call takes at most."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("machine", ["i386", "arm"])
def test_addends_are_read_without_a_copy_of_the_section(machine: str) -> None:
    """Many relocation sections may be for one large section."""
    contents = struct.pack("<i", -8).ljust(1 << 20, b"\0")
    info = module(machine, [Sec(".data", DATA, contents, [Rel(0, ADDRESS[machine], FIRST)])])
    relsec = info.find_any_sec(".rel.data")
    assert peak_of(lambda: info.relocations(relsec)) < 1 << 18
    assert [*info.relocations(relsec).addends] == [-8]


def test_arm_counts_calls_without_a_copy_of_the_code() -> None:
    config = {"CONFIG_ARM_MODULE_PLTS": "y", "CONFIG_DYNAMIC_FTRACE": "y"}
    text = PLAIN_CALL.ljust(1 << 20, b"\0")
    info = module("arm", [Sec(".text", TEXT, text, [Rel(0, CALL, KERNEL)])], config=config)
    info.relocations(info.find_any_sec(".rel.text"))
    assert peak_of(lambda: module_frob_arch_sections(info)) < 1 << 18


@pytest.mark.parametrize(
    ("addends", "stubs"), [((), 0), ((0, 0, 0), 1), ((0, 8, 0, 8), 2), ((-8, -8), 2), ((0, -8, -8), 3)]
)
def test_powerpc_counts_its_stubs(addends: tuple[int, ...], stubs: int) -> None:
    calls = [Rel(4 * number, 10, KERNEL, addend) for number, addend in enumerate(addends)]
    traced = {"CONFIG_DYNAMIC_FTRACE": "y", "CONFIG_DYNAMIC_FTRACE_WITH_REGS": "y"}
    for config, more in ((PLAIN, 1), (traced, 3)):
        info = module("powerpc", [Sec(".text", TEXT, bytes(64), calls)], config=config)
        assert place_of(info, ".stubs") == 40 * (stubs + more)


def test_powerpc_takes_the_dots_from_undefined_symbols() -> None:
    symbols = (Sym(".TOC.", 0), Sym(".kernel", 0), Sym(".missing", 0), Sym(".first", 1))
    with pytest.raises(Refusal) as caught:
        module("powerpc", [Sec(".text", TEXT)], symbols)
    assert caught.value.line == "m: Unknown symbol missing (err -2)"
    info = module("powerpc", [Sec(".text", TEXT)], (*symbols[:2], symbols[3]))
    assert [info.symbol_name(number) for number in (1, 2, 3)] == ["TOC.", "kernel", ".first"]
    assert info.symbol(1).st_shndx == SHN_ABS


@pytest.mark.parametrize(
    ("kinds", "config", "reserved"),
    [
        ((22, 19), PLAIN, 0),
        ((26, 26), PLAIN, 8),  # R_390_GOTENT, of one symbol
        ((26, 20), PLAIN, 8 + 22),  # R_390_PLT32DBL
        ((20,), {"CONFIG_EXPOLINE": "y"}, 2 * 22),
    ],
)
def test_s390_reserves_room_in_front_of_the_code(
    kinds: tuple[int, ...], config: Mapping[str, str], reserved: int
) -> None:
    relocations = [Rel(8 * number, kind, KERNEL) for number, kind in enumerate(kinds)]
    info = module("s390", [Sec(".text", TEXT, bytes(64), relocations)], config=config)
    assert info.reserved == reserved
    assert info.layout.sizes["core"] >= reserved + 64


def test_s390_defines_the_got_itself() -> None:
    info = module("s390", [Sec(".text", TEXT)], (Sym("_GLOBAL_OFFSET_TABLE_", 0),))
    assert info.symbol(1).st_shndx == SHN_ABS


@pytest.mark.parametrize(
    ("machine", "page"), [("i386", 0x1000), ("arm", 0x1000), ("powerpc", 0x10000), ("s390", 0x1000)]
)
def test_memory_is_in_whole_pages(machine: str, page: int) -> None:
    info = module(machine, [Sec(".text", TEXT), Sec(".data", DATA)], config={"CONFIG_STRICT_MODULE_RWX": "y"})
    assert total_size(info) == 3 * page  # (code, what is read only, and data)


@pytest.mark.parametrize(("machine", "symbol", "word"), [("i386", 16, 4), ("arm", 16, 4), ("s390", 24, 8)])
def test_kallsyms_has_room_for_all_symbols_during_init(machine: str, symbol: int, word: int) -> None:
    info = module(machine, [Sec(".text", TEXT)], config={"CONFIG_KALLSYMS": "y"})
    names, count = place_of(info, ".strtab"), 1 + len(SYMBOLS)
    # The table, the names, three pointers and a number, and the type of each symbol.
    assert info.layout.sizes["init"] == -(-(count * symbol + names) // word) * word + 4 * word + count


def test_powerpcs_pages_are_as_configured() -> None:
    config = {"CONFIG_STRICT_MODULE_RWX": "y", "CONFIG_PPC_4K_PAGES": "y"}
    assert total_size(module("powerpc", [Sec(".text", TEXT), Sec(".data", DATA)], config=config)) == 0x3000


@pytest.mark.parametrize("machine", MACHINES)
def test_init_sections_are_freed_but_for_powerpcs(machine: str) -> None:
    info = module(machine, [Sec(".init.text", TEXT), Sec(".ARM.exidx.init.text", RODATA)])
    assert info.is_init_section(".init.text") is (machine != "powerpc")
    assert info.is_init_section(".ARM.exidx.init.text") is (machine == "arm")


@pytest.mark.parametrize("machine", MACHINES)
def test_crcs_are_longs(machine: str) -> None:
    table = b"".join((word(machine, crc) + name).ljust(64, b"\0") for crc, name in ((0x12345678, b"a"), (7, b"bc")))
    info = module(machine, [Sec("__versions", RODATA, table)])
    info.index.vers = info.find_any_sec("__versions")
    assert module_versions(info) == {"a": 0x12345678, "bc": 7}


@pytest.mark.parametrize("machine", MACHINES)
def test_exports_are_read(machine: str) -> None:
    size = 4 if machine in ("i386", "arm") else 8
    kind = 2 if machine == "i386" else ADDRESS[machine]
    symbols = (Sym("strings", 1), Sym("function", 0))
    strings = Sec("__ksymtab_strings", RODATA, b"first\0NS\0")
    entries = [Rel(0, kind, 2), Rel(size, kind, 1), Rel(2 * size, kind, 1, 6)]
    # (where an entry has its addend in place, it is there)
    contents = struct.pack("<iii", 0, 0, 6) if size == 4 else bytes(24)
    crcs = Sec("__kcrctab", RODATA, struct.pack(machine_named(machine).facts.order + "I", 0xABCD))
    info = module(machine, [strings, Sec("__ksymtab", RODATA, contents, entries), crcs], symbols)
    assert {name: tuple(export) for name, export in own_exports(info).items()} == {"first": (0xABCD, False, "NS")}


def parameter(machine: str, ops: str, value: str, *, flags: int = 0) -> LoadInfo:
    """A module with one parameter, which gets a value."""
    facts = machine_named(machine).facts
    size = facts.word
    symbols = (Sym("text", 1), Sym("variable", 2), *(Sym(name, 0) for name in NAMES))
    tail = struct.pack(f"{facts.order}HbB", 0o644, -1, flags).ljust(size, b"\0")
    address = ADDRESS[machine]
    places = [Rel(0, address, 1), Rel(2 * size, address, 3 + NAMES.index(ops)), Rel(3 * size + len(tail), address, 2)]
    entry = Sec("__param", RODATA, bytes(3 * size) + tail + bytes(size), places)
    info = module(machine, [Sec(".rodata", RODATA, b"p\0"), Sec(".data", DATA), entry], symbols)
    info.stage, info.args = "parse_args", f"p={value}"
    return info


NAMES = ("param_ops_int", "param_ops_long", "param_array_ops", "param_ops_charp")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("ops", "value", "widths"),
    [
        ("param_ops_int", "7", (32, 64)),
        ("param_ops_int", "x", ()),
        ("param_ops_long", "4294967295", (64,)),
        ("param_ops_long", "9223372036854775808", ()),
        ("param_ops_charp", "text", (32, 64)),
    ],
)
def test_parameters_are_parsed(machine: str, ops: str, value: str, widths: tuple[int, ...]) -> None:
    info = parameter(machine, ops, value)
    if machine_named(machine).facts.bits in widths:
        parse_args(info)
        return
    with pytest.raises(Refusal) as caught:
        parse_args(info)
    assert caught.value.errno in ("EINVAL", "ERANGE")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_parameter_that_is_unsafe_taints_the_kernel(machine: str) -> None:
    info = parameter(machine, "param_ops_int", "7", flags=1)
    parse_args(info)
    assert "U" in info.taints.kernel


@pytest.mark.parametrize("machine", MACHINES)
def test_addresses_and_lengths_are_those_of_the_machine(machine: str) -> None:
    facts = machine_named(machine).facts
    contents = elf_object([Sec(".text", TEXT)], (), machine=facts.e_machine, bits=facts.bits, order=facts.order)
    for length in range(len(contents)):
        verdict, _ = load_module(contents[:length], LoaderKernel("6.1", (6, 1), machine))
        assert not verdict.accepted
