# SPDX-License-Identifier: GPL-2.0-only
"""Finds the numbers of the sections that the loader needs: `.modinfo`, `__this_module`, symbols, strings, versions.

Counterparts: kernel/module/main.c of 6.1 (setup_load_info); from 6.4 on elf_validity_cache_copy(), later divided into
elf_validity_cache_index() and the functions that it calls.
"""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.elf.constants import SHF_ALLOC, SHN_UNDEF, SHT_NOBITS, SHT_NULL, SHT_STRTAB, SHT_SYMTAB
from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import DAMAGED
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.module_file import THIS_MODULE
from kbuildpy.loader.printk import signed
from kbuildpy.loader.stages.modinfo import get_modinfo, other_headers, rebuild
from kbuildpy.loader.verdict import Undefined

_NO_MODPOST = f"it has no section {THIS_MODULE}: it did not go through modpost"
_NO_OBJECT = "give the module (.ko), not an object file"
_ONE_MOD_O = "link it again: a module has one .mod.o only"


def setup_load_info(info: LoadInfo) -> None:
    """Set `index` and `name` as 6.1 does: it takes the first symbol table, and does not count `__this_module` sections.

    Raises `Refusal`."""
    info.index.info = info.find_sec(".modinfo")
    if info.index.info:
        info.name = get_modinfo(info, "name")
    number = next(
        (number for number, section in enumerate(info.sechdrs) if number and section.sh_type == SHT_SYMTAB), 0
    )
    if number == 0:
        raise _no_symbols(info)
    info.index.sym, info.index.str = number, info.sechdrs[number].sh_link
    info.index.mod = info.find_sec(THIS_MODULE)
    if not info.index.mod:
        raise info.refuse(
            "ENOEXEC",
            f"{info.shown_name}: No module found in object",
            _NO_MODPOST,
            _NO_OBJECT,
        )


def cache_index_whole(info: LoadInfo) -> None:
    """Set `index` and `name` as 6.4 does until elf_validity_cache_copy() was divided: `.modinfo` and `__this_module`
    sections of type SHT_NOBITS are ignored, and symbols are checked before `__this_module`. Raises `Refusal`."""
    _cache_index_info(info, _with_contents(info, ".modinfo"))
    _cache_index_sym(info)
    info.index.str = info.sechdrs[info.index.sym].sh_link
    _cache_index_mod(info, _with_contents(info, THIS_MODULE), "Only")


def cache_index(info: LoadInfo) -> None:
    info.stage = "elf_validity_cache_index_info"
    _cache_index_info(info, info.numbers_of(".modinfo"))
    info.stage = "elf_validity_cache_index_mod"
    _cache_index_mod(info, info.numbers_of(THIS_MODULE), "Exactly")
    info.stage = "elf_validity_cache_index_sym"
    _cache_index_sym(info)
    info.stage = "elf_validity_cache_index_str"
    link = info.sechdrs[info.index.sym].sh_link
    check_link(info, link)
    kind = info.sechdrs[link].sh_type
    if kind != SHT_STRTAB and has_change(info.kernel.version, since.TABLE_TYPES):
        line = f"Invalid ELF symbol string table type: {kind}"
        raise info.refuse(
            "ENOEXEC", line, "the section with the names of its symbols is not of type SHT_STRTAB", DAMAGED
        )
    info.index.str = link
    if info.kernel.version >= since.EXTENDED_VERSIONS:
        info.stage = "elf_validity_cache_index_versions"
        _cache_index_versions(info)
    if info.kernel.version >= since.STRTAB_CHECKED:
        info.stage = "elf_validity_cache_strtab"
        _cache_strtab(info)


def cache_module(info: LoadInfo) -> None:
    """Set `mod_name` from the struct module in the file (`info->mod`), and the numbers of the optional sections.

    Raises `Undefined` for a struct module without contents, or with a name that is not terminated.
    """
    section = info.sechdrs[info.index.mod]
    known = info.kernel.struct_module
    word = info.machine.word
    # (behind the state and a list head; MODULE_NAME_LEN)
    at, length = known.name if known else (3 * word, 64 - word)
    if section.sh_type == SHT_NOBITS:
        raise Undefined(
            info.stage, f"section {THIS_MODULE} has no contents, and the kernel reads it all the same", DAMAGED
        )
    name = info.string_at(section.sh_offset + at)
    if len(name.encode("utf-8", "surrogateescape")) >= length:
        raise Undefined(info.stage, "the name in its struct module is not terminated", DAMAGED)
    info.mod_name = name
    if info.name is None:
        info.name = name
    info.index.vers = info.find_sec("__versions")
    info.index.pcpu = info.find_sec(".data..percpu")


def check_struct_size(info: LoadInfo) -> None:
    """Raise `Undefined` if `__this_module` is smaller than the kernel's struct module: up to 6.3 the kernel does not
    check its size, and writes to members behind its end."""
    known, section = info.kernel.struct_module, info.sechdrs[info.index.mod]
    if known and section.sh_size < known.size:
        raise Undefined(
            info.stage,
            f"{other_headers(info)}: its struct module has {section.sh_size} bytes, the kernel's {known.size}, so that "
            "the kernel writes behind its end",
            rebuild(info),
        )


