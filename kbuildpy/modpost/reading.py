"""Reading one module object (scripts/mod/modpost.c: read_symbols).

Everything that a `.mod.c` will say about the module itself is gathered here; what concerns other modules waits
until all of them are read. The order of the stages is the order of modpost's messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.elf import ModuleImage, Symbol
from kbuildpy.elf.constants import (
    EM_PPC64,
    EM_SPARC,
    EM_SPARCV9,
    ET_REL,
    SHN_ABS,
    SHN_COMMON,
    SHN_UNDEF,
    SHT_NOBITS,
    STB_GLOBAL,
    STB_WEAK,
)
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.modpost.aliases import Aliases, Layouts, add_table
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.exports import ExportedSymbol, ExportTable, Owner
from kbuildpy.modpost.named_exports import RETIRED_MACROS, UNKNOWN_MACRO, NamedExports
from kbuildpy.modpost.names import without_suffix
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject, recorded_crcs
from kbuildpy.modpost.sections import check_sections
from kbuildpy.modpost.srcversion import SourceReader, srcversion
from kbuildpy.modpost.versions import Dialect
from kbuildpy.modpost.walk import Mismatches

STT_SPARC_REGISTER = 13


class Unresolved(NamedTuple):
    """A symbol that the module needs; a weak one may be missing."""

    name: str
    weak: bool


@dataclass(frozen=True)
class ModuleFacts:
    """What reading a module found out."""

    owner: Owner
    exports: tuple[ExportedSymbol, ...]
    unresolved: tuple[Unresolved, ...]
    imported_namespaces: tuple[str, ...]
    gpl_compatible: bool
    has_init: bool
    has_cleanup: bool
    aliases: tuple[str, ...]
    srcversion: str
    no_trim: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the reading of all modules shares."""

    options: ModpostOptions
    dialect: Dialect
    exports: ExportTable
    sources: SourceReader
    layouts: Layouts
    log: Log
    mismatches: Mismatches = field(default_factory=Mismatches)


@dataclass
class _Symbols:
    """What the symbol table of one module yields."""

    exports: list[ExportedSymbol] = field(default_factory=list)
    unresolved: list[Unresolved] = field(default_factory=list)
    has_init: bool = False
    has_cleanup: bool = False


def read_module(module: ModuleObject, reading: Reading) -> ModuleFacts | None:
    """Read `module` and add its exports to the table; None when the file is missing and may be (-n)."""
    log, dialect = reading.log, reading.dialect
    if reading.options.ignore_missing_files and not module.path.exists():
        log.note(f"{module.name}.o: No such file or directory (ignored)\n")
        return None
    image = ModuleImage.from_path(module.path)
    if image.header.e_type != ET_REL:
        raise log.fatal(f"{module.name}.o: not relocatable object.")
    modinfo = image.section(".modinfo")
    if modinfo is not None and modinfo.type == SHT_NOBITS:
        raise log.fatal(f"{module.name}.o has NOBITS .modinfo\n")
    if not image.has_symtab:
        raise log.fatal(f"{module.name}.o has no symtab?\n")
    owner = Owner(module.name)
    licenses = image.modinfo_values("license")
    if not licenses:
        log.module("license", module.name, error=not dialect.early_errors)
    namespaces = _imported_namespaces(image, module.name, reading)
    wants_description = dialect.description == "always" or (
        dialect.description == "extra" and reading.options.extra_warnings
    )
    if wants_description and not image.modinfo_values("description"):
        log.module("description", module.name, error=False)
    aliases = Aliases(dialect.device_table_modname, log)
    found = _read_symbols(image, owner, aliases, reading)
    found.exports += check_sections(image, owner, reading.options, dialect, reading.exports, log, reading.mismatches)
    version = ""
    if reading.options.all_srcversions or image.modinfo_values("version"):
        version = srcversion(module.objects, reading.sources, log)
    if reading.options.modversions:
        # never passed to an exported function, yet every module depends on its layout
        found.unresolved.append(Unresolved("module_layout", False))
        if not dialect.crcs_in_objects:
            _set_crcs(module, found.exports)
    return ModuleFacts(
        owner,
        tuple(found.exports),
        tuple(reversed(found.unresolved) if dialect.newest_first else found.unresolved),
        namespaces,
        all(license in GPL_COMPATIBLE for license in licenses),
        found.has_init,
        found.has_cleanup,
        tuple(aliases.found),
        version,
        _no_trim_symbols(image),
    )


def _imported_namespaces(image: ModuleImage, module: str, reading: Reading) -> tuple[str, ...]:
    namespaces = image.modinfo_values("import_ns")
    if reading.dialect.module_namespaces:
        for namespace in namespaces:
            if namespace.startswith("module:"):
                reading.log.module("module-namespace", module, namespace=namespace)
    return namespaces


