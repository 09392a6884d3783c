# SPDX-License-Identifier: GPL-2.0-only
"""The other kernels that are installed or fetched: what they have tells what a name was, or will be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.exported_symbol import SymbolExport, find_export
from kbuildpy.kernel.fetched import fetched_trees
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.release import release_order
from kbuildpy.kernel.tree import KernelTree

_MOST = 4


@dataclass(frozen=True)
class OtherKernels:
    """The trees below `root` for the architecture of `tree`, without itself; without a root those of this system and
    those that were fetched."""

    tree: KernelTree
    root: Path | None = None

    @cached_property
    def trees(self) -> tuple[KernelTree, ...]:
        """Those next to it in version, both older and newer ones, from old to new: of each line the newest."""
        architecture = architecture_of(self.tree)
        own = release_order(self.tree.release)
        found = {
            tree.release: tree
            for tree in (*self._fetched(), *installed_trees(self.root or Path("/")).trees)
            if tree.release != self.tree.release and architecture_of(tree) == architecture
        }
        ordered = sorted(found.values(), key=lambda tree: release_order(tree.release))
        older = _newest_of_each_line(tree for tree in ordered if release_order(tree.release) <= own)
        newer = _newest_of_each_line(tree for tree in ordered if release_order(tree.release) > own)
        half = _MOST // 2
        kept_older = older[-max(half, _MOST - len(newer)) :]
        return (*kept_older, *newer[: _MOST - len(kept_older)])

    def _fetched(self) -> tuple[KernelTree, ...]:
        return fetched_trees().trees if self.root is None else ()

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


def _newest_of_each_line(trees: Iterable[KernelTree]) -> list[KernelTree]:
    """Of `trees`, from old to new, the last one of each line."""
    return list({tree.version: tree for tree in trees}.values())
