# SPDX-License-Identifier: GPL-2.0-only
"""s390x: arch/s390/kernel/module.c. The GOT and the PLT of a module are in front of its code."""

from __future__ import annotations

from kbuildpy.elf.constants import EM_S390, SHN_ABS, SHN_UNDEF, SHT_RELA
from kbuildpy.elf.relocation_types import (
    R_390_64,
    R_390_GOT12,
    R_390_GOT16,
    R_390_GOT20,
    R_390_GOT32,
    R_390_GOT64,
    R_390_GOTENT,
    R_390_GOTPLT12,
    R_390_GOTPLT16,
    R_390_GOTPLT20,
    R_390_GOTPLT32,
    R_390_GOTPLT64,
    R_390_GOTPLTENT,
    R_390_PC32,
    R_390_PC64,
    R_390_PLT16DBL,
    R_390_PLT32,
    R_390_PLT32DBL,
    R_390_PLT64,
    R_390_PLTOFF16,
    R_390_PLTOFF32,
    R_390_PLTOFF64,
)
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts, RelocationKinds
from kbuildpy.loader.machines.partly import partly_known
from kbuildpy.loader.verdict import Undefined

_EM_OLD = 0xA390
"""EM_S390_OLD"""
_GOT_ENTRY, _PLT_ENTRY = 8, 22
_GOT = frozenset(
    {
        R_390_GOT12,
        R_390_GOT16,
        R_390_GOT20,
        R_390_GOT32,
        R_390_GOT64,
        R_390_GOTENT,
        R_390_GOTPLT12,
        R_390_GOTPLT16,
        R_390_GOTPLT20,
        R_390_GOTPLT32,
        R_390_GOTPLT64,
        R_390_GOTPLTENT,
    }
)
_PLT = frozenset(
    {R_390_PLT16DBL, R_390_PLT32DBL, R_390_PLT32, R_390_PLT64, R_390_PLTOFF16, R_390_PLTOFF32, R_390_PLTOFF64}
)


def module_frob_arch_sections(info: LoadInfo) -> None:
    """Reserve room for the GOT and the PLT: an entry for each symbol that a relocation needs one for, also in sections
    that are not loaded. Raises `Undefined` for a relocation by a symbol that does not exist."""
    _define_got(info)
    got: set[int] = set()
    plt: set[int] = set()
    for number, section in enumerate(info.sechdrs):
        if section.sh_type != SHT_RELA:
            continue
        columns = info.relocations(number)
        for kind, symbol in zip(columns.types, columns.symbols, strict=True):
            if kind in _GOT:
                got.add(symbol)
            elif kind in _PLT:
                plt.add(symbol)
    last = max((*got, *plt), default=0)
    if last >= len(info.symbols):
        raise Undefined(
            info.stage,
            f"a relocation names symbol {last}, but there are {len(info.symbols)} symbols, and the kernel writes to "
            f"a list "
            f"of them",
            AS_BUILT,
        )
    # One more for the jump that all entries take, unless the kernel runs on a processor that needs none.
    shared = 1 if plt and info.is_set("EXPOLINE") else 0
    info.reserved = len(got) * _GOT_ENTRY + (len(plt) + shared) * _PLT_ENTRY


def _define_got(info: LoadInfo) -> None:
    """Undefined symbols for the GOT become absolute ones."""
    found = [
        number
        for number, (st_name, _, _, st_shndx, _, _) in enumerate(info.symbols)
        if st_shndx == SHN_UNDEF and st_name and info.symbol_name(number) == "_GLOBAL_OFFSET_TABLE_"
    ]
    rows = list(info.symbols) if found else []
    for number in found:
        name, st_info, other, _, value, size = rows[number]
        rows[number] = (name, st_info, other, SHN_ABS, value, size)
    if found:
        info.symbols = rows


MACHINE = partly_known(
    MachineFacts(
        name="s390",
        e_machine=EM_S390,
        other_numbers=frozenset({_EM_OLD}),
        checks_class=True,
        relocations=RelocationKinds(
            absolute=frozenset({R_390_64}),
            relative=frozenset({R_390_PC32}),
            relative64=frozenset({R_390_PC64}),
            applied=frozenset({R_390_64, R_390_PC32, R_390_PC64}),
        ),
        # arch/s390/boot/startup.c: the last 2 GiB of the kernel's addresses
        modules_start=0x3FF80000000,
        modules_size=1 << 31,
        copy_address=0x37FF0000000,
        large_page=0x100000,
        order=">",
        is_whole=False,
    ),
    module_frob_arch_sections=module_frob_arch_sections,
)
