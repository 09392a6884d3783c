# SPDX-License-Identifier: GPL-2.0-only
"""Checks the ELF header, the section headers and their names as the kernel does.

Counterparts: kernel/module/main.c of 6.1 (elf_validity_check, setup_load_info); from 6.4 on elf_validity_cache_copy(),
first one function, later divided. The order of the checks depends on the version; for a file with several defects, so
does the defect that the kernel reports.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import (
    ELFCLASS32,
    ELFCLASS64,
    ELFMAG,
    ET_REL,
    SHF_ALLOC,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_NULL,
    SHT_STRTAB,
    SHT_SYMTAB,
)
from kbuildpy.elf.headers import EHDR_SIZE, SHDR_SIZE, Shdr, iter_shdrs, read_ehdr, read_shdrs
from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.hints import DAMAGED, FLAGS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import machine_of
from kbuildpy.loader.printk import signed
from kbuildpy.loader.stages.elf_index import (
    cache_index,
    cache_index_whole,
    cache_module,
    check_link,
    setup_load_info,
)
from kbuildpy.loader.verdict import Undefined


def elf_validity(info: LoadInfo) -> None:
    """Set `hdr`, `sechdrs`, `index`, `name` and `mod_name`. Raises `Refusal` (ENOEXEC) or `Undefined`."""
    _check_ehdr(info)
    if info.kernel.version < since.EARLY_MOD_CHECK:
        info.stage = "elf_validity_check"
        _sections_whole(info)
        info.stage = "setup_load_info"
        setup_load_info(info)
    elif not has_change(info.kernel.version, since.VALIDITY_SPLIT):
        info.stage = "elf_validity_cache_copy"
        _sections_whole(info)
        cache_index_whole(info)
    else:
        info.stage = "elf_validity_cache_sechdrs"
        _section_headers(info)
        _first_is_null(info)
        for number, section in _after_the_first(info):
            _check_bounds(info, number, section)
        info.sechdrs = read_shdrs(info.contents, info.hdr)
        info.stage = "elf_validity_cache_secstrings"
        _names(info)
        cache_index(info)
    cache_module(info)


def _check_ehdr(info: LoadInfo) -> None:
    info.stage = "elf_validity_ehdr"
    facts, of_machine = info.machine, machine_of(info)
    if info.len < EHDR_SIZE[facts.is_64bit]:
        raise info.refuse(
            "ENOEXEC", f"Invalid ELF header len {info.len}", "the file is shorter than an ELF header", DAMAGED
        )
    hdr = info.hdr = read_ehdr(info.contents, order=facts.order, is_64bit=facts.is_64bit)
    if hdr.e_ident[:4] != ELFMAG:
        line = f"Invalid ELF header magic: != {ELFMAG.decode('latin-1')}"
        raise info.refuse(
            "ENOEXEC",
            line,
            "this is no ELF file",
            "give a module (.ko), not compressed if the kernel does not unpack it",
        )
    if hdr.e_type != ET_REL:
        line = f"Invalid ELF header type: {hdr.e_type} != {ET_REL}"
        raise info.refuse(
            "ENOEXEC", line, "this is not a relocatable file", "give a module (.ko), not a program or a shared library"
        )
    wrong_class = facts.checks_class and hdr.e_ident[4] != (ELFCLASS64 if facts.is_64bit else ELFCLASS32)
    is_known = hdr.e_machine == facts.e_machine or hdr.e_machine in facts.other_numbers
    if not is_known or wrong_class or (of_machine.elf_check_arch and not of_machine.elf_check_arch(hdr)):
        line = f"Invalid architecture in ELF header: {hdr.e_machine}"
        reason = f"it was built for another machine than the kernel's ({info.kernel.machine})"
        raise info.refuse("ENOEXEC", line, reason, "build it for this kernel: ARCH=, CROSS_COMPILE=")
    checks_abi = of_machine.module_elf_check_arch
    if checks_abi and info.kernel.version >= since.ABI_CHECKED and not checks_abi(info):
        line = f"Invalid module architecture in ELF header: {hdr.e_machine}"
        raise info.refuse("ENOEXEC", line, "it was compiled for another ABI than the kernel", FLAGS)


def _section_headers(info: LoadInfo) -> None:
    hdr = info.hdr
    if hdr.e_shentsize != SHDR_SIZE[hdr.is_64bit]:
        raise info.refuse(
            "ENOEXEC",
            "Invalid ELF section header size",
            f"its section headers are not of ELF{info.machine.bits}",
            DAMAGED,
        )
    if hdr.e_shoff >= info.len or hdr.e_shnum * SHDR_SIZE[hdr.is_64bit] > info.len - hdr.e_shoff:
        raise info.refuse("ENOEXEC", "Invalid ELF section header overflow", "its section headers are cut off", DAMAGED)
    # The kernel reads section header 0 even if e_shnum is 0.
    if hdr.e_shnum == 0 and hdr.e_shoff + SHDR_SIZE[hdr.is_64bit] > len(info.contents):
        raise Undefined(info.stage, "it has no section headers, and the kernel reads the first beyond its end", DAMAGED)


def _first_is_null(info: LoadInfo) -> None:
    first = _row(info, 0)
    if first.sh_type != SHT_NULL or first.sh_size or first.sh_addr:
        line = f"ELF Spec violation: section 0 type({signed(first.sh_type)})!=SH_NULL or non-zero len or addr"
        raise info.refuse("ENOEXEC", line, "its section header 0 is not empty, as that of every ELF file is", DAMAGED)


def _row(info: LoadInfo, number: int) -> Shdr:
    """Read one section header; `number` may be e_shnum or more."""
    hdr = info.hdr
    return read_shdrs(info.contents, hdr._replace(e_shoff=hdr.e_shoff + number * SHDR_SIZE[hdr.is_64bit], e_shnum=1))[0]


def _after_the_first(info: LoadInfo) -> Iterator[tuple[int, Shdr]]:
    """Number and header of each section from 1 on. They are read one by one, because most damaged files are refused
    before the last one."""
    rows = enumerate(iter_shdrs(info.contents, info.hdr))
    next(rows, None)
    return rows


def _inside(info: LoadInfo, section: Shdr) -> bool:
    """Whether the section is inside the file (validate_section_offset). The sum wraps around, as that of longs."""
    end = (section.sh_offset + section.sh_size) & info.machine.mask
    return section.sh_offset <= end <= info.len


def _check_bounds(info: LoadInfo, number: int, section: Shdr) -> None:
    if section.sh_type not in (SHT_NULL, SHT_NOBITS) and not _inside(info, section):
        line = f"Invalid ELF section in module (section {number} type {section.sh_type})"
        raise info.refuse("ENOEXEC", line, f"section {number} reaches beyond the end of the file", DAMAGED)


def _check_names_index(info: LoadInfo) -> Shdr:
    hdr = info.hdr
    if hdr.e_shstrndx == SHN_UNDEF or hdr.e_shstrndx >= hdr.e_shnum:
        line = (
            f"Invalid ELF section name index: {hdr.e_shstrndx} || e_shstrndx ({hdr.e_shstrndx}) >= e_shnum "
            f"({hdr.e_shnum})"
        )
        raise info.refuse("ENOEXEC", line, "the section with the names of its sections does not exist", DAMAGED)
    return _row(info, hdr.e_shstrndx)


def _check_names(info: LoadInfo, names: Shdr) -> None:
    if names.sh_size == 0:
        raise info.refuse(
            "ENOEXEC", "empty section name table", "the section with the names of its sections is empty", DAMAGED
        )
    if info.contents[names.sh_offset + names.sh_size - 1] != 0:
        line = "ELF Spec violation: section name table isn't null terminated"
        raise info.refuse(
            "ENOEXEC", line, "the section with the names of its sections does not end with a zero", DAMAGED
        )


def _bad_name(info: LoadInfo, number: int, section: Shdr) -> Exception:
    line = f"Invalid ELF section name in module (section {number} type {section.sh_type})"
    return info.refuse(
        "ENOEXEC", line, f"the name of section {number} is outside of the section with their names", DAMAGED
    )


def _sections_whole(info: LoadInfo) -> None:
    """The checks before elf_validity_cache_copy() was divided: first the section names, then each section."""
    _section_headers(info)
    _names_whole(info)
    _first_is_null(info)
    _each_section(info)
    info.sechdrs = read_shdrs(info.contents, info.hdr)


def _names_whole(info: LoadInfo) -> None:
    names = _check_names_index(info)
    if not _inside(info, names):
        line = f"Invalid ELF section hdr(type {names.sh_type})"
        raise info.refuse(
            "ENOEXEC", line, "the section with the names of its sections reaches beyond the end of the file", DAMAGED
        )
    _check_names(info, names)


def _each_section(info: LoadInfo) -> None:
    table = _row(info, info.hdr.e_shstrndx)
    names_are_read = info.kernel.version >= since.EARLY_MOD_CHECK
    for number, section in _after_the_first(info):
        if section.sh_type in (SHT_NULL, SHT_NOBITS):
            continue
        if section.sh_type == SHT_SYMTAB:
            check_link(info, section.sh_link)
        _check_bounds(info, number, section)
        if names_are_read:
            info.string_at(table.sh_offset + section.sh_name)
        if section.sh_flags & SHF_ALLOC and section.sh_name >= table.sh_size:
            raise _bad_name(info, number, section)


def _names(info: LoadInfo) -> None:
    names = _check_names_index(info)
    if names.sh_type != SHT_STRTAB and has_change(info.kernel.version, since.TABLE_TYPES):
        line = f"Invalid ELF section name table type: {names.sh_type}"
        raise info.refuse(
            "ENOEXEC", line, "the section with the names of its sections is not of type SHT_STRTAB", DAMAGED
        )
    # Up to 7.1 the section may have a type whose offset the kernel does not check (SHT_NOBITS).
    info.data_in_file(info.hdr.e_shstrndx)
    _check_names(info, names)
    for number, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_NULL and section.sh_name >= names.sh_size:
            raise _bad_name(info, number, section)
