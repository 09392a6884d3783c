# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the tables of places in the module that x86-64's kernel patches or follows (arch/x86/kernel/
alternative.c, unwind_orc.c, static_call.c), and with other tables whose entries it does not check."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import SHT_RELA
from tests.vm.referee.cases import THIS_MODULE, Bases, Case
from tests.vm.referee.damage.relocate import ABS32S
from tests.vm.referee.damage.ways import (
    case,
    data,
    info,
    leads,
    relocation,
    resized,
    section,
    shdr,
    struct_name,
    unrelocated,
)
from tests.vm.referee.draft import Draft

RETURNS, RETPOLINES, ALTERNATIVES, PARAVIRT = (
    ".return_sites",
    ".retpoline_sites",
    ".altinstructions",
    ".parainstructions",
)
CALLS, JUMPS, TRACED, EXPORTS = ".static_call_sites", "__jump_table", "__mcount_loc", "__ksymtab"
FAR = 1 << 24
IMPORTED = "insert_resource_expand_to_fit"
"""A function of the kernel that `rich` uses."""


def cases(bases: Bases) -> Iterator[Case]:
    """All of them; of a table that the modules of a kernel do not have, none."""
    still = bases.still
    for table in (RETURNS, JUMPS, CALLS):
        if bases.rich_has(table):
            yield case(f"tables/the first relocation of {table} is taken out", still, unrelocated(table, 0))
    for table, second in ((JUMPS, 8), (CALLS, 4), (ALTERNATIVES, 4)):
        if bases.rich_has(table):
            words = f"tables/the relocation of the pointer at {second} of {table} is taken out"
            yield case(words, still, unrelocated(table, second))
    if bases.rich_has(RETURNS):
        yield from _returns(still)
    if bases.rich_has(RETPOLINES):
        yield from _retpolines(still)
    if bases.rich_has(ALTERNATIVES):
        yield from _alternatives(bases)
    if bases.rich_has(PARAVIRT):
        yield case(f"tables/the length of an entry of {PARAVIRT} is 1", still, data(PARAVIRT, 9, b"\1"))
    if bases.rich_has(CALLS):
        yield from _static_calls(still)
    if bases.rich_has(".orc_unwind"):
        yield case("tables/.orc_unwind is an entry shorter than .orc_unwind_ip", still, resized(".orc_unwind", -6))
    if bases.rich_has(TRACED):
        away = relocation(TRACED, 0, addend=FAR)
        yield case(f"tables/an entry of {TRACED} leads out of its section", still, away)
    if bases.rich_has(JUMPS):
        yield case(f"tables/the key of an entry of {JUMPS} is far away", still, leads(JUMPS, 8, ".data", FAR))
    yield from _exports(bases.quiet)
    yield from _file(bases.quiet)


def _returns(still: bytes) -> Iterator[Case]:
    yield case(f"tables/{RETURNS} is a byte longer than its entries", still, resized(RETURNS, 1))
    yield case(f"tables/an entry of {RETURNS} leads out of its section", still, relocation(RETURNS, 0, addend=FAR))


def _retpolines(still: bytes) -> Iterator[Case]:
    addend = Draft(still).relocations(RETPOLINES)[0][3]
    yield case(
        f"tables/an entry of {RETPOLINES} leads into the middle of an instruction",
        still,
        relocation(RETPOLINES, 0, addend=addend + 1),
    )


def _alternatives(bases: Bases) -> Iterator[Case]:
    """Fields of the first entry: two distances, the feature, from 6.3 on flags, two lengths."""
    still, flagged = bases.still, bases.version >= (6, 3)
    lengths = 12 if flagged else 10
    yield case(f"tables/the feature in {ALTERNATIVES} is 32767", still, data(ALTERNATIVES, 8, b"\xff\x7f"))
    yield case(
        f"tables/the code of an entry of {ALTERNATIVES} has 255 bytes", still, data(ALTERNATIVES, lengths, b"\xff")
    )
    longer = data(ALTERNATIVES, lengths, b"\1\2")
    yield case(f"tables/an entry of {ALTERNATIVES} replaces 1 byte by 2", still, longer)
    if flagged:
        call = data(ALTERNATIVES, 10, b"\2\0")
        yield case(f"tables/an entry of {ALTERNATIVES} is marked as one of a call", still, call)


def _static_calls(still: bytes) -> Iterator[Case]:
    rows = Draft(still).relocations(CALLS)
    place = next(index for index, row in enumerate(rows) if row[0] == 0)
    key = next(index for index, row in enumerate(rows) if row[0] == 4)
    beside = relocation(CALLS, place, addend=rows[place][3] + 1)
    yield case(f"tables/an entry of {CALLS} leads into the middle of an instruction", still, beside)
    function = relocation(CALLS, key, symbol=Draft(still).symbol(IMPORTED), addend=0)
    yield case(f"tables/the key of an entry of {CALLS} is {IMPORTED}", still, function)
    yield case(f"tables/the key of an entry of {CALLS} is code of the module", still, leads(CALLS, 4, ".text"))


def _exports(quiet: bytes) -> Iterator[Case]:
    yield case(f"tables/a relocation of {EXPORTS} is of type 11", quiet, relocation(EXPORTS, 0, type=ABS32S))
    names = next(index for index, row in enumerate(Draft(quiet).relocations(EXPORTS)) if row[0] == 4)
    yield case(f"tables/the name of an entry of {EXPORTS} is far away", quiet, relocation(EXPORTS, names, addend=FAR))
    nowhere = (unrelocated(EXPORTS, 4), data(EXPORTS, 4, b"\1\0\0\0"))
    yield case(f"tables/the name of an entry of {EXPORTS} is a number without a relocation", quiet, *nowhere)


def _file(quiet: bytes) -> Iterator[Case]:
    """What the kernel reads in the file itself."""
    draft = Draft(quiet)
    yield case("this_module/the name has no end", quiet, struct_name(b"n" * 56))
    inside = shdr(".data", sh_offset=draft.section(THIS_MODULE).sh_offset)
    yield case("this_module/overlaps with .data", quiet, inside)
    within = (info("import_ns", "X"), resized(".modinfo", -len("ns=X") - 1))
    yield case("modinfo/ends within a tag", quiet, *within)
    yield case("relocations/of the symbols", quiet, shdr(".rela.text", sh_info=draft.number(".symtab")))
    yield case("relocations/overlap", quiet, _overlapping)


def _overlapping(draft: Draft) -> None:
    """Three headers of relocations that mean the same zeros, of a size that is larger than the rest of the file."""
    size = 24 * 4096
    section(".zeros", bytes(size))(draft)
    text = draft.number(".text")
    for number in range(3):
        section(f".rela.more{number}", bytes(24), sh_type=SHT_RELA, sh_info=text)(draft)
    zeros = draft.section(".zeros")
    for number in range(3):
        header = draft.section(f".rela.more{number}")
        header.sh_offset, header.sh_size = zeros.sh_offset, size
