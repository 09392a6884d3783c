# SPDX-License-Identifier: GPL-2.0-only
"""Reserves memory for the module's symbols, which kallsyms looks up (kernel/module/kallsyms.c: layout_symtab).

Init memory has all symbols; core memory has those for which is_core_symbol() is true, with their names.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR
from kbuildpy.elf.symbols import SYM_SIZE
from kbuildpy.loader.hints import DAMAGED
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.blocks import Blocks, align
from kbuildpy.loader.verdict import Undefined

_MOD_KALLSYMS = 4
"""The words of struct mod_kallsyms: three pointers and a number."""


class CoreSymbols(NamedTuple):
    """The symbols that the kernel keeps after init."""

    symbols: int
    """Their number."""
    name_bytes: int
    """Bytes of their names, with the NUL after each."""


def layout_symtab(info: LoadInfo, blocks: Blocks) -> None:
    """Reserve memory for symbol table and string table. Raises `Undefined` for a name behind the string table."""
    if info.kernel.has("KALLSYMS") is False:
        return
    core, init = ("data", "init_data") if blocks.by_type else ("core", "init")
    symtab, strtab = info.sechdrs[info.index.sym], info.sechdrs[info.index.str]
    symtab.sh_flags |= SHF_ALLOC
    symtab.sh_entsize = blocks.reserve(init, symtab.sh_size, symtab.sh_addralign)
    blocks.kind_of[info.index.sym] = init
    kept = _core_symbols(info, blocks)
    start = align(blocks.sizes[core], symtab.sh_addralign)
    blocks.has_overflowed = blocks.has_overflowed or start < blocks.sizes[core]
    # Each symbol takes one more byte, for its type (struct mod_kallsyms: typetab).
    blocks.sizes[core] = start + kept.symbols * (SYM_SIZE[info.machine.is_64bit] + 1) + kept.name_bytes
    blocks.end_page(core)
    strtab.sh_flags |= SHF_ALLOC
    strtab.sh_entsize = blocks.reserve(init, strtab.sh_size, strtab.sh_addralign)
    blocks.kind_of[info.index.str] = init
    word = info.machine.word
    blocks.sizes[init] = align(blocks.sizes[init], word) + _MOD_KALLSYMS * word + len(info.symbols)
    blocks.end_page(init)


def _core_symbols(info: LoadInfo, blocks: Blocks) -> CoreSymbols:
    kept = _core_sections(info, blocks)
    strings = info.sechdrs[info.index.str]
    find = info.contents.find
    count = name_bytes = 0
    last = len(info.sechdrs)
    begin, stop = 1, 0
    for number, (st_name, _, _, st_shndx, _, _) in enumerate(info.symbols):
        if st_name >= strings.sh_size and st_shndx:
            # kallsyms reads names in the loaded copy of the string table, which ends with the section.
            raise Undefined(
                info.stage,
                f"the name of symbol {number} is behind the string table, where the kernel reads it",
                DAMAGED,
            )
        if number == 0 or info.is_livepatch or (st_name and st_shndx in kept and st_shndx < last):
            at = strings.sh_offset + st_name
            if not begin <= at <= stop:  # A name may be the end of another name, whose NUL is found already.
                begin, stop = at, find(b"\0", at)
                if stop < 0:
                    info.symbol_name(number)
            count += 1
            name_bytes += stop - at + 1
    return CoreSymbols(count, name_bytes)


def _core_sections(info: LoadInfo, blocks: Blocks) -> set[int]:
    """The sections whose symbols the kernel keeps after init: the executable core sections, or all core sections with
    CONFIG_KALLSYMS_ALL."""
    all_kept = info.kernel.has("KALLSYMS_ALL") is not False
    kept = {
        number
        for number, kind in blocks.kind_of.items()
        if not kind.startswith("init") and (all_kept or info.sechdrs[number].sh_flags & SHF_EXECINSTR)
    }
    return kept | {info.index.pcpu} if all_kept and info.index.pcpu else kept
