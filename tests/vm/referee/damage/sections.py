# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the section headers, and with the sections that the loader looks up by name."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import SHT_NOBITS, SHT_NULL, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB
from tests.vm.referee.cases import THIS_MODULE, Bases, Case
from tests.vm.referee.damage.ways import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    again,
    case,
    contents,
    data,
    info,
    rename,
    resized,
    section,
    shdr,
    version,
)
from tests.vm.referee.draft import Draft

HUGE = (1 << 64) - 1


def cases(bases: Bases) -> Iterator[Case]:
    """All of them."""
    yield from _null_section(bases.quiet)
    # (that has sections of all kinds that are not kept)
    yield case("sections/section 0 is kept, beside variables per CPU", bases.still, shdr(0, sh_flags=SHF_ALLOC))
    yield from _extents(bases)
    yield from _names(bases)
    yield from _symbol_table(bases.quiet)
    yield from _this_module(bases.quiet)
    yield from _modinfo(bases.quiet)
    yield from _permissions(bases)


def _null_section(quiet: bytes) -> Iterator[Case]:
    for field, value in {
        "sh_type": 1,
        "sh_size": 1,
        "sh_addr": 1,
        "sh_name": 7,
        "sh_flags": 6,
        "sh_link": 3,
        "sh_info": 3,
        "sh_offset": HUGE,
    }.items():
        yield case(f"sections/section 0 has {field}", quiet, shdr(0, **{field: value}))
    yield case("sections/section 0 is of an unknown type", quiet, shdr(0, sh_type=0xFFFFFFFF))


