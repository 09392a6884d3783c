# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with relocations, sections for PLTs and alternatives of arm64 (arch/arm64/kernel/module.c,
module-plts.c, alternative.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import (
    Damage,
    case,
    data,
    new_relocation,
    relocation,
    rename,
    section,
    shdr,
    unrelocated,
)
from tests.vm.referee.draft import Draft

ABS64, ABS32, ABS16, PREL64, PREL32, PREL16 = 257, 258, 259, 260, 261, 262
PG_HI21, TSTBR14, CONDBR19, JUMP26, CALL26 = 275, 279, 280, 282, 283
LD_LO19, ADR_LO21 = 273, 274
UABS, SABS, PREL_G = range(263, 270), (270, 271, 272), range(287, 294)
ROOM = 0x80
TRACED = "__patchable_function_entries"
KINDS = (*range(256, 315), 0, 1, 2, 255, 512, 1024, 1027, 0xFFFFFFFF)
"""Every type of static linking, and some that are not."""
LIMITS = (
    *(0, 1, -1, 0x7FFF, 0x8000, 0xFFFF, 0x10000, -0x8000, -0x8001),
    *(0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, -0x80000000, -0x80000001),
    *(0x7FFFFFFFFFFF, 0x800000000000, 0xFFFFFFFFFFFF, 0x1000000000000, -0x800000000000, -0x800000000001),
)
"""Values at the limits of 16, 32 and 48 bits."""


def cases(bases: Bases) -> Iterator[Case]:
    """All of them; what they damage is data of the module's own, which nobody reads."""
    quiet = bases.quiet
    yield from _types(quiet)
    yield from _values(quiet)
    yield from _distances(quiet)
    yield from _alternatives(quiet)
    yield from _sections(quiet)


def _room(*more: Damage) -> tuple[Damage, ...]:
    """Data to be relocated, and `more` to do."""
    return (section(".room", bytes(ROOM), sh_flags=3, sh_addralign=16), *more)


def _label(name: str, beginning: str) -> Damage:
    """Add a local symbol for the beginning of a section."""
    return lambda draft: draft.add_symbol(name, info=0, shndx=draft.number(beginning))


def _types(quiet: bytes) -> Iterator[Case]:
    for kind in KINDS:
        yield case(f"arm64/type {kind}", quiet, *_room(new_relocation(".room", 0, kind, "kfree")))
        here = (_label("here", ".room"), new_relocation(".room", 0, kind, "here", 64))
        yield case(f"arm64/type {kind} of the module's own", quiet, *_room(*here))
    yield case("arm64/an unknown type in the code", quiet, relocation(".text", 0, type=77))


def _values(quiet: bytes) -> Iterator[Case]:
    """Of symbol 0, which is 0: the value is known."""
    for kind in (ABS64, ABS32, ABS16, *UABS, *SABS):
        for value in LIMITS:
            yield case(f"arm64/type {kind} of {value:#x}", quiet, *_room(new_relocation(".room", 8, kind, 0, value)))


def _distances(quiet: bytes) -> Iterator[Case]:
    """Of a place in the same section, at the limits of what each type can reach."""
    reach = {
        PREL16: 15,
        PREL32: 31,
        LD_LO19: 20,
        ADR_LO21: 20,
        TSTBR14: 15,
        CONDBR19: 20,
        JUMP26: 27,
        CALL26: 27,
        PG_HI21: 32,
    }
    for kind, bits in reach.items():
        for distance in ((1 << bits) - 4, 1 << bits, -(1 << bits), -(1 << bits) - 4, (1 << bits) * 4):
            damages = (_label("here", ".room"), new_relocation(".room", 8, kind, "here", 8 + distance))
            yield case(f"arm64/type {kind} over {distance:#x}", quiet, *_room(*damages))
    for kind in (CALL26, JUMP26):
        for addend in (1 << 27, 1 << 31, -(1 << 40)):
            beside = new_relocation(".room", 8, kind, "kfree", addend)
            yield case(f"arm64/type {kind} {addend:#x} beside a function of the kernel", quiet, *_room(beside))
    for kind in PREL_G:
        for distance in LIMITS:
            damages = (_label("here", ".room"), new_relocation(".room", 8, kind, "here", 8 + distance))
            yield case(f"arm64/type {kind} over {distance:#x}", quiet, *_room(*damages))


def _alternatives(quiet: bytes) -> Iterator[Case]:
    """Entries that lead from code to code."""
    name = ".altinstructions"
    if any(Draft(quiet).name_of(item) == name for item in Draft(quiet).sections):
        return
    for capability in (0, 1, 50, 0x7FFF, 0x8000, 0x8001):
        for before, after in ((4, 4), (4, 8), (0, 0), (4, 0), (8, 8)):
            damages = (
                section(name, bytes(8) + struct.pack("<HBB", capability, before, after), sh_flags=2, sh_addralign=4),
                _label("code", ".text"),
                *(new_relocation(name, at, PREL32, "code", 16) for at in (0, 4)),
            )
            words = f"arm64/an alternative for {capability:#x}, of {before} and {after} bytes"
            yield case(words, quiet, *damages)
    yield case("arm64/an empty table of alternatives", quiet, section(name, b"", sh_flags=2))


def _sections(quiet: bytes) -> Iterator[Case]:
    draft = Draft(quiet)
    for name in (".plt", ".init.plt", ".text.ftrace_trampoline", ".init.text.ftrace_trampoline"):
        if not any(draft.name_of(item) == name for item in draft.sections):
            continue
        yield case(f"arm64/no {name}", quiet, rename(name, ".gone"))
        yield case(f"arm64/{name} is of no type", quiet, shdr(name, sh_type=0))
        yield case(f"arm64/{name} is writable", quiet, shdr(name, sh_flags=7))
        yield case(f"arm64/{name} is large", quiet, shdr(name, sh_type=8, sh_size=1 << 20))
    if any(draft.name_of(item) == TRACED for item in draft.sections):
        first = draft.relocations(TRACED)[0][2]
        yield case("arm64/places to trace are code of the module twice", quiet, relocation(TRACED, 1, symbol=first))
        number = (unrelocated(TRACED, 0), data(TRACED, 0, b"\1"))
        yield case("arm64/a place to trace is a number without a relocation", quiet, *number)
