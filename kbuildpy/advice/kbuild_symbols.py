# SPDX-License-Identifier: GPL-2.0-only
"""Which CONFIG_ symbols a kernel tree's Kbuild files ask for to compile what exports a symbol.

The headers of a distribution have no Kbuild files of drivers. A tree with sources has them, and the source that has the
EXPORT_SYMBOL. Another kernel tells the module that exports it, and so the directory; else the sources are searched, not
longer than `_PATIENCE`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kbuildpy.advice.conditions import setting
from kbuildpy.kernel.tree import KernelTree

_PATIENCE = 1.5
"""Seconds."""
_ROOTS = ("lib", "kernel", "mm", "fs", "net", "drivers", "block", "crypto", "security", "sound", "virt", "arch")
_ASSIGNMENT = re.compile(
    r"^([\w.-]+)-\$\((CONFIG_\w+)\)\s*[:+]?=(.*)$|^([\w.-]+)-(?:y|m|objs)\s*[:+]?=(.*)$", re.MULTILINE
)


class SwitchedOff(NamedTuple):
    """A line of a Kbuild file that leaves something out."""

    symbols: tuple[str, ...]
    text: str
    """What it says."""


def switched_off(tree: KernelTree, symbol: str, owners: Sequence[str]) -> list[SwitchedOff]:
    """The lines of the tree's Kbuild files that leave out what exports `symbol`; none where the tree does not tell.
    `owners` are the modules that export it in other kernels."""
    files = [tree.source / f"{owner}.c" for owner in dict.fromkeys(owners) if owner != "vmlinux"]
    objects = [path for path in files if path.parent.is_dir()]
    if not objects:
        objects = list(_exporting_sources(tree, symbol))
    for path in objects:
        found = list(_chain(tree, path.parent, re.escape(path.stem).replace("_", "[-_]")))
        if found:
            return found
    return []


def _chain(tree: KernelTree, folder: Path, stem: str) -> Iterator[SwitchedOff]:
    """The symbols that are off on the way from an object to the top of the tree."""
    yield from _in_makefile(tree, folder, rf"{stem}\.o")
    while folder not in (tree.source, folder.parent):
        yield from _in_makefile(tree, folder.parent, rf"{re.escape(folder.name)}/")
        folder = folder.parent


def _in_makefile(tree: KernelTree, folder: Path, word: str, depth: int = 0) -> Iterator[SwitchedOff]:
    for name in ("Kbuild", "Makefile"):
        path = folder / name
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        plain = text.replace("\\\n", "  ")
        for match in _ASSIGNMENT.finditer(plain):
            into, config, words = match[1] or match[4], match[2] or "", match[3] or match[5] or ""
            if not re.search(rf"(?<!\S){word}(?!\S)", words):
                continue
            if config and config not in tree.config:
                line = text.count("\n", 0, match.start()) + 1
                where = f"{path.relative_to(tree.source)}:{line}"
                found = re.search(rf"(?<!\S){word}(?!\S)", words)
                said = f"{into}-$({config}) has {found[0] if found else word}"
                yield SwitchedOff((config,), f"{where}: {said}, and {setting(config, tree.config)}")
            if into != "obj" and depth < 2:
                yield from _in_makefile(tree, folder, rf"{re.escape(into)}\.o", depth + 1)
        return


def _exporting_sources(tree: KernelTree, symbol: str) -> Iterator[Path]:
    """The sources of the tree that export `symbol`: folders that its name mentions first."""
    roots = [tree.source / name for name in _ROOTS if (tree.source / name).is_dir()]
    if not any((tree.source / name).is_file() for name in ("kernel/module/main.c", "kernel/module.c", "init/main.c")):
        return
    deadline = time.monotonic() + _PATIENCE
    export = re.compile(rf"^\s*EXPORT_\w+\(\s*{re.escape(symbol)}\s*[,)]".encode(), re.MULTILINE)
    words = [word for word in symbol.lower().split("_") if len(word) > 2]
    folders = [folder for root in roots for folder, _, _ in os.walk(root)]
    folders.sort(key=lambda folder: not any(word in PurePosixPath(folder).parts for word in words))
    for folder in folders:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208
            if not name.endswith(".c"):
                continue
            if time.monotonic() > deadline:
                return
            try:
                contents = Path(folder, name).read_bytes()
            except OSError:
                continue
            if symbol.encode() in contents and export.search(contents):
                yield Path(folder, name)
                return