def _extents(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    length = len(quiet)
    versions = ("__versions",) if bases.has_versions else ()
    table = Draft(quiet).table_of(".text")
    for name in (".text", ".modinfo", table, *versions, ".comment", ".symtab", ".strtab", THIS_MODULE):
        yield case(f"sections/{name} begins beyond the end", quiet, shdr(name, sh_offset=length + 1))
        yield case(f"sections/{name} is longer than the file", quiet, shdr(name, sh_size=length + 1))
        yield case(f"sections/{name} wraps around", quiet, shdr(name, sh_size=HUGE))
    headers = Draft(quiet).ehdr("e_shoff")
    yield case("sections/.modinfo is in the section headers", quiet, shdr(".modinfo", sh_offset=headers + 64))
    yield case("sections/.comment is in the section headers", quiet, shdr(".comment", sh_offset=headers + 64))
    yield case("sections/.comment is empty at the end", quiet, shdr(".comment", sh_offset=length, sh_size=0))
    yield case("sections/.comment is empty beyond it", quiet, shdr(".comment", sh_offset=length + 1, sh_size=0))
    yield case("sections/.comment of no type", quiet, shdr(".comment", sh_offset=HUGE, sh_type=SHT_NULL))
    yield case("sections/.comment of no bits", quiet, shdr(".comment", sh_offset=HUGE, sh_type=SHT_NOBITS))
    yield case("sections/.comment of an unknown type", quiet, shdr(".comment", sh_type=0x70000001))
    yield case("sections/.bss with an offset beyond the end", quiet, shdr(".bss", sh_offset=HUGE))


def _names(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    draft = Draft(quiet)
    room = draft.section(".shstrtab").sh_size
    for name in (".text", ".comment", ".bss"):
        for offset in (room, room + 1, 0xFFFFFFFF):
            yield case(f"sections/the name of {name} at {offset:#x}", quiet, shdr(name, sh_name=offset))
    # (type information is looked for among all sections, before symbols are)
    far = shdr(".comment", sh_name=1 << 28)
    if bases.has_versions:
        yield case("sections/a name far away, and a refusal later", quiet, far, version("kfree", 1))
    names = ".shstrtab"
    yield case("sections/section names begin beyond the end", quiet, shdr(names, sh_offset=len(quiet) + 1))
    yield case("sections/section names wrap around", quiet, shdr(names, sh_size=HUGE))
    yield case("sections/section names are empty", quiet, shdr(names, sh_size=0))
    yield case("sections/section names end in a letter", quiet, data(names, -1, b"x"))
    yield case("sections/section names are too short", quiet, shdr(names, sh_size=1))
    for type_ in (SHT_NULL, SHT_PROGBITS, SHT_NOBITS, 0xFFFFFFFF):
        yield case(f"sections/section names of type {type_}", quiet, shdr(names, sh_type=type_))


def _symbol_table(quiet: bytes) -> Iterator[Case]:
    yield case("symbol names/empty", quiet, shdr(".strtab", sh_size=0))
    yield case("symbol names/begin with a letter", quiet, data(".strtab", 0, b"x"))
    yield case("symbol names/end with a letter", quiet, data(".strtab", -1, b"x"))
    count = Draft(quiet).ehdr("e_shnum")
    for link in (0, count, 0xFFFFFFFF):
        yield case(f"sections/the symbol table's strings in section {link}", quiet, shdr(".symtab", sh_link=link))
    yield case("sections/the symbol table is none", quiet, shdr(".symtab", sh_type=SHT_PROGBITS))
    yield case("sections/the symbol table is NOBITS", quiet, shdr(".symtab", sh_type=SHT_NOBITS))
    yield case("sections/two symbol tables", quiet, again(".symtab"))
    yield case("sections/a symbol table comes first", quiet, again(".symtab"), shdr(1, sh_type=SHT_SYMTAB, sh_link=3))
    yield case("sections/strings of another type", quiet, shdr(".strtab", sh_type=SHT_PROGBITS))
    yield case("sections/symbols without a name table", quiet, shdr(".strtab", sh_type=SHT_NULL))
    yield case("sections/another table of strings", quiet, section(".more", b"\0", sh_type=SHT_STRTAB))
    yield case("sections/symbol table is empty", quiet, shdr(".symtab", sh_size=0))
    yield case("sections/symbol table is kept", quiet, shdr(".symtab", sh_flags=SHF_ALLOC))
    yield case("sections/half a symbol", quiet, resized(".symtab", -12))
    yield case("sections/symbols aligned to 3", quiet, shdr(".symtab", sh_addralign=3))


def _this_module(quiet: bytes) -> Iterator[Case]:
    name = THIS_MODULE
    yield case("this_module/missing", quiet, rename(name, ".gnu.linkonce.that_module"))
    yield case("this_module/twice", quiet, again(name))
    yield case("this_module/twice, one not allocated", quiet, again(name, sh_flags=0))
    yield case("this_module/NOBITS", quiet, shdr(name, sh_type=SHT_NOBITS))
    yield case("this_module/not allocated", quiet, shdr(name, sh_flags=SHF_WRITE))
    for change in (-64, -8, 1, 8, 64):
        yield case(f"this_module/size {change:+}", quiet, resized(name, change))
    yield case("this_module/size -64, and another vermagic", quiet, resized(name, -64), info("vermagic", "6.0 SMP "))
    yield case("this_module/empty", quiet, shdr(name, sh_size=0))
    yield case("this_module/read-only", quiet, shdr(name, sh_flags=SHF_ALLOC))
    yield case("this_module/missing, and no name", quiet, rename(name, ".x"), contents(".modinfo", b"license=GPL\0"))
    yield case("this_module/missing, and no modinfo", quiet, rename(name, ".x"), rename(".modinfo", ".y"))


def _modinfo(quiet: bytes) -> Iterator[Case]:
    yield case("modinfo section/missing", quiet, rename(".modinfo", ".mod_info"))
    yield case("modinfo section/twice", quiet, again(".modinfo"))
    yield case("modinfo section/twice, the second is not allocated", quiet, again(".modinfo", sh_flags=0))
    yield case("modinfo section/not allocated", quiet, shdr(".modinfo", sh_flags=0))
    yield case("modinfo section/empty", quiet, shdr(".modinfo", sh_size=0))
    yield case("modinfo section/NOBITS", quiet, shdr(".modinfo", sh_type=SHT_NOBITS))
    yield case("modinfo section/writable", quiet, shdr(".modinfo", sh_flags=SHF_ALLOC | SHF_WRITE))


def _permissions(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    versions = ("__versions",) if bases.has_versions else ()
    everything = SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR
    for name in (".text", ".data", *versions, ".modinfo", ".bss", THIS_MODULE):
        yield case(f"permissions/{name} is writable and executable", quiet, shdr(name, sh_flags=everything))
    yield case("permissions/.comment is, and not allocated", quiet, shdr(".comment", sh_flags=everything & ~SHF_ALLOC))
    yield case("permissions/section 0 is", quiet, shdr(0, sh_flags=everything))
    yield case("permissions/.text is not executable", quiet, shdr(".text", sh_flags=SHF_ALLOC))
    yield case("permissions/.text is not allocated", quiet, shdr(".text", sh_flags=0))
    yield case("permissions/.text is executable, and not allocated", quiet, shdr(".text", sh_flags=SHF_EXECINSTR))
    yield case("permissions/.data is not writable", quiet, shdr(".data", sh_flags=SHF_ALLOC))
    yield case("permissions/.data is not allocated", quiet, shdr(".data", sh_flags=0))
    yield case("permissions/.comment is allocated", quiet, shdr(".comment", sh_flags=SHF_ALLOC))
