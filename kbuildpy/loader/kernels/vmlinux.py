# SPDX-License-Identifier: GPL-2.0-only
"""Reads facts from an unpacked kernel: vermagic, the embedded configuration, and the exports.

The exports are in the sections that the kernel's find_symbol() searches (include/asm-generic/vmlinux.lds.h: __ksymtab,
__kcrctab, ...). An x86 image has section headers to find them by, an arm64 `Image` has none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from kbuildpy.compression import decompress_first
from kbuildpy.elf.constants import ELFMAG
from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.kernel_symbol import KERNEL_SYMBOL, KSYM_FLAG_GPL_ONLY
from kbuildpy.elf.sections import Section, read_sections, read_sound_ehdr
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import ARCHITECTURES

SymversRow = tuple[int, str, str, str, str]
"""CRC, symbol, owner, macro and namespace: a row for `format_symvers`."""

_IKCONFIG = re.compile(rb"IKCFG_ST(\x1f\x8b.*?)IKCFG_ED", re.DOTALL)  # kernel/configs.c


class ExportSections(NamedTuple):
    """The names of the sections of one table of exports.

    Up to 7.0, symbols for GPL-compatible modules have a table of their own; from 7.1 on, they have a flag.
    """

    symbols: str
    """The section of the symbols."""
    crcs: str
    """The section of their CRCs."""
    flags: str
    """The section of their flags; "" if the table has none."""
    gpl_only: bool
    """Whether symbols without flags are for GPL-compatible modules only."""


TABLES = (
    ExportSections("__ksymtab", "__kcrctab", "__kflagstab", False),
    ExportSections("__ksymtab_gpl", "__kcrctab_gpl", "", True),
)


def machine_of(kernel: bytes) -> str:
    """Return the name of the architecture of an unpacked kernel (ELF file or `Image`); "" for an unknown one."""
    if kernel[:4] == ELFMAG:
        machine = int.from_bytes(kernel[18:20], "little")
        found = (item for item in ARCHITECTURES if item.elf_machine == machine)
    else:
        found = (
            item for item in ARCHITECTURES if item.boot_magic and kernel.startswith(item.boot_magic, item.boot_offset)
        )
    return next((item.name for item in found), "")


def vermagic_of(kernel: bytes, release: str) -> str | None:
    """Return VERMAGIC_STRING of a kernel (kernel/module/main.c: vermagic); None unless exactly one string of the kernel
    has this form."""
    words = rb"((?:SMP )?(?:preempt |preempt_rt )?(?:mod_unload )?(?:modversions )?[!-~ ]*)\0"
    found = set(re.findall(rb"\0(" + re.escape(release.encode()) + rb" )" + words, kernel))
    return b"".join(found.pop()).decode() if len(found) == 1 else None


def embedded_config(kernel: bytes) -> str | None:
    """Return the configuration that is embedded in a kernel (CONFIG_IKCONFIG); None if there is none."""
    found = _IKCONFIG.search(kernel)
    with suppress(KbuildError):
        return decompress_first(found[1]).decode(errors="surrogateescape") if found else None
    return None


def vmlinux_exports(kernel: bytes, filename: str) -> list[SymversRow] | None:
    """Return the exports of the kernel itself; None for an image without section headers.

    Raises `KbuildError`, with `filename` in the message, for damaged sections.
    """
    if kernel[:4] != ELFMAG:
        return None
    header = read_sound_ehdr(kernel, filename)
    sections = {section.name: section for section in read_sections(kernel, header, filename)}
    if "__ksymtab" not in sections:
        return None
    if not header.is_64bit or header.order != "<":
        return None
    strings = _Strings(kernel, sections, filename)
    return [row for table in TABLES for row in _rows(kernel, header, sections, table, strings)]


class _Strings:
    """Finds the strings of `__ksymtab_strings` by their address."""

    def __init__(self, kernel: bytes, sections: dict[str, Section], filename: str) -> None:
        section = sections.get("__ksymtab_strings")
        if section is None:
            raise KbuildError(f"{filename}: section __ksymtab_strings is missing")
        self._start = section.address
        self._text = kernel[section.offset : section.offset + section.size]
        self.filename = filename

    def at(self, address: int) -> str:
        offset = address - self._start
        stop = self._text.find(b"\0", offset) if 0 <= offset < len(self._text) else -1
        if stop < 0:
            raise KbuildError(f"{self.filename}: section __ksymtab: no string at {address:#x}")
        return self._text[offset:stop].decode("utf-8", "surrogateescape")


def _rows(
    kernel: bytes, header: Ehdr, sections: dict[str, Section], table: ExportSections, strings: _Strings
) -> Iterator[SymversRow]:
    symbols = sections.get(table.symbols)
    if symbols is None:
        return

    def contents(name: str) -> bytes:
        section = sections.get(name)
        return b"" if section is None else kernel[section.offset : section.offset + section.size]

    entries = KERNEL_SYMBOL.iter_unpack(
        contents(table.symbols)[: symbols.size // KERNEL_SYMBOL.size * KERNEL_SYMBOL.size]
    )
    count = symbols.size // KERNEL_SYMBOL.size
    try:
        crcs = crcs_of(contents(table.crcs), count, header.order, table.crcs)
        gpl_only = flags_of(contents(table.flags), count, table)
    except KbuildError as error:
        raise KbuildError(f"{strings.filename}: {error.message}") from error
    place = symbols.address
    for (_, name, namespace), crc, gpl in zip(entries, crcs, gpl_only, strict=True):
        symbol = strings.at(place + 4 + name)
        space = strings.at(place + 8 + namespace) if namespace else ""
        yield crc, symbol, "vmlinux", "EXPORT_SYMBOL_GPL" if gpl else "EXPORT_SYMBOL", space
        place += KERNEL_SYMBOL.size


def crcs_of(contents: bytes, count: int, order: str, name: str) -> tuple[int, ...]:
    """Return the CRCs of `count` exports; zeros if `contents` is empty. Raises `KbuildError` for another number of
    CRCs."""
    if not contents:
        return (0,) * count
    if len(contents) != 4 * count:
        raise KbuildError(f"section {name}: {len(contents)} bytes for {count} exported symbols")
    return struct.unpack(f"{order}{count}I", contents)


def flags_of(contents: bytes, count: int, table: ExportSections) -> tuple[bool, ...]:
    """Return for each of `count` exports whether it is for GPL-compatible modules only. Raises `KbuildError` for
    another number of flags."""
    if not contents:
        return (table.gpl_only,) * count
    if len(contents) != count:
        raise KbuildError(f"section {table.flags}: {len(contents)} bytes for {count} exported symbols")
    return tuple(bool(flags & KSYM_FLAG_GPL_ONLY) for flags in contents)
