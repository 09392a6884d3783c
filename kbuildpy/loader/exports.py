"""What a kernel and its modules export, looked up in a symvers file: a tree's own, or one made from an image."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.own_modules import module_name
from kbuildpy.kernel.symvers import Symvers
from kbuildpy.loader.kernel import KernelExport


@dataclass(frozen=True)
class SymversExports:
    """`symvers` as the kernel's loader sees it; without `modversions` its CRCs mean nothing."""

    symvers: Symvers
    modversions: bool

    def find(self, symbol: str) -> KernelExport | None:
        """What is known of `symbol`, None if nobody exports it."""
        line = self.symvers.find(symbol)
        if line is None:
            return None
        crc, owner, license, namespace = line
        return KernelExport(
            owner="" if owner == "vmlinux" else module_name(owner),
            crc=int(crc, 16) & 0xFFFFFFFF if self.modversions else None,
            gpl_only=license == "EXPORT_SYMBOL_GPL",
            namespace=namespace,
        )