def check_link(info: LoadInfo, link: int) -> None:
    if link == SHN_UNDEF or link >= info.hdr.e_shnum:
        line = (
            f"Invalid ELF sh_link!=SHN_UNDEF({signed(link)}) or (sh_link({signed(link)}) >= hdr->e_shnum"
            f"({info.hdr.e_shnum})"
        )
        raise info.refuse("ENOEXEC", line, "the section with the names of its symbols does not exist", DAMAGED)


def _no_symbols(info: LoadInfo) -> Exception:
    return info.refuse(
        "ENOEXEC",
        f"{info.shown_name}: module has no symbols (stripped?)",
        "it has no symbol table, or more than one",
        "strip modules with --strip-debug only",
    )


def _with_contents(info: LoadInfo, name: str) -> list[int]:
    return [number for number in info.numbers_of(name) if info.sechdrs[number].sh_type not in (SHT_NULL, SHT_NOBITS)]


def _cache_index_info(info: LoadInfo, found: Sequence[int]) -> None:
    if len(found) > 1:
        raise info.refuse(
            "ENOEXEC", "Only one .modinfo section must exist.", "it has several sections .modinfo", DAMAGED
        )
    if found:
        info.index.info = found[0]
        info.name = get_modinfo(info, "name")


def _cache_index_sym(info: LoadInfo) -> None:
    tables = [number for number, section in enumerate(info.sechdrs) if number and section.sh_type == SHT_SYMTAB]
    if len(tables) != 1:
        raise _no_symbols(info)
    info.index.sym = tables[0]


def _cache_index_mod(info: LoadInfo, found: Sequence[int], how_many: str) -> None:
    if len(found) != 1:
        line = f"module {info.shown_name}: {how_many} one {THIS_MODULE} section must exist."
        if found:
            raise info.refuse("ENOEXEC", line, f"it has {len(found)} sections {THIS_MODULE}", _ONE_MOD_O)
        raise info.refuse("ENOEXEC", line, _NO_MODPOST, _NO_OBJECT)
    section = info.sechdrs[found[0]]
    if section.sh_type == SHT_NOBITS:
        line = f"module {info.shown_name}: {THIS_MODULE} section must have a size set"
        raise info.refuse("ENOEXEC", line, f"section {THIS_MODULE} has no contents", DAMAGED)
    if not section.sh_flags & SHF_ALLOC:
        line = f"module {info.shown_name}: {THIS_MODULE} must occupy memory during process execution"
        raise info.refuse(
            "ENOEXEC", line, f"section {THIS_MODULE} has no flag SHF_ALLOC, so it is not kept in memory", DAMAGED
        )
    known = info.kernel.struct_module
    if known is None:
        info.not_checked("the size of struct module", Fact.STRUCT_MODULE)
    elif section.sh_size != known.size:
        line = (
            f"module {info.shown_name}: {THIS_MODULE} section size must match the kernel's built struct module size "
            "at run time"
        )
        reason = f"{other_headers(info)}: its struct module has {section.sh_size} bytes, the kernel's {known.size}"
        raise info.refuse("ENOEXEC", line, reason, rebuild(info))
    info.index.mod = found[0]


def _cache_index_versions(info: LoadInfo) -> None:
    crcs, names = info.find_sec("__version_ext_crcs"), info.find_sec("__version_ext_names")
    if bool(crcs) != bool(names):
        line = "extended version crc+name presence does not match"
        raise info.refuse("ENOEXEC", line, "it has CRCs of symbols without their names, or names without CRCs", DAMAGED)
    if crcs:
        count = info.sechdrs[crcs].sh_size // 4
        section = info.sechdrs[names]
        table = info.contents[section.sh_offset : section.sh_offset + section.sh_size]
        if table.count(b"\0") < count:
            line = "more extended version crcs than names"
            raise info.refuse("ENOEXEC", line, "it has more CRCs of symbols than names for them", DAMAGED)
    info.index.vers_ext_crc, info.index.vers_ext_name = crcs, names


def _cache_strtab(info: LoadInfo) -> None:
    table = info.sechdrs[info.index.str]
    # Up to 7.1 the section may have a type whose offset the kernel does not check (SHT_NOBITS).
    info.data_in_file(info.index.str)
    if table.sh_size == 0:
        raise info.refuse(
            "ENOEXEC", "empty symbol string table", "the section with the names of its symbols is empty", DAMAGED
        )
    if info.contents[table.sh_offset] != 0:
        line = "symbol string table missing leading NUL"
        raise info.refuse(
            "ENOEXEC", line, "the section with the names of its symbols does not begin with a zero", DAMAGED
        )
    if info.contents[table.sh_offset + table.sh_size - 1] != 0:
        line = "symbol string table isn't NUL terminated"
        raise info.refuse(
            "ENOEXEC", line, "the section with the names of its symbols does not end with a zero", DAMAGED
        )
    if any(st_name >= table.sh_size for st_name, *_ in info.symbols):
        line = "symbol name out of bounds in string table"
        raise info.refuse("ENOEXEC", line, "the name of a symbol is outside of the section with their names", DAMAGED)
