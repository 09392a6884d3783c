"""Is this an ELF file that can be taken apart without falling over it?

Counterparts: kernel/module/main.c of 6.1 (elf_validity_check, setup_load_info), and from 6.4 on
elf_validity_cache_copy(), which later became one function for each concern. The order of the checks differs, and with
it which of several defects is the one that is named.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import (
    ELFMAG,
    EM_AARCH64,
    EM_X86_64,
    ET_REL,
    SHF_ALLOC,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_NULL,
    SHT_STRTAB,
    SHT_SYMTAB,
)
from kbuildpy.elf.raw import EHDR_SIZE, SHDR_SIZE, Shdr, iter_shdrs, read_ehdr, read_shdrs
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.modinfo import get_modinfo
from kbuildpy.loader.verdict import Undefined

THIS_MODULE = ".gnu.linkonce.this_module"
MACHINES = {"x86_64": EM_X86_64, "arm64": EM_AARCH64}

_HINT = "the file is damaged; build it again"
_HEADERS = "it was built against other headers than this kernel's; build it for this kernel"


def elf_validity(info: LoadInfo) -> None:
    """Set `hdr`, `sechdrs`, `index`, `name` and `mod_name`, or refuse with ENOEXEC."""
    _check_ehdr(info)
    if info.kernel.version < since.EARLY_MOD_CHECK:
        info.stage = "elf_validity_check"
        _section_headers(info)
        _names_6_1(info)
        _first_is_null(info)
        _sections_6_1(info)
        info.sechdrs = read_shdrs(info.contents, info.hdr)
        info.stage = "setup_load_info"
        _setup_load_info(info)
    else:
        info.stage = "elf_validity_cache_sechdrs"
        _section_headers(info)
        _first_is_null(info)
        for number, section in _after_the_first(info):
            _check_bounds(info, number, section)
        info.sechdrs = read_shdrs(info.contents, info.hdr)
        info.stage = "elf_validity_cache_secstrings"
        _names(info)
        _cache_index(info)
    _cache_module(info)


def _check_ehdr(info: LoadInfo) -> None:
    info.stage = "elf_validity_ehdr"
    if info.len < EHDR_SIZE[True]:
        raise info.refuse(
            "ENOEXEC", f"Invalid ELF header len {info.len}", "the file is shorter than an ELF header", _HINT
        )
    hdr = info.hdr = read_ehdr(info.contents)
    if hdr.e_ident[:4] != ELFMAG:
        line = f"Invalid ELF header magic: != {ELFMAG.decode('latin-1')}"
        raise info.refuse("ENOEXEC", line, "this is no ELF file", "give a module (.ko)")
    if hdr.e_type != ET_REL:
        line = f"Invalid ELF header type: {hdr.e_type} != {ET_REL}"
        raise info.refuse("ENOEXEC", line, "this is not a relocatable file", "give a module (.ko)")
    if hdr.e_machine != MACHINES[info.kernel.machine]:
        line = f"Invalid architecture in ELF header: {hdr.e_machine}"
        reason = f"it was built for another machine than the kernel's ({info.kernel.machine})"
        raise info.refuse("ENOEXEC", line, reason, "build it for this kernel: ARCH=, CROSS_COMPILE=")


def _section_headers(info: LoadInfo) -> None:
    hdr = info.hdr
    if hdr.e_shentsize != SHDR_SIZE[True]:
        raise info.refuse("ENOEXEC", "Invalid ELF section header size", "its section headers are not of ELF64", _HINT)
    if hdr.e_shoff >= info.len or hdr.e_shnum * SHDR_SIZE[True] > info.len - hdr.e_shoff:
        raise info.refuse("ENOEXEC", "Invalid ELF section header overflow", "its section headers are cut off", _HINT)
    # (the kernel looks at the first one even where there is none)
    if hdr.e_shnum == 0 and hdr.e_shoff + SHDR_SIZE[True] > len(info.contents):
        raise Undefined(info.stage, "it has no section headers, and the first is read beyond its end", _HINT)


def _first_is_null(info: LoadInfo) -> None:
    first = _row(info, 0)
    if first.sh_type != SHT_NULL or first.sh_size or first.sh_addr:
        line = f"ELF Spec violation: section 0 type({_signed(first.sh_type)})!=SH_NULL or non-zero len or addr"
        raise info.refuse("ENOEXEC", line, "its first section header is not empty", _HINT)


def _row(info: LoadInfo, number: int) -> Shdr:
    """A section header by itself, also one that is not counted."""
    hdr = info.hdr
    return read_shdrs(info.contents, hdr._replace(e_shoff=hdr.e_shoff + number * SHDR_SIZE[True], e_shnum=1))[0]


def _after_the_first(info: LoadInfo) -> Iterator[tuple[int, Shdr]]:
    """The section headers from 1 on, none of which is kept: most files that are damaged end here."""
    rows = enumerate(iter_shdrs(info.contents, info.hdr))
    next(rows, None)
    return rows


def _inside(info: LoadInfo, section: Shdr) -> bool:
    """(validate_section_offset; sums wrap around at 64 bits)"""
    end = (section.sh_offset + section.sh_size) & 0xFFFFFFFFFFFFFFFF
    return section.sh_offset <= end <= info.len


def _check_bounds(info: LoadInfo, number: int, section: Shdr) -> None:
    if section.sh_type not in (SHT_NULL, SHT_NOBITS) and not _inside(info, section):
        line = f"Invalid ELF section in module (section {number} type {section.sh_type})"
        raise info.refuse("ENOEXEC", line, f"section {number} reaches beyond the end of the file", _HINT)


def _check_names_index(info: LoadInfo) -> Shdr:
    hdr = info.hdr
    if hdr.e_shstrndx == SHN_UNDEF or hdr.e_shstrndx >= hdr.e_shnum:
        line = (
            f"Invalid ELF section name index: {hdr.e_shstrndx} || e_shstrndx ({hdr.e_shstrndx}) >= e_shnum "
            f"({hdr.e_shnum})"
        )
        raise info.refuse("ENOEXEC", line, "the table of its section names is not there", _HINT)
    return _row(info, hdr.e_shstrndx)


def _check_names(info: LoadInfo, names: Shdr) -> None:
    if names.sh_size == 0:
        raise info.refuse("ENOEXEC", "empty section name table", "the table of its section names is empty", _HINT)
    if info.contents[names.sh_offset + names.sh_size - 1] != 0:
        line = "ELF Spec violation: section name table isn't null terminated"
        raise info.refuse("ENOEXEC", line, "the table of its section names is not terminated", _HINT)


def _bad_name(info: LoadInfo, number: int, section: Shdr) -> Exception:
    line = f"Invalid ELF section name in module (section {number} type {section.sh_type})"
    return info.refuse("ENOEXEC", line, f"the name of section {number} is not in the table", _HINT)


def _names_6_1(info: LoadInfo) -> None:
    names = _check_names_index(info)
    if not _inside(info, names):
        line = f"Invalid ELF section hdr(type {names.sh_type})"
        raise info.refuse("ENOEXEC", line, "the table of its section names reaches beyond the end of the file", _HINT)
    _check_names(info, names)


def _sections_6_1(info: LoadInfo) -> None:
    table = _row(info, info.hdr.e_shstrndx)
    for number, section in _after_the_first(info):
        if section.sh_type in (SHT_NULL, SHT_NOBITS):
            continue
        if section.sh_type == SHT_SYMTAB:
            _check_link(info, section.sh_link)
        _check_bounds(info, number, section)
        if section.sh_flags & SHF_ALLOC and section.sh_name >= table.sh_size:
            raise _bad_name(info, number, section)


def _names(info: LoadInfo) -> None:
    names = _check_names_index(info)
    if names.sh_type != SHT_STRTAB:
        line = f"Invalid ELF section name table type: {names.sh_type}"
        raise info.refuse("ENOEXEC", line, "the table of its section names is not one of strings", _HINT)
    _check_names(info, names)
    for number, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_NULL and section.sh_name >= names.sh_size:
            raise _bad_name(info, number, section)


def _check_link(info: LoadInfo, link: int) -> None:
    if link == SHN_UNDEF or link >= info.hdr.e_shnum:
        line = (
            f"Invalid ELF sh_link!=SHN_UNDEF({_signed(link)}) or (sh_link({_signed(link)}) >= hdr->e_shnum"
            f"({info.hdr.e_shnum})"
        )
        raise info.refuse("ENOEXEC", line, "the symbols' string table is not there", _HINT)


def _setup_load_info(info: LoadInfo) -> None:
    """6.1: the first symbol table counts, and nobody looks whether there is one `__this_module`."""
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
            f"it has no section {THIS_MODULE}: it did not go through modpost",
            "give the module (.ko), not an object file",
        )


def _no_symbols(info: LoadInfo) -> Exception:
    return info.refuse(
        "ENOEXEC",
        f"{info.shown_name}: module has no symbols (stripped?)",
        "there is not exactly one symbol table",
        "strip modules with --strip-debug only",
    )


def _cache_index(info: LoadInfo) -> None:
    info.stage = "elf_validity_cache_index_info"
    found = info.numbers_of(".modinfo")
    if len(found) > 1:
        raise info.refuse("ENOEXEC", "Only one .modinfo section must exist.", "there are several .modinfo", _HINT)
    if found:
        info.index.info = found[0]
        info.name = get_modinfo(info, "name")
    info.stage = "elf_validity_cache_index_mod"
    _cache_index_mod(info)
    info.stage = "elf_validity_cache_index_sym"
    tables = [number for number, section in enumerate(info.sechdrs) if number and section.sh_type == SHT_SYMTAB]
    if len(tables) != 1:
        raise _no_symbols(info)
    info.index.sym = tables[0]
    info.stage = "elf_validity_cache_index_str"
    link = info.sechdrs[info.index.sym].sh_link
    _check_link(info, link)
    if info.sechdrs[link].sh_type != SHT_STRTAB:
        line = f"Invalid ELF symbol string table type: {info.sechdrs[link].sh_type}"
        raise info.refuse("ENOEXEC", line, "the symbols' string table is not one of strings", _HINT)
    info.index.str = link
    if info.kernel.version >= since.STRTAB_CHECKED:
        info.stage = "elf_validity_cache_index_versions"
        _cache_index_versions(info)
        info.stage = "elf_validity_cache_strtab"
        _cache_strtab(info)


def _cache_index_mod(info: LoadInfo) -> None:
    found = info.numbers_of(THIS_MODULE)
    if len(found) != 1:
        line = f"module {info.shown_name}: Exactly one {THIS_MODULE} section must exist."
        reason = f"it has {len(found) or 'no'} section {THIS_MODULE}"
        raise info.refuse("ENOEXEC", line, reason, "give the module (.ko), not an object file")
    section = info.sechdrs[found[0]]
    if section.sh_type == SHT_NOBITS:
        line = f"module {info.shown_name}: {THIS_MODULE} section must have a size set"
        raise info.refuse("ENOEXEC", line, f"section {THIS_MODULE} has no contents", _HINT)
    if not section.sh_flags & SHF_ALLOC:
        line = f"module {info.shown_name}: {THIS_MODULE} must occupy memory during process execution"
        raise info.refuse("ENOEXEC", line, f"section {THIS_MODULE} is not allocated", _HINT)
    known = info.kernel.struct_module
    if known is None:
        info.not_checked("the size of struct module", "vermagic and the layout of struct module")
    elif section.sh_size != known.size:
        line = (
            f"module {info.shown_name}: {THIS_MODULE} section size must match the kernel's built struct module size "
            "at run time"
        )
        reason = f"its struct module has {section.sh_size} bytes, the kernel's {known.size}"
        raise info.refuse("ENOEXEC", line, reason, _HEADERS)
    info.index.mod = found[0]


def _cache_index_versions(info: LoadInfo) -> None:
    crcs, names = info.find_sec("__version_ext_crcs"), info.find_sec("__version_ext_names")
    if bool(crcs) != bool(names):
        line = "extended version crc+name presence does not match"
        raise info.refuse("ENOEXEC", line, "extended versions are there by half", _HINT)
    if crcs:
        count = info.sechdrs[crcs].sh_size // 4
        section = info.sechdrs[names]
        table = info.contents[section.sh_offset : section.sh_offset + section.sh_size]
        if table.count(b"\0") < count:
            line = "more extended version crcs than names"
            raise info.refuse("ENOEXEC", line, "extended versions have more CRCs than names", _HINT)
    info.index.vers_ext_crc, info.index.vers_ext_name = crcs, names


def _cache_strtab(info: LoadInfo) -> None:
    table = info.sechdrs[info.index.str]
    if table.sh_size == 0:
        raise info.refuse("ENOEXEC", "empty symbol string table", "the symbols' string table is empty", _HINT)
    if info.contents[table.sh_offset] != 0:
        line = "symbol string table missing leading NUL"
        raise info.refuse("ENOEXEC", line, "the symbols' string table does not begin with NUL", _HINT)
    if info.contents[table.sh_offset + table.sh_size - 1] != 0:
        line = "symbol string table isn't NUL terminated"
        raise info.refuse("ENOEXEC", line, "the symbols' string table is not terminated", _HINT)
    if any(row[0] >= table.sh_size for row in info.symbols):
        line = "symbol name out of bounds in string table"
        raise info.refuse("ENOEXEC", line, "a symbol's name is not in the string table", _HINT)


def _cache_module(info: LoadInfo) -> None:
    """`info->mod` is a struct module in the file: its name is the module's."""
    section = info.sechdrs[info.index.mod]
    known = info.kernel.struct_module
    at, length = known.name if known else (24, 56)
    if known and section.sh_size < known.size:
        raise Undefined(
            info.stage,
            f"its struct module has {section.sh_size} bytes, the kernel's {known.size}: what follows is overwritten",
            _HEADERS,
        )
    if section.sh_type == SHT_NOBITS:
        raise Undefined(info.stage, f"section {THIS_MODULE} has no contents, and is read all the same", _HINT)
    name = info.string_at(section.sh_offset + at)
    if len(name.encode("utf-8", "surrogateescape")) >= length:
        raise Undefined(info.stage, "the name in its struct module is not terminated", _HINT)
    info.mod_name = name
    if info.name is None:
        info.name = name
    info.index.vers = info.find_sec("__versions")
    info.index.pcpu = info.find_sec(".data..percpu")


def _signed(number: int) -> int:
    """A 32-bit number as `%d` prints it."""
    return number - (1 << 32) if number & 0x80000000 else number
