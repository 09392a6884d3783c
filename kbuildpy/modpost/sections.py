"""The walk over a module's sections (scripts/mod/modpost.c: check_sec_ref).

Two checks live here: sections that somebody forgot to mark allocatable, and `.export_symbol` requests. The
analysis of references between sections that are discarded at different times (section_rela,
check_section_mismatch) belongs to the same walk: it will be one more stage of `STAGES`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

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
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.exports import ExportedSymbol, ExportTable, Owner
from kbuildpy.modpost.names import without_suffix
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.versions import Dialect

EXPORT_LABEL = "__export_symbol_"


@dataclass
class Walk:
    """What the stages of one module's walk share; `found` are the exports, in the order of their requests."""

    image: ModuleImage
    owner: Owner
    options: ModpostOptions
    dialect: Dialect
    exports: ExportTable
    log: Log
    export_section: Section | None
    found: list[ExportedSymbol] = field(default_factory=list)
    labels: tuple[list[int], list[str]] | None = None


def check_sections(
    image: ModuleImage,
    owner: Owner,
    options: ModpostOptions,
    dialect: Dialect,
    exports: ExportTable,
    log: Log,
) -> list[ExportedSymbol]:
    """Run every stage over every section; returns what `.export_symbol` asks to be exported."""
    requests = image.section(".export_symbol") if dialect.exports_by_section and options.modules_enabled else None
    walk = Walk(image, owner, options, dialect, exports, log, requests)
    for section in image.sections:
        for stage in STAGES:
            stage(walk, section)
    return walk.found


def check_allocatable(walk: Walk, section: Section) -> None:
    """Warn about a PROGBITS section without SHF_ALLOC that is none of the known ones (check_section)."""
    if section.type != SHT_PROGBITS or section.flags & SHF_ALLOC:
        return
    if not any(fnmatchcase(section.name, pattern) for pattern in walk.dialect.white_sections):
        # 6.1 says the object here, later kernels the module
        name = walk.owner.name if walk.dialect.exports_by_section else f"{walk.owner.name}.o"
        walk.log.module("non-allocatable", name, error=False, section=section.name)


def check_export_requests(walk: Walk, section: Section) -> None:
    """Follow the references of `.export_symbol` to what shall be exported (check_export_symbol)."""
    target = walk.export_section
    if target is None or section.type not in (SHT_REL, SHT_RELA) or section.info != target.index:
        return
    for relocation in walk.image.relocations(section):
        _export(walk, target, relocation)


STAGES: tuple[Callable[[Walk, Section], None], ...] = (check_allocatable, check_export_requests)


def _export(walk: Walk, section: Section, relocation: Relocation) -> None:
    image, module, log = walk.image, walk.owner.name, walk.log
    if relocation.symbol >= len(image.symbols):
        raise KbuildError(f"{image.filename}: section {section.name}: a relocation names no symbol")
    symbol = image.symbols[relocation.symbol]
    value, label = _label_before(walk, section, relocation.offset)
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
    license = image.string_at(section.index, value)
    if license not in ("", "GPL"):
        log.module("unknown-license", module, license=license, symbol=name)
        return
    namespace = image.string_at(section.index, value + len(license) + 1)
    is_func = symbol.type == STT_FUNC or (
        image.header.machine == EM_PARISC and image.header.is_64bit and symbol.type == STT_LOPROC
    )
    export = ExportedSymbol(name, walk.owner, license == "GPL", namespace, is_func=is_func)
    walk.exports.add(export)
    walk.found.append(export)
    place = image.section_name(symbol.shndx)
    for kind, prefix in (("init-symbol", ".init."), ("exit-symbol", ".exit.")):
        if place.startswith(prefix):
            log.module(kind, module, error=False, symbol=name)


def _label_before(walk: Walk, section: Section, offset: int) -> tuple[int, str]:
    """The nearest named symbol at or before `offset` of `section`: its value and name (symsearch.c).

    Of several at one place the first in the symbol table counts.
    """
    if walk.labels is None:
        named: dict[int, str] = {}
        symbols = walk.image.symbols
        for index, row in enumerate(symbols.rows):
            if symbols.section_index(index) == section.index:
                name = without_suffix(symbols.name(index))
                if name and not name.startswith((".L", "L0", "$")):
                    named.setdefault(row[4], name)
        values = sorted(named)
        walk.labels = values, [named[value] for value in values]
    values, names = walk.labels
    place = bisect_right(values, offset) - 1
    return (values[place], names[place]) if place >= 0 else (0, "")
