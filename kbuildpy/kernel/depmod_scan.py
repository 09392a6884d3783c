# SPDX-License-Identifier: GPL-2.0-only
"""Which file of each module depmod would write into its index now, exactly: in the order in which the file system tells
the names.

Counterpart: kmod (tools/depmod.c: depmod_modules_search_dir, depmod_module_is_higher_priority). The surprise: of two
files below one directory that is named in `search`, the one that is read last is taken; of two elsewhere, the first.
`depmod_order` says what does not depend on the file system.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.depmod_order import BUILT_IN, EXTERNAL, SearchOrder
from kbuildpy.kernel.module_files import MODULE_SUFFIXES
from kbuildpy.kernel.rooted import Rooted

_NEVER = frozenset(("build", "source"))
_DEPTH = 64
"""Directories in each other: links may make a circle, which depmod leaves when the path is too long."""


@dataclass(frozen=True)
class NamedFiles:
    """The files of one name."""

    name: str
    """The name as kmod makes it of the file's."""
    paths: tuple[str, ...]
    """In the order of reading: below lib/modules/RELEASE, or absolute in the system for a directory elsewhere."""
    taken: str
    """The one that depmod takes."""


def kmod_name(path: str) -> str:
    """What kmod calls the module in the file `path`: what is before the first dot, with _ for - (shared/util.c:
    path_to_modname)."""
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def scan_modules(
    system: Rooted,
    directory: str,
    order: SearchOrder,
    names: Collection[str] | None = None,
    suffixes: tuple[str, ...] = MODULE_SUFFIXES,
) -> dict[str, NamedFiles]:
    """All modules in `directory` (`.../lib/modules/RELEASE` in the system) and in the directories that `order` adds, or
    those called `names`. Raises `OSError` if the directory itself cannot be read."""
    found: dict[str, list[str]] = {}
    taken: dict[str, str] = {}
    places = (directory, *(external for external in reversed(order.externals)))
    for place in places:
        for path in _walk(system, place, order.excludes, suffixes, must_exist=place == directory):
            name = kmod_name(path)
            if names is not None and name not in names:
                continue
            found.setdefault(name, []).append(path)
            if name not in taken or _is_better(path, taken[name], directory, order):
                taken[name] = path
    return {
        name: NamedFiles(name, tuple(_below(path, directory) for path in paths), _below(taken[name], directory))
        for name, paths in found.items()
    }


def _is_better(new: str, old: str, directory: str, order: SearchOrder) -> bool:
    """Whether depmod replaces `old`, which it has, by `new`, which it reads after it."""
    new_place, old_place = _place(new, directory), _place(old, directory)
    for override in order.overrides:
        if new_place == override:
            return True
        if old_place == override:
            return False
    rank = {"": -1, "new": -1, "old": -1}
    step = 0
    # (the first in the text counts most: depmod counts from the last one on)
    for search in reversed(order.searches):
        if search == BUILT_IN:
            rank[""] = step
        elif search == EXTERNAL:
            for external in reversed(order.externals):
                if _without_suffixes(new).startswith(f"{external}/"):
                    rank["new"] = step
                if _without_suffixes(old).startswith(f"{external}/"):
                    rank["old"] = step
                step += 1
        elif new_place is not None and new_place.startswith(f"{search}/"):
            rank["new"] = step
        elif old_place is not None and old_place.startswith(f"{search}/"):
            rank["old"] = step
        step += 1
    new_rank, old_rank = (rank[which] if rank[which] >= 0 else rank[""] for which in ("new", "old"))
    return new_rank > old_rank


def _place(path: str, directory: str) -> str | None:
    """The path below `directory`, without what is behind the first dot of the file's name; None for one elsewhere."""
    if not path.startswith(directory):
        return None
    return _without_suffixes(path[len(directory) + 1 :])


def _without_suffixes(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _below(path: str, directory: str) -> str:
    return path.removeprefix(f"{directory}/")


def _walk(
    system: Rooted, directory: str, excludes: Collection[str], suffixes: tuple[str, ...], *, must_exist: bool
) -> Iterator[str]:
    """The module files below `directory`, in the order of the file system, through links as well."""
    try:
        top = os.scandir(system.real(directory))
    except OSError:
        if must_exist:
            raise
        return
    left_out = _NEVER | set(excludes)
    open_folders = [(directory, top)]
    try:
        while open_folders:
            folder, entries = open_folders[-1]
            entry = next(entries, None)
            if entry is None:
                entries.close()
                open_folders.pop()
                continue
            if entry.name in left_out:
                continue
            path = f"{folder}/{entry.name}"
            kind = _kind(system, path, entry)
            if kind == "file" and any(entry.name.endswith(end) and entry.name != end for end in suffixes):
                yield path
            elif kind == "directory" and len(open_folders) < _DEPTH:
                try:
                    open_folders.append((path, os.scandir(system.real(path))))
                except OSError:
                    continue
    finally:
        for _, entries in open_folders:
            entries.close()


def _kind(system: Rooted, path: str, entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return "file"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    try:
        place: Path = system.real(path)
        return "file" if place.is_file() else "directory" if place.is_dir() else ""
    except OSError:
        return ""
