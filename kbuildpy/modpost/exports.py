# SPDX-License-Identifier: GPL-2.0-only
"""The table of exports: of symvers files (-i) and of the modules that are built.

The counterpart is scripts/mod/modpost.c: sym_add_exported, find_symbol, read_dump. Of several exports of one name, the
newest is used.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.symvers import Symvers, SymversColumns, SymversLine, crc_number
from kbuildpy.modpost.diagnostics import Log


@dataclass(frozen=True, eq=False)
class Owner:
    """A module (or vmlinux) that exports symbols. Two owners of the same name may be different modules."""

    name: str
    """The module's nominal name: its path without a suffix."""

    @property
    def is_vmlinux(self) -> bool:
        """Whether the owner is the kernel itself."""
        return self.name == "vmlinux"

    @property
    def basename(self) -> str:
        """The last component of the module's path."""
        return self.name.rpartition("/")[2]

    @property
    def filename(self) -> str:
        """The name in messages: with `.ko` for a module."""
        return self.name if self.is_vmlinux else f"{self.name}.ko"


@dataclass(eq=False)
class ExportedSymbol:
    """One export of a symbol."""

    name: str
    owner: Owner
    gpl_only: bool
    namespace: str
    """The namespace; "" for none."""
    crc: int | None = None
    """The CRC; None until it is known."""
    is_func: bool = False
    """The symbol is a function."""
    used: bool = False
    """A module uses the symbol, or -t must not drop it."""
    kind: str = ""
    """The macro, if it is not one of EXPORT_SYMBOL and EXPORT_SYMBOL_GPL (up to 5.11); else ""."""
    static: bool = False
    """The symbol is global in no object that was read so far (up to 5.18)."""

    @property
    def macro(self) -> str:
        """The macro that exports the symbol, as in symvers files."""
        return self.kind or f"EXPORT_SYMBOL{'_GPL' if self.gpl_only else ''}"


class KnownExports:
    """The table of all exports that modpost knows.

    `external` is the option -e: modules may then replace exports of other modules. `owner_by_file`: owners of the same
    name in two symvers files are two modules.
    """

    def __init__(self, log: Log, *, external: bool, owner_by_file: bool) -> None:
        self.log = log
        self._external = external
        self._owner_by_file = owner_by_file
        self.files: list[tuple[str, Symvers]] = []
        self.found: dict[str, ExportedSymbol] = {}
        self._owners: dict[tuple[str, str], Owner] = {}

    def load(self, symvers: Symvers, name: str) -> None:
        """Add a symvers file, which the command line calls `name` (read_dump).

        An `ExportedSymbol` is created only when `find` looks it up, because most symbols of vmlinux are never used.
        """
        for symbol, license in symvers.skipped:
            self.log.error(f"{symbol}: unknown license {license}. skip")
        if self.repeats(symvers):
            self._report_duplicates(symvers.columns, name)
        self.found.clear()
        self.files.append((name, symvers))

    def repeats(self, symvers: Symvers) -> bool:
        """Whether a symvers file names a symbol twice, or has a symbol of an earlier file."""
        return not symvers.unique or any(_share_a_symbol(symvers, earlier) for _, earlier in self.files)

    def add(self, symbol: ExportedSymbol) -> ExportedSymbol:
        """Add an export of a module that is built; returns its entry in the table (sym_add_exported). Logs an error if
        the export conflicts with an earlier one."""
        earlier = self.find(symbol.name)
        if earlier is not None and self.conflicts(symbol.owner, earlier.owner):
            self.log.module("exported-twice", symbol.owner.name, symbol=symbol.name, owner=earlier.owner.filename)
        self.found[symbol.name] = symbol
        return symbol

    def find(self, name: str) -> ExportedSymbol | None:
        """The newest export of `name`, or None (find_symbol). A leading dot (function descriptors of PPC64) is
        ignored."""
        name = name[1:] if name.startswith(".") else name
        symbol = self.found.get(name)
        if symbol is None:
            for file, symvers in reversed(self.files):
                line = symvers.find(name)
                if line is not None:
                    symbol = self.found[name] = self.symbol_in(name, line, file)
                    break
        return symbol

    def symbol_in(self, name: str, line: SymversLine, file: str) -> ExportedSymbol:
        """The export of `name` in a line of a symvers file."""
        crc, owner, license, namespace = line
        gpl_only = license == "EXPORT_SYMBOL_GPL"
        return ExportedSymbol(name, self._owner(file, owner), gpl_only, namespace, crc_number(crc))

    def conflicts(self, owner: Owner, earlier: Owner) -> bool:
        """Whether `owner` must not export a symbol that `earlier` exports. With -e a module may replace exports of
        other modules, but not of vmlinux."""
        return not self._external or earlier.is_vmlinux or earlier is owner

    def _owner(self, file: str, name: str) -> Owner:
        key = (file if self._owner_by_file else "", name)
        owner = self._owners.get(key)
        if owner is None:
            owner = self._owners[key] = Owner(name)
        return owner

    def _report_duplicates(self, symvers: SymversColumns, name: str) -> None:
        here: dict[str, Owner] = {}
        for row, symbol in enumerate(symvers.symbols):
            owner = self._owner(name, symvers.owners[row])
            earlier = here.get(symbol)
            if earlier is None:
                known = self.find(symbol)
                earlier = known.owner if known is not None else None
            if earlier is not None and self.conflicts(owner, earlier):
                self.log.module(
                    "exported-twice", owner.name, is_vmlinux=owner.is_vmlinux, symbol=symbol, owner=earlier.filename
                )
            here[symbol] = owner


def _share_a_symbol(one: Symvers, other: Symvers) -> bool:
    short, long = sorted((one, other), key=len)
    return any(long.find(symbol) is not None for symbol in short.columns.symbols)
