# SPDX-License-Identifier: GPL-2.0-only
"""Copies of a kernel tree whose makefiles can be edited."""

from __future__ import annotations

import shutil
from pathlib import Path

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from tests.support.edits import edit


def tree_with_own_makefiles(tree: KernelTree, place: Path) -> KernelTree:
    """A tree like `tree` below `place`: its makefiles are copies, what else nobody edits are links."""
    objects, source = place / "objects", place / "source"
    folder = next(path.parent for path in (tree.source / "arch").glob("*/Makefile") if _is_of(path.parent.name, tree))
    source.mkdir(parents=True)
    _link_all(tree.source, source, besides=("Makefile", "scripts", "arch"))
    shutil.copy2(tree.source / "Makefile", source)
    shutil.copytree(tree.source / "scripts", source / "scripts", symlinks=True)
    (source / "arch" / folder.name).mkdir(parents=True)
    _link_all(tree.source / "arch", source / "arch", besides=(folder.name,))
    _link_all(folder, source / "arch" / folder.name, besides=("Makefile",))
    shutil.copy2(folder / "Makefile", source / "arch" / folder.name)
    objects.mkdir()
    _link_all(tree.objects, objects, besides=("Makefile",))
    shutil.copy2(tree.objects / "Makefile", objects)
    edit(objects / "Makefile", f"include {tree.source}/Makefile", f"include {source}/Makefile")
    # (Debian's from 7.2 on says where it is)
    makefile = objects / "Makefile"
    makefile.write_text(makefile.read_text().replace(f"KBUILD_OUTPUT={tree.objects}\n", f"KBUILD_OUTPUT={objects}\n"))
    return open_tree(objects)


def _is_of(folder: str, tree: KernelTree) -> bool:
    """Whether the folder of arch/ is the tree's."""
    architecture = str(architecture_of(tree))
    return folder in (architecture, {"x86_64": "x86", "i386": "x86"}.get(architecture))


def _link_all(original: Path, place: Path, *, besides: tuple[str, ...]) -> None:
    for path in original.iterdir():
        if path.name not in besides:
            (place / path.name).symlink_to(path.resolve())
