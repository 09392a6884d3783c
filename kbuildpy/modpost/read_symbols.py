# SPDX-License-Identifier: GPL-2.0-only
"""Reads a module object's symbol table (scripts/mod/modpost.c: handle_symbol; file2alias.c: handle_moddevtable)."""

from __future__ import annotations

from dataclasses import dataclass, field

from kbuildpy.elf import ModuleImage, Symbol
from kbuildpy.elf.constants import (
    EM_PPC64,
    EM_SPARC,
    EM_SPARCV9,
    SHN_ABS,
    SHN_COMMON,
    SHN_UNDEF,
    STB_GLOBAL,
    STB_WEAK,
)
from kbuildpy.errors import KbuildError
from kbuildpy.modpost.aliases import Aliases, add_table
from kbuildpy.modpost.exports import ExportedSymbol, Owner
from kbuildpy.modpost.named_exports import RETIRED_MACROS, UNKNOWN_MACRO, NamedExports
from kbuildpy.modpost.names import without_suffix
from kbuildpy.modpost.object_facts import Unresolved
from kbuildpy.modpost.reading import Reading
from kbuildpy.modpost.versions import Dialect

STT_SPARC_REGISTER = 13


@dataclass
class SymbolFacts:
    """The facts in the symbol table of one module; lists are in its order."""

    exports: list[ExportedSymbol] = field(default_factory=list)
    """The exports that have `__ksymtab_NAME` symbols (up to 6.3)."""
    unresolved: list[Unresolved] = field(default_factory=list)
    """The undefined symbols that another module must export."""
    aliases: tuple[str, ...] = ()
    """The aliases of the device tables."""
    has_init: bool = False
    """It has a symbol `init_module`."""
    has_cleanup: bool = False
    """It has a symbol `cleanup_module`."""


def read_symbols(image: ModuleImage, owner: Owner, reading: Reading) -> SymbolFacts:
    """The undefined symbols, exports and device tables of `image`; adds the exports to `reading.exports`.

    modpost reads only those defined symbols whose names have one of a few prefixes. A search in the string table finds
    them, so that thousands of local symbols are not looked at. Raises `Fatal` where modpost ends, `KbuildError` for a
    damaged file.
    """
    symbols, dialect = image.symbols, reading.dialect
    found = SymbolFacts()
    aliases = Aliases(dialect.device_table_prefix, reading.log)
    wanted = symbols.starting_with(b"init_module", b"cleanup_module", b"__mod_", b"__ksymtab_", b"__kstrtabns_")
    crcs = symbols.starting_with(b"__crc_") if dialect.crcs_in_objects else set()
    # Symbols with the CRC or namespace of an export; the export itself may come later in the table.
    notes: list[Symbol] = []
    for number, (st_name, st_info, _, st_shndx, _, _) in enumerate(symbols.rows):
        if st_name in crcs:
            notes.append(symbols[number])
        if st_shndx == SHN_UNDEF:
            if st_info >> 4 in (STB_GLOBAL, STB_WEAK):
                name = _needed_name(symbols.text(st_name), st_info & 15, image.header.e_machine, dialect)
                if name:
                    found.unresolved.append(Unresolved(name, weak=st_info >> 4 == STB_WEAK))
        elif st_shndx == SHN_COMMON:
            name = without_suffix(symbols.text(st_name))
            if not name.startswith("__gnu_lto_"):
                reading.log.module("common", owner.name, error=False, symbol=name)
        elif st_name in wanted:
            symbol = symbols[number]
            symbol = symbol._replace(name=without_suffix(symbol.name))
            if symbol.name.startswith("__mod_"):
                add_table(aliases, image, symbol, owner.name, dialect, reading.layouts)
            elif symbol.name.startswith("__kstrtabns_") and not dialect.exports_by_section:
                notes.append(symbol)
            else:
                _read_defined(symbol, image, owner, found, reading)
    for symbol in notes:
        _apply_note(symbol, image, owner, reading)
    if isinstance(reading.exports, NamedExports):
        reading.exports.note_globals(symbols)
    found.aliases = tuple(aliases.found)
    return found


def _needed_name(name: str, type: int, machine: int, dialect: Dialect) -> str:
    """The name to look for in the exports for an undefined symbol; "" if no module need export it
    (ignore_undef_symbol)."""
    name = without_suffix(name)
    if name in ("__this_module", "_GLOBAL_OFFSET_TABLE_") or name.startswith(dialect.ignored_prefixes.get(machine, ())):
        return ""
    if machine == EM_PPC64 and name == ".TOC.":
        return ""
    if dialect.ignores_section_bounds and name.startswith(("__start_", "__stop_")):
        return ""
    if machine in (EM_SPARC, EM_SPARCV9):
        if type == STT_SPARC_REGISTER:
            return ""
        if name.startswith("."):
            return "_" + name[1:2].upper() + name[2:]
    return name


def _read_defined(symbol: Symbol, image: ModuleImage, owner: Owner, found: SymbolFacts, reading: Reading) -> None:
    if symbol.name == "init_module":
        found.has_init = True
    elif symbol.name == "cleanup_module":
        found.has_cleanup = True
    elif not reading.dialect.exports_by_section:
        _add_ksymtab(symbol.name, image.section_name(symbol.shndx), owner, found, reading)


def _add_ksymtab(symbol: str, section: str, owner: Owner, found: SymbolFacts, reading: Reading) -> None:
    gpl_only = section.startswith("___ksymtab_gpl+")
    plain = section.startswith("___ksymtab+")
    if gpl_only or plain or reading.dialect.one_export_per_name:
        kind = "" if gpl_only or plain else _early_macro(section, reading.dialect)
        export = ExportedSymbol(symbol[len("__ksymtab_") :], owner, gpl_only, "", kind=kind)
        found.exports.append(reading.exports.add(export))


def _early_macro(section: str, dialect: Dialect) -> str:
    """The macro that exports a symbol whose `__ksymtab_NAME` is in neither of the sections of EXPORT_SYMBOL and
    EXPORT_SYMBOL_GPL (export_from_secname)."""
    for macro in RETIRED_MACROS if dialect.retired_exports else ():
        flags = macro.removeprefix("EXPORT_").replace("SYMBOL_GPL", "gpl").replace("_SYMBOL", "").lower()
        if section.startswith(f"___ksymtab_{flags}+"):
            return macro
    return UNKNOWN_MACRO


def _apply_note(symbol: Symbol, image: ModuleImage, owner: Owner, reading: Reading) -> None:
    """Set the CRC (`__crc_NAME`) or the namespace (`__kstrtabns_NAME`) of an export."""
    kind, _, name = without_suffix(symbol.name).removeprefix("__").partition("_")
    if kind == "crc":
        _set_crc(name, symbol, image, owner, reading)
    else:
        _set_namespace(name, image.string_at(symbol.shndx, symbol.value), reading)


def _set_crc(name: str, symbol: Symbol, image: ModuleImage, owner: Owner, reading: Reading) -> None:
    """Set the CRC of an export from the object: the value of `__crc_NAME` if that is absolute, else the four bytes that
    it points to (handle_modversion)."""
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
