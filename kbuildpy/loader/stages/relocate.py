# SPDX-License-Identifier: GPL-2.0-only
"""Relocates the module: kernel/module/main.c: apply_relocations, kernel/livepatch/core.c: klp_write_section_relocs.

The kernel does not check that a relocation's offset is inside its section, nor that its symbol is in the symbol table.
"""

from __future__ import annotations

import re
from collections import Counter

from kbuildpy.elf.constants import SHF_ALLOC, SHF_RELA_LIVEPATCH, SHN_LIVEPATCH, SHT_REL, SHT_RELA
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, LIVEPATCH
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import machine_of
from kbuildpy.loader.stages.modinfo import other_headers
from kbuildpy.loader.verdict import Undefined

KLP_SECTION = re.compile(r"\.klp\.rela\.([^.]{1,55})")
KLP_SYMBOL = re.compile(r"\.klp\.sym\.([^.]{1,55})\.([^,]{1,511}),\s*[+-]?\d")


def apply_relocations(info: LoadInfo) -> None:
    """Apply each relocation section whose target is loaded; fills `info.relocated`.

    Raises `Refusal` for a relocation that the kernel refuses, `Undefined` for an offset outside of the section or a
    symbol outside of the symbol table.
    """
    sections = [number for number in range(1, len(info.sechdrs)) if _is_applied(info, number)]
    sharing = Counter(info.sechdrs[number].sh_info for number in sections)
    written: dict[int, dict[int, int]] = {target: {} for target, count in sharing.items() if count > 1}
    for number in sections:
        section = info.sechdrs[number]
        if section.sh_flags & SHF_RELA_LIVEPATCH:
            if not _is_for_vmlinux(info, number):
                continue
        elif section.sh_type != info.machine.relocation_section:
            wrong, right = ("SHT_REL", "SHT_RELA") if info.machine.rela else ("SHT_RELA", "SHT_REL")
            raise info.refuse(
                "ENOEXEC",
                f"module {info.mod_name}: REL relocation unsupported",
                f"{info.section_name(number)} is of type {wrong}; this machine's modules have {right}",
                "build it with the compiler of the kernel tree, for the kernel's machine: ARCH=, CROSS_COMPILE=",
            )
        if section.sh_info in (info.index.sym, info.index.str) and section.sh_size:
            raise Undefined(
                info.stage,
                f"{info.section_name(number)} is applied to the symbols themselves, which the kernel reads for it",
                AS_BUILT,
            )
        if section.sh_info == info.index.mod:
            _check_this_module(info, number)
        machine_of(info).apply_relocate_add(info, number, written.get(section.sh_info))
        info.relocated.setdefault(section.sh_info, []).append(number)


def _check_this_module(info: LoadInfo, number: int) -> None:
    """`__this_module` is in use already: except for the pointers to its two functions, a relocation there changes a
    member that the kernel sets. x86 refuses a member that is set already, and writes to the others."""
    layout = info.kernel.struct_module
    if layout is None:
        return
    columns = info.relocations(number)
    odd = [entry for entry, offset in enumerate(columns.offsets) if offset not in (layout.init, layout.exit)]
    if not odd:
        return
    # The import is slow: it reads the kernel's BTF.
    from kbuildpy.loader.stages.struct_module import is_filled, is_freed, member_at, struct_members

    members = struct_members(info)
    hint = f"build the module for this kernel: kbuildpy build -k {info.kernel.release}"
    unseen: Undefined | None = None
    for entry in odd:
        offset = columns.offsets[entry]
        member = member_at(members, offset)
        filled = is_filled(info, members, offset, info.machine.word)
        refuse = machine_of(info).nonzero_place
        if filled and refuse is not None and columns.types[entry] in info.machine.relocations.absolute:
            raise refuse(info, number, entry, f"{other_headers(info)}: the kernel's {member} is there", hint)
        if unseen is None:
            whose = f"the kernel has its {member}" if filled is False and member else "the kernel has something else"
            reason = f"{info.section_name(number)} relocates {offset:#x} of struct module, where {whose}"
            unseen = Undefined(info.stage, f"{other_headers(info)}: {reason}", hint)
        if filled is not False or is_freed(member):
            break
    if unseen is not None:
        raise unseen


def _is_applied(info: LoadInfo, number: int) -> bool:
    section = info.sechdrs[number]
    target = section.sh_info
    if section.sh_type not in (SHT_REL, SHT_RELA) and not section.sh_flags & SHF_RELA_LIVEPATCH:
        return False
    if target >= len(info.sechdrs):
        return False
    if info.sechdrs[target].sh_flags & SHF_ALLOC:
        return True
    return bool(target) and target == info.index.pcpu and info.kernel.version >= since.PERCPU_RELOCATED


def _is_for_vmlinux(info: LoadInfo, number: int) -> bool:
    """Whether livepatch applies section `number` on loading: the kernel applies a section for another module when that
    module is loaded (klp_write_section_relocs, klp_resolve_symbols)."""
    if info.kernel.has("LIVEPATCH") is False:
        return False
    name = info.section_name(number)
    match = KLP_SECTION.match(name)
    if match is None:
        raise info.refuse(
            "EINVAL",
            f"livepatch: section {name} has an incorrectly formatted name",
            f"the livepatch relocation section {name} is not called .klp.rela.OBJECT.SECTION",
            LIVEPATCH,
        )
    if match[1] != "vmlinux":
        return False
    for entry, symbol in enumerate(info.relocations(number).symbols):
        _resolve(info, entry, symbol)
    return True


def _resolve(info: LoadInfo, entry: int, symbol: int) -> None:
    if symbol >= len(info.symbols):
        raise Undefined(
            info.stage,
            f"livepatch relocation {entry} names symbol {symbol}, but there are {len(info.symbols)} symbols",
            LIVEPATCH,
        )
    name = info.symbol_name(symbol)
    if info.symbol(symbol).st_shndx != SHN_LIVEPATCH:
        place = f" at rela sec {info.index.sym} idx {entry}" if info.kernel.version >= since.RELOCATION_PLACES else ""
        raise info.refuse(
            "EINVAL",
            f"livepatch: symbol {name}{place} is not marked as a livepatch symbol",
            f"a livepatch relocation names {name}, whose section is not SHN_LIVEPATCH",
            LIVEPATCH,
        )
    if KLP_SYMBOL.match(name) is None:
        raise info.refuse(
            "EINVAL",
            f"livepatch: symbol {name} has an incorrectly formatted name",
            f"the livepatch symbol {name} is not called .klp.sym.OBJECT.SYMBOL,POSITION",
            LIVEPATCH,
        )
    info.not_checked(
        "whether the symbols of livepatch relocations exist",
        reason="only the running kernel knows all of its symbols",
    )
