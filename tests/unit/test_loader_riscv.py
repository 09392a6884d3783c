# SPDX-License-Identifier: GPL-2.0-only
"""riscv64, type by type: what each kernel refuses, with its line, and where its behaviour is undefined.

The expectations are read in arch/riscv/kernel/ of 6.1, 6.12 and 7.3; tests/vm/referee asks a kernel of 6.12.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from kbuildpy.elf.constants import SHN_ABS, STB_WEAK
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.riscv.finalize import module_finalize
from kbuildpy.loader.memory.pointers import pointers
from kbuildpy.loader.stages.own_exports import own_exports
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym
from tests.support.loader_info import Version, info_of, sentences

NONE, ABS32, ABS64, TLS, BRANCH, CALL, CALL_PLT, GOT_HI20, PCREL_HI20, LO12_I, LO12_S = (
    *(0, 1, 2, 21, 16, 18, 19, 20, 23, 24, 25),
)
ADD8, ADD16, ADD32, ADD64, SUB8, SUB32, SUB64, ALIGN, RELAX, SET6, PCREL32, SET_ULEB128, SUB_ULEB128 = (
    *(33, 34, 35, 36, 37, 39, 40, 43, 51, 53, 57, 60, 61),
)
PLT32 = 59
SYMBOLS = (
    Sym("local", 1, 8),
    Sym("kernel", 0),
    Sym("missing_weak", 0, bind=STB_WEAK),
    Sym("small", SHN_ABS, 0x1000),
    Sym("big", SHN_ABS, 0x1_2345_6789),
    Sym("odd", SHN_ABS, (1 << 64) - 2),
    Sym("odd_weak", SHN_ABS, (1 << 64) - 2, bind=STB_WEAK),
    Sym("high", 1, 0),
)
LOCAL, KERNEL, WEAK, SMALL, BIG, ODD, ODD_WEAK, HIGH = range(1, 9)
ALL: tuple[Version, ...] = ((6, 1), (6, 12), (7, 3))
LATER = ALL[1:]
SECTIONS = tuple(Sec(name, RODATA, b"\0") for name in (".plt", ".got", ".got.plt"))
WITHOUT, WITH = {"CONFIG_X": "y"}, {"CONFIG_MODULE_SECTIONS": "y"}


def loading(relocations: Sequence[Rel], version: Version, config: dict[str, str], contents: bytes) -> LoadInfo:
    """A module before its text is relocated."""
    sections = [Sec(".text", TEXT, contents, relocations), *SECTIONS]
    info = info_of(sections, SYMBOLS, version=version, machine="riscv", config=config)
    info.stage = "apply_relocations"
    return info


def relocate(
    *relocations: Rel, version: Version = (6, 12), config: dict[str, str] = WITHOUT, contents: bytes = bytes(64)
) -> list[str]:
    """Relocate a module's text, and give what the kernel logs."""
    info = loading(relocations, version, config, contents)
    apply_relocations(info)
    return info.journal.lines


def refused(
    *relocations: Rel, version: Version = (6, 12), config: dict[str, str] = WITHOUT
) -> tuple[str | None, str | None]:
    """Errno and line of the refusal."""
    with pytest.raises(Refusal) as caught:
        relocate(*relocations, version=version, config=config)
    return caught.value.errno, caught.value.line


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("config", [WITHOUT, WITH])
def test_takes_what_compilers_make(version: Version, config: dict[str, str]) -> None:
    relocations = [
        Rel(0, PCREL_HI20, KERNEL),
        Rel(4, LO12_I, HIGH),
        Rel(8, LO12_S, HIGH),
        Rel(12, CALL_PLT, KERNEL),
        Rel(20, CALL, LOCAL),
        Rel(28, BRANCH, LOCAL),
        Rel(32, ABS64, KERNEL),
        Rel(40, ADD32, LOCAL),
        Rel(40, SUB32, HIGH, 40),
        Rel(48, RELAX, LOCAL),
        Rel(52, ABS32, SMALL),
    ]
    assert relocate(*relocations, version=version, config=config) == []


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("kind", [NONE, 12, 41, 62, 300])
def test_refuses_a_type_that_no_kernel_knows(version: Version, kind: int) -> None:
    assert refused(Rel(0, kind, KERNEL), version=version) == ("EINVAL", f"m: Unknown relocation type {kind}")


