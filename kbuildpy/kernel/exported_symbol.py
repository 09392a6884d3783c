# SPDX-License-Identifier: GPL-2.0-only
"""Who exports a symbol in a kernel; and where the headers have it, if nobody does.

The facts are in the tree's `Module.symvers` (scripts/mod/modpost.c: write_dump). A function that is in a header and not
there any more has usually become `static inline` or a macro: a module has to be built again, and needs no other change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.symvers import LICENSES, crc_number, read_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.similar import most_similar

_MOST_PLACES = 3


@dataclass(frozen=True)
class HeaderPlace:
    """A line of a header that names a symbol."""

    file: str
    """The header, below the tree's source part."""
    line: int
    """The line, counted from 1."""
    text: str
    """The line."""


@dataclass(frozen=True)
class SymbolExport:
    """A symbol in one kernel."""

    name: str
    """The symbol."""
    release: str
    """The kernel."""
    owner: str = ""
    """The module that exports it, as its path in the kernel without a suffix, or `vmlinux`; "" if nobody does."""
    license: str = ""
    """`EXPORT_SYMBOL` or `EXPORT_SYMBOL_GPL`."""
    namespace: str = ""
    """Its namespace, "" for none."""
    crc: int = 0
    """Its CRC; 0 in a kernel without symbol versions."""
    headers: tuple[HeaderPlace, ...] = ()
    """Where headers have a symbol that nobody exports: three places at most."""
    similar: str = ""
    """An exported symbol that may be meant in place of one that nobody exports; "" for none."""

    @property
    def exported(self) -> bool:
        """Whether a module can use it."""
        return bool(self.owner)

    @property
    def gpl_only(self) -> bool:
        """Whether only modules under a licence that is compatible with the GPL can use it."""
        return LICENSES.get(self.license, False)


def exported_symbol(name: str, tree: KernelTree) -> SymbolExport:
    """The symbol `name` in the kernel of `tree`. Raises `KbuildError` for a tree without a sound `Module.symvers`."""
    export = find_export(name, tree)
    if export is not None:
        return export
    symvers = read_symvers(tree.symvers)
    places: list[HeaderPlace] = []
    for place in _places_in_headers(name, tree):
        places.append(place)
        if len(places) == _MOST_PLACES:
            break
    similar = most_similar(name, symvers.columns.symbols, cutoff=0.8)
    return SymbolExport(name, tree.release, headers=tuple(places), similar=similar)


def find_export(name: str, tree: KernelTree) -> SymbolExport | None:
    """The export of the symbol `name` in the kernel of `tree`, None if there is none. Raises `KbuildError` as above."""
    found = read_symvers(tree.symvers).find(name)
    if found is None:
        return None
    crc, owner, license, namespace = found
    return SymbolExport(name, tree.release, owner, license, namespace, crc_number(crc))


def _places_in_headers(name: str, tree: KernelTree) -> Iterator[HeaderPlace]:
    """The lines that define or declare `name`, header by header in alphabetical order."""
    word = re.compile(rf"\b{re.escape(name)}\b".encode())
    defines = re.compile(rf"^\s*#\s*define\s+{re.escape(name)}\b|^(?!\s|\*|/[*/]).*\b{re.escape(name)}\s*\(".encode())
    for top in (tree.source / "include", *sorted((tree.source / "arch").glob("*/include"))):
        for path in _headers(top):
            content = path.read_bytes()
            if name.encode() not in content or not word.search(content):
                continue
            for number, line in enumerate(content.split(b"\n"), 1):
                if defines.search(line):
                    text = line.decode(errors="replace").strip()
                    yield HeaderPlace(str(path.relative_to(tree.source)), number, text)


def _headers(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".h"))
