# SPDX-License-Identifier: GPL-2.0-only
"""Looks up the exports of a kernel and its modules in symvers: a tree's Module.symvers, or one made from an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.symvers import Symvers, crc_number
from kbuildpy.loader.kernel import KernelExport


@dataclass(frozen=True)
class SymversExports:
    """The exports in `symvers`."""

    symvers: Symvers
    """The symbols with CRC, owner, licence and namespace."""
    modversions: bool
    """Whether the kernel compares CRCs; if not, each export has the CRC None."""
    # A cache: most modules use the same few hundred symbols.
    _found: dict[str, KernelExport] = field(default_factory=dict, compare=False, repr=False)

    def find(self, symbol: str) -> KernelExport | None:
        """Return the export called `symbol`; None if there is none."""
        try:
            return self._found[symbol]
        except KeyError:
            # Missing symbols are not cached: a damaged module may name any number of them.
            found = self._look_up(symbol)
            if found is not None:
                self._found[symbol] = found
            return found

    def _look_up(self, symbol: str) -> KernelExport | None:
        line = self.symvers.find(symbol)
        if line is None:
            return None
        crc, owner, license, namespace = line
        return KernelExport(
            owner="" if owner == "vmlinux" else module_name(owner),
            crc=crc_number(crc) if self.modversions else None,
            gpl_only=license == "EXPORT_SYMBOL_GPL",
            namespace=namespace,
        )
