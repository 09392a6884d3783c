"""Finding kernel trees: by path, by release, the running kernel's, all that are installed.

Distributions agree on `/lib/modules/RELEASE/build`; headers without their kernel (a build machine, a container)
are found where their packages put them. A kernel image without headers leaves a dangling `build` link: that is
no tree, and no error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.open import open_tree
from kbuildpy.kernel.packages import headers_hint, release_hint
from kbuildpy.kernel.release import release_order
from kbuildpy.kernel.tree import KernelTree

__all__ = [
    "FoundTree",
    "InstalledTrees",
    "check_release",
    "find_called_trees",
    "find_trees",
    "installed_trees",
    "open_tree",
]

_LOOKED_FOR = (
    "lib/modules/*/build",
    "usr/lib/modules/*/build",
    "usr/src/linux-headers-*",
    "usr/src/kernels/*",
    "usr/src/linux-*-obj/*/*",
)


class FoundTree(NamedTuple):
    """A kernel tree, and in one sentence why it was taken; `by_kdir`: because KDIR names it, which needs no telling."""

    tree: KernelTree
    reason: str
    by_kdir: bool = False


@dataclass(frozen=True)
class InstalledTrees:
    """What is installed: `trees` from the oldest to the newest, and `broken` ones with what is wrong with them."""

    trees: tuple[KernelTree, ...]
    broken: tuple[tuple[Path, KbuildError], ...]


def find_trees(
    wanted: Sequence[str] = (),
    *,
    kdir: str | None = None,
    kernelrelease: str | None = None,
    root: Path = Path("/"),
    running: str = "",
) -> list[FoundTree]:
    """The kernel trees that `wanted` names (`-k`: a path, a release, `running`, `all`), in that order, each once.

    With none wanted there is exactly one: `kdir`, else the tree of `kernelrelease`, else the running kernel's, else
    the newest that is installed for this machine. Trees are looked for below `root`; `running` is what `uname -r`
    says. Raises `UsageError` for a name that means no tree, `KbuildError` for a tree that cannot be used, and for
    none at all.
    """
    running = running or os.uname().release
    if not wanted:
        return [_default_tree(kdir, kernelrelease, root, running)]
    found: dict[Path, FoundTree] = {}
    for word in wanted:
        for item in _trees_of_word(word, root, running):
            found.setdefault(item.tree.objects, item)
    return list(found.values())


def find_called_trees(
    wanted: Sequence[str], variables: Mapping[str, str], *, environ: Mapping[str, str], root: Path = Path("/")
) -> list[FoundTree]:
    """The kernel trees that a command line names by `wanted` (`-k`) and by KDIR and KERNELRELEASE among its
    `variables`; only a command line that names none leaves it to KDIR of `environ`.

    Raises what `find_trees` raises, and `UsageError` for a command line that contradicts itself.
    """
    kdir, release = variables.get("KDIR"), variables.get("KERNELRELEASE")
    given = kdir or (None if release else environ.get("KDIR"))
    found = find_trees(wanted, kdir=given, kernelrelease=release, root=root)
    if wanted and kdir and [item.tree.objects for item in found] != [open_tree(kdir).objects]:
        raise UsageError(
            f"-k {' -k '.join(wanted)} and KDIR={kdir} name different kernel trees",
            hint="give one of them: -k takes a path, too, and may repeat",
        )
    for item in found if release else ():
        check_release(item.tree, release or "")
    return found


def check_release(tree: KernelTree, release: str) -> None:
    """Refuse a `tree` that is not of `release` where the same call names both (`UsageError`)."""
    if tree.release != release:
        raise UsageError(
            f"KERNELRELEASE={release}, but the kernel tree that is named is that of {tree.release} ({tree.objects})",
            hint="name the kernel once: its tree (KDIR, -k) or its release (KERNELRELEASE, -k)",
        )


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


def _candidates(root: Path) -> Iterator[Path]:
    for pattern in _LOOKED_FOR:
        for path in sorted(root.glob(pattern)):
            # Without a configuration it is a package's source part, or what a removed package left behind.
            if (path / "include/config/auto.conf").is_file():
                yield path


def _default_tree(kdir: str | None, kernelrelease: str | None, root: Path, running: str) -> FoundTree:
    if kdir:
        return FoundTree(open_tree(kdir), f"KDIR names {kdir}.", by_kdir=True)
    if kernelrelease:
        return FoundTree(_tree_of_release(kernelrelease, root), f"KERNELRELEASE names {kernelrelease}.")
    tree = _linked_tree(running, root)
    if tree:
        return FoundTree(tree, f"It is the running kernel's ({running}).")
    installed = installed_trees(root)
    for tree in installed.trees:
        if tree.release == running:
            return FoundTree(tree, f"It is the running kernel's ({running}).")
    if not installed.trees:
        if installed.broken:
            raise installed.broken[-1][1]
        raise KbuildError(
            f"no kernel tree found: the running kernel {running} has no headers installed, nor has any other",
            hint=f"{headers_hint()} (or name a kernel tree: KDIR=/path/to/tree)",
        )
    native = [tree for tree in installed.trees if is_native(architecture_of(tree))]
    newest = (native or installed.trees)[-1]
    unusable = f" (left out {', '.join(str(path) for path, _ in installed.broken)})" if installed.broken else ""
    return FoundTree(
        newest,
        f"The running kernel {running} has no headers installed; took the newest tree installed{unusable}: "
        f"{newest.release} ({newest.objects}).",
    )


def _trees_of_word(word: str, root: Path, running: str) -> list[FoundTree]:
    if word == "all":
        installed = installed_trees(root)
        if installed.broken:
            # Somebody who ships a module for all kernels must not find out later that one was left out.
            raise installed.broken[0][1]
        if not installed.trees:
            raise KbuildError("no kernel tree found: no kernel headers are installed", hint=headers_hint())
        return [FoundTree(tree, "All installed kernel trees are wanted.") for tree in installed.trees]
    if word == "running":
        tree = _tree_of_release(running, root, what="the running kernel")
        return [FoundTree(tree, f"It is the running kernel's ({running}).")]
    if "/" in word or word in {".", ".."}:
        return [FoundTree(open_tree(word), "Its path was given.")]
    if not word:
        raise UsageError("-k: an empty name", hint="name a kernel tree's path, a release, `running`, or `all`")
    try:
        return [FoundTree(_tree_of_release(word, root), "Its release was given.")]
    except UsageError:
        if Path(word).is_dir():
            return [FoundTree(open_tree(word), "Its path was given.")]
        raise


def _tree_of_release(release: str, root: Path, *, what: str = "") -> KernelTree:
    tree = _linked_tree(release, root)
    if tree:
        return tree
    installed = installed_trees(root)
    for tree in reversed(installed.trees):
        if tree.release == release:
            return tree
    for path, error in installed.broken:
        if release in path.name:
            raise error
    have = ", ".join(tree.release for tree in reversed(installed.trees)) or "none"
    name = f"{what} {release}" if what else f"release {release}"
    raise UsageError(f"no kernel tree for {name}; installed: {have}", hint=release_hint(release))


def _linked_tree(release: str, root: Path) -> KernelTree | None:
    """The tree behind `/lib/modules/RELEASE/build`: the short way, without a look at the other trees."""
    if "/" in release or release in {"", ".", ".."}:
        return None
    link = root / "lib/modules" / release / "build"
    if not (link / "include/config/auto.conf").is_file():
        return None
    return open_tree(link)
