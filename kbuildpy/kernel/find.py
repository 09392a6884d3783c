# SPDX-License-Identifier: GPL-2.0-only
"""The kernel trees that are installed.

Distributions agree on `/lib/modules/RELEASE/build`; headers without their kernel (a build machine, a container)
are found where their packages put them. A kernel image without headers leaves a dangling `build` link: that is
no tree, and no error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.open_tree import open_tree, read_release
from kbuildpy.kernel.release import release_order
from kbuildpy.kernel.tree import KernelTree

_LOOKED_FOR = (
    "lib/modules/*/build",
    "usr/lib/modules/*/build",
    "usr/src/linux-headers-*",
    "usr/src/kernels/*",
    "usr/src/linux-*-obj/*/*",
)


@dataclass(frozen=True)
class InstalledTrees:
    """What `installed_trees` found."""

    trees: tuple[KernelTree, ...]
    """From the oldest to the newest."""
    broken: tuple[tuple[Path, KbuildError], ...]
    """The object parts that cannot be used, each with what is wrong with it."""


def installed_trees(root: Path = Path("/")) -> InstalledTrees:
    """Every kernel tree that is installed below `root`, one entry for each physical directory."""
    trees: dict[Path, KernelTree] = {}
    broken: dict[Path, KbuildError] = {}
    for path in _candidates(root):
        objects = path.resolve()
        if objects in trees or objects in broken:
            continue
        try:
            trees[objects] = open_tree(objects)
        except KbuildError as error:
            broken[objects] = error
    ordered = sorted(trees.values(), key=lambda tree: (release_order(tree.release), str(tree.objects)))
    return InstalledTrees(tuple(ordered), tuple(sorted(broken.items())))


def installed_tree(release: str, root: Path = Path("/")) -> KernelTree | None:
    """The tree of `release` that is installed below `root`, None if there is none. Raises `KbuildError` if it is
    broken."""
    linked = _linked_tree(release, root)
    if linked is not None:
        return linked
    installed = installed_trees(root)
    for tree in reversed(installed.trees):
        if tree.release == release:
            return tree
    for path, error in installed.broken:
        if release in releases_of_broken(path):
            raise error
    return None


def releases_of_broken(objects: Path) -> set[str]:
    """The releases that the broken tree in `objects` may be of: the one that it tells, if any, and the one that its
    package's directory is called by, or the one above `build`."""
    place = objects.parent if objects.name == "build" else objects
    return {read_release(objects), place.name.removeprefix("linux-headers-")}


def _linked_tree(release: str, root: Path) -> KernelTree | None:
    """The tree behind `/lib/modules/RELEASE/build`: the short way, without a look at the other trees."""
    if "/" in release or release in {"", ".", ".."}:
        return None
    link = root / "lib/modules" / release / "build"
    if not (link / "include/config/auto.conf").is_file():
        return None
    return open_tree(link)


def _candidates(root: Path) -> Iterator[Path]:
    for pattern in _LOOKED_FOR:
        for path in sorted(root.glob(pattern)):
            # Without a configuration it is a package's source part, or what a removed package left behind.
            if (path / "include/config/auto.conf").is_file():
                yield path
