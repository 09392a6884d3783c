# SPDX-License-Identifier: GPL-2.0-only
"""The exports of a kernel and its modules, looked up in a symvers file: a tree's own, or one made from an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.symvers import Symvers, crc_number
from kbuildpy.loader.kernel import KernelExport


@dataclass(frozen=True)
class SymversExports:
    """`symvers` as the kernel's loader sees it; without `modversions` its CRCs do not count."""

    symvers: Symvers
    modversions: bool
    # A few hundred symbols are asked for by module after module.
    _found: dict[str, KernelExport] = field(default_factory=dict, compare=False, repr=False)

    def find(self, symbol: str) -> KernelExport | None:
        """The export called `symbol`, None if there is none."""
        try:
            return self._found[symbol]
        except KeyError:
            # (a damaged module may name any number of symbols that do not exist: these are not kept)
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
