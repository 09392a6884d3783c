# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with what others in the kernel are told of (prepare_coming_module, and who listens)."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import SHT_NOBITS
from tests.vm.referee.cases import THIS_MODULE, Bases, Case
from tests.vm.referee.damage.relocate import ABS64
from tests.vm.referee.damage.ways import (
    SHF_ALLOC,
    SHF_WRITE,
    Damage,
    case,
    leads,
    new_relocation,
    relocation,
    section,
    shdr,
)
from tests.vm.referee.draft import Draft

SHF_RO_AFTER_INIT = 0x00200000
DATA = SHF_ALLOC | SHF_WRITE
ELSEWHERE = {
    "in read-only memory": section(".sealed", bytes(512), sh_flags=SHF_ALLOC, sh_addralign=16),
    "in memory of init": section(".init.more", bytes(512), sh_flags=DATA, sh_addralign=16),
    "read-only after init": section(".settled", bytes(512), sh_flags=DATA | SHF_RO_AFTER_INIT, sh_addralign=16),
    "not kept": section(".dropped", bytes(512), sh_addralign=16),
    "at the end of its section": section(".short", bytes(8), sh_flags=DATA, sh_addralign=16),
}
"""Sections to be the last."""
JUMP_LABELS, STATIC_CALLS, SRCU, FORMATS, CLASSES = (
    "__jump_table", ".static_call_sites", "___srcu_struct_ptrs", "__trace_printk_fmt", "__dyndbg_classes",
)  # fmt: skip
MCOUNT = "__mcount_loc"
CLASS_SIZE, CLASS_MODULE = 56, 24


def cases(bases: Bases) -> Iterator[Case]:
    """All of them."""
    yield from _pointers("jump labels/a key", bases.still, JUMP_LABELS, 8, 2)
    yield from _pointers("static calls/a key", bases.still, STATIC_CALLS, 4, 1)
    yield from _pointers("srcu/a struct", bases.still, SRCU, 0, 0)
    for table in (JUMP_LABELS, STATIC_CALLS, SRCU):
        yield case(f"coming/{table} is read-only", bases.still, shdr(table, sh_flags=SHF_ALLOC))
    zeros = section(".zeros", bytes(512), sh_flags=DATA, sh_addralign=16)
    yield case("srcu/a struct of zeros", bases.still, zeros, leads(SRCU, 0, ".zeros"))
    yield from _formats(bases.quiet)
    yield from _classes(bases.still)
    percpu = shdr(".data..percpu", sh_type=SHT_NOBITS, sh_offset=1 << 40)
    yield case("coming/per-CPU variables beyond the end of the file", bases.still, percpu)


def function_listed_twice(still: bytes) -> Case:
    """A function that can be traced, twice. (The first bug is the last thing that ftrace says in a boot.)"""
    first = Draft(still).relocations(MCOUNT)[0]
    return case("functions/one is listed twice", still, relocation(MCOUNT, 1, symbol=first[2], addend=first[3]))


def _pointers(what: str, still: bytes, table: str, offset: int, flags: int) -> Iterator[Case]:
    """The pointer at `offset` of `table` leads elsewhere; `flags` are in its lower bits."""
    for where, more in ELSEWHERE.items():
        yield case(f"{what} {where}", still, more, leads(table, offset, -1, flags))
    for name in (THIS_MODULE, ".data..percpu"):
        yield case(f"{what} in {name}", still, leads(table, offset, name, flags))
    for address in (0, 0x1000):
        yield case(f"{what} at {address:#x}", still, leads(table, offset, None, address + flags))
        yield case(f"{what} that nobody has, and {address:#x}", still, leads(table, offset, 0, address + flags))


def _formats(quiet: bytes) -> Iterator[Case]:
    table = section(FORMATS, bytes(16), sh_flags=DATA, sh_addralign=8)
    text = section(".format", b"%d times\0", sh_flags=SHF_ALLOC)
    format_ = (text, new_relocation(FORMATS, 8, ABS64, "quiet_gpl"), leads(FORMATS, 8, ".format"))
    # (the first is NULL: what the compiler leaves of a format that it does not know)
    yield case("trace_printk/formats", quiet, table, *format_)
    read_only = shdr(FORMATS, sh_flags=SHF_ALLOC)
    yield case("trace_printk/formats, read-only", quiet, table, *format_, read_only)
    yield case("trace_printk/formats, read-only and not known", quiet, table, read_only)


def _classes(still: bytes) -> Iterator[Case]:
    table = section(CLASSES, bytes(CLASS_SIZE), sh_flags=DATA, sh_addralign=8)
    yield case("dyndbg/a class of no module", still, table)
    for name in (b"rich", b"poor"):
        text = section(".name", name + b"\0", sh_flags=SHF_ALLOC)
        own: tuple[Damage, ...] = (
            text,
            table,
            new_relocation(CLASSES, CLASS_MODULE, ABS64, "rich_plain"),
            leads(CLASSES, CLASS_MODULE, ".name"),
        )
        yield case(f"dyndbg/a class of {name.decode()}", still, *own)
        yield case(f"dyndbg/a read-only class of {name.decode()}", still, *own, shdr(CLASSES, sh_flags=SHF_ALLOC))
