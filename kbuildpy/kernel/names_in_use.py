# SPDX-License-Identifier: GPL-2.0-only
"""The names of the kernel's own modules, which a new module should not have: the kernel loads one module of a name."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.kernel.symvers import read_symvers


def names_in_use(root: Path = Path("/")) -> dict[str, str]:
    """The names, in lower case, of all modules of the kernels that are installed below `root`, each with a kernel that
    has it.

    A kernel of which only the headers are installed tells those that export something. What cannot be read is left out.
    """
    found: dict[str, str] = {}
    for top in ("lib/modules", "usr/lib/modules"):
        for directory in sorted((root / top).glob("*")):
            own = OwnModules(directory)
            try:
                names = {*own.files(), *(own.built_in() or ())}
            except (KbuildError, OSError):
                continue
            for name in names:
                found.setdefault(name.lower(), directory.name)
    for tree in installed_trees(root).trees:
        try:
            owners = set(read_symvers(tree.symvers).columns.owners)
        except (KbuildError, OSError):
            continue
        for owner in owners - {"vmlinux"}:
            found.setdefault(module_name(owner).lower(), tree.release)
    return found
