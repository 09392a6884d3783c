# SPDX-License-Identifier: GPL-2.0-only
"""Refuses files of KBUILD_EXTRA_SYMBOLS that are missing or the kernel's own (scripts/Makefile.modpost).

modpost itself prints a line for each symbol that another symvers file has too (scripts/mod/modpost.c:
sym_add_exported); for the kernel's own Module.symvers these are tens of thousands of lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.kernel.tree import KernelTree

_ERRORS_SINCE = (5, 19)
"""Up to 5.18 modpost only warns of a symbol that is exported twice."""


def check_extra_symvers(
    name: str, path: Path, *, tree: KernelTree, cwd: str, looked_for: Iterable[str | Path] = ()
) -> str:
    """Check the symvers file `path`, which KBUILD_EXTRA_SYMBOLS calls `name`; a relative `name` is a path below `cwd`.

    Raises `KbuildError` for a relative name without a file, and for a file with symbols of the kernel itself. Where
    modpost would only warn of the latter, returns the warning to print, and the caller must not read the file; else "".
    The error's hint names a file `name` in one of the directories `looked_for`, if there is one.
    """
    relative = not Path(name).is_absolute()
    if relative and not path.exists():
        meant = next((found for place in looked_for if (found := Path(place, name).resolve()).is_file()), None)
        raise KbuildError(
            f"KBUILD_EXTRA_SYMBOLS={name}: no such file in {cwd}, where Kbuild looks for a relative name",
            hint=f"give an absolute one: KBUILD_EXTRA_SYMBOLS={meant or f'/path/to/{Path(name).name}'}",
        )
    if not path.is_file() or not _has_symbols_of_vmlinux(path, tree):
        return ""
    sentence = f"KBUILD_EXTRA_SYMBOLS={name}: symbols of the kernel itself, which Kbuild knows from {tree.symvers}"
    hint = "remove it: KBUILD_EXTRA_SYMBOLS is for the Module.symvers of other external modules"
    if relative:
        hint += f"; a relative name is one in {cwd}, so give an absolute one"
    if tree.version >= _ERRORS_SINCE:
        raise KbuildError(sentence, hint=hint)
    return f"kbuildpy: warning: {sentence}\n  {hint}"


def _has_symbols_of_vmlinux(path: Path, tree: KernelTree) -> bool:
    """Whether the symvers file `path` has a symbol of vmlinux that the tree's Module.symvers has as well."""
    if not tree.symvers.is_file():
        return False
    columns = read_symvers(path, any_license=True).columns
    known = read_symvers(tree.symvers, any_license=True)
    lines = (
        known.find(symbol) for symbol, owner in zip(columns.symbols, columns.owners, strict=True) if owner == VMLINUX
    )
    return any(line is not None and line[1] == VMLINUX for line in lines)


VMLINUX = "vmlinux"