def _read_symbols(image: ModuleImage, owner: Owner, aliases: Aliases, reading: Reading) -> _Symbols:
    """Walk the symbol table (modpost.c: handle_symbol; file2alias.c: handle_moddevtable).

    Of the defined symbols only those count whose name begins in one of a few ways; they are found by
    searching the string table, so that a thousand local symbols cost nothing.
    """
    symbols, dialect, log = image.symbols, reading.dialect, reading.log
    found = _Symbols()
    wanted = symbols.starting_with(b"init_module", b"cleanup_module", b"__mod_", b"__ksymtab_", b"__kstrtabns_")
    crcs = symbols.starting_with(b"__crc_") if dialect.crcs_in_objects else set()
    # About exports, which may come later in the table.
    notes: list[int] = []
    ignored = dialect.ignored_prefixes.get(image.header.e_machine, ())
    sparc = image.header.e_machine in (EM_SPARC, EM_SPARCV9)
    for index, (name_offset, info, _, shndx, _, _) in enumerate(symbols.rows):
        if name_offset in crcs:
            notes.append(index)
        if shndx == SHN_UNDEF:
            if info >> 4 in (STB_GLOBAL, STB_WEAK):
                name = without_suffix(symbols.text(name_offset))
                if name in ("__this_module", "_GLOBAL_OFFSET_TABLE_") or (ignored and name.startswith(ignored)):
                    continue
                if image.header.e_machine == EM_PPC64 and name == ".TOC.":
                    continue
                if dialect.ignores_section_bounds and name.startswith(("__start_", "__stop_")):
                    continue
                if sparc:
                    if info & 15 == STT_SPARC_REGISTER:
                        continue
                    if name.startswith("."):
                        name = "_" + name[1:2].upper() + name[2:]
                found.unresolved.append(Unresolved(name, info >> 4 == STB_WEAK))
            continue
        if shndx == SHN_COMMON:
            name = without_suffix(symbols.text(name_offset))
            if not name.startswith("__gnu_lto_"):
                log.module("common", owner.name, error=False, symbol=name)
            continue
        if name_offset not in wanted:
            continue
        symbol = symbols[index]
        name = without_suffix(symbol.name)
        if name == "init_module":
            found.has_init = True
        elif name == "cleanup_module":
            found.has_cleanup = True
        elif name.startswith("__mod_"):
            add_table(aliases, image, symbol._replace(name=name), owner.name, dialect, reading.layouts)
        elif not dialect.exports_by_section:
            if name.startswith("__kstrtabns_"):
                notes.append(index)
            else:
                _add_ksymtab(name, image.section_name(symbol.shndx), owner, found, reading)
    for index in notes:
        symbol = symbols[index]
        kind, _, name = without_suffix(symbol.name).removeprefix("__").partition("_")
        if kind == "crc":
            _set_crc(name, symbol, image, owner, reading)
        else:
            _set_namespace(name, image.string_at(symbol.shndx, symbol.value), reading)
    if isinstance(reading.exports, NamedExports):
        reading.exports.note_globals(symbols)
    return found


def _add_ksymtab(symbol: str, section: str, owner: Owner, found: _Symbols, reading: Reading) -> None:
    gpl_only = section.startswith("___ksymtab_gpl+")
    plain = section.startswith("___ksymtab+")
    if gpl_only or plain or reading.dialect.one_export_per_name:
        kind = "" if gpl_only or plain else _early_macro(section, reading.dialect)
        export = ExportedSymbol(symbol[len("__ksymtab_") :], owner, gpl_only, "", kind=kind)
        found.exports.append(reading.exports.add(export))


def _early_macro(section: str, dialect: Dialect) -> str:
    """What exports a symbol whose `__ksymtab_NAME` lies in none of the usual sections (export_from_secname)."""
    for macro in RETIRED_MACROS if dialect.retired_exports else ():
        flags = macro.removeprefix("EXPORT_").replace("SYMBOL_GPL", "gpl").replace("_SYMBOL", "").lower()
        if section.startswith(f"___ksymtab_{flags}+"):
            return macro
    return UNKNOWN_MACRO


def _set_crc(name: str, symbol: Symbol, image: ModuleImage, owner: Owner, reading: Reading) -> None:
    """Take a CRC from the object: the value of `__crc_NAME`, or what that marks (handle_modversion)."""
    if symbol.shndx == SHN_UNDEF:
        kind = "unversioned" if reading.dialect.prototype_hint else "unversioned-early"
        reading.log.module(kind, owner.name, error=False, symbol=name)
        return
    crc = symbol.value
    if symbol.shndx != SHN_ABS:
        if symbol.shndx >= len(image.sections):
            raise KbuildError(f"{image.filename}: __crc_{name} lies in section {symbol.shndx}, which does not exist")
        octets = image.section_data(image.sections[symbol.shndx])[symbol.value : symbol.value + 4]
        crc = int.from_bytes(octets, "little" if image.header.order == "<" else "big")
    export = reading.exports.find(name)
    if export is not None:
        export.crc = crc & 0xFFFFFFFF


def _set_namespace(symbol: str, namespace: str, reading: Reading) -> None:
    export = reading.exports.find(symbol)
    if export is None:
        shown = namespace or ("(null)" if reading.dialect.one_export_per_name else "")
        reading.log.error(
            f"Could not update namespace({shown}) for symbol {symbol}\n", fails=not reading.dialect.early_errors
        )
    else:
        export.namespace = namespace


def _set_crcs(module: ModuleObject, exports: list[ExportedSymbol]) -> None:
    """Take the CRCs of `exports` from the records (modpost.c: mod_set_crcs); of two equal names the newer gets it.

    There must be a record also where it is not asked for any CRC.
    """
    by_name = {export.name: export for export in exports}
    for object in module.objects:
        if not object.name:
            break
        if not exports:
            object.require()
            continue
        for symbol, crc in recorded_crcs(object.read()):
            export = by_name.get(symbol)
            if export is not None:
                export.crc = crc


def _no_trim_symbols(image: ModuleImage) -> tuple[str, ...]:
    section = image.section(".no_trim_symbol")
    if section is None:
        return ()
    text = image.section_data(section).decode("utf-8", "surrogateescape")
    return tuple(name for name in text.split("\0") if name)
