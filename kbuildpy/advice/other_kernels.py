# SPDX-License-Identifier: GPL-2.0-only
"""The other kernels that are installed: what they have tells what a name was, or will be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.exported_symbol import SymbolExport, find_export
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.release import release_order
from kbuildpy.kernel.tree import KernelTree

_MOST = 4


@dataclass(frozen=True)
class OtherKernels:
    """The trees below `root` for the architecture of `tree`, without itself."""

    tree: KernelTree
    root: Path = Path("/")

    @cached_property
    def trees(self) -> tuple[KernelTree, ...]:
        """Those next to it in version, both older and newer ones, from old to new."""
        architecture = architecture_of(self.tree)
        own = release_order(self.tree.release)
        found = [
            tree
            for tree in installed_trees(self.root).trees
            if tree.objects != self.tree.objects and architecture_of(tree) == architecture
        ]
        ordered = sorted(found, key=lambda tree: release_order(tree.release))
        older = [tree for tree in ordered if release_order(tree.release) <= own]
        newer = [tree for tree in ordered if release_order(tree.release) > own]
        half = _MOST // 2
        kept_older = older[-max(half, _MOST - len(newer)) :]
        return (*kept_older, *newer[: _MOST - len(kept_older)])

    def exporting(self, symbol: str) -> list[SymbolExport]:
        """What those that export `symbol` say of it, from old to new."""
        found = []
        for tree in self.trees:
            try:
                export = find_export(symbol, tree)
            except KbuildError:
                continue
            if export is not None:
                found.append(export)
        return found
