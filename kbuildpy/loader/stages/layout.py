# SPDX-License-Identifier: GPL-2.0-only
"""Lays the sections out in memory, and computes the size of the module.

Counterparts: kernel/module/main.c (layout_and_allocate, layout_sections), kernel/module/strict_rwx.c
(module_enforce_rwx_sections). Up to 6.3 there are two blocks of memory, core and init; from 6.4 on one for each type.
`layout_symtab` adds room for the symbols, `allocate` gives the blocks their addresses.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf.constants import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_RO_AFTER_INIT,
    SHF_WRITE,
    SHT_NOBITS,
    SHT_NULL,
    SHT_REL,
    SHT_RELA,
)
from kbuildpy.elf.headers import Shdr
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import AS_BUILT, DAMAGED
from kbuildpy.loader.load_info import LoadInfo, MemoryLayout
from kbuildpy.loader.machines.machine import machine_of
from kbuildpy.loader.stages.allocate import allocate
from kbuildpy.loader.stages.blocks import Blocks
from kbuildpy.loader.stages.layout_symtab import layout_symtab
from kbuildpy.loader.verdict import Undefined

_ENTSIZE_UNSET = 0xFFFFFFFFFFFFFFFF
"""`sh_entsize` of a section that has no offset yet; the kernel keeps the offset there."""
_TYPES = ("text", "data", "rodata", "ro_after_init", "init_text", "init_data", "init_rodata")
"""enum mod_mem_type, in its order."""
_RO_AFTER_INIT = (".data..ro_after_init", "__jump_table")
_RO_AFTER_INIT_NAMED = (*_RO_AFTER_INIT, ".static_call_sites")


class SectionGroup(NamedTuple):
    """Sections that are laid out together (a row of `masks` in __layout_sections)."""

    required: int
    """Section flags that a section of the group has, all of them."""
    excluded: int
    """Section flags that a section of the group does not have."""
    core: str
    """The type of memory of the group, from 6.4 on."""
    init: str
    """The type of memory of its init sections; "": the kernel warns and does not place them."""
    ends_page: bool
    """Up to 6.3: whether the size of the block is rounded up to a page after the group."""


_GROUPS = (
    SectionGroup(SHF_EXECINSTR | SHF_ALLOC, 0, "text", "init_text", ends_page=True),
    SectionGroup(SHF_ALLOC, SHF_WRITE, "rodata", "init_rodata", ends_page=True),
    SectionGroup(SHF_RO_AFTER_INIT | SHF_ALLOC, 0, "ro_after_init", "", ends_page=True),
    SectionGroup(SHF_WRITE | SHF_ALLOC, 0, "data", "init_data", ends_page=False),
    SectionGroup(SHF_ALLOC, 0, "data", "init_data", ends_page=True),
)
"""In the kernel's order: a section belongs to the first group whose flags it has."""


def layout_and_allocate(info: LoadInfo) -> None:
    """Place every section: set `info.layout`, and `sh_addr` of each.

    Raises `Refusal` for a section that is both writable and executable, `Undefined` for a struct module that is not
    blank or overlaps with another section.
    """
    info.stage = "module_frob_arch_sections"
    frob = machine_of(info).module_frob_arch_sections
    if frob is not None:
        frob(info)
    info.stage = "module_enforce_rwx_sections"
    _enforce_rwx(info)
    info.stage = "layout_and_allocate"
    _check_struct_is_blank(info)
    _check_struct_is_alone(info)
    info.sechdrs[info.index.pcpu].sh_flags &= ~SHF_ALLOC
    _mark_ro_after_init(info)
    by_type = info.kernel.version >= since.MODULE_MEMORY
    blocks = Blocks(
        dict.fromkeys(_TYPES if by_type else ("core", "init"), 0),
        by_type=by_type,
        is_strict=info.kernel.has("STRICT_MODULE_RWX") is not False,
        page_size=info.page_size,
    )
    blocks.sizes["text" if by_type else "core"] = info.reserved
    # A verdict shows the sizes even if a later step raises.
    info.layout = MemoryLayout(blocks.sizes)
    for section in info.sechdrs:
        section.sh_entsize = _ENTSIZE_UNSET
    for is_init in (False, True):
        _layout_sections(info, blocks, is_init=is_init)
    layout_symtab(info, blocks)
    info.layout = allocate(info, blocks)


