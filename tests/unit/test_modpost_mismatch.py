# SPDX-License-Identifier: GPL-2.0-only
"""Section mismatches without a kernel's modpost: damaged objects, much work, and kernels that are not at hand."""

from __future__ import annotations

import struct
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import EM_386, EM_ARM, EM_MIPS, EM_X86_64, SHN_XINDEX, STT_FUNC, STT_SECTION
from kbuildpy.elf.relocations import decode_entries, decode_relocations, relocation_offsets, relocation_symbols
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject
from kbuildpy.modpost.stage import ModpostResult, modpost
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym, elf_object

RELEASES = ("5.10.0", "6.1.0", "6.6.0", "6.12.0", "7.3.0")
each_release = pytest.mark.parametrize("release", RELEASES)
MEMINIT = '#define __meminit __section(".meminit.text")\n#define __memexit __section(".memexit.text")\n'


def check(contents: bytes, directory: Path, release: str, *options: str) -> ModpostResult:
    """What modpost of kernel `release` says to an object `m`."""
    for name, text in {"include/config/auto.conf": "CONFIG_64BIT=y\n", "include/linux/init.h": MEMINIT}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    (directory / "m.o").write_bytes(contents)
    return modpost(
        [ModuleObject("m", directory / "m.o", ())],
        ModpostOptions.parse(["-e", *options]),
        tree=KernelTree(directory, directory, release),
        cwd=directory,
        layouts=lambda: DeviceTableLayouts({}),
    )


def said(result: ModpostResult) -> list[str]:
    """The messages that are about sections."""
    texts = [diagnostic.text for diagnostic in result.diagnostics]
    return [text for text in texts if "ection" in text]


def mismatched(*relocations: Rel, machine: int = EM_X86_64, bits: int = 64, rela: bool = True) -> bytes:
    """An object whose `.text` has `relocations`; symbol 1 is in `.text`, symbol 2 in `.init.text`."""
    return elf_object(
        [Sec(".text", TEXT, bytes(16), relocations, rela), Sec(".init.text", TEXT)],
        [Sym("source", 1, 0, STT_FUNC), Sym("target", 2, 0, STT_FUNC)],
        machine=machine,
        bits=bits,
    )


def patched(contents: bytes, section: str, field: int, value: int) -> bytes:
    """`contents` with one field of a section's header replaced (of a 64-bit little-endian file)."""
    image = ModuleImage(contents, "m.o")
    found = next(item for item in image.sections if item.name == section)
    row = list(struct.unpack_from("<IIQQQQIIQQ", contents, image.header.e_shoff + found.index * 64))
    row[field] = value
    at = image.header.e_shoff + found.index * 64
    return contents[:at] + struct.pack("<IIQQQQIIQQ", *row) + contents[at + 64 :]


SIZE, INFO = 5, 7


@each_release
def test_refuses_a_relocation_that_names_no_symbol(release: str, tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"m\.o: section \.rela\.text: a relocation names no symbol"):
        check(mismatched(Rel(0, 1, 2), Rel(8, 1, 1000)), tmp_path, release)


@each_release
def test_refuses_half_a_relocation(release: str, tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"m\.o: section \.rela\.text: 40 bytes are no whole number of relocations"):
        check(patched(mismatched(Rel(0, 1, 2), Rel(8, 1, 2)), ".rela.text", SIZE, 40), tmp_path, release)


@each_release
@pytest.mark.parametrize("machine", [EM_386, EM_ARM, EM_MIPS])
@pytest.mark.parametrize("offset", [13, 16, 0xFFFFFFF0])
def test_refuses_an_addend_outside_of_its_section(offset: int, machine: int, release: str, tmp_path: Path) -> None:
    kind = 28 if machine == EM_ARM else 2
    contents = mismatched(Rel(offset, kind, 2), machine=machine, bits=32, rela=False)
    with pytest.raises(KbuildError, match=rf"m\.o: section \.text: a relocation at {offset:#x} lies outside of it"):
        check(contents, tmp_path, release)


@each_release
def test_an_offset_outside_of_a_section_is_only_a_number_with_an_addend(release: str, tmp_path: Path) -> None:
    (text,) = said(check(mismatched(Rel(0xFFFF_FFFF_0000, 1, 2)), tmp_path, release))
    assert "ection mismatch in reference" in text


@each_release
def test_relocations_of_no_section_refer_from_nowhere(release: str, tmp_path: Path) -> None:
    contents = patched(mismatched(Rel(0, 1, 2)), ".rela.text", INFO, 0xFFFFFFF0)
    assert bool(said(check(contents, tmp_path, release))) == (release == "5.10.0")


def test_refuses_an_addend_in_no_section(tmp_path: Path) -> None:
    contents = patched(mismatched(Rel(0, 2, 2), machine=EM_MIPS, rela=False), ".rel.text", INFO, 99)
    with pytest.raises(KbuildError, match=r"section \.rel\.text: applies to section 99, which is none"):
        check(contents, tmp_path, "5.10.0")


@each_release
def test_a_symbol_of_no_section_is_nobodys_target(release: str, tmp_path: Path) -> None:
    contents = elf_object(
        [Sec(".text", TEXT, relocations=[Rel(0, 1, 1)]), Sec(".init.text", TEXT)], [Sym("lost", 5000), Sym("init", 2)]
    )
    assert not said(check(contents, tmp_path, release))


@each_release
def test_refuses_a_big_section_number_without_its_table(release: str, tmp_path: Path) -> None:
    contents = elf_object(
        [Sec(".text", TEXT, relocations=[Rel(0, 1, 1)]), Sec(".init.text", TEXT)],
        [Sym("lost", SHN_XINDEX), Sym("init", 2)],
    )
    with pytest.raises(KbuildError, match=r"m\.o: symbol 1: its section index is missing from \.symtab_shndx"):
        check(contents, tmp_path, release)