def test_earlier_kernels_know_fewer_types() -> None:
    for kind in (ADD8, SUB8, SET6, PCREL32, SET_ULEB128, TLS, 3):
        assert refused(Rel(0, kind, SMALL), version=(6, 1)) == ("EINVAL", f"m: Unknown relocation type {kind}")
    assert refused(Rel(0, ADD16, SMALL), version=(6, 2))[1] == f"m: Unknown relocation type {ADD16}"
    assert relocate(Rel(0, ADD16, SMALL), version=(6, 3)) == []
    assert relocate(Rel(0, ADD8, SMALL), Rel(4, SET6, SMALL), Rel(8, PCREL32, LOCAL)) == []
    assert refused(Rel(0, TLS, SMALL))[1] == "m: Thread local storage not supported in kernel modules PC = <loc>"
    assert refused(Rel(0, 3, SMALL))[1] == "m: Dynamic linking not supported in kernel modules PC = <loc>"


@pytest.mark.parametrize("version", ALL)
def test_refuses_a_low_half_whose_high_half_is_not_in_the_same_table(version: Version) -> None:
    line = "m: Can not find HI20 relocation information"
    for others in ((), (Rel(4, PCREL_HI20, KERNEL),), (Rel(0, CALL, KERNEL),)):
        assert refused(*others, Rel(16, LO12_I, HIGH), version=version) == ("EINVAL", line)
    assert refused(Rel(0, PCREL_HI20, KERNEL), Rel(16, LO12_S, KERNEL), version=version) == ("EINVAL", line)
    assert relocate(Rel(16, LO12_I, HIGH), Rel(0, PCREL_HI20, KERNEL), version=version) == []


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("kind", [PCREL_HI20, CALL, CALL_PLT])
def test_refuses_what_is_further_than_2_gib(version: Version, kind: int) -> None:
    said = "m: target {} can not be addressed by the 32-bit offset from PC = <loc>"
    assert refused(Rel(0, kind, WEAK), version=version) == ("EINVAL", said.format("0000000000000000"))
    assert refused(Rel(0, kind, BIG, 1), version=version) == ("EINVAL", said.format("000000012345678a"))
    assert refused(Rel(0, kind, KERNEL, 1 << 40), version=version) == ("EINVAL", said.format("<val>"))
    assert refused(Rel(0, kind, LOCAL, 1 << 31), version=version) == ("EINVAL", said.format("<val>"))


def test_a_plt_reaches_everything() -> None:
    assert relocate(Rel(0, CALL_PLT, WEAK), config=WITH) == []
    assert refused(Rel(0, CALL, WEAK), config=WITH)[0] == "EINVAL"


def test_does_not_guess_where_the_kernel_lies() -> None:
    info = loading([Rel(place, CALL, KERNEL, 1 << 30) for place in (0, 8)], (6, 12), WITHOUT, bytes(64))
    apply_relocations(info)
    assert sentences(info) == [
        "whether relocations of .rela.text overflow: that depends on the kernel's address",
    ]


def test_a_got_is_for_kernels_that_make_one() -> None:
    assert relocate(Rel(0, GOT_HI20, KERNEL), config=WITH) == []
    line = "m: can not generate the GOT entry for symbol = <val> from PC = <loc>"
    assert refused(Rel(0, GOT_HI20, KERNEL)) == ("EINVAL", line)


@pytest.mark.parametrize("version", ALL)
def test_refuses_addresses_in_32_bits(version: Version) -> None:
    for symbol, shown in ((KERNEL, "<val>"), (LOCAL, "<val>"), (BIG, "0000000123456789")):
        line = f"m: value {shown} out of range for 32-bit field"
        assert refused(Rel(0, ABS32, symbol), version=version) == ("EINVAL", line)


@pytest.mark.parametrize("version", ALL)
def test_refuses_alignment_which_is_for_linkers(version: Version) -> None:
    line = "m: The unexpected relocation type 'R_RISCV_ALIGN' from PC = <loc>"
    assert refused(Rel(0, ALIGN, LOCAL), version=version) == ("EINVAL", line)


