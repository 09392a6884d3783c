# SPDX-License-Identifier: GPL-2.0-only
"""The tables of exported symbols, written by hand: what no kernel that is installed here has."""

from __future__ import annotations

import gzip
import struct

import pytest

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_facts import ModuleStruct
from kbuildpy.loader.kernels.shipped import module_exports, module_facts_of
from kbuildpy.loader.kernels.vmlinux import embedded_config, machine_of, vermagic_of, vmlinux_exports
from kbuildpy.loader.module_file import THIS_MODULE
from tests.support.elf_objects import DATA, RODATA, Rel, Sec, Sym, elf_object

STRINGS = b"\0first\0second\0SPACE\0"
FIRST, SECOND, EMPTY, SPACE = 1, 7, 0, 14
R_X86_64_PC32 = 2


def entries(*places: tuple[int, int]) -> bytes:
    """struct kernel_symbol for names and namespaces at `places` of the strings; all sections begin at address 0."""
    table = b""
    for name, namespace in places:
        table += struct.pack("<iii", 0, name - (len(table) + 4), namespace - (len(table) + 8))
    return table


def module(*extra: Sec) -> ModuleImage:
    """A module that exports `first` and, in a namespace, `second`, in a single table."""
    relocations = [
        Rel(place, R_X86_64_PC32, 1, string) for place, string in ((4, FIRST), (8, EMPTY), (16, SECOND), (20, SPACE))
    ]
    table = Sec("__ksymtab", RODATA, bytes(24), relocations)
    contents = elf_object([table, Sec("__ksymtab_strings", RODATA, STRINGS), *extra], [Sym("strings", 2)])
    return ModuleImage(contents, "m.ko")


def kernel(*extra: Sec) -> bytes:
    """A kernel that exports the same."""
    table = Sec("__ksymtab", RODATA, entries((FIRST, EMPTY), (SECOND, SPACE)))
    return elf_object([table, Sec("__ksymtab_strings", RODATA, STRINGS), *extra], [])


FLAGS = Sec("__kflagstab", RODATA, b"\0\1")
CRCS = Sec("__kcrctab", RODATA, struct.pack("<II", 0x11111111, 0x22222222))


def test_flags_say_what_is_for_gpl_modules_only() -> None:
    stated = [(0, "first", "EXPORT_SYMBOL", ""), (0, "second", "EXPORT_SYMBOL_GPL", "SPACE")]
    rows = [(crc, symbol, macro, space) for crc, symbol, _, macro, space in module_exports(module(FLAGS), "m")]
    assert rows == stated
    found = vmlinux_exports(kernel(FLAGS), "vmlinux")
    assert found is not None
    assert [(crc, symbol, macro, space) for crc, symbol, _, macro, space in found] == stated


def test_crcs_are_in_the_order_of_the_symbols() -> None:
    assert [row[:2] for row in module_exports(module(CRCS), "m")] == [(0x11111111, "first"), (0x22222222, "second")]
    found = vmlinux_exports(kernel(CRCS), "vmlinux")
    assert found == [
        (0x11111111, "first", "vmlinux", "EXPORT_SYMBOL", ""),
        (0x22222222, "second", "vmlinux", "EXPORT_SYMBOL", "SPACE"),
    ]


@pytest.mark.parametrize("extra", [Sec("__kcrctab", RODATA, bytes(4)), Sec("__kflagstab", RODATA, bytes(3))])
def test_tables_of_different_lengths_are_refused(extra: Sec) -> None:
    with pytest.raises(KbuildError, match=rf"^m\.ko: section {extra.name}: \d bytes for 2 exported symbols"):
        list(module_exports(module(extra), "m"))
    with pytest.raises(KbuildError, match=f"^vmlinux: section {extra.name}: "):
        vmlinux_exports(kernel(extra), "vmlinux")


def test_an_entry_without_a_name_is_refused() -> None:
    contents = elf_object([Sec("__ksymtab", RODATA, bytes(12))], [])
    with pytest.raises(KbuildError, match=r"^m\.ko: section __ksymtab: entry 0 has no name"):
        list(module_exports(ModuleImage(contents, "m.ko"), "m"))


def test_a_damaged_module_of_the_kernels_own_is_an_error_that_names_it() -> None:
    table = Sec(THIS_MODULE, DATA, b"m".ljust(64, b"\0"), [Rel(0, 1, 99)])
    image = ModuleImage(elf_object([table], [], modinfo=b"name=m\0vermagic=6.1\0"), "kernel/m.ko")
    with pytest.raises(KbuildError, match=r"^kernel/m\.ko: symbol 99 does not exist: there are 1$"):
        module_facts_of(image)


def test_a_module_whose_name_is_no_utf_8_tells_its_facts() -> None:
    table = Sec(THIS_MODULE, DATA, b"\0\0\xff".ljust(64, b"\0"), [Rel(8, 1, 1), Rel(16, 1, 2)])
    symbols = [Sym("init_module", 1), Sym("cleanup_module", 1)]
    image = ModuleImage(elf_object([table], symbols, modinfo=b"name=\xff\0vermagic=6.1\0"), "m.ko")
    facts = module_facts_of(image)
    assert facts is not None
    assert facts.struct_module == ModuleStruct(64, (2, 56), 8, 16)


def test_a_kernel_without_sections_tells_no_exports() -> None:
    image = bytes(56) + b"ARM\x64" + bytes(100)
    assert machine_of(image) == "arm64"
    assert vmlinux_exports(image, "Image") is None


@pytest.mark.parametrize(
    ("strings", "vermagic"),
    [
        (b"\x006.1.0-x SMP mod_unload aarch64\0", "6.1.0-x SMP mod_unload aarch64"),
        (b"\x006.1.0-x preempt_rt mod_unload modversions \0", "6.1.0-x preempt_rt mod_unload modversions "),
        (b"\x006.1.0-x \0", "6.1.0-x "),
        (b"Linux version 6.1.0-x (gcc)\0", None),
        (b"\x006.1.0-xy SMP \0", None),
        (b"\x006.1.0-x SMP \0\x006.1.0-x preempt \0", None),
    ],
)
def test_vermagic_is_found_where_it_is_told_from_other_strings(strings: bytes, vermagic: str | None) -> None:
    assert vermagic_of(strings, "6.1.0-x") == vermagic


def test_a_configuration_in_the_kernel_is_read() -> None:
    packed = gzip.compress(b"CONFIG_A=y\n")
    assert embedded_config(b"..IKCFG_ST" + packed + b"IKCFG_ED..") == "CONFIG_A=y\n"
    assert embedded_config(b"..IKCFG_ST\x1f\x8bIKCFG_ED..") is None
