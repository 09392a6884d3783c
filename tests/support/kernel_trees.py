# SPDX-License-Identifier: GPL-2.0-only
"""The kernel trees that are installed, and copies of one that may be edited."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.tree import KernelTree
from tests.support.edits import edit
from tests.support.packages import early_tree

EARLY = "5.10"
"""The oldest line that is tested with. It is never installed: `early_tree()` unpacks its headers."""


def trees() -> list[KernelTree]:
    """The kernel trees to compare on: all that are installed for this machine."""
    return list(installed_trees().trees)


def swept(*values: object) -> list[Any]:
    """Parameters for tests, such as lines of kernels, that are not in every run: what the tests show of them, they show
    of others as well."""
    return [pytest.param(value, marks=pytest.mark.sweep) for value in values]


def newest_tree_first() -> list[Any]:
    """The releases of the kernel trees, as parameters of tests that show next to nothing more on the older ones: those
    are only in the sweep."""
    newest = max(trees(), key=lambda tree: tree.version, default=None)
    return [
        pytest.param(tree.release, marks=[] if tree == newest else [pytest.mark.sweep], id=tree.release)
        for tree in sorted(trees(), key=lambda tree: tree.version, reverse=True)
    ]


def tree_of_release(release: str) -> KernelTree:
    """The installed kernel tree of a release, or that of the line `EARLY`, without which the test is skipped."""
    return early_tree() if release == EARLY else next(tree for tree in trees() if tree.release == release)


def tree_of(line: str) -> KernelTree:
    """The installed kernel tree of a line, such as `6.12`; without it the test is skipped."""
    found = next((tree for tree in trees() if tree.release.startswith(f"{line}.")), None)
    return found or pytest.skip(f"no kernel headers of {line} here")


def usual_tree() -> KernelTree:
    """The tree for what does not depend on the kernel's line: the oldest one, which builds in the least time."""
    return min(trees(), key=lambda tree: tree.version)


def private_tree(tree: KernelTree, place: Path) -> Path:
    """A kernel tree whose configuration, symvers and headers in include/pcmcia can be edited; its object part.

    What nobody edits at `place` are links to the original.
    """
    objects, source = place / "objects", place / "source"
    shutil.copytree(tree.objects, objects, symlinks=True, ignore=_no_config_markers)
    for part, original in ((objects, tree.objects), (source, tree.source)):
        part.mkdir(exist_ok=True)
        for name in ("scripts", "tools"):
            (part / name).unlink(missing_ok=True)
            (part / name).symlink_to((original / name).resolve())
    shutil.copy2(tree.source / "Makefile", source)
    (source / "arch").symlink_to(tree.source / "arch")
    shutil.copytree(tree.source / "include/pcmcia", source / "include/pcmcia")
    for path in (tree.source / "include").iterdir():
        if path.name != "pcmcia":
            (source / "include" / path.name).symlink_to(path)
    edit(objects / "Makefile", f"include {tree.source}/Makefile", f"include {source}/Makefile")
    # Debian's from 7.2 on says where it is.
    makefile = objects / "Makefile"
    makefile.write_text(makefile.read_text().replace(f"KBUILD_OUTPUT={tree.objects}\n", f"KBUILD_OUTPUT={objects}\n"))
    return objects


def _no_config_markers(folder: str, names: list[str]) -> set[str]:
    """Thousands of empty files, one a symbol, which no plan needs."""
    markers = folder.endswith("include/config")
    return {name for name in names if markers and name not in ("auto.conf", "kernel.release")}


def native_trees() -> list[KernelTree]:
    """Installed trees whose modpost and compiler run on this machine."""
    wanted = {"x86_64": "CONFIG_X86_64", "aarch64": "CONFIG_ARM64"}.get(platform.machine(), "CONFIG_X86_64")
    return [tree for tree in installed_trees().trees if tree.config.get(wanted) == "y"]


TREES = native_trees()
"""Installed trees whose modpost and compiler run on this machine, found once."""

each_tree = pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)
"""Runs a test for each of them."""
