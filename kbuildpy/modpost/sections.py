# SPDX-License-Identifier: GPL-2.0-only
"""Walks over a module's sections (scripts/mod/modpost.c: check_sec_ref).

Two checks are here: that of sections without SHF_ALLOC, and that of exports in `.export_symbol`. `mismatch` checks
references to sections that are discarded at another time.
"""

from __future__ import annotations

from collections.abc import Callable

from kbuildpy.elf import ModuleImage, Relocation, Section
from kbuildpy.elf.constants import (
    EM_PARISC,
    SHF_ALLOC,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    STB_GLOBAL,
    STB_WEAK,
    STT_FUNC,
    STT_LOPROC,
)
from kbuildpy.errors import KbuildError
from kbuildpy.modpost import since
from kbuildpy.modpost.exports import ExportedSymbol, Owner
from kbuildpy.modpost.mismatch import check_references, is_no_reference, refuse_unknown_machine
from kbuildpy.modpost.mismatch_rules import match
from kbuildpy.modpost.names import without_suffix
from kbuildpy.modpost.reading import Reading
from kbuildpy.modpost.walk import Walk

EXPORT_LABEL = "__export_symbol_"


def check_sections(image: ModuleImage, owner: Owner, reading: Reading) -> list[ExportedSymbol]:
    """Run all checks over all sections of `image`; returns the exports in `.export_symbol`. Raises `Fatal` where
    modpost ends, `KbuildError` for a damaged file."""
    requests = None
    asked = reading.options.modules_enabled or reading.dialect.version < since.MODULES_OPTION
    if reading.dialect.exports_by_section and asked and image.sections:
        requests = image.section(".export_symbol") or image.sections[0]
    walk = Walk(
        image=image,
        owner=owner,
        options=reading.options,
        dialect=reading.dialect,
        exports=reading.exports,
        log=reading.log,
        mismatches=reading.mismatches,
        export_section=requests,
    )
    for section in image.sections:
        for stage in STAGES:
            stage(walk, section)
    return walk.found


def check_allocatable(walk: Walk, section: Section) -> None:
    """Warn of a PROGBITS section without SHF_ALLOC, unless it is one of `Dialect.white_sections` (check_section)."""
    if section.type != SHT_PROGBITS or section.flags & SHF_ALLOC:
        return
    if not match(section.name, walk.dialect.white_sections):
        # up to 6.3 the message names the object, later the module
        name = walk.owner.name if walk.dialect.exports_by_section else f"{walk.owner.name}.o"
        walk.log.module("non-allocatable", name, error=False, section=section.name)


def check_export_requests(walk: Walk, section: Section) -> None:
    """Add the exports that the relocations of `.export_symbol` refer to (check_export_symbol)."""
    target = walk.export_section
    if target is None or section.type not in (SHT_REL, SHT_RELA) or section.info != target.index:
        return
    for relocation in walk.image.relocations(section):
        if not is_no_reference(walk, target.name, relocation):
            _export(walk, target, relocation)


STAGES: tuple[Callable[[Walk, Section], None], ...] = (
    check_allocatable,
    refuse_unknown_machine,
    check_export_requests,
    check_references,
)


def _export(walk: Walk, section: Section, relocation: Relocation) -> None:
    image, module, log = walk.image, walk.owner.name, walk.log
    if relocation.symbol >= len(image.symbols):
        raise KbuildError(f"{image.filename}: section {section.name}: a relocation names no symbol")
    symbol = image.symbols[relocation.symbol]
    number = walk.nearest.before(relocation.offset, section.index, section.name)
    nameless = "" if walk.dialect.names_by_address else "(unknown)"
    label = walk.nearest.name(number) if number is not None else nameless
    if not label.startswith(EXPORT_LABEL):
        log.module("strange-export", module, symbol=label)
        return
    wanted = label[len(EXPORT_LABEL) :]
    if symbol.bind not in (STB_GLOBAL, STB_WEAK):
        log.module("local-export", module, symbol=wanted)
        return
    name = without_suffix(symbol.name)
    if wanted != name:
        log.module("not-an-export", module, symbol=name)
        return
    _, _, _, _, value, _ = image.symbols.rows[number or 0]
    license = image.string_at(section.index, value)
    if license not in ("", "GPL"):
        log.module("unknown-license", module, license=license, symbol=name)
        return
    namespace = image.string_at(section.index, value + len(license) + 1)
    is_func = symbol.type == STT_FUNC or (
        image.header.e_machine == EM_PARISC and image.header.is_64bit and symbol.type == STT_LOPROC
    )
    export = ExportedSymbol(name, walk.owner, license == "GPL", namespace, is_func=is_func)
    walk.exports.add(export)
    walk.found.append(export)
    place = image.section_name(symbol.shndx)
    for kind, prefix in (("init-symbol", ".init."), ("exit-symbol", ".exit.")):
        if place.startswith(prefix):
            log.module(kind, module, error=False, symbol=name)