@pytest.mark.parametrize("version", ALL)
def test_a_value_that_is_an_error_number_is_no_symbol(version: Version) -> None:
    assert refused(Rel(0, ABS64, ODD), version=version) == ("ENOENT", "m: Unknown symbol odd")
    assert relocate(Rel(0, NONE, ODD_WEAK), version=version) == []


def test_sums_that_do_not_fit_are_logged_and_the_module_is_loaded() -> None:
    said = "m: value {} out of range for {}-bit relocation."
    assert relocate(Rel(0, ADD64, SMALL), Rel(0, SUB8, WEAK)) == [said.format(0x1000, 8)]
    assert relocate(Rel(0, ADD32, SMALL), Rel(0, SET6, WEAK)) == [said.format(0x1000, 6)]
    assert relocate(Rel(0, ADD64, BIG), Rel(0, SUB32, WEAK)) == [said.format(0x123456789, 32)]
    assert relocate(Rel(0, ADD8, SMALL, 0x40), Rel(0, SUB8, WEAK)) == []
    # (one byte of the negative number is less than a number of eight bits)
    assert relocate(Rel(0, SUB64, SMALL), Rel(0, SUB8, WEAK)) == []


def test_a_sum_is_not_checked_where_it_is_the_only_relocation() -> None:
    with pytest.raises(Undefined, match="hash table of one entry"):
        relocate(Rel(0, ADD32, SMALL))
    assert relocate(Rel(0, ADD32, SMALL), version=(6, 1)) == []
    assert relocate(Rel(0, ADD32, SMALL), Rel(8, RELAX, SMALL)) == []


def test_a_negative_number_has_no_end_in_uleb128() -> None:
    assert relocate(Rel(0, SET_ULEB128, SMALL), Rel(0, SUB_ULEB128, WEAK, 1)) == []
    with pytest.raises(Undefined, match="without an end"):
        relocate(Rel(0, SET_ULEB128, SMALL), Rel(0, SUB_ULEB128, BIG))
    with pytest.raises(Undefined, match="an address of the kernel, at 0x0"):
        relocate(Rel(0, SET_ULEB128, KERNEL), Rel(8, RELAX, KERNEL))
    with pytest.raises(Undefined, match="is written in ULEB128, 5 bytes"):
        relocate(Rel(62, SET_ULEB128, BIG), Rel(62, SUB_ULEB128, WEAK))


def test_what_is_written_behind_a_section_is_not_checked() -> None:
    for relocation in (Rel(57, ABS64, KERNEL), Rel(60, CALL, LOCAL), Rel(64, ADD8, SMALL)):
        with pytest.raises(Undefined, match="bytes at 0x"):
            relocate(relocation)


@pytest.mark.parametrize("missing", range(3))
def test_kernels_with_a_plt_need_its_sections(missing: int) -> None:
    sections = [Sec(".text", TEXT), *SECTIONS[:missing], *SECTIONS[missing + 1 :]]
    called = ("PLT section(s)", "GOT section(s)", "GOT.PLT section(s)")[missing]
    assert info_of(sections, SYMBOLS, machine="riscv", config=WITHOUT)
    with pytest.raises(Refusal) as caught:
        info_of(sections, SYMBOLS, machine="riscv", config=WITH)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", f"m: module {called} missing")


@pytest.mark.parametrize(
    ("version", "plts"),
    [((6, 6), 0), ((6, 12, 24), 0), ((6, 12, 25), 1), ((6, 14, 3), 0), ((6, 14, 4), 1), ((6, 15), 1)],
)
def test_a_call_in_32_bits_has_no_entry_of_the_plt_in_some_kernels(version: Version, plts: int) -> None:
    sections = [Sec(".text", TEXT, relocations=[Rel(0, PLT32, KERNEL)]), *SECTIONS]
    info = info_of(sections, SYMBOLS, version=version, machine="riscv", config=WITH)
    assert info.sechdrs[info.find_any_sec(".plt")].sh_size == 12 * (plts + 1)