SMALL = elf_object(
    [
        Sec(".text", TEXT, relocations=[Rel(4, 1, 2), Rel(8, 2, 3), Rel(12, 2, 4)], rela=False),
        Sec(".init.text", TEXT, relocations=[Rel(4, 1, 1)], rela=False),
        Sec("__ex_table", RODATA, relocations=[Rel(0, 1, 1), Rel(4, 1, 4)], rela=False),
        Sec(".data", DATA, relocations=[Rel(4, 1, 2)], rela=False),
    ],
    [
        Sym("source.1", 1, 0, STT_FUNC),
        Sym("x_ops", 2, 9, STT_FUNC),
        Sym("", 2, 0, STT_SECTION),
        Sym("values", 4, 4),
    ],
    machine=EM_386,
    bits=32,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    release=st.sampled_from(RELEASES),
    machine=st.sampled_from([EM_386, EM_ARM, EM_MIPS, EM_X86_64]),
    damage=st.lists(st.tuples(st.integers(52, len(SMALL) - 1), st.integers(0, 255)), max_size=4),
)
def test_damage_is_refused_in_words(release: str, machine: int, damage: list[tuple[int, int]], tmp_path: Path) -> None:
    contents = bytearray(SMALL)
    contents[18:20] = struct.pack("<H", machine)
    for place, value in damage:
        contents[place] = value
    try:
        check(bytes(contents), tmp_path, release)
    except KbuildError as error:
        assert "m.o" in error.message


@each_release
def test_many_mismatches_take_no_more_than_their_number(release: str, tmp_path: Path) -> None:
    count = 5000
    sections = [
        Sec(".text", TEXT, b"", [Rel(8 * number, 1, count + 1 + number) for number in range(count)]),
        Sec(".init.text", TEXT, b""),
    ]
    symbols = [Sym(f"f{number}", 1, 8 * number) for number in range(count)]
    symbols += [Sym("" if number % 2 else f"i{number}.1", 2, 8 * number) for number in range(count)]
    began = time.process_time()
    result = check(elf_object(sections, symbols), tmp_path, release)
    assert len(said(result)) == count
    assert time.process_time() - began < 5


@pytest.mark.parametrize(("bits", "order", "machine"), list(product((32, 64), "<>", (EM_X86_64, EM_MIPS))))
@pytest.mark.parametrize("rela", [True, False])
def test_the_columns_are_those_of_the_entries(rela: bool, machine: int, order: str, bits: int) -> None:
    relocations = [Rel(number, number % 7, number * 1000 + 1) for number in range(20)]
    contents = elf_object(
        [Sec(".text", TEXT, relocations=relocations, rela=rela)], [], bits=bits, order=order, machine=machine
    )
    image = ModuleImage(contents, "m.o")
    section = image.sections[3]
    table = image.section_data(section)
    entries = decode_relocations(table, section, image.header)
    assert [entry.symbol for entry in entries] == [relocation.symbol for relocation in relocations]
    assert list(relocation_symbols(table, section, image.header)) == [entry.symbol for entry in entries]
    assert list(relocation_offsets(table, section, image.header)) == [entry.offset for entry in entries]
    assert decode_entries(table, [3, 17], section, image.header) == [entries[3], entries[17]]


def test_kernels_before_6_0_explain_a_mismatch(tmp_path: Path) -> None:
    result = check(mismatched(Rel(4, 1, 2)), tmp_path, "5.10.0", "-E")
    assert said(result) == [
        "WARNING: modpost: m.o(.text+0x4): Section mismatch in reference from the function source() "
        "to the function .init.text:target()\n"
        "The function source() references\n"
        "the function __init target().\n"
        "This is often because source lacks a __init \n"
        "annotation or the annotation of target is wrong.\n\n",
        "FATAL: modpost: Section mismatches detected.\nSet CONFIG_SECTION_MISMATCH_WARN_ONLY=y to allow them.\n",
    ]


@pytest.mark.parametrize(
    ("release", "text"),
    [
        ("6.4.0", "m.o: section mismatch in reference: (unknown) (section: .text) -> (unknown) (section: .init.text)"),
        (
            "6.6.0",
            "m: section mismatch in reference: (unknown)+0x4 (section: .text) -> (unknown) (section: .init.text)",
        ),
        ("6.12.0", "m: section mismatch in reference: 0x4 (section: .text) -> 0x23 (section: .init.text)"),
        ("7.3.0", "m.ko: section mismatch in reference: 0x4 (section: .text) -> 0x23 (section: .init.text)"),
    ],
)
def test_ends_without_a_name(release: str, text: str, tmp_path: Path) -> None:
    contents = elf_object(
        [Sec(".text", TEXT, relocations=[Rel(4, 1, 1, 35)]), Sec(".init.text", TEXT)], [Sym("", 2, 0, STT_SECTION)]
    )
    assert said(check(contents, tmp_path, release)) == [f"WARNING: modpost: {text}\n"]


@pytest.mark.parametrize(
    ("name", "since"),
    [("x_ops", ()), ("x_ops.llvm.1", ("7.3.0",)), ("x_probe", RELEASES[:4]), ("x_timer", RELEASES[:3])],
)
def test_the_names_of_variables_that_are_excused(name: str, since: tuple[str, ...], tmp_path: Path) -> None:
    contents = elf_object(
        [Sec(".data", DATA, relocations=[Rel(4, 1, 2)]), Sec(".init.text", TEXT)], [Sym(name, 1), Sym("target", 2)]
    )
    excused = tuple(release for release in RELEASES if not said(check(contents, tmp_path, release)))
    assert excused == (since or RELEASES)
