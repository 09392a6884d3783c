# SPDX-License-Identifier: GPL-2.0-only
"""Which of several modules of one name depmod writes into its indexes, so that modprobe takes it.

Counterpart: kmod (tools/depmod.c: cfg_load, depmod_module_is_higher_priority). The surprise: without a word about
them, all directories but `updates` count the same, and of two modules there the one wins that the file system tells
first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kernel.depmod_indexes import listed_modules
from kbuildpy.kernel.modprobe_config import logical_lines
from kbuildpy.kernel.module_files import module_name, walk_modules, without_suffix
from kbuildpy.kernel.rooted import Rooted, configuration_files

_FOLDERS = ("/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/usr/lib/depmod.d", "/lib/depmod.d")
_RUNNING = Rooted()
BUILT_IN = "built-in"
"""Stands for all directories that are not named."""
EXTERNAL = "external"
"""Stands for the directories that `external` names."""
_SPACE = re.compile(r"[\t ]+")
_CLASS = re.compile(r"\[:(alpha|digit|alnum|lower|upper|space|punct):\]")
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "space": r"\s",
    "punct": r"!-/:-@\[-`{-~",
}


@dataclass(frozen=True)
class SearchOrder:
    """What depmod.d says for a kernel."""

    searches: tuple[str, ...] = ("updates",)
    """The directories from the first to the last; `built-in` stands for all that are not named."""
    overrides: tuple[str, ...] = ()
    """Paths without a suffix, of which the first counts."""
    externals: tuple[str, ...] = ()
    """Directories elsewhere that depmod reads after its own, the first of them before the others."""
    excludes: frozenset[str] = frozenset()
    """The names of directories that it does not read."""

    def winner(self, paths: Sequence[str]) -> str | None:
        """The one of `paths` (of modules of one name, below lib/modules/RELEASE) that depmod takes; None where that is
        up to the file system."""
        for override in self.overrides:
            named = [path for path in paths if without_suffix(path) == override]
            if named:
                return named[0] if len(named) == 1 else None
        ranks = [self._rank(path) for path in paths]
        best = [path for path, rank in zip(paths, ranks, strict=True) if rank == min(ranks)]
        return best[0] if len(best) == 1 else None

    def _rank(self, path: str) -> tuple[int, int]:
        for rank, folder in enumerate(self.searches):
            if folder == EXTERNAL:
                for place, directory in enumerate(self.externals):
                    if path.startswith(f"{directory}/"):
                        return rank, place
            elif folder != BUILT_IN and path.startswith(f"{folder}/"):
                return rank, 0
        return (self.searches.index(BUILT_IN) if BUILT_IN in self.searches else len(self.searches)), 0


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


def search_order(release: str, folders: Sequence[Path | str] = _FOLDERS, *, system: Rooted = _RUNNING) -> SearchOrder:
    """What the files `*.conf` in `folders` of `system` say for the kernel `release`; of two of one name, that in the
    first."""
    searches: list[str] = []
    overrides: list[str] = []
    externals: list[str] = []
    excludes: list[str] = []
    for path in configuration_files(system, [str(folder) for folder in folders]):
        # (a file that is not for this user: depmod goes on without it)
        for _, line in logical_lines(system.text(path) or ""):
            if line.startswith("#"):
                continue
            words = [word for word in _SPACE.split(line) if word]
            if words[:1] == ["search"]:
                searches += words[1:]
            elif words[:1] == ["exclude"]:
                excludes += words[1:]
            elif words[:1] == ["override"] and len(words) >= 4 and _matches(words[2], release):
                overrides.insert(0, f"{words[3]}/{words[1]}")
            elif words[:1] == ["external"] and len(words) >= 3 and _matches(words[1], release):
                externals.append(words[2])
    return SearchOrder(
        tuple(dict.fromkeys(searches)) or ("updates",), tuple(overrides), tuple(externals), frozenset(excludes)
    )


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
        return pattern == "*" or re.search(_CLASS.sub(lambda found: _CLASSES[found[1]], pattern), release) is not None
    except re.error:
        return False