@pytest.mark.parametrize(("version", "plts"), [((6, 1), 3), ((6, 12), 3), ((7, 3), 2)])
def test_room_is_made_for_each_relocation_that_differs(version: Version, plts: int) -> None:
    calls = [Rel(0, CALL_PLT, KERNEL), Rel(8, CALL_PLT, KERNEL), Rel(16, CALL_PLT, LOCAL), Rel(24, GOT_HI20, KERNEL)]
    sections = [
        Sec(".text", TEXT, relocations=calls),
        Sec(".text.more", TEXT, relocations=calls[:1]),
        Sec(".data", DATA, relocations=[Rel(0, CALL_PLT, SMALL)]),
        *SECTIONS,
    ]
    info = info_of(sections, SYMBOLS, version=version, machine="riscv", config=WITH)
    sizes = {name: info.sechdrs[info.find_any_sec(name)].sh_size for name in (".plt", ".got", ".got.plt")}
    assert sizes == {".plt": 12 * (plts + 1), ".got": 16, ".got.plt": 8 * (plts + 1)}


def table(
    contents: bytes, relocations: Sequence[Rel], version: Version = (6, 12), name: str = ".alternative"
) -> LoadInfo:
    """A module with a table whose relocations are applied."""
    sections = [Sec(".text", TEXT), Sec(name, RODATA, contents, relocations)]
    symbols = [Sym("code", 1, 4), Sym("table", 2, 0), Sym("__kstrtab", 2, 24)]
    info = info_of(sections, symbols, version=version, machine="riscv", config={"CONFIG_RISCV_ALTERNATIVE": "y"})
    info.stage = "apply_relocations"
    apply_relocations(info)
    return info


def test_a_distance_is_a_sum_and_a_difference() -> None:
    info = table(bytes(16), [Rel(0, ADD32, 1), Rel(0, SUB32, 2), Rel(8, ADD64, 1, 2), Rel(8, SUB64, 2, 8)])
    number = info.find_sec(".alternative")
    assert {offset: pointer[:2] for offset, pointer in pointers(info, number).items()} == {0: (1, 4)}
    assert {offset: pointer[:2] for offset, pointer in pointers(info, number, frozenset({ADD64})).items()} == {
        8: (1, 6)
    }
    for second in (Rel(8, ADD64, 1), Rel(0, SUB32, 1), Rel(0, SUB64, 2)):
        info = table(bytes(16), [Rel(0, ADD32, 1), second])
        assert pointers(info, info.find_sec(".alternative")) == {}


def test_before_sums_were_accumulated_what_the_file_has_there_counted() -> None:
    distance = [Rel(0, ADD32, 1), Rel(0, SUB32, 2)]
    for version, found in (((6, 1), 0), ((6, 12), 1)):
        info = table(b"\1" + bytes(15), distance, version)
        assert len(pointers(info, info.find_sec(".alternative"))) == found


def alternative(extension: int, vendor: int = 0, length: int = 4) -> LoadInfo:
    """A module with one alternative."""
    places = [
        Rel(at, kind, symbol, at if kind == SUB32 else 0) for at in (0, 4) for kind, symbol in ((ADD32, 1), (SUB32, 2))
    ]
    return table(bytes(8) + struct.pack("<HHI", vendor, length, extension), places)


def test_an_unknown_extension_is_warned_of() -> None:
    for extension, is_known in ((0, True), (127, True), (128, False), (0x7FFF, False), (0x8000, True)):
        info = alternative(extension)
        module_finalize(info)
        words = [] if is_known else [f"This extension id:{extension} is not in ISA extension list"]
        assert [line for line in info.journal.lines if "WARNING" not in line] == words
        assert ("W" in info.taints.kernel) is not is_known


def test_an_alternative_longer_than_the_code_is_not_checked() -> None:
    with pytest.raises(Undefined, match=r"points to 0x4 of \.text"):
        module_finalize(alternative(0, length=61))


def test_exports_are_addresses() -> None:
    strings = b"name\0"
    places = [Rel(0, ABS64, 1), Rel(8, ABS64, 3)]
    info = table(bytes(24) + strings, places, name="__ksymtab")
    assert [*own_exports(info)] == ["name"]
    info = table(bytes(24) + strings, [Rel(0, ADD32, 1), Rel(0, SUB32, 2)], name="__ksymtab")
    with pytest.raises(Undefined, match="otherwise than by an address"):
        own_exports(info)
