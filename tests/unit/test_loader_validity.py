# SPDX-License-Identifier: GPL-2.0-only
"""ELF files that kernels between those that are booted take in their own way, and what no kernel looks at."""

from __future__ import annotations

import struct

import pytest

from kbuildpy.elf.constants import SHT_NOBITS, SHT_PROGBITS
from kbuildpy.kernel.release import Version, has_change, version_of
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.module_file import THIS_MODULE
from kbuildpy.loader.since import TABLE_TYPES, VALIDITY_SPLIT
from kbuildpy.loader.stages.elf_validity import elf_validity
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.elf_objects import DATA, Sec, Sym, elf_object
from tests.support.loader_info import load_info

STRUCT = Sec(THIS_MODULE, DATA, bytes(24) + b"m".ljust(56, b"\0"))
WHOLE, SPLIT, NEWEST = (6, 12, 111), (6, 12, 117), (7, 3)


def info_for(contents: bytes, version: Version) -> LoadInfo:
    return load_info(contents, LoaderKernel("test", version, "x86_64"))


def refused(contents: bytes, version: Version) -> str | None:
    """The line with which the checks of an ELF file end, None if they do not mind."""
    try:
        elf_validity(info_for(contents, version))
    except Refusal as refusal:
        assert refusal.errno == "ENOEXEC"
        return refusal.line
    return None


def with_type(name: str, kind: int) -> bytes:
    """A module whose section `name` has another type."""
    contents = bytearray(elf_object([STRUCT], [Sym("a", 1)]))
    info = info_for(bytes(contents), NEWEST)
    elf_validity(info)
    (number,) = info.numbers_of(name)
    struct.pack_into("<I", contents, info.hdr.e_shoff + number * 64 + 4, kind)
    return bytes(contents)


@pytest.mark.parametrize("version", [(6, 1), (6, 4), WHOLE, SPLIT, (6, 13), NEWEST])
def test_a_sound_module_is_taken(version: Version) -> None:
    assert refused(elf_object([STRUCT], []), version) is None


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ((6, 1), "(missing .modinfo section or name field): No module found in object"),
        (WHOLE, f"module (missing .modinfo section or name field): Only one {THIS_MODULE} section must exist."),
        (SPLIT, f"module (missing .modinfo section or name field): Exactly one {THIS_MODULE} section must exist."),
    ],
)
def test_an_object_is_no_module(version: Version, line: str) -> None:
    assert refused(elf_object([], []), version) == line


def test_a_struct_module_without_contents_is_not_counted_before_the_checks_were_divided() -> None:
    module = with_type(THIS_MODULE, SHT_NOBITS)
    assert "Only one" in str(refused(module, WHOLE))
    assert "must have a size set" in str(refused(module, SPLIT))


@pytest.mark.parametrize(("name", "what"), [(".shstrtab", "section name table"), (".strtab", "symbol string table")])
def test_tables_of_names_must_be_of_their_type_in_the_newest_kernels(name: str, what: str) -> None:
    module = with_type(name, SHT_PROGBITS)
    assert refused(module, NEWEST) == f"Invalid ELF {what} type: 1"
    assert refused(module, SPLIT) == f"Invalid ELF {what} type: 1"
    assert [refused(module, version) for version in (WHOLE, (6, 13), (7, 1))] == [None] * 3


@pytest.mark.parametrize("name", [".shstrtab", ".strtab"])
def test_a_table_of_names_whose_place_nobody_has_looked_at_is_read_where_it_says(name: str) -> None:
    module = bytearray(with_type(name, SHT_NOBITS))
    info = info_for(bytes(module), (6, 13))
    elf_validity(info)
    (number,) = info.numbers_of(name)
    struct.pack_into("<Q", module, info.hdr.e_shoff + number * 64 + 24, 1 << 40)
    with pytest.raises(Undefined):
        elf_validity(info_for(bytes(module), (6, 13)))


def test_section_headers_that_are_none_are_read_all_the_same() -> None:
    module = bytearray(elf_object([STRUCT], []))
    struct.pack_into("<Q", module, 40, len(module) - 8)
    struct.pack_into("<H", module, 60, 0)
    with pytest.raises(Undefined, match="beyond its end"):
        elf_validity(info_for(bytes(module), NEWEST))


def test_a_name_in_struct_module_without_an_end_is_undefined() -> None:
    module = elf_object([Sec(THIS_MODULE, DATA, bytes(24) + b"m" * 57 + b"\0")], [])
    with pytest.raises(Undefined, match="not terminated"):
        elf_validity(info_for(module, NEWEST))


@pytest.mark.parametrize(
    ("release", "version", "is_split", "looks_at_types"),
    [
        ("6.1.0-56-amd64", (6, 1, 0), False, False),
        ("6.12.111+deb12-amd64", (6, 12, 111), False, False),
        ("6.12.116+deb13-amd64", (6, 12, 116), False, False),
        ("6.12.117+deb12-amd64", (6, 12, 117), True, True),
        ("6.13-rc1", (6, 13), True, False),
        ("6.13~rc7-amd64", (6, 13), True, False),
        ("6.13.2", (6, 13, 2), True, False),
        ("7.3.4+deb13-amd64", (7, 3, 4), True, True),
    ],
)
def test_what_came_into_a_stable_line_is_in_its_later_releases_only(
    release: str, version: Version, is_split: bool, looks_at_types: bool
) -> None:
    assert version_of(release) == version
    assert (has_change(version, VALIDITY_SPLIT), has_change(version, TABLE_TYPES)) == (is_split, looks_at_types)


@pytest.mark.parametrize("release", ["", "next", "6", "6.x"])
def test_a_release_without_a_version_has_none(release: str) -> None:
    with pytest.raises(ValueError):
        version_of(release)
