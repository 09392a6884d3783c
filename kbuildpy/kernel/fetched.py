# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that were fetched (`fetch`): unpacked in the user's cache, not installed.

They lie there as in the root directory of a system (`usr/src`, `usr/lib`, `lib/modules`, `boot`), so what finds
installed kernels finds these too. An installed kernel comes first everywhere.
"""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.built import is_built
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.find import InstalledTrees, installed_tree, installed_trees
from kbuildpy.kernel.tree import KernelTree

_HEADERS = "linux-headers-"


def fetched_root() -> Path:
    """The directory that fetched kernels are below; it may not be there."""
    return cache_directory() / "kernels"


def is_fetched(path: Path) -> bool:
    """Whether the physical path `path` is part of a fetched kernel."""
    return path.is_relative_to(fetched_root().resolve())


def fetched_trees() -> InstalledTrees:
    """Every kernel tree that was fetched, as `installed_trees` returns those of a system."""
    return _trees(built=False)


def built_trees() -> InstalledTrees:
    """Every kernel tree that was built by `kbuildpy kernel build`."""
    return _trees(built=True)


def _trees(*, built: bool) -> InstalledTrees:
    found = installed_trees(fetched_root())
    trees = tuple(tree for tree in found.trees if is_built(tree.objects) == built)
    broken = [(path, error) for path, error in found.broken if is_built(path) == built]
    return InstalledTrees(trees, tuple((path, _fetch_again(path, error)) for path, error in broken))


def fetched_tree(release: str) -> KernelTree | None:
    """The fetched or built tree of `release`, None if there is none. Raises `KbuildError` if it is broken."""
    if not (fetched_root() / "usr/src" / f"{_HEADERS}{release}").is_dir():
        return None
    try:
        return installed_tree(release, fetched_root())
    except KbuildError as error:
        raise _fetch_again(Path(f"{_HEADERS}{release}"), error) from error


def _fetch_again(path: Path, error: KbuildError) -> KbuildError:
    release = path.name.removeprefix(_HEADERS)
    if is_built(path):
        return KbuildError(
            error.message, hint=f"build it again: kbuildpy kernels --remove {release}, then kernel build"
        )
    return KbuildError(
        error.message, hint=f"fetch it again: kbuildpy kernels --remove {release}, then --fetch {release}"
    )
