# SPDX-License-Identifier: GPL-2.0-only
"""The table of exports of modpost up to 5.18 (scripts/mod/modpost.c: sym_add_exported, write_dump).

There is one entry for each name. A second export of the name changes the entry: the owner and the macro only if there
is no conflict, the CRC and the namespace always. modpost keeps the entries in a hash table, which decides the order of
`Module.symvers` and of the messages about static symbols.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kbuildpy.kernel.symvers import LICENSES, Symvers, SymversLine
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.exports import ExportedSymbol, KnownExports
from kbuildpy.modpost.names import without_suffix

if TYPE_CHECKING:
    from kbuildpy.elf import SymbolTable

RETIRED_MACROS = frozenset(("EXPORT_UNUSED_SYMBOL", "EXPORT_UNUSED_SYMBOL_GPL", "EXPORT_SYMBOL_GPL_FUTURE"))
UNKNOWN_MACRO = "(unknown)"
BUCKETS = 1024


class NamedExports(KnownExports):
    """The table of all exports that modpost knows, one for each name.

    `retired`: this kernel has the macros `RETIRED_MACROS`. `macros` are the macros that it knows in symvers files, and
    `knows_vmlinux` says whether a symvers file has symbols of vmlinux.
    """

    def __init__(self, log: Log, *, external: bool, retired: bool) -> None:
        super().__init__(log, external=external, owner_by_file=False)
        self.macros = frozenset(LICENSES) | (RETIRED_MACROS if retired else frozenset())
        self.knows_vmlinux = False
        self._new: dict[str, ExportedSymbol] = {}

    def load(self, symvers: Symvers, name: str) -> None:
        """Add a symvers file, which the command line calls `name` (read_dump)."""
        if self.repeats(symvers):
            columns = symvers.columns
            for row, found in enumerate(columns.symbols):
                symbol = self.symbol_in(found, columns.line(row), name)
                known = self._merge(symbol)
                known.crc, known.namespace = symbol.crc, symbol.namespace
        self.files.append((name, symvers))
        self.knows_vmlinux = self.knows_vmlinux or "vmlinux" in symvers.columns.owners

    def add(self, symbol: ExportedSymbol) -> ExportedSymbol:
        """Add an export of a module that is built; returns the entry of its name (sym_add_exported)."""
        known = self._merge(symbol)
        if known is symbol:
            symbol.static = True
            self._new[symbol.name] = symbol
        return known

    def symbol_in(self, name: str, line: SymversLine, file: str) -> ExportedSymbol:
        """The export of `name` in a line of a symvers file; its macro is `UNKNOWN_MACRO` if this kernel does not know
        the one in the line."""
        symbol = super().symbol_in(name, line, file)
        license = line[2]
        if license not in LICENSES:
            symbol.kind = license if license in self.macros else UNKNOWN_MACRO
        return symbol

    def note_globals(self, symbols: SymbolTable) -> None:
        """Mark exports as not static if an object has a global or weak symbol of the name, defined or undefined."""
        static = {symbol.name: symbol for symbol in self._new.values() if symbol.static}
        if not static:
            return
        for name_offset, info, *_ in symbols.rows:
            if info >> 4 in (1, 2):
                name = without_suffix(symbols.text(name_offset))
                found = static.get(name[1:] if name.startswith(".") else name)
                if found is not None:
                    found.static = False

    def in_order(self, symbols: Iterable[ExportedSymbol]) -> list[ExportedSymbol]:
        """`symbols`, each once, in the order of the hash table; in one bucket the newest comes first (write_dump)."""
        ages = {name: (len(self.files), age) for age, name in enumerate(self._new)}
        for number, (_, symvers) in enumerate(self.files):
            columns = symvers.columns
            for symbol in symbols:
                if symbol.name in columns.rows and symbol.name not in ages:
                    ages[symbol.name] = (number, columns.symbols.index(symbol.name))

        def place(symbol: ExportedSymbol) -> tuple[int, int, int]:
            file, row = ages[symbol.name]
            return bucket(symbol.name), -file, -row

        return sorted(dict.fromkeys(symbols), key=place)

    def static_exports(self) -> list[ExportedSymbol]:
        """The exports that are global in no object, in the order of the hash table."""
        return self.in_order([symbol for symbol in self._new.values() if symbol.static])

    def _merge(self, symbol: ExportedSymbol) -> ExportedSymbol:
        known = self.find(symbol.name)
        if known is None:
            self.found[symbol.name] = symbol
            return symbol
        if self.conflicts(symbol.owner, known.owner):
            self.log.module(
                "exported-twice", symbol.owner.name, error=False, symbol=symbol.name, owner=known.owner.filename
            )
        else:
            known.owner, known.gpl_only, known.kind = symbol.owner, symbol.gpl_only, symbol.kind
        return known


def bucket(name: str) -> int:
    """The index of the bucket of `name` in the hash table (modpost.c: tdb_hash)."""
    octets = name.encode("utf-8", "surrogateescape")
    value = 0x238F13AF * len(octets)
    for at, octet in enumerate(octets):
        value += octet << at * 5 % 24
    return (1103515243 * value + 12345) % 2**32 % BUCKETS
