# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with relocations (apply_relocations, arch/x86/kernel/module.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kbuildpy.elf.constants import SHT_PROGBITS, SHT_REL
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import Damage, case, data, new_relocation, relocation, section, shdr
from tests.vm.referee.draft import Draft

NONE, ABS64, PC32, GOT32, PLT32, ABS32, ABS32S, ABS16, PC64 = 0, 1, 2, 3, 4, 10, 11, 12, 24
SHF_RELA_LIVEPATCH = 0x00100000
ROOM = 0x80


def cases(bases: Bases) -> Iterator[Case]:
    """All of them; what they damage is data of the module's own, which nobody reads."""
    yield from _types(bases.quiet)
    yield from _values(bases.quiet)
    yield from _places(bases.quiet)
    yield from _struct_module(bases.rich)
    yield from _sections(bases.quiet)


def _room(*more: Damage, fill: bytes = bytes(ROOM)) -> tuple[Damage, ...]:
    """Data to be relocated, and `more` to do."""
    return (section(".room", fill, sh_flags=3, sh_addralign=16), *more)


def _types(quiet: bytes) -> Iterator[Case]:
    for type_ in (5, 6, 7, 8, GOT32, 9, ABS16, 13, 14, 15, 25, 26, 37, 38, 41, 42, 99, 0xFFFFFFFF):
        yield case(f"relocations/type {type_}", quiet, *_room(new_relocation(".room", 0, type_, "kfree")))
    for type_ in (NONE, ABS64, PC32, PLT32, ABS32S, PC64):
        yield case(
            f"relocations/type {type_}, which is known", quiet, *_room(new_relocation(".room", 0, type_, "kfree"))
        )
    yield case("relocations/an unknown type in the code", quiet, relocation(".text", 0, type=77))
    yield case("relocations/of no type, with a symbol that is none", quiet, *_room(new_relocation(".room", 0, NONE, 0)))


def _values(quiet: bytes) -> Iterator[Case]:
    for type_ in (ABS32, ABS32S):
        for value in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, -1, -0x80000000, -0x80000001):
            # symbol 0 is 0: the value is known
            damage = new_relocation(".room", 8, type_, 0, value)
            yield case(f"relocations/type {type_} of {value:#x}", quiet, *_room(damage))
    yield case("relocations/the kernel's address in 32 bits", quiet, *_room(new_relocation(".room", 8, ABS32, "kfree")))
    far = new_relocation(".room", 8, PC32, 0, 1 << 40)
    # (the 32 bits that are kept are the same)
    further = Draft(quiet).relocations(".text")[0][3] + (1 << 40)
    yield case("relocations/a call 2^40 further", quiet, relocation(".text", 0, addend=further))
    yield case("relocations/too far for 32 bits", quiet, *_room(far))


def _places(quiet: bytes) -> Iterator[Case]:
    for type_ in (ABS64, PC32, PLT32, ABS32S, PC64, NONE):
        used = _room(new_relocation(".room", 0, type_, 0, 5), fill=b"\1" * ROOM)
        yield case(f"relocations/type {type_} of a place that is used", quiet, *used)
        upper = _room(new_relocation(".room", 0, type_, 0, 5), fill=b"\0\0\0\0\1\1\1\1" * (ROOM // 8))
        yield case(f"relocations/type {type_} of a place whose upper half is used", quiet, *upper)
    used = _room(new_relocation(".room", 0, ABS32, 0, 5), fill=b"\1" * ROOM)
    yield case("relocations/type 10 of a place that is used", quiet, *used)
    twice = (new_relocation(".room", 0, ABS64, 0, 5), new_relocation(".room", 0, ABS64, 0, 5))
    yield case("relocations/a place twice", quiet, *_room(*twice))
    nothing = (new_relocation(".room", 0, ABS64, 0, 0), new_relocation(".room", 0, ABS64, 0, 0))
    yield case("relocations/a place twice with nothing", quiet, *_room(*nothing))
    yield case("relocations/code that is not empty", quiet, data(".text", 0, b"\xcc" * 64))


def _struct_module(rich: bytes) -> Iterator[Case]:
    """Of headers with another configuration, where struct module is as large, and its members are elsewhere."""
    name = ".gnu.linkonce.this_module"
    size = Draft(rich).section(name).sh_size
    for place in range(0, size - 7, 8):
        yield case(f"relocations/init is at {place:#x} of struct module", rich, relocation(name, 0, offset=place))
    first, second = (row[0] for row in Draft(rich).relocations(name)[:2])
    for change in range(-32, 40, 8):
        moved = (relocation(name, 0, offset=first + change), relocation(name, 1, offset=second + change))
        yield case(f"relocations/init and exit are {change} bytes further", rich, *moved)


def _sections(quiet: bytes) -> Iterator[Case]:
    count = Draft(quiet).ehdr("e_shnum")
    text = ".rela.text"
    yield case("relocations/REL", quiet, shdr(text, sh_type=SHT_REL))
    yield case("relocations/REL of nothing", quiet, section(".rel.text", sh_type=SHT_REL, sh_info=1))
    yield case("relocations/REL of what is not kept", quiet, section(".rel.x", sh_type=SHT_REL, sh_info=0))
    for number in (0, count, 0xFFFFFFFF):
        yield case(f"relocations/of section {number}", quiet, shdr(text, sh_info=number))
    comment = Draft(quiet).number(".comment")
    yield case("relocations/of a section that is not kept", quiet, shdr(text, sh_info=comment))
    yield case("relocations/of another type of section", quiet, shdr(text, sh_type=SHT_PROGBITS))
    yield case("relocations/with another table of symbols", quiet, shdr(text, sh_link=comment))
    yield case("relocations/half an entry", quiet, section(".rela.room", bytes(23), sh_type=4, sh_info=1))
    yield case("relocations/of a livepatch", quiet, shdr(text, sh_flags=SHF_RELA_LIVEPATCH))
    klp = section(".klp.rela.vmlinux..text", sh_flags=SHF_RELA_LIVEPATCH, sh_type=4, sh_info=1)
    yield case("relocations/of a livepatch, well named", quiet, klp)
    odd = section(".klp.rela.", sh_flags=SHF_RELA_LIVEPATCH, sh_type=4, sh_info=1)
    yield case("relocations/of a livepatch, named oddly", quiet, odd)
    yield case("relocations/kept themselves", quiet, shdr(text, sh_flags=2))
    yield case("relocations/of a livepatch, a symbol is none of a livepatch", quiet, _of_livepatch("kfree"))
    yield case("relocations/of a livepatch, a symbol has another name", quiet, _of_livepatch(".klp.sym.odd"))
    yield case("relocations/of a livepatch, a symbol does not exist", quiet, _of_livepatch(""))


def _of_livepatch(name: str) -> Damage:
    """Add a relocation of a live patch by the symbol `name`, which is added as one of a live patch if it is called so;
    by no symbol if the name is empty."""

    def write(draft: Draft) -> None:
        if name.startswith(".klp"):
            draft.add_symbol(name, info=0x10, shndx=0xFF20)
        number = draft.symbol(name) if name else 0xFFFF
        entry = struct.pack("<QQq", 0, number << 32, 0)
        fields = {"sh_flags": SHF_RELA_LIVEPATCH, "sh_type": 4, "sh_info": 1}
        section(".klp.rela.vmlinux..text", entry, **fields)(draft)

    return write
