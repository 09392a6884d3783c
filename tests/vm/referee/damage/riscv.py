# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with relocations and alternatives of riscv64 (arch/riscv/kernel/module.c, cpufeature.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import Damage, case, new_relocation, new_symbol, relocation, rename, section
from tests.vm.referee.draft import Draft

NONE, ABS32, ABS64, CALL, CALL_PLT, GOT_HI20, PCREL_HI20, PCREL_LO12_I, PCREL_LO12_S = 0, 1, 2, 18, 19, 20, 23, 24, 25
HI20, LO12_I, ADD8, ADD16, ADD32, ADD64, SUB8, SUB16, SUB32, SUB64 = 26, 27, 33, 34, 35, 36, 37, 38, 39, 40
ALIGN, RELAX, SUB6, SET6, SET8, SET16, SET32, PCREL32, PLT32, SET_ULEB128, SUB_ULEB128 = (
    *(43, 51, 52, 53, 54, 55, 56, 57, 59, 60, 61),
)
ROOM = 0x80


def cases(bases: Bases) -> Iterator[Case]:
    """All of them; what they damage is data of the module's own, which nobody reads."""
    quiet = bases.quiet
    yield from _types(quiet)
    yield from _values(quiet)
    yield from _halves(quiet)
    yield from _sums(quiet)
    yield from _alternatives(quiet)
    for name in (".plt", ".got", ".got.plt"):
        if any(Draft(quiet).name_of(item) == name for item in Draft(quiet).sections):
            yield case(f"riscv/no {name}", quiet, rename(name, ".gone"))
    yield case("riscv/places to trace are code of the module twice", quiet, relocation(TRACED, 1, symbol=_first(quiet)))


TRACED = "__patchable_function_entries"


def _first(quiet: bytes) -> int:
    return Draft(quiet).relocations(TRACED)[0][2]


def _room(*more: Damage, fill: bytes = bytes(ROOM)) -> tuple[Damage, ...]:
    """Data to be relocated, and `more` to do."""
    return (section(".room", fill, sh_flags=3, sh_addralign=16), *more)


def _label(name: str, beginning: str) -> Damage:
    """Add a local symbol for the beginning of a section."""
    return lambda draft: draft.add_symbol(name, info=0, shndx=draft.number(beginning))


def _types(quiet: bytes) -> Iterator[Case]:
    """Every type there is, and some that are not, of a symbol of the kernel."""
    for kind in (*range(70), 191, 192, 255, 256, 0xFFFFFFFF):
        # (one alone, of a sum, is not checked)
        two = (new_relocation(".room", 0, kind, "kfree"), new_relocation(".room", 64, RELAX, 0))
        yield case(f"riscv/type {kind}", quiet, *_room(*two))
    for kind in (NONE, ABS64, ADD32, SET_ULEB128):
        yield case(f"riscv/type {kind} alone", quiet, *_room(new_relocation(".room", 0, kind, "kfree")))
    yield case("riscv/an unknown type in the code", quiet, relocation(".text", 0, type=77))


def _values(quiet: bytes) -> Iterator[Case]:
    for kind in (ABS32, HI20, LO12_I, PCREL_HI20, CALL, CALL_PLT, GOT_HI20, PLT32, PCREL32):
        for value in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, -1, -0x80000000, -0x80000001, 1 << 40):
            # symbol 0 is 0: the value is known
            yield case(f"riscv/type {kind} of {value:#x}", quiet, *_room(new_relocation(".room", 8, kind, 0, value)))
    for kind in (CALL, CALL_PLT, PCREL_HI20):
        for addend in (1 << 35, -(1 << 40)):
            damage = new_relocation(".room", 8, kind, "kfree", addend)
            yield case(f"riscv/type {kind} {addend:#x} beside a function of the kernel", quiet, *_room(damage))
    for value in ((1 << 64) - 1, (1 << 64) - 4095, (1 << 64) - 4096):
        for info, words in ((0x10, "global"), (0x20, "weak")):
            damages = (
                new_symbol("odd", info=info, shndx=0xFFF1, value=value),
                new_relocation(".room", 0, ABS64, "odd"),
            )
            yield case(f"riscv/a {words} symbol that is {value:#x}", quiet, *_room(*damages))


