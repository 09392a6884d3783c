"""Who exports what: the symvers files given with -i and the modules at hand (modpost.c: sym_add_exported).

The newest export of a name is the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.symvers import LICENSES, Symvers, SymversColumns


@dataclass(frozen=True, eq=False)
class Owner:
    """A module (or vmlinux) that exports symbols; two owners of the same name may be different modules."""

    name: str

    @property
    def is_vmlinux(self) -> bool:
        """Whether this is the kernel itself."""
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
    """One export. `crc` is None until a version is known; `used` matters only to -t."""

    name: str
    owner: Owner
    gpl_only: bool
    namespace: str
    crc: int | None = None
    is_func: bool = False
    used: bool = False


class ExportTable:
    """All exports that modpost knows."""

    def __init__(self, log: Log, *, external: bool, owner_by_file: bool) -> None:
        self._log = log
        self._external = external
        self._owner_by_file = owner_by_file
        self._files: list[tuple[str, Symvers]] = []
        self._found: dict[str, ExportedSymbol] = {}
        self._owners: dict[tuple[str, str], Owner] = {}

    def load(self, symvers: Symvers, name: str) -> None:
        """Add a symvers file, which the command line calls `name`.

        Its symbols become objects only when they are looked up.
        """
        for symbol, license in symvers.skipped:
            self._log.error(f"{symbol}: unknown license {license}. skip")
        if not symvers.unique or any(_share_a_symbol(symvers, earlier) for _, earlier in self._files):
            self._report_duplicates(symvers.columns, name)
        self._found.clear()
        self._files.append((name, symvers))

    def add(self, symbol: ExportedSymbol) -> None:
        """Add an export of a module at hand."""
        earlier = self.find(symbol.name)
        if earlier is not None:
            self._check_twice(symbol.name, symbol.owner, earlier.owner)
        self._found[symbol.name] = symbol

    def find(self, name: str) -> ExportedSymbol | None:
        """The export of `name`. A leading dot (function descriptors of PPC64) does not count."""
        name = name[1:] if name.startswith(".") else name
        symbol = self._found.get(name)
        if symbol is None:
            for file, symvers in reversed(self._files):
                line = symvers.find(name)
                if line is not None:
                    crc, owner, license, namespace = line
                    symbol = self._found[name] = ExportedSymbol(
                        name,
                        self._owner(file, owner),
                        LICENSES[license],
                        namespace,
                        int(crc or "0", 16) & 0xFFFFFFFF,
                    )
                    break
        return symbol

    def _owner(self, file: str, name: str) -> Owner:
        key = (file if self._owner_by_file else "", name)
        owner = self._owners.get(key)
        if owner is None:
            owner = self._owners[key] = Owner(name)
        return owner

    def _check_twice(self, symbol: str, owner: Owner, earlier: Owner) -> None:
        if self._external and not earlier.is_vmlinux and earlier is not owner:
            return
        self._log.module(
            "exported-twice", owner.name, is_vmlinux=owner.is_vmlinux, symbol=symbol, owner=earlier.filename
        )

    def _report_duplicates(self, symvers: SymversColumns, name: str) -> None:
        here: dict[str, Owner] = {}
        for row, symbol in enumerate(symvers.symbols):
            owner = self._owner(name, symvers.owners[row])
            earlier = here.get(symbol)
            if earlier is None:
                known = self.find(symbol)
                earlier = known.owner if known is not None else None
            if earlier is not None:
                self._check_twice(symbol, owner, earlier)
            here[symbol] = owner


def _share_a_symbol(one: Symvers, other: Symvers) -> bool:
    short, long = sorted((one, other), key=len)
    return any(long.find(symbol) is not None for symbol in short.columns.symbols)
