# SPDX-License-Identifier: GPL-2.0-only
"""Which of several modules of one name depmod writes into its indexes, so that modprobe takes it.

Counterpart: kmod (tools/depmod.c: cfg_load, depmod_module_is_higher_priority). The surprise: without a word about
them, all directories but `updates` count the same, and of two modules there the one wins that the file system tells
first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kernel.depmod_indexes import listed_modules
from kbuildpy.kernel.module_files import module_name, walk_modules, without_suffix

_FOLDERS = tuple(map(Path, ("/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/lib/depmod.d")))
BUILT_IN = "built-in"
"""Stands for all directories that are not named."""


@dataclass(frozen=True)
class SearchOrder:
    """What depmod.d says for a kernel."""

    searches: tuple[str, ...] = ("updates",)
    """The directories from the first to the last; `built-in` stands for all that are not named."""
    overrides: tuple[str, ...] = ()
    """Paths without a suffix, of which the first counts."""

    def winner(self, paths: Sequence[str]) -> str | None:
        """The one of `paths` (of modules of one name, below lib/modules/RELEASE) that depmod takes; None where that is
        up to the file system."""
        for override in self.overrides:
            for path in paths:
                if without_suffix(path) == override:
                    return path
        ranks = [self._rank(path) for path in paths]
        best = [path for path, rank in zip(paths, ranks, strict=True) if rank == min(ranks)]
        return best[0] if len(best) == 1 else None

    def _rank(self, path: str) -> int:
        for rank, folder in enumerate(self.searches):
            if folder != BUILT_IN and path.startswith(f"{folder}/"):
                return rank
        return self.searches.index(BUILT_IN) if BUILT_IN in self.searches else len(self.searches)


class InstalledModule(NamedTuple):
    """A module that is installed, maybe in several files."""

    name: str
    paths: tuple[str, ...]
    """All files of that name, below lib/modules/RELEASE."""
    taken: str | None
    """The path of the one that modprobe takes; None where that is up to the file system."""
    unlisted: bool
    """depmod has run, and before this module was there."""

    @property
    def file(self) -> str:
        """The path of the one that modprobe takes, or of one that it may take."""
        return self.taken if self.taken in self.paths else self.paths[0]


def installed_modules(directory: Path, release: str) -> list[InstalledModule]:
    """All modules below `directory` (`.../lib/modules/RELEASE`), and which files modprobe takes."""
    listed = indexed_paths(directory)
    order = search_order(release)
    found = []
    for name, paths in modules_by_name(directory).items():
        taken = (listed or {}).get(name) or order.winner(paths)
        found.append(InstalledModule(name, tuple(paths), taken, listed is not None and name not in listed))
    return found


def search_order(release: str, folders: Sequence[Path] = _FOLDERS) -> SearchOrder:
    """What the files `*.conf` in `folders` say for the kernel `release`; of two of one name, that in the first."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.conf")) if folder.is_dir() else ():
            files.setdefault(path.name, path)
    searches: list[str] = []
    overrides: list[str] = []
    for _, path in sorted(files.items()):
        text = ""
        with suppress(OSError):  # (a link to nowhere, or not for this user: depmod goes on without it)
            text = path.read_text(errors="surrogateescape")
        for line in text.replace("\\\n", "").splitlines():
            words = line.split()
            if words[:1] == ["search"]:
                searches += words[1:]
            elif words[:1] == ["override"] and len(words) >= 4 and _matches(words[2], release):
                overrides.insert(0, f"{words[3]}/{words[1]}")
    return SearchOrder(tuple(dict.fromkeys(searches)) or ("updates",), tuple(overrides))


def modules_by_name(directory: Path, names: Collection[str] | None = None) -> dict[str, list[str]]:
    """The paths below `directory` (`.../lib/modules/RELEASE`) of all modules there, or of those called `names`."""
    found: dict[str, list[str]] = {}
    for file in walk_modules(directory, without=("build", "source")):
        name = module_name(file)
        if names is None or name in names:
            found.setdefault(name, []).append(file.removeprefix(f"{directory}/"))
    return found


def indexed_paths(directory: Path) -> Mapping[str, str] | None:
    """The path of each module in depmod's list, by name; None where depmod has not run."""
    try:
        return {name: item.path for name, item in listed_modules(directory).items()}
    except OSError:
        return None


def _matches(pattern: str, release: str) -> bool:
    try:
        return pattern == "*" or re.search(pattern, release) is not None
    except re.error:
        return False
