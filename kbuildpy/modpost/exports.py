# SPDX-License-Identifier: GPL-2.0-only
"""The exports of symvers files (-i) and of the modules that are being built (modpost.c: sym_add_exported).

The newest export of a name is the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.symvers import Symvers, SymversColumns, SymversLine, crc_number
from kbuildpy.modpost.diagnostics import Log


@dataclass(frozen=True, eq=False)
class Owner:
    """A module (or vmlinux) that exports symbols; two owners of the same name may be different modules."""

    name: str

    @property
    def is_vmlinux(self) -> bool:
        """Whether the owner is the kernel itself."""
        return self.name == "vmlinux"

    @property
    def basename(self) -> str:
        """The module's own name."""
        return self.name.rpartition("/")[2]

    @property
    def filename(self) -> str:
        """The name as messages show it."""
        return self.name if self.is_vmlinux else f"{self.name}.ko"


@dataclass(eq=False)
class ExportedSymbol:
    """One export."""

    name: str
    owner: Owner
    gpl_only: bool
    namespace: str
    """"" for none."""
    crc: int | None = None
    """The CRC; None until it is known."""
    is_func: bool = False
    used: bool = False
    """A module uses it, or -t must not drop it."""
    kind: str = ""
    """The macro, where `gpl_only` does not tell it (EXPORT_UNUSED_SYMBOL and others, up to 5.11)."""
    static: bool = False
    """No object is known yet in which the symbol is global (up to 5.18)."""

    @property
    def macro(self) -> str:
        """The macro that exports it, as symvers files have it."""
        return self.kind or f"EXPORT_SYMBOL{'_GPL' if self.gpl_only else ''}"


class KnownExports:
    """All exports that modpost knows."""

    def __init__(self, log: Log, *, external: bool, owner_by_file: bool) -> None:
        self.log = log
        self._external = external
        self._owner_by_file = owner_by_file
        self.files: list[tuple[str, Symvers]] = []
        self.found: dict[str, ExportedSymbol] = {}
        self._owners: dict[tuple[str, str], Owner] = {}

    def load(self, symvers: Symvers, name: str) -> None:
        """Add a symvers file, which the command line calls `name`.

        Its symbols become objects only when they are looked up.
        """
        for symbol, license in symvers.skipped:
            self.log.error(f"{symbol}: unknown license {license}. skip")
        if self.repeats(symvers):
            self._report_duplicates(symvers.columns, name)
        self.found.clear()
        self.files.append((name, symvers))

    def repeats(self, symvers: Symvers) -> bool:
        """Whether a symvers file names a symbol twice, or one that an earlier file has."""
        return not symvers.unique or any(_share_a_symbol(symvers, earlier) for _, earlier in self.files)

    def add(self, symbol: ExportedSymbol) -> ExportedSymbol:
        """Add an export of a module that is being built; returns the entry for it."""
        earlier = self.find(symbol.name)
        if earlier is not None and self.conflicts(symbol.owner, earlier.owner):
            self.log.module("exported-twice", symbol.owner.name, symbol=symbol.name, owner=earlier.owner.filename)
        self.found[symbol.name] = symbol
        return symbol

    def find(self, name: str) -> ExportedSymbol | None:
        """The export of `name`. A leading dot (function descriptors of PPC64) does not count."""
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
        """Whether `owner` must not export what `earlier` does: modules may replace one another, but not vmlinux."""
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
