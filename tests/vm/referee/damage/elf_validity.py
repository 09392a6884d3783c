# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the ELF header, or with the length of the file (elf_validity_check, elf_validity_ehdr)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import case, ehdr
from tests.vm.referee.draft import Draft


def cases(bases: Bases) -> Iterator[Case]:
    """All of them, and some that the kernel does not mind."""
    quiet = bases.quiet
    yield from _cut(quiet)
    yield from _ident(quiet)
    yield from _fields(quiet)
    yield from _section_headers(quiet)


def _cut(quiet: bytes) -> Iterator[Case]:
    for length in (0, 1, 4, 40, 51, 52, 53, 63, 64, 65, 1000, len(quiet) // 2, len(quiet) - 1):
        yield Case(f"elf header/cut to {length} bytes", quiet[:length])
        if 64 <= length < 100:
            # (the other system call says nothing to shorter ones)
            yield Case(f"elf header/cut to {length} bytes, init_module", quiet[:length], call="init")
    yield Case("elf header/more after the module", quiet + b"more")
    yield Case("elf header/zeros", bytes(4096))
    yield Case("elf header/text", b"#!/bin/sh\n" * 20)


def _ident(quiet: bytes) -> Iterator[Case]:
    for place in range(4):
        changed = bytearray(quiet)
        changed[place] ^= 1
        yield Case(f"elf header/magic byte {place}", bytes(changed))
    for field, value in {
        "ei_class": 3 - quiet[4],
        "ei_data": 3 - quiet[5],
        "ei_version": 0,
        "ei_osabi": 3,
        "ei_abiversion": 9,
    }.items():
        yield case(f"elf header/{field} {value}", quiet, ehdr(field, value))


def _fields(quiet: bytes) -> Iterator[Case]:
    for type_ in (0, 2, 3, 4, 0xFFFF):
        yield case(f"elf header/e_type {type_}", quiet, ehdr("e_type", type_))
    for machine in (0, 3, 40, 183, 0xFFFF):
        yield case(f"elf header/e_machine {machine}", quiet, ehdr("e_machine", machine))
    for field in ("e_version", "e_entry", "e_phoff", "e_flags", "e_ehsize", "e_phentsize", "e_phnum"):
        yield case(f"elf header/{field} 0x77", quiet, ehdr(field, 0x77))
    yield case("elf header/e_entry 0x76", quiet, ehdr("e_entry", 0x76))
    yield case("elf header/e_flags 8", quiet, ehdr("e_flags", 8))


def _section_headers(quiet: bytes) -> Iterator[Case]:
    draft = Draft(quiet)
    shoff, shnum, length = draft.ehdr("e_shoff"), draft.ehdr("e_shnum"), len(quiet)
    bits = 64 if draft.is_64bit else 32
    for size in (0, 40, 63, 65, 0xFFFF):
        yield case(f"elf header/e_shentsize {size}", quiet, ehdr("e_shentsize", size))
    for offset in (0, 1, shoff - 64, shoff + 1, length - 64, length - 1, length, 1 << bits - 1, (1 << bits) - 1):
        header = bytearray(quiet)
        place, width = draft.ehdr_field("e_shoff")
        struct.pack_into(draft.order + width, header, place, offset)
        yield Case(f"elf header/e_shoff {offset:#x}", bytes(header))
    for number in (0, 1, 2, shnum - 1, shnum + 1, 0xFF00, 0xFFFF):
        header = bytearray(quiet)
        place, width = draft.ehdr_field("e_shnum")
        struct.pack_into(draft.order + width, header, place, number)
        yield Case(f"elf header/e_shnum {number}", bytes(header))
    none = (ehdr("e_shnum", 0), ehdr("e_shoff", length - 1))
    yield case("elf header/no section headers, at the end of the file", quiet, *none)
    for number in (0, 1, shnum - 2, shnum - 3, shnum, 0xFFFF):
        yield case(f"elf header/e_shstrndx {number}", quiet, ehdr("e_shstrndx", number))
