# SPDX-License-Identifier: GPL-2.0-only
"""The folder of a kernel tree's output below the output directory: RELEASE, and RELEASE@NAME where two trees share one.

Self-built trees often have the same release: two `O=` directories of one source, a debug build beside the plain one.
In one call the first of them has `RELEASE`, as a tree that is alone; each other has a folder that its path names. A
tree that has such a folder already keeps it, so that later calls for it alone (`install`, too) find its modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree

_UNFIT = re.compile(r"[^A-Za-z0-9._+-]")


def output_folder(root: Path, tree: KernelTree, *, holder: Path | None = None) -> Path:
    """The folder below `root` for the output of `tree`; `holder` is the object part of the tree that has `RELEASE` in
    this call, None for no tree."""
    own = root / _own_name(tree)
    return own if own.is_dir() or holder not in (None, tree.objects) else root / tree.release


def output_folders(root: Path, trees: Iterable[KernelTree]) -> list[Path]:
    """The folders below `root` for `trees`, which are built in one call, in this order."""
    holders: dict[str, Path] = {}
    folders = []
    for tree in trees:
        folder = output_folder(root, tree, holder=holders.get(tree.release))
        if folder.name == tree.release:
            holders[tree.release] = tree.objects
        folders.append(folder)
    return folders


def tree_labels(trees: Sequence[KernelTree]) -> list[str]:
    """What the results for `trees` of one call are told apart by: the release; for a further tree of a release the name
    of its folder."""
    first: dict[str, Path] = {}
    holders = [first.setdefault(tree.release, tree.objects) for tree in trees]
    return [
        tree.release if holder == tree.objects else _own_name(tree) for tree, holder in zip(trees, holders, strict=True)
    ]


def _own_name(tree: KernelTree) -> str:
    """The release, the name of the tree's directory, and what tells directories of one name apart."""
    name = _UNFIT.sub("_", tree.objects.name)[:40]
    return f"{tree.release}@{name}-{sha256(bytes(tree.objects)).hexdigest()[:6]}"