def check_struct_is_writable(info: LoadInfo) -> None:
    """Raise `Undefined` if section `__this_module` is read-only: the kernel writes to struct module after it has made
    the module's read-only memory read-only."""
    flags = info.sechdrs[info.index.mod].sh_flags
    writable = flags & SHF_WRITE and not flags & SHF_RO_AFTER_INIT
    if not writable and info.kernel.has("STRICT_MODULE_RWX") is not False:
        raise Undefined(info.stage, "its struct module is in read-only memory, and the kernel writes to it", AS_BUILT)


def total_size(info: LoadInfo) -> int | None:
    """Return the bytes that /proc/modules shows after init: all memory but the init memory (kernel/module/procfs.c:
    module_total_size); None if the kernel's configuration, on which they depend, is not known, and for
    `info.size_unknown`."""
    if info.kernel.config is None or info.size_unknown:
        return None
    return sum(size for kind, size in info.layout.sizes.items() if not kind.startswith("init"))


def _check_struct_is_blank(info: LoadInfo) -> None:
    """Raise `Undefined` if a member of struct module except its name is not zero: the kernel relies on zeros there."""
    known = info.kernel.struct_module
    if known is None:
        return
    at, length = known.name
    struct = info.data_in_file(info.index.mod)
    if any(struct[:at]) or any(struct[at + length :]):
        raise Undefined(
            info.stage, "its struct module has more than the name, and the kernel expects zeros there", AS_BUILT
        )


def _check_struct_is_alone(info: LoadInfo) -> None:
    """Raise `Undefined` if a section overlaps with struct module in the file: the kernel writes sizes of memory to
    struct module before it copies the sections."""
    start, size = info.sechdrs[info.index.mod].sh_offset, info.sechdrs[info.index.mod].sh_size
    read = {info.index.sym, info.index.str, info.index.vers, info.index.info}
    for number, section in enumerate(info.sechdrs):
        if number == info.index.mod or section.sh_type in (SHT_NULL, SHT_NOBITS):
            continue
        is_read = section.sh_flags & SHF_ALLOC or section.sh_type in (SHT_REL, SHT_RELA) or number in read
        if is_read and section.sh_offset < start + size and start < section.sh_offset + section.sh_size:
            name = info.section_name(number)
            raise Undefined(info.stage, f"{name} overlaps with struct module, which the kernel writes to", DAMAGED)


def _enforce_rwx(info: LoadInfo) -> None:
    strict = info.kernel.has("STRICT_MODULE_RWX")
    for number, section in enumerate(info.sechdrs):
        if section.sh_flags & (SHF_WRITE | SHF_EXECINSTR) == SHF_WRITE | SHF_EXECINSTR:
            if strict is None:
                info.not_checked("writable and executable sections", Fact.CONFIG)
            elif strict:
                name = info.section_name(number)
                line = f"{info.mod_name}: section {name} (index {number}) has invalid WRITE|EXEC flags"
                reason = f"section {name} is writable and executable"
                hint = "remove one of the two flags in the source (section attributes)"
                raise info.refuse("ENOEXEC", line, reason, hint)


def _mark_ro_after_init(info: LoadInfo) -> None:
    if info.kernel.version >= since.ALL_RO_AFTER_INIT:
        for name in _RO_AFTER_INIT_NAMED:
            for number in info.numbers_of(name):
                info.sechdrs[number].sh_flags |= SHF_RO_AFTER_INIT
        return
    for name in _RO_AFTER_INIT:
        number = info.find_sec(name)
        if number:
            info.sechdrs[number].sh_flags |= SHF_RO_AFTER_INIT


def _layout_sections(info: LoadInfo, blocks: Blocks, *, is_init: bool) -> None:
    """Reserve memory for the init sections, or for all others (__layout_sections)."""
    candidates = [
        (number, section)
        for number, section in enumerate(info.sechdrs)
        if section.sh_flags & SHF_ALLOC and info.is_init_section(info.section_name(number)) == is_init
    ]
    for group in _GROUPS:
        kind = "init" if is_init else "core"
        if blocks.by_type:
            kind = group.init if is_init else group.core
        if not kind:
            if any(_has_flags(section, group.required) for _, section in candidates):
                info.warn("kernel/module/main.c", "__layout_sections")
            continue
        for number, section in candidates:
            if _has_flags(section, group.required) and not section.sh_flags & group.excluded:
                section.sh_entsize = blocks.reserve(kind, section.sh_size, section.sh_addralign)
                blocks.kind_of[number] = kind
        if group.ends_page:
            blocks.end_page(kind)


def _has_flags(section: Shdr, required: int) -> bool:
    """Whether a section has all `required` flags, and no offset yet."""
    return section.sh_flags & required == required and section.sh_entsize == _ENTSIZE_UNSET