def _halves(quiet: bytes) -> Iterator[Case]:
    """The low half of a distance, without its high half and with it."""
    for kind in (PCREL_LO12_I, PCREL_LO12_S):
        yield case(f"riscv/type {kind} alone", quiet, *_room(new_relocation(".room", 8, kind, "kfree")))
        for high in (PCREL_HI20, GOT_HI20, HI20, CALL):
            there = (
                _label("high", ".room"),
                new_relocation(".room", 0, high, "kfree"),
                new_relocation(".room", 4, kind, "high"),
            )
            yield case(f"riscv/type {kind} after type {high}", quiet, *_room(*there))
            back = (there[0], there[2], there[1])
            yield case(f"riscv/type {kind} before type {high}", quiet, *_room(*back))
    rows = Draft(quiet).relocations(".text")
    lows = [number for number, row in enumerate(rows) if row[1] in (PCREL_LO12_I, PCREL_LO12_S)]
    highs = [number for number, row in enumerate(rows) if row[1] == PCREL_HI20]
    if lows and highs:
        yield case("riscv/a high half of the code is of another type", quiet, relocation(".text", highs[0], type=RELAX))
        yield case("riscv/a high half of the code is elsewhere", quiet, relocation(".text", highs[0], offset=2))
        yield case("riscv/a low half of the code has an addend", quiet, relocation(".text", lows[0], addend=16))


def _sums(quiet: bytes) -> Iterator[Case]:
    """Of one place: what fits, and what does not."""
    pairs = (
        *((ADD8, SUB8), (ADD16, SUB16), (ADD32, SUB32), (ADD64, SUB64), (SET6, SUB6), (SET8, SUB8), (SET16, SUB16)),
        *((SET32, SUB32), (ADD16, SUB8), (ADD32, SUB8), (ADD64, SUB8), (ADD64, SUB16), (ADD64, SUB32), (ADD16, SUB6)),
        *((ADD64, SET6), (ADD64, SET8), (SET16, SET8), (SUB64, SUB32), (SUB64, ADD8), (SET_ULEB128, SUB_ULEB128)),
        *((SUB8, ADD8), (SUB32, ADD16), (ADD32, ADD64), (SUB32, ADD64)),
    )
    for first, second in pairs:
        for value, less in ((0x1234, 0x34), (0x123456789, 1), (5, 5), (0x3F, 0), (0x40, 0), (0xFFFF, 0x7F)):
            damages = (new_relocation(".room", 0, first, 0, value), new_relocation(".room", 0, second, 0, less))
            yield case(f"riscv/types {first} and {second} of {value:#x} and {less:#x}", quiet, *_room(*damages))
    of_kernel = (new_relocation(".room", 0, ADD32, "kfree"), new_relocation(".room", 0, SUB32, "kfree", -5))
    yield case("riscv/a difference of functions of the kernel", quiet, *_room(*of_kernel))


def _alternatives(quiet: bytes) -> Iterator[Case]:
    """Entries that lead from code to code, with extensions that are there, and that are not."""
    if any(Draft(quiet).name_of(item) == ".alternative" for item in Draft(quiet).sections):
        return
    for extension in (0, 1, 127, 128, 129, 0x7FFF, 0x8000, 0xFFFF):
        for vendor in (0, 0x489, 0xFFFF):
            contents = bytes(8) + struct.pack("<HHI", vendor, 0, extension)
            damages = (
                section(".alternative", contents, sh_flags=2, sh_addralign=8),
                _label("code", ".text"),
                _label("table", ".alternative"),
                *(
                    new_relocation(".alternative", at, kind, symbol, addend)
                    for at in (0, 4)
                    for kind, symbol, addend in ((ADD32, "code", 8), (SUB32, "table", at))
                ),
            )
            yield case(f"riscv/an alternative for extension {extension} of vendor {vendor:#x}", quiet, *damages)
    yield case("riscv/an empty table of alternatives", quiet, section(".alternative", b"", sh_flags=2))
