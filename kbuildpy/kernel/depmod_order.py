"""Which of several modules of one name depmod writes into its indexes, so that modprobe takes it.

Counterpart: kmod (tools/depmod.c: cfg_load, depmod_module_is_higher_priority). The surprise: without a word about
them, all directories but `updates` count the same, and of two modules there the one wins that the file system tells
first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.own_modules import module_name

_FOLDERS = tuple(map(Path, ("/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/lib/depmod.d")))
BUILT_IN = "built-in"
"""Stands for all directories that are not named."""
_MODULE = re.compile(r"\.ko(?:\.(?:gz|xz|zst))?$")


@dataclass(frozen=True)
class SearchOrder:
    """What depmod.d says for a kernel: the directories of `searches` from the first to the last, where `built-in`
    stands for all that are not named; and the `overrides`, paths without a suffix, of which the first counts."""

    searches: tuple[str, ...] = ("updates",)
    overrides: tuple[str, ...] = ()

    def winner(self, paths: Sequence[str]) -> str | None:
        """The one of `paths` (of modules of one name, below lib/modules/RELEASE) that depmod takes; None where that is
        up to the file system."""
        for override in self.overrides:
            for path in paths:
                if _MODULE.sub("", path) == override:
                    return path
        ranks = [self._rank(path) for path in paths]
        best = [path for path, rank in zip(paths, ranks, strict=True) if rank == min(ranks)]
        return best[0] if len(best) == 1 else None

    def _rank(self, path: str) -> int:
        for rank, folder in enumerate(self.searches):
            if folder != BUILT_IN and path.startswith(f"{folder}/"):
                return rank
        return self.searches.index(BUILT_IN) if BUILT_IN in self.searches else len(self.searches)


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
    for folder, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in ("build", "source"))
        below = os.path.relpath(folder, directory)
        for file in sorted(files):
            if _MODULE.search(file) and (names is None or module_name(file) in names):
                path = file if below == "." else f"{below}/{file}"
                found.setdefault(module_name(file), []).append(path)
    return found


def indexed_paths(directory: Path) -> Mapping[str, str] | None:
    """The path of each module in depmod's list, by name; None where depmod has not run."""
    try:
        lines = (directory / "modules.dep").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    paths = (line.partition(":")[0] for line in lines)
    return {module_name(path): path for path in paths}


def _matches(pattern: str, release: str) -> bool:
    try:
        return pattern == "*" or re.search(pattern, release) is not None
    except re.error:
        return False
